"""Speakers in words."""

from collections.abc import Sequence

__all__ = ["named"]

NAMED = 5  # the first ones


def named(speakers: Sequence[str]) -> str:
    """Who was, for the beginning of a sentence.

    >>> named(["ann"])
    'the speaker ann was'
    """
    names = ", ".join(speakers[:NAMED]) + (", ..." if len(speakers) > NAMED else "")
    return f"the speaker {names} was" if len(speakers) == 1 else f"{len(speakers)} speakers ({names}) were"
