"""What an evaluation found: metrics of the model beside those of the baselines."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

__all__ = ["Metric", "Parts", "Report"]


@dataclass(frozen=True)
class Metric:
    """A measure of how good answers are, by its flat name, and which way is better, if one is."""

    name: str
    better: Literal["higher", "lower", "neither"]

    def signed(self, value: float) -> float:
        """The value, so that more is better."""
        return value if self.better == "higher" else -value


@dataclass
class Report:
    """The outcome of a fit or an evaluation, as ``--json`` prints it.

    Attributes:
        metrics: of the model, by flat name.
        baselines: by name, the first one being the task's standard one; each by the same flat names.
        shown: tables and texts that a terminal shows below the scores, as rich takes them.
        signatures: of metrics that have one, how they were computed.
        better: of a metric, which way is better.
        plan: what the fit chose by looking at the data and the machine, by parameter.
        winner: who scored best on the validation part; None where nothing was compared there.
        advice: what to try where a baseline is better, in sentences.
        language: in which a notebook shows it, ``en`` or ``zh``.
    """

    task: str
    data: str
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    parameters: int
    seed: int
    seconds: float = 0.0
    shown: Sequence[Any] = ()
    signatures: Mapping[str, str] = field(default_factory=dict)
    better: Mapping[str, str] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    winner: str | None = None
    advice: Sequence[str] = ()
    language: str = "en"

    def _repr_html_(self) -> str:
        """The scores beside those of the baselines, and the plan, for a notebook."""
        from memfold.page import framed, page_text
        from memfold.tasks.page import evaluation_title, plan_table, report_scores
        from memfold.words import Words

        words = Words(self.language)
        tables = [report_scores(self, words), plan_table(self, words)]
        footer = words("parameter count", count=self.parameters)
        page = page_text(evaluation_title(self, words), tables, [], footer, language=self.language)
        return framed(page, 190 + 36 * (len(self.baselines) + 1 + len(self.plan)))

    def as_json(self) -> dict[str, Any]:
        """One flat object of the contract's names."""
        (name, first), *_ = self.baselines.items()
        return {
            "task": self.task,
            "data": self.data,
            "metrics": _numbers(self.metrics),
            "baseline": {"name": name, **_numbers(first)},
            "baselines": [{"name": name, **_numbers(scores)} for name, scores in self.baselines.items()],
            "seconds": round(self.seconds, 2),
            "seed": self.seed,
            "parameters": self.parameters,
            "plan": dict(self.plan),
            "winner": self.winner,
            **({"advice": list(self.advice)} if self.advice else {}),
            "memfold": version("memfold"),
            "torch": _torch_version(),
            **({"signatures": dict(self.signatures)} if self.signatures else {}),
        }


@dataclass(frozen=True)
class Parts:
    """Data for a fit, as the task reads it.

    Attributes:
        train: what to train on.
        test: what is scored once, at the end.
        valid: what to validate on, where the data set has such a part; else a part of ``train`` serves.
        scoring: what `Task.evaluate` should know of the test part.
    """

    train: Any
    test: Any
    valid: Any = None
    scoring: Mapping[str, Any] = field(default_factory=dict)


def _numbers(scores: Mapping[str, float]) -> dict[str, float | None]:
    """Scores as JSON has them: what is undefined is null."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def _torch_version() -> str | None:
    try:
        return version("torch")
    except PackageNotFoundError:
        return None
