"""What tells the rows of a data set apart, the same whenever they are read."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["RowSet", "file_keys"]

WHOLE = 1 << 18  # bytes of a file that are read; of a larger one some pieces
PIECE = 4096
MOST = 1 << 15  # rows that are kept of a set, 350 kB at most as they are written


def file_keys(sources: Sequence[Any], other: Callable[[int], str]) -> list[str]:
    """A key for each source: of a file by its content, wherever it lies, of anything else what ``other`` says of its
    place."""
    return [_of_file(source) or other(place) for place, source in enumerate(sources)]


def _of_file(source: Any) -> str:
    """By a file's size and content; of a large one by its beginning, its middle and its end. "" where it is no file."""
    if not isinstance(source, str | Path):
        return ""
    try:
        path = Path(source)
        size = path.stat().st_size
        with path.open("rb") as file:
            if size <= WHOLE:
                content = file.read()
            else:
                content = b""
                for start in (0, size // 2, size - PIECE):
                    file.seek(start)
                    content += file.read(PIECE)
    except (OSError, ValueError):
        return ""
    return f"{size}:{hashlib.blake2b(content, digest_size=8).hexdigest()}"


class RowSet:
    """A set of rows by hashes of their keys, as text in a model's configuration.

    Of more than `MOST` rows those with the smallest hashes are kept, which are as good as drawn at random.

    Args:
        hashes: sorted, each once, (N,).
        limit: below which all are kept; 0 where none was left out.

    >>> RowSet.parse(str(RowSet.of(["a", "b"]))).among(["b", "c"]).tolist()
    [True, False]
    """

    def __init__(self, hashes: np.ndarray[Any, np.dtype[np.uint64]], limit: int = 0) -> None:
        self.hashes, self.limit = hashes, limit

    def __len__(self) -> int:
        return len(self.hashes)

    @classmethod
    def of(cls, keys: Sequence[str]) -> "RowSet":
        """The set of some keys."""
        return cls(np.unique(_hashes(keys)))._bounded()

    def with_those_of(self, other: "RowSet") -> "RowSet":
        """The rows of both."""
        limit = min(filter(None, (self.limit, other.limit)), default=0)
        hashes = np.union1d(self.hashes, other.hashes)
        return RowSet(hashes[hashes < np.uint64(limit)] if limit else hashes, limit)._bounded()

    def _bounded(self) -> "RowSet":
        if len(self.hashes) <= MOST:
            return self
        return RowSet(self.hashes[:MOST], int(self.hashes[MOST]))

    def among(self, keys: Sequence[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of some rows are in the set, (N,); of a large set only some can be found."""
        return np.isin(_hashes(keys), self.hashes)

    def looked_up(self, keys: Sequence[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of some rows would be found if they were in it, (N,)."""
        hashes = _hashes(keys)
        return hashes < np.uint64(self.limit) if self.limit else np.ones(len(hashes), bool)

    def __str__(self) -> str:
        kept = base64.b64encode(self.hashes.astype("<u8").tobytes()).decode()
        return f"{kept} {self.limit}" if self.limit else kept

    @classmethod
    def parse(cls, text: str) -> "RowSet":
        """The set that `str` gave.

        Raises:
            ValueError: it is not of that form.
        """
        kept, _, limit = text.partition(" ")
        return cls(np.frombuffer(base64.b64decode(kept, validate=True), "<u8").astype(np.uint64), int(limit or 0))


def _hashes(keys: Sequence[str]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    digests = b"".join(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest() for key in keys)
    return np.frombuffer(digests, "<u8").astype(np.uint64)
