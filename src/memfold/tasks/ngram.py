"""The n-gram model that a network is held against: interpolated, by the discount of Witten & Bell (1991, method C)."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["NGram"]

Integers = NDArray[np.int64]
UNSEEN = -1


class NGram:
    """Probabilities of tokens by those before them, mixed over contexts of every length up to ``order - 1``.

    A context that was seen n times, before t different tokens, gives the share n / (n + t) to its own counts and the
    rest to the shorter context. The empty context is mixed with the uniform distribution in the same way.

    Args:
        text: token numbers ``(N,)`` to count.
        vocabulary: V.
        order: the longest context and the token it predicts.
    """

    def __init__(self, text: Integers, vocabulary: int, order: int) -> None:
        self.vocabulary = vocabulary
        self.order = min(order, len(text))
        self.grams: list[Integers] = []  # for each length the keys that occur, sorted, ...
        self.counts: list[Integers] = []  # ... and how often
        self.seen: list[Integers] = []  # how often a gram of one length less is a context
        self.kinds: list[Integers] = []  # before how many different tokens
        context = np.zeros(len(text), np.int64)  # number of the gram that ends before each token; the empty one is 0
        contexts = 1
        for length in range(1, self.order + 1):
            keys = context * vocabulary + text[length - 1 :]
            grams, number, counts = np.unique(keys, return_inverse=True, return_counts=True)
            self.grams.append(grams)
            self.counts.append(counts)
            self.seen.append(np.bincount(context, minlength=contexts))
            self.kinds.append(np.bincount(grams // vocabulary, minlength=contexts))
            context, contexts = number[:-1], len(grams)

    @classmethod
    def fitted(cls, text: Integers, vocabulary: int, most: int = 6) -> "NGram":
        """The model of a text, of the order from 1 to ``most`` that predicts its last tenth best."""
        begin, end = np.split(text, [len(text) - len(text) // 10])
        if not len(begin) or len(end) < 2:
            return cls(text, vocabulary, order=1)
        scores = {order: cls(begin, vocabulary, order).nats(end[None]).mean() for order in range(1, most + 1)}
        return cls(text, vocabulary, min(scores, key=lambda order: scores[order]))

    @classmethod
    def of_counts(cls, counts: Integers) -> "NGram":
        """The model of single tokens, from how often each of the vocabulary was seen."""
        return cls(np.repeat(np.arange(len(counts)), counts), len(counts), order=1)

    def nats(self, rows: Integers) -> NDArray[np.float64]:
        """Of every token of ``rows (R, T + 1)`` but the first, ``(R, T)``, by the tokens before it in its row."""
        probability = np.full(rows.shape, 1 / self.vocabulary)
        context = np.zeros(rows.shape, np.int64)
        for length in range(self.order):
            here = slice(length, None)
            keys = context * self.vocabulary + rows[:, here]
            at = np.searchsorted(self.grams[length], keys).clip(max=len(self.grams[length]) - 1)
            known = context != UNSEEN
            counted = known & (self.grams[length][at] == keys)
            seen = np.where(known, self.seen[length][context], 0)
            kinds = np.where(known, self.kinds[length][context], 0)
            count = np.where(counted, self.counts[length][at], 0)
            mixed = (count + kinds * probability[:, here]) / np.maximum(seen + kinds, 1)
            probability[:, here] = np.where(seen > 0, mixed, probability[:, here])
            context = np.where(counted, at, UNSEEN)[:, :-1]
        nats: NDArray[np.float64] = -np.log(probability[:, 1:])
        return nats
