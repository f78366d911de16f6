"""What to try when a baseline is better, by what the training shows: a longer budget, more data, another size."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from memfold.tasks.contest import ANSWER, Contest
from memfold.trained import Result
from memfold.words import Said, said

if TYPE_CHECKING:
    from memfold.tasks.report import Metric

__all__ = ["advice", "better_baseline", "rarest_of"]

LATE, EARLY = 0.85, 0.6  # shares of the steps after which the best validation counts as late, and before which as early
FEW = 30  # examples of a class
FEW_PASSES = 3  # over the data
LONGER = 4  # times as long


def better_baseline(contest: Contest | None, first: "Metric", scores: Mapping[str, Mapping[str, float]]) -> str:
    """The baseline that is better than the model; "" where none is.

    Args:
        contest: on the validation part; None where none was held.
        first: of the task's metrics.
        scores: on what was held out, by name; the model's are under `ANSWER`. Empty before it is scored.
    """
    ours = scores.get(ANSWER, {}).get(first.name)
    others = {name: its[first.name] for name, its in scores.items() if name != ANSWER and first.name in its}
    if ours is not None and others:
        best = max(others, key=lambda name: first.signed(others[name]))
        if first.signed(others[best]) > first.signed(ours):
            return best
    return "" if contest is None or contest.winner == ANSWER else contest.winner


def rarest_of(examples: Any) -> tuple[str, int] | None:
    """The rarest class of labelled examples, and how many there are; None of examples without classes."""
    labels = getattr(examples, "labels", None)
    if not labels or not all(isinstance(label, str) for label in labels):
        return None
    return Counter(labels).most_common()[-1]


def advice(training: Result, rival: str, rarest: tuple[str, int] | None = None) -> list[Said]:
    """What to try, the most promising first, as sentences that a page says in its own language.

    Args:
        rival: what is better than the model.
        rarest: as `rarest_of` gives it.
    """
    lines = [said("advice lost", name=rival)]
    share = training.best_step / max(training.steps, 1)
    passes = 1 + training.curve[-1].epoch if training.curve else 0
    ended = training.stopped == "budget"
    if ended and training.steps and share >= LATE:
        lines.append(said("advice longer", steps=training.steps, passes=passes, budget=_longer(training.seconds)))
    elif training.steps and share <= EARLY and _falls_on(training):
        lines.append(said("advice by heart", best=training.best_step, steps=training.steps))
    if ended and training.steps and share < LATE and passes <= FEW_PASSES:
        lines.append(said("advice few passes", passes=passes, budget=_longer(training.seconds)))
    if rarest is not None and rarest[1] < FEW:
        lines.append(said("advice few examples", label=rarest[0], count=rarest[1]))
    if len(lines) == 1:
        lines.append(said("advice size"))
    return lines


def _falls_on(training: Result) -> bool:
    """Whether the training loss went on falling after the best validation."""
    after = [row.train_loss for row in training.curve if row.step >= training.best_step]
    return len(after) > 1 and after[-1] < after[0]


def _longer(seconds: float) -> str:
    """A budget some times as long, as ``--budget`` takes it."""
    wanted = LONGER * seconds
    return f"{max(round(wanted), 1)}s" if wanted < 90 else f"{round(wanted / 60)}m"
