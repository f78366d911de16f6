"""Files that cannot be read, among many that can."""

from collections.abc import Sequence

from memfold.display import say
from memfold.errors import InputError

__all__ = ["leave_out"]

NAMED = 20  # the first ones


def leave_out(broken: Sequence[str], files: int, what: str) -> None:
    """Name the files that cannot be read on standard error; what is done goes on with the others.

    Args:
        broken: each with the reason.
        files: how many there are with them.
        what: they hold, such as images.

    Raises:
        InputError: none of them can be read.
    """
    if not broken:
        return
    if len(broken) == files:
        others = f", and none of the {files - 1} others: {_named(broken[1:])}" if files > 1 else ""
        raise InputError(f"{broken[0]}: cannot be read{others}")
    say(f"{len(broken)} of {files} {what} cannot be read and are left out: {_named(broken)}")


def _named(broken: Sequence[str]) -> str:
    more = len(broken) - NAMED
    return ", ".join(broken[:NAMED]) + (f", and {more:,} more" if more > 0 else "")
