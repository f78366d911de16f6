"""Recordings that are there twice: the same file, or the same sound, on both sides of a split."""

import hashlib
from collections import Counter
from collections.abc import Callable, Container, Hashable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memfold.data.audio import Source
from memfold.display import say

__all__ = ["content_keys", "frame_keys", "say_copies", "say_trained_on", "without_copies"]

NAMED = 3  # the first ones
KEY = 12  # digits of a key
PIECE = 4096  # bytes in the middle of a file, which differ between recordings of one length


def content_keys(sources: Sequence[Source]) -> list[Hashable]:
    """A key for each file, equal where the contents are; files are read whole only where lengths and middles agree."""
    keys: list[Hashable] = [_size(source) for source in sources]
    for closer in (_middle, _whole):
        counts = Counter(keys)
        keys = [
            (key, closer(source)) if counts[key] > 1 and isinstance(source, Path) else key
            for key, source in zip(keys, sources, strict=True)
        ]
    return keys


def frame_keys(frames: Sequence[NDArray[np.float16]]) -> list[str]:
    """A key for each recording by its frames ``(T, M)``, equal where the sound is; "" where it is silent.

    A file and its copy in another lossless format have the same key.
    """
    return ["" if np.ptp(rows) == 0 else hashlib.sha256(rows.tobytes()).hexdigest()[:KEY] for rows in frames]


def _size(source: Source) -> Hashable:
    size = _read(source, lambda path: path.stat().st_size) if isinstance(source, Path) else None
    return id(source) if not size else ("bytes", size)


def _middle(path: Path) -> Hashable:
    def read(path: Path) -> bytes:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size // 2 - PIECE // 2))
            return hashlib.sha256(file.read(PIECE)).digest()

    return _read(path, read)


def _whole(path: Path) -> Hashable:
    def read(path: Path) -> bytes:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    return _read(path, read)


def _read(path: Path, read: Callable[[Path], Hashable]) -> Hashable:
    try:
        return read(path)
    except (OSError, ValueError):  # which reading its sound will name
        return None


def without_copies(held: set[int], keys: Sequence[Hashable]) -> set[int]:
    """Rows to hold out so that no copy of them is among the others.

    Those with copies go to the others; where nothing would remain, their copies are held out too, unless that would be
    most of all.

    Args:
        keys: of all rows; those of "" have no copies.

    >>> without_copies({0, 1}, ["a", "b", "b"]), without_copies({1}, ["a", "b", "b", "c"])
    ({0}, {1, 2})
    """
    others = {key for row, key in enumerate(keys) if row not in held and key != ""}
    if kept := {row for row in held if keys[row] not in others}:
        return kept
    copied = {keys[row] for row in held}
    grown = held | {row for row, key in enumerate(keys) if key in copied}
    return grown if 2 * len(grown) <= len(keys) else held


def say_copies(sources: Sequence[Source], keys: Sequence[Hashable]) -> None:
    """Name the recordings that are there more than once, which stay on one side of a split, on standard error."""
    counts = Counter(key for key in keys if key != "")
    copies = [str(source) for source, key in zip(sources, keys, strict=True) if counts[key] > 1]
    if copies:
        say(f"{_which(copies, len(keys))} are copies of each other; they stay on one side of the split")


def say_trained_on(sources: Sequence[Source], keys: Sequence[Hashable], trained: Container[Hashable]) -> None:
    """Name the recordings to score that the model was trained on, on standard error."""
    copies = [str(source) for source, key in zip(sources, keys, strict=True) if key != "" and key in trained]
    if copies:
        say(f"warning: {_which(copies, len(keys))} were trained on; scores on them are better than on others")


def _which(names: Sequence[str], total: int) -> str:
    named = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return f"{len(names)} of {total} recordings ({named})"
