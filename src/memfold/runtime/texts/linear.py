"""Logistic regression on the TF-IDF of n-grams, as scikit-learn counts and weighs them (Pedregosa et al. 2011)."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError
from memfold.runtime.texts.ngrams import KINDS, RegressionSize, grams_of
from memfold.runtime.texts.tokens import token_places, tokens
from memfold.runtime.weights import Weights

__all__ = ["BETWEEN", "LinearModel"]

Array = NDArray[np.float64]
BETWEEN = b"\xff"


class LinearModel:
    """A fitted model.

    Args:
        terms: the n-grams of all kinds in UTF-8, `BETWEEN` them a byte that it does not have.
        idf: weight of every n-gram, (N,).
        weight: ``(scores, N)``; one score of two classes is of the second against the first.
        bias: ``(scores,)``.
    """

    def __init__(
        self,
        size: RegressionSize,
        terms: NDArray[np.uint8],
        idf: NDArray[np.float32],
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
    ) -> None:
        self.size = size
        self.terms, self.idf = terms, idf
        self.weight, self.bias = weight, bias.astype(np.float64)

    @classmethod
    def taken(cls, weights: Weights, prefix: str, size: RegressionSize) -> "LinearModel":
        """The model that a network keeps in its buffers.

        Args:
            prefix: of their names.

        Raises:
            InputError: a buffer is missing, of another shape, or the n-grams are not as many as they should be.
        """
        count = sum(size.terms)
        model = cls(
            size,
            weights.take(f"{prefix}.terms", (size.letters,), np.uint8),
            weights.take(f"{prefix}.idf", (count,)),
            weights.take(f"{prefix}.weight", (size.scores, count)),
            weights.take(f"{prefix}.bias", (size.scores,)),
        )
        if sum(map(len, model.places)) != count:
            raise InputError(f"{prefix}: the n-grams are not {count:,} different ones")
        return model

    def log_probabilities(self, texts: Sequence[str]) -> Array:
        """Of every class for every text, (S, C)."""
        scores = np.stack([self._scores(text) for text in texts]) if texts else np.zeros((0, self.size.scores))
        if self.size.scores == 1:
            scores = np.concatenate([np.zeros_like(scores), scores], 1)
        shifted = scores - scores.max(1, keepdims=True)
        log_p: Array = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return log_p

    def counted(self, text: str) -> tuple[NDArray[np.int64], Array]:
        """The columns of the n-grams in a text that are known, of one kind after another, and how often each is there,
        (N,)."""
        parts, first = [], 0
        for kind, places in zip(self.size.kinds, self.places, strict=True):
            parts.append(self._known(Counter(gram for gram, _, _ in grams_of(text.lower(), kind)), kind, first))
            first += len(places)
        columns, often = zip(*parts, strict=True)
        return np.concatenate(columns), np.concatenate(often)

    def _scores(self, text: str) -> Array:
        result, first = self.bias.copy(), 0
        for kind, places in zip(self.size.kinds, self.places, strict=True):
            columns, values = self._weighed(Counter(gram for gram, _, _ in grams_of(text.lower(), kind)), kind, first)
            result += self.weight[:, columns] @ values
            first += len(places)
        return result

    def _known(self, counts: Counter[str], kind: str, first: int) -> tuple[NDArray[np.int64], Array]:
        """The columns of a kind's n-grams that are known, and how often they are there."""
        places = self.places[self.size.kinds.index(kind)]
        known = {places[gram]: count for gram, count in counts.items() if gram in places}
        columns = first + np.fromiter(known, np.int64, len(known))
        return columns, np.fromiter(known.values(), np.float64, len(known))

    def _weighed(self, counts: Counter[str], kind: str, first: int) -> tuple[NDArray[np.int64], Array]:
        """The columns of a kind's n-grams that are known, and their values: a row of length 1."""
        columns, often = self._known(counts, kind, first)
        values: Array = (1 + np.log(often) if KINDS[kind].get("sublinear_tf") else often) * self.idf[columns]
        length = float(np.sqrt(np.square(values).sum()))
        return columns, values / (length or 1.0)

    def contributions(self, text: str) -> tuple[Array, Array]:
        """What each token adds to the logit of every class, (T, C), and what is there without any, (C,).

        An n-gram's weight is divided among its occurrences, and of each among the characters that belong to a token.
        The sum of both is the logits of the text.
        """
        owners_of = token_places(text)
        added = np.zeros((len(tokens(text)), self.size.scores))
        spread = np.zeros(self.size.scores)  # of n-grams in which no character belongs to a token
        first = 0
        for kind, places in zip(self.size.kinds, self.places, strict=True):
            grams = [gram for gram in grams_of(text.lower(), kind) if gram[0] in places]
            counts = Counter(gram for gram, _, _ in grams)
            columns, values = self._weighed(counts, kind, first)
            worths = dict(zip(columns.tolist(), (self.weight[:, columns] * values).T, strict=True))
            for gram, left, right in grams:
                worth = worths[first + places[gram]] / counts[gram]
                owners = [place for place in owners_of[left:right] if 0 <= place < len(added)]
                if owners:
                    np.add.at(added, owners, worth / len(owners))
                else:
                    spread += worth
            first += len(places)
        bias = self.bias
        if len(added):
            added += spread / len(added)
        else:
            bias = bias + spread
        if self.size.scores == 1:
            return np.pad(added, ((0, 0), (1, 0))), np.pad(bias, (1, 0))
        return added, bias

    @cached_property
    def places(self) -> list[dict[str, int]]:
        """Of every kind, the place of each n-gram."""
        terms = [term.decode() for term in bytes(self.terms).split(BETWEEN)]
        result, begin = [], 0
        for count in self.size.terms:
            result.append({term: place for place, term in enumerate(terms[begin : begin + count])})
            begin += count
        return result
