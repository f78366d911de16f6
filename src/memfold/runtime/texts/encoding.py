"""From tokens to their features: words of a vocabulary, and n-grams in buckets."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.texts.tokens import tokens, unspaced

__all__ = ["BLANK", "UNKNOWN", "TokenEncoder", "TokenKinds", "grams_in", "in_context"]

BLANK = 0  # the kind of token that stands for padding and for tokens that are dropped: no word, no n-grams
UNKNOWN = 0  # the word of every token that is not in the vocabulary
SHORTEST, LONGEST = 3, 5  # character n-grams of a word, its ends marked

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class TokenKinds:
    """Texts as kinds of tokens. Two tokens are of one kind when word and n-grams are the same.

    Attributes:
        words: of every kind, its place in the vocabulary, (K,).
        grams, gram_starts: the buckets of its n-grams, (N,) and (K + 1,).
        rows: the kinds of each text's tokens.
    """

    words: Integers
    grams: Integers
    gram_starts: Integers
    rows: list[Integers]


class TokenEncoder:
    """A vocabulary, and how texts are encoded with it.

    Args:
        vocabulary: the known words; others are encoded by their n-grams alone.
        max_length: tokens of a text that are read.
        buckets: of hashed n-grams.
    """

    def __init__(self, vocabulary: Sequence[str], max_length: int, buckets: int) -> None:
        self.vocabulary = list(vocabulary)
        self.max_length, self.buckets = max_length, buckets
        self.places = {word: place for place, word in enumerate(self.vocabulary, start=UNKNOWN + 1)}

    def kinds(self, texts: Sequence[str]) -> TokenKinds:
        """Texts as kinds of tokens, the first kind `BLANK`."""
        kinds: dict[tuple[str, str, str], int] = {("", "", ""): BLANK}
        rows = []
        for text in texts:
            row = tokens(text)[: self.max_length]
            rows.append(np.array([kinds.setdefault(key, len(kinds)) for key in in_context(row)], np.int64))
        words = [self.places.get(token, UNKNOWN) for token, _, _ in kinds]
        grams = [[zlib.crc32(gram.encode()) % self.buckets for gram in grams_in(*key)] for key in kinds]
        starts = np.cumsum([0, *map(len, grams)])
        flat = [gram for row in grams for gram in row]
        return TokenKinds(np.array(words, np.int64), np.array(flat, np.int64), starts.astype(np.int64), rows)


def in_context(row: Sequence[str]) -> list[tuple[str, str, str]]:
    """Tokens with their neighbours before and after, where all are characters of an unspaced script; else alone."""
    alone = [token if unspaced(token) else "" for token in ["", *row, ""]]
    return [
        (token, before, after) if here else (token, "", "")
        for token, before, here, after in zip(row, alone, alone[1:], alone[2:], strict=False)
    ]


def grams_in(token: str, before: str, after: str) -> list[str]:
    """The n-grams of a token: of the characters in a word, or of a character with its neighbours.

    They are hashed as in fastText (Bojanowski et al. 2017, sec. 3.2), to share what is learned among the forms of a
    word.
    """
    if unspaced(token):
        grams = [g for g in (before + token, token + after, before + token + after) if g != token]
    else:
        marked = f"<{token}>"
        sizes = range(SHORTEST, min(LONGEST + 1, len(marked)))
        grams = [marked[i : i + size] for size in sizes for i in range(len(marked) - size + 1)] if token else []
    return list(dict.fromkeys(grams))
