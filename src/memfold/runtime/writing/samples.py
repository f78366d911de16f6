"""Where a text that is written ends, and the seeds of several."""

from collections.abc import Iterator

from memfold.errors import InputError

__all__ = ["MOST_SAMPLES", "seed_of", "unescaped", "until"]

MOST_SAMPLES = 10_000


def until(pieces: Iterator[str], stop: str | None) -> Iterator[str]:
    """The pieces of a text up to a string, which is left out; all of them where it does not come or is None.

    What may be the beginning of the string is held back until the next piece shows whether it is.

    >>> list(until(iter(["one", ".", ".", "two"]), ".."))
    ['one']
    >>> "".join(until(iter(["a.", "b"]), ".."))
    'a.b'

    Raises:
        InputError: the string is empty.
    """
    if stop is None:
        return pieces
    if not stop:
        raise InputError("stop must be at least one character")
    return _up_to(pieces, stop)


def _up_to(pieces: Iterator[str], stop: str) -> Iterator[str]:
    held = ""
    for piece in pieces:
        held += piece
        if (at := held.find(stop)) >= 0:
            if held[:at]:
                yield held[:at]
            return
        begun = next(size for size in range(min(len(stop) - 1, len(held)), -1, -1) if held.endswith(stop[:size]))
        if ready := held[: len(held) - begun]:
            yield ready
        held = held[len(held) - begun :]
    if held:
        yield held


def seed_of(sample: int, seed: int) -> int | list[int]:
    """The seed of the draws of a sample, numbered from 1: the first is what a single one is."""
    return seed if sample == 1 else [seed, sample]


def unescaped(text: str | None) -> str | None:
    r"""A text of a command line, in which ``\n``, ``\t`` and ``\\`` stand for a line's end, a tab and a backslash.

    >>> unescaped(r"\n\n") == "\n\n", unescaped("end")
    (True, 'end')
    """
    if text is None:
        return None
    parts = [part.replace(r"\n", "\n").replace(r"\t", "\t") for part in text.split(r"\\")]
    return "\\".join(parts)
