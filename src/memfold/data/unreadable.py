"""Files that cannot be read, among many that can."""

from collections.abc import Sequence

from memfold.display import say
from memfold.errors import InputError

__all__ = ["leave_out"]

NAMED = 3  # the first ones


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
        others = f", and none of the {files - 1} others" if files > 1 else ""
        raise InputError(f"{broken[0]}: cannot be read{others}")
    named = ", ".join(broken[:NAMED]) + (", ..." if len(broken) > NAMED else "")
    say(f"{len(broken)} of {files} {what} cannot be read and are left out: {named}")
