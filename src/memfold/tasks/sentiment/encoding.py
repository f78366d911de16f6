"""From tokens to their features: words of a vocabulary, and n-grams in buckets."""

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from memfold.tasks.sentiment.tokens import tokens, unspaced

__all__ = ["BLANK", "BUCKETS", "UNKNOWN", "EncodedTexts", "Encoder", "TextBatch"]

BLANK = 0  # the kind of token that stands for padding and for tokens that are dropped: no word, no n-grams
UNKNOWN = 0  # the word of every token that is not in the vocabulary
SHORTEST, LONGEST = 3, 5  # character n-grams of a word, its ends marked
BUCKETS = 20_000  # of hashed n-grams, at most
SHARED = 4  # different n-grams a bucket where there are fewer, as a large table takes time in every step
LEAST_BUCKETS = 500


@dataclass(frozen=True)
class TextBatch:
    """Texts of similar length.

    Attributes:
        words: of every kind of token in the batch, its place in the vocabulary, (K,); the first kind is `BLANK`.
        grams: the buckets of all kinds' n-grams, one kind after another, (N,).
        gram_starts: where each kind's begin, (K,).
        kinds: which kind of token stands where, (B, T); `BLANK` in the padding.
        lengths: tokens of each text, (B,); a text without any has length 0.
        labels: classes, (B,).
        rows: their places among the texts that they are taken from, (B,).
    """

    words: Tensor
    grams: Tensor
    gram_starts: Tensor
    kinds: Tensor
    lengths: Tensor
    labels: Tensor
    rows: Tensor


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as kinds of tokens. Two tokens are of one kind when word and n-grams are the same.

    Attributes:
        words: of every kind, its place in the vocabulary, (K,).
        grams, gram_starts: the buckets of its n-grams, (N,) and (K + 1,).
        rows: the kinds of each text's tokens.
        labels: classes, (S,).
    """

    words: Tensor
    grams: Tensor
    gram_starts: Tensor
    rows: list[Tensor]
    labels: Tensor

    def batch(self, chosen: Sequence[int]) -> TextBatch:
        """Some of the texts as one batch."""
        rows = [self.rows[row] for row in chosen]
        padded = nn.utils.rnn.pad_sequence([torch.tensor([BLANK]), *rows], batch_first=True, padding_value=BLANK)
        kinds, places = torch.unique(padded, return_inverse=True)  # the first row brings BLANK in, the least of all
        begin = self.gram_starts[kinds]
        end = self.gram_starts[kinds + 1]
        starts = torch.cumsum(end - begin, 0) - (end - begin)
        shift = (begin - starts).repeat_interleave(end - begin)
        grams = self.grams[torch.arange(len(shift)) + shift]
        lengths = torch.tensor([len(row) for row in rows])
        taken = torch.tensor(list(chosen))
        return TextBatch(self.words[kinds], grams, starts, places[1:], lengths, self.labels[taken], taken)


class Encoder:
    """A vocabulary, and how texts are encoded with it.

    Args:
        vocabulary: the known words; others are encoded by their n-grams alone.
        max_length: tokens of a text that are read.
        buckets: of hashed n-grams.
    """

    def __init__(self, vocabulary: Sequence[str], max_length: int, buckets: int = BUCKETS) -> None:
        self.vocabulary = list(vocabulary)
        self.max_length, self.buckets = max_length, buckets
        self.places = {word: place for place, word in enumerate(self.vocabulary, start=UNKNOWN + 1)}

    @classmethod
    def of(cls, texts: Sequence[str], min_count: int, max_length: int, also: frozenset[str] = frozenset()) -> "Encoder":
        """The encoder whose vocabulary is what texts hold at least ``min_count`` times, or once if in ``also``."""
        counts = Counter(token for text in texts for token in tokens(text))
        kept = [word for word, count in counts.items() if count >= min_count or word in also]
        buckets = _enough_buckets(tokens(text)[:max_length] for text in texts)
        return cls(sorted(kept, key=lambda word: (-counts[word], word)), max_length, buckets)

    def encode(self, texts: Sequence[str], labels: Sequence[int] | None = None) -> EncodedTexts:
        """Texts as kinds of tokens; without labels, all are of class 0."""
        kinds: dict[tuple[str, str, str], int] = {("", "", ""): BLANK}
        rows = []
        for text in texts:
            row = tokens(text)[: self.max_length]
            rows.append(torch.tensor([kinds.setdefault(key, len(kinds)) for key in _in_context(row)], dtype=torch.long))
        words = [self.places.get(token, UNKNOWN) for token, _, _ in kinds]
        grams = [[zlib.crc32(gram.encode()) % self.buckets for gram in _grams(*key)] for key in kinds]
        starts = torch.tensor([0, *map(len, grams)]).cumsum(0)
        flat = torch.tensor(list(chain.from_iterable(grams)), dtype=torch.long)
        classes = torch.tensor(labels) if labels is not None else torch.zeros(len(rows), dtype=torch.long)
        return EncodedTexts(torch.tensor(words), flat, starts, rows, classes)


def _in_context(row: Sequence[str]) -> list[tuple[str, str, str]]:
    """Tokens with their neighbours before and after, where all are characters of an unspaced script; else alone."""
    alone = [token if unspaced(token) else "" for token in ["", *row, ""]]
    return [
        (token, before, after) if here else (token, "", "")
        for token, before, here, after in zip(row, alone, alone[1:], alone[2:], strict=False)
    ]


def _enough_buckets(rows: Iterable[Sequence[str]]) -> int:
    """For the different n-grams of some texts' tokens."""
    seen: set[tuple[str, str, str]] = set()
    grams: set[str] = set()
    for row in rows:
        for key in _in_context(row):
            if key not in seen:
                seen.add(key)
                grams.update(_grams(*key))
        if len(grams) >= SHARED * BUCKETS:
            return BUCKETS
    return max(len(grams) // SHARED, LEAST_BUCKETS)


def _grams(token: str, before: str, after: str) -> list[str]:
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
