"""What an update did: scores on the old and on the new data, before and after."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memfold.errors import InputError
from memfold.tasks.report import Metric, Parts
from memfold.tasks.updating.course import Arranged, module_of

if TYPE_CHECKING:
    from memfold.tasks.model import Task

__all__ = ["Outcome", "outcome"]

Scores = Mapping[str, float]


@dataclass(frozen=True)
class Outcome:
    """Scores before an update and after it, by the metrics' names.

    Attributes:
        model: the folder of the model that it went on from.
        old, new: before and after, on what was held out of the old data and of the new; None where there is nothing
            to score.
        missing: why the old data is not scored.
        rehearsed: whether the old data was given again.
        stayed: whether no weights of the training were better on the validation part than those it began with.
    """

    model: str
    old: tuple[Scores, Scores] | None
    new: tuple[Scores, Scores] | None
    metrics: Sequence[Metric]
    missing: str = ""
    rehearsed: bool = False
    stayed: bool = False

    @property
    def better(self) -> dict[str, str]:
        """Of a metric, which way is better."""
        return {metric.name: metric.better for metric in self.metrics}

    def as_json(self) -> dict[str, Any]:
        """What ``--json`` has under "from"."""
        parts = {"old": self.old, "new": self.new}
        said: dict[str, Any] = {"model": self.model, "missing": self.missing or None, "stayed": self.stayed}
        for name, pair in parts.items():
            said[name] = None if pair is None else {when: _finite(its) for when, its in zip(WHEN, pair, strict=True)}
        return said

    def rows(self) -> dict[str, Scores]:
        """The rows of a table: what was scored, before and after."""
        parts = {"old data": self.old, "new data": self.new}
        return {
            f"{name}, {when}": scores
            for name, pair in parts.items()
            for when, scores in zip(WHEN, pair or (), strict=False)
        }

    def said(self) -> list[str]:
        """Where the update made something worse, and what was not measured, in words."""
        lines = []
        ways = "try a longer budget, or a lower lr" if self.rehearsed else "give the old data beside the new"
        if self.stayed:
            lines.append(
                "no weights of the training were better on the validation part than those it began with, which are kept"
            )
        for name, pair, remedy in (
            ("new", self.new, f"{self.model} answers it better: keep that one, or give more data or a longer budget"),
            ("old", self.old, f"that much was forgotten: {ways}"),
        ):
            if pair is not None and (worse := self._worse(pair)):
                lines.append(f"on the {name} data the update is worse than what it began with, {worse}: {remedy}")
        if self.new is None:
            lines.append(f"nothing new was scored{f' ({self.missing})' if self.missing and self.old else ''}")
        return lines

    def _worse(self, pair: tuple[Scores, Scores]) -> str:
        """The first metric before and after, where it is worse after; else ""."""
        metric = next((one for one in self.metrics if one.name in pair[0] and one.name in pair[1]), None)
        if metric is None:
            return ""
        before, after = (scores[metric.name] for scores in pair)
        return f"{metric.name} {after:.4g} after {before:.4g}" if metric.signed(after) < metric.signed(before) else ""


WHEN = ("before", "after")


def _finite(scores: Scores) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def outcome(ready: Arranged, before: "Task", model: Path) -> Outcome:
    """Score the model that an update went on from beside the updated one."""
    pairs: list[tuple[Scores, Scores] | None] = []
    reasons = []
    for part in (ready.old, ready.new):
        try:
            pairs.append(None if part is None else _pair(ready.task, before, part))
        except InputError as error:  # such as a class that is nowhere to train on
            reasons.append(str(error))
            pairs.append(None)
    missing = "; ".join(reasons)
    if ready.old is None:
        missing = ready.missing or "no old data is known or given"
    training = ready.task.training_
    rehearsed = ready.task.begun is not None and ready.task.begun.rehearses
    stayed = training.steps > 0 and training.best_step == 0
    return Outcome(str(model), pairs[0], pairs[1], ready.task.metrics, missing, rehearsed, stayed)


def _pair(task: "Task", before: "Task", part: Parts) -> tuple[Scores, Scores]:
    examples = task.read(part.test)
    options = {name: value for name, value in part.scoring.items() if name != "train"}
    module = module_of(task)
    after = task.scores(examples, task.answer(examples, **options))
    if hasattr(module, "earlier_scores"):
        earlier: Scores = module.earlier_scores(before, examples)
    else:
        earlier = task.scores(examples, module.answers(task, before, examples, **options))
    # What only one of them has, such as a speed or the alarms of a stream, is not compared.
    return {name: value for name, value in earlier.items() if name in after}, {
        name: value for name, value in after.items() if name in earlier
    }
