"""From tokens to their features: words of a vocabulary, and n-grams in buckets."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from memfold.runtime.texts.encoding import BLANK, UNKNOWN, TokenEncoder, grams_in, in_context
from memfold.runtime.texts.tokens import tokens

__all__ = ["BLANK", "BUCKETS", "UNKNOWN", "EncodedTexts", "Encoder", "TextBatch"]

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


class Encoder(TokenEncoder):
    """A vocabulary, and how texts are encoded with it; `TokenEncoder` says how it is made."""

    @classmethod
    def of(cls, texts: Sequence[str], min_count: int, max_length: int, also: frozenset[str] = frozenset()) -> "Encoder":
        """The encoder whose vocabulary is what texts hold at least ``min_count`` times, or once if in ``also``."""
        counts = Counter(token for text in texts for token in tokens(text))
        kept = [word for word, count in counts.items() if count >= min_count or word in also]
        buckets = _enough_buckets(tokens(text)[:max_length] for text in texts)
        return cls(sorted(kept, key=lambda word: (-counts[word], word)), max_length, buckets)

    def encode(self, texts: Sequence[str], labels: Sequence[int] | None = None) -> EncodedTexts:
        """Texts as kinds of tokens; without labels, all are of class 0."""
        kinds = self.kinds(texts)
        words, grams, starts = (torch.from_numpy(part) for part in (kinds.words, kinds.grams, kinds.gram_starts))
        classes = torch.tensor(labels) if labels is not None else torch.zeros(len(texts), dtype=torch.long)
        return EncodedTexts(words, grams, starts, [torch.from_numpy(row) for row in kinds.rows], classes)


def _enough_buckets(rows: Iterable[Sequence[str]]) -> int:
    """For the different n-grams of some texts' tokens."""
    seen: set[tuple[str, str, str]] = set()
    grams: set[str] = set()
    for row in rows:
        for key in in_context(row):
            if key not in seen:
                seen.add(key)
                grams.update(grams_in(*key))
        if len(grams) >= SHARED * BUCKETS:
            return BUCKETS
    return max(len(grams) // SHARED, LEAST_BUCKETS)
