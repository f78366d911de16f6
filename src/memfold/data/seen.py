"""The texts that a model was fitted to, as hashes: enough to notice them in an evaluation, too little to read them."""

import base64
import binascii
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError

__all__ = ["Seen", "same_text"]

MOST = 1 << 16  # hashes that are kept, half a megabyte


def same_text(text: str) -> str:
    """What texts have in common that differ in case, in white space or in the form of a character alone.

    >>> same_text(" Good\tDay ") == same_text("good day")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class Seen:
    """A set of texts by their hashes of 64 bits.

    Of more than `MOST` the smallest hashes are kept. These are as good as drawn at random, so that the share of other
    texts among them is the share among all.

    Args:
        hashes: sorted, each once, (N,).
        limit: below which all are kept; None where none was left out.
    """

    def __init__(self, hashes: NDArray[np.uint64], limit: int | None = None) -> None:
        self.hashes = hashes
        self.limit = limit

    @classmethod
    def of(cls, texts: Iterable[str], most: int = MOST) -> "Seen":
        """The set of some texts; those that are empty do not count."""
        hashes = np.unique(_hashes([key for key in map(same_text, texts) if key]))
        return cls(hashes) if len(hashes) <= most else cls(hashes[:most], int(hashes[most]))

    def with_those_of(self, other: "Seen", most: int = MOST) -> "Seen":
        """The texts of both."""
        limit = min((one.limit for one in (self, other) if one.limit is not None), default=None)
        hashes = np.union1d(self.hashes, other.hashes)
        hashes = hashes if limit is None else hashes[hashes < np.uint64(limit)]
        return Seen(hashes, limit) if len(hashes) <= most else Seen(hashes[:most], int(hashes[most]))

    def among(self, texts: Sequence[str]) -> tuple[int, int]:
        """How many texts are in the set, and how many were looked up: all, where none was left out."""
        hashes = _hashes([key for key in map(same_text, texts) if key])
        if self.limit is not None:
            hashes = hashes[hashes < np.uint64(self.limit)]
        return int(np.isin(hashes, self.hashes).sum()), len(hashes)

    def __str__(self) -> str:
        """The set as a model's configuration holds it."""
        kept = base64.b64encode(self.hashes.astype("<u8").tobytes()).decode()
        return kept if self.limit is None else f"{kept} {self.limit}"

    @classmethod
    def parse(cls, text: str) -> "Seen":
        """The set that `str` gave.

        Raises:
            InputError: it is not of that form.
        """
        kept, _, limit = text.partition(" ")
        try:
            hashes = np.frombuffer(base64.b64decode(kept, validate=True), "<u8").astype(np.uint64)
            return cls(hashes, int(limit) if limit else None)
        except (ValueError, binascii.Error):
            raise InputError("the hashes of the training texts are damaged") from None


def _hashes(keys: Sequence[str]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest() for key in keys)
    return np.frombuffer(digests, "<u8").astype(np.uint64)
