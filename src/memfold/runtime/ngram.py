"""The n-gram model that a network is held against and mixed with: modified Kneser-Ney (Chen & Goodman 1999)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError
from memfold.runtime.weights import Weights

__all__ = ["MOST_GRAMS", "NGram", "PackedGrams"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
UNSEEN = -1
MOST_GRAMS = 1_200_000  # that are kept; some 8 MB as they are stored
LONGEST = 7  # tokens of a gram: Shakespeare has 1.387, 1.382 and 1.381 nats with 6, 7 and 8
ORDERED_BY = 1_000_000  # tokens by which the order is chosen
FALLBACK = (0.5, 1.0, 1.5)  # discounts where too few counts are there to estimate them (as KenLM)


class NGram:
    """Probabilities of tokens by those before them, interpolated over contexts of every length up to ``order - 1``.

    The probability after a context is ``weight + back · p``, where p is that after the context without its first
    token. The weight of a gram is its count less a discount, over the counts of its context; ``back`` is what the
    discounts left. Shorter grams are counted by the different tokens before them. The empty context goes back to the
    uniform distribution. A gram that is left out for its low count adds all of it to ``back``.

    Attributes:
        grams: for each length the keys of those that are kept, sorted: the number of the context times V, plus the
            token. A context's number is the place of its own key.
        weights: of the grams.
        back: of the contexts, the grams of one length less.
    """

    def __init__(self, vocabulary: int, grams: Sequence[Integers], weights: Sequence[Floats], back: Sequence[Floats]):
        self.vocabulary = vocabulary
        self.grams, self.weights, self.back = list(grams), list(weights), list(back)

    @property
    def order(self) -> int:
        """The longest context and the token that it predicts."""
        return len(self.grams)

    @classmethod
    def of(cls, text: Integers, vocabulary: int, order: int, most: int = MOST_GRAMS) -> Self:
        """The model of a text.

        Args:
            text: token numbers ``(N,)``, at least one.
            vocabulary: V.
            most: grams to keep; the longest ones that are seen most rarely are left out.
        """
        return cls._of(_Counts(text, vocabulary, order), min(order, len(text)), most)

    @classmethod
    def fitted(cls, text: Integers, vocabulary: int, most: int = LONGEST) -> Self:
        """The model of a text, of the order from 1 to ``most`` that predicts its end best.

        The order is found by the last tenth of the text, or of its last million tokens.
        """
        last = text[-ORDERED_BY:]
        begin, end = np.split(last, [len(last) - len(last) // 10])
        if not len(begin) or len(end) < 2:
            return cls.of(text, vocabulary, order=1)
        counts = _Counts(begin, vocabulary, most)
        orders = range(1, min(most, len(begin)) + 1)
        scores = {order: cls._of(counts, order, MOST_GRAMS).nats(end[None]).mean() for order in orders}
        return cls.of(text, vocabulary, min(scores, key=lambda order: scores[order]))

    @classmethod
    def _of(cls, counts: "_Counts", order: int, most: int) -> Self:
        least = counts.least(order, most)
        places = [np.flatnonzero(seen >= rare) for seen, rare in zip(counts.seen[:order], least, strict=True)]
        grams: list[Integers] = []
        weights: list[Floats] = []
        back: list[Floats] = []
        contexts = np.zeros(1, np.int64)  # the places of those that are kept
        for length in range(1, order + 1):
            if not len(places[length - 1]):
                break
            V, keys, place = counts.vocabulary, counts.grams[length - 1], places[length - 1]
            number = counts.seen[length - 1] if length == order else counts.kinds_before[length - 1]
            parent, parents = keys // V, 1 if length == 1 else len(counts.seen[length - 2])
            total = np.bincount(parent, number, minlength=parents)
            kept = np.maximum(number[place] - _discounts(number)[np.minimum(number[place], 3)], 0)
            weight = kept / total[parent[place]]
            left = 1 - np.bincount(parent[place], weight, minlength=parents)
            grams.append(np.searchsorted(contexts, parent[place]) * V + keys[place] % V)
            weights.append(weight)
            back.append(left[contexts].astype(np.float64))
            contexts = place
        return cls(counts.vocabulary, grams, weights, back)

    def nats(self, rows: Integers) -> Floats:
        """Of every token of ``rows (R, T + 1)`` but the first, ``(R, T)``, by the tokens before it in its row."""
        probability = np.full(rows.shape, 1 / self.vocabulary)
        context = np.zeros(rows.shape, np.int64)
        for length in range(self.order):
            here = slice(length, None)
            grams = self.grams[length]
            keys = context * self.vocabulary + rows[:, here]
            at = np.searchsorted(grams, keys).clip(max=len(grams) - 1)
            known = context != UNSEEN
            counted = known & (grams[at] == keys)
            back = np.where(known, self.back[length][context], 1)
            probability[:, here] = np.where(counted, self.weights[length][at], 0) + back * probability[:, here]
            context = np.where(counted, at, UNSEEN)[:, :-1]
        nats: Floats = -np.log(probability[:, 1:])
        return nats

    def following(self, tokens: Integers) -> Floats:
        """The probabilities ``(V,)`` of what follows tokens ``(N,)``, of which the last ones are looked at."""
        probability = np.full(self.vocabulary, 1 / self.vocabulary)
        for length in range(min(self.order, len(tokens) + 1)):
            context = self._number(tokens[len(tokens) - length :])
            if context == UNSEEN:
                break
            first, last = np.searchsorted(
                self.grams[length], [context * self.vocabulary, (context + 1) * self.vocabulary]
            )
            probability *= self.back[length][context]
            probability[self.grams[length][first:last] - context * self.vocabulary] += self.weights[length][first:last]
        return probability

    def _number(self, gram: Integers) -> int:
        """Of a context, UNSEEN where it was not kept."""
        number = 0
        for grams, token in zip(self.grams, gram.tolist(), strict=False):
            key = number * self.vocabulary + token
            number = int(np.searchsorted(grams, key))
            if number == len(grams) or grams[number] != key:
                return UNSEEN
        return number

    # -- stored ------------------------------------------------------------------------------------------------------

    @property
    def sizes(self) -> list[int]:
        """How many grams of each length there are."""
        return [len(grams) for grams in self.grams]

    def packed(self) -> list["PackedGrams"]:
        """All there is to it, for `unpacked`; the weights rounded down, so that what is left for `back` is positive."""
        packed = []
        for grams, weights, contexts in zip(self.grams, self.weights, [1, *self.sizes], strict=False):
            children = np.bincount(grams // self.vocabulary, minlength=contexts)
            small = weights.astype(np.float16)
            small = np.where(small > weights, np.nextafter(small, np.float16(0)), small)
            packed.append(PackedGrams(grams % self.vocabulary, small, children))
        return packed

    @classmethod
    def taken(cls, weights: Weights, prefix: str, sizes: Sequence[int], vocabulary: int) -> Self:
        """The model that a network keeps in its buffers.

        Args:
            prefix: of their names.
            sizes: grams of each length.

        Raises:
            InputError: a buffer is missing, or they do not fit each other.
        """
        token = np.uint16 if vocabulary <= np.iinfo(np.uint16).max else np.int32
        packed = []
        for length, (size, contexts) in enumerate(zip(sizes, [1, *sizes], strict=False), 1):
            tokens = weights.take(f"{prefix}.tokens{length}", (size,), token)
            small = weights.take(f"{prefix}.weights{length}", (size,), np.float16)
            children = weights.take(f"{prefix}.children{length}", (contexts,), np.int32)
            packed.append(PackedGrams(tokens, small, children))
        return cls.unpacked(packed, vocabulary)

    @classmethod
    def unpacked(cls, packed: Sequence["PackedGrams"], vocabulary: int) -> Self:
        """The model that gave these.

        Raises:
            InputError: they do not fit each other.
        """
        grams: list[Integers] = []
        weights: list[Floats] = []
        back: list[Floats] = []
        contexts = 1
        for length, part in enumerate(packed, 1):
            tokens, children = part.tokens.astype(np.int64), part.children.astype(np.int64)
            whole = len(children) == contexts and children.min() >= 0 and children.sum() == len(tokens)
            if not whole or not len(tokens) or tokens.min() < 0 or tokens.max() >= vocabulary:
                raise InputError(f"the n-gram model's tokens of length {length} are not those of its contexts")
            parent = np.repeat(np.arange(contexts), children)
            grams.append(parent * vocabulary + tokens)
            weights.append(part.weights.astype(np.float64))
            back.append(np.float64(1) - np.bincount(parent, weights[-1], minlength=contexts))
            contexts = len(tokens)
        return cls(vocabulary, grams, weights, back)


@dataclass(frozen=True)
class PackedGrams:
    """The grams of one length, those of each context side by side.

    Attributes:
        tokens: the last one of each, ``(N,)``.
        weights: float16, ``(N,)``.
        children: how many there are of each context.
    """

    tokens: NDArray[np.integer[Any]]
    weights: NDArray[np.float16]
    children: NDArray[np.integer[Any]]


class _Counts:
    """How often every gram of a text occurs.

    Attributes:
        grams: for each length the keys that occur, sorted, numbered by their places.
        seen: how often.
        kinds_before: after how many different tokens, at least one.
    """

    def __init__(self, text: Integers, vocabulary: int, order: int) -> None:
        self.vocabulary = vocabulary
        self.grams: list[Integers] = []
        self.seen: list[Integers] = []
        self.kinds_before: list[Integers] = []
        context = np.zeros(len(text), np.int64)  # number of the gram that ends before each token; the empty one is 0
        shorter = context  # number of the gram of one length less that ends with each token
        for length in range(1, min(order, len(text)) + 1):
            keys = context * vocabulary + text[length - 1 :]
            grams, first, number, seen = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
            self.grams.append(grams)
            self.seen.append(seen)
            if length > 1:
                ends = shorter[first + 1]  # of each gram without its first token
                self.kinds_before.append(np.bincount(ends, minlength=len(self.seen[-2])).clip(min=1))
            context, shorter = number[:-1], number
        self.kinds_before.append(self.seen[-1])

    def least(self, order: int, most: int) -> list[int]:
        """How often a gram of each length must occur for no more than so many to be kept; single tokens all are."""
        least = [1] * order
        while True:
            sizes = [int((seen >= rare).sum()) for seen, rare in zip(self.seen, least, strict=False)]
            if sum(sizes) <= most or not any(sizes[1:]):
                return least
            place = max(k for k in range(1, order) if least[k] == min(least[1:]))  # the longest of the lowest bound
            least[place] += 1


def _discounts(number: Integers) -> Floats:
    """Of grams that are counted 0, 1, 2, and 3 times or more (Chen & Goodman 1999, eq. 26)."""
    n = [int((number == k).sum()) for k in range(5)]
    if not all(n[1:]):
        return np.array([0, *FALLBACK])
    y = n[1] / (n[1] + 2 * n[2])
    discounts = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
    valid = all(0 < value < k for k, value in enumerate(discounts, 1))
    return np.array([0, *(discounts if valid else FALLBACK)])
