"""What a training did: its steps, its learning curve, and how it ended."""

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, get_type_hints

__all__ = ["Result", "Validation"]


@dataclass(frozen=True)
class Validation:
    """One row of the learning curve."""

    step: int
    epoch: int
    seconds: float
    train_loss: float  # mean since the row before
    score: float


@dataclass
class Result:
    """What a training did.

    Attributes:
        metric: the name of what was validated by.
        stopped: "budget", "enough" where the problem wants no more epochs, "patience", "solved", "interrupted" or
            "non-finite".
        message: for a person, when it did not end as planned.
        units: how much the steps' batches held, by `Problem.count`.
        step_seconds: the time of the steps alone, without validations and checkpoints.
        engine_seconds: the part of it that was spent in the recurrent layers.
    """

    steps: int = 0
    seconds: float = 0.0
    units: int = 0
    step_seconds: float = 0.0
    engine_seconds: float = 0.0
    best_score: float = math.inf
    best_step: int = 0
    curve: list[Validation] = field(default_factory=list)
    stopped: str = "budget"
    message: str = ""
    metric: str = ""

    @property
    def as_planned(self) -> bool:
        """Whether it ended by itself, neither interrupted nor with a loss that is not finite."""
        return self.stopped not in ("interrupted", "non-finite")

    @property
    def exit_status(self) -> int:
        """That of the command: 0, or 130 after Ctrl-C and 2 after a loss that is not finite."""
        return 0 if self.as_planned else 130 if self.stopped == "interrupted" else 2

    def speed(self, unit: str) -> str:
        """In words: how much a second, and how much of the time in the recurrent layers."""
        if not self.step_seconds:
            return "no step was made"
        rate = self.units / self.step_seconds
        share = self.engine_seconds / self.step_seconds
        text = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
        return f"{text} {unit} a second, {100 * share:.0f} % of the time in the recurrent layers"

    def as_json(self) -> dict[str, Any]:
        """For ``config.json``, without what is not finite."""
        rows = [asdict(row) for row in self.curve if math.isfinite(row.train_loss) and math.isfinite(row.score)]
        best = self.best_score if math.isfinite(self.best_score) else None
        return {**asdict(self), "best_score": best, "curve": rows}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """What `as_json` gave."""
        best = math.inf if stored["best_score"] is None else float(stored["best_score"])
        return cls(**{**stored, "best_score": best, "curve": [Validation(**row) for row in stored["curve"]]})

    @staticmethod
    def json_types() -> dict[str, Any]:
        """The types of what `as_json` gives."""
        types = {field.name: get_type_hints(Result)[field.name] for field in fields(Result)}
        return {**types, "best_score": float | None}
