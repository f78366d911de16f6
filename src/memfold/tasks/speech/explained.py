"""What the explanations of recordings share."""

from collections.abc import Callable, Sequence

from torch import Tensor

from memfold.data.features import SHIFT
from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture, Shares, flow_of, shares_of_inputs
from memfold.explain.trace import traced
from memfold.tasks.model import Task

__all__ = ["check_explainable", "explained_sound"]

MOST_SECONDS = 30


def check_explainable(source: str, frames: int) -> None:
    """Refuse a recording of too many frames.

    Raises:
        InputError: it lasts longer than a page has room for.
    """
    if frames * SHIFT > MOST_SECONDS:
        raise InputError(f"{source}: lasts {frames * SHIFT:.0f} s; {MOST_SECONDS} s are the most that a report shows")


def explained_sound(
    model: Task,
    source: str,
    answer: str,
    run: Callable[[], Tensor],
    times: Sequence[str],
    pictures: Sequence[Picture],
    score: str,
) -> Explanation:
    """The explanation of a recording.

    Args:
        run: calls the network and gives the score.
        times: of the network's steps, as they are shown.
        score: what the score is, in the report's language.
    """
    network = model.network_
    trace = traced(network, run, lambda _, steps: times[:steps])
    shares = Shares(score, times, shares_of_inputs([network.lstm], run))
    first = next(iter(trace.layers))
    return Explanation(model.name, source, answer, trace, first, None, list(pictures), shares, flow_of(network, run))
