"""How long a recording may be that a page shows step by step."""

from memfold.data.features import SHIFT
from memfold.errors import InputError

__all__ = ["check_explainable"]

MOST_SECONDS = 30


def check_explainable(source: str, frames: int) -> None:
    """Refuse a recording of too many frames.

    Raises:
        InputError: it lasts longer than a page has room for.
    """
    if frames * SHIFT > MOST_SECONDS:
        raise InputError(f"{source}: lasts {frames * SHIFT:.0f} s; {MOST_SECONDS} s are the most that a report shows")
