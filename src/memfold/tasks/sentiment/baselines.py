"""Linear models of n-grams, by scikit-learn: what to beat, and what the LSTMs are blended with; kept with the model."""

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from memfold.tasks.sentiment.ngrams import KINDS, RegressionSize, grams_of
from memfold.tasks.sentiment.tokens import token_places, tokens

__all__ = ["LinearModels", "NgramRegression"]

STRENGTH = 10.0  # of the standard one, scikit-learn's C


class NgramRegression(nn.Module):
    """Logistic regression on the TF-IDF of n-grams.

    It has no parameters, only buffers: it is scikit-learn's work, and is saved with the network.
    """

    terms: Tensor
    idf: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, size: RegressionSize) -> None:
        super().__init__()
        self.size = size
        count = sum(size.terms)
        self.register_buffer("terms", torch.empty(size.letters, dtype=torch.uint8))  # UTF-8, a line each
        self.register_buffer("idf", torch.empty(count))
        self.register_buffer("weight", torch.empty(size.scores, count))
        self.register_buffer("bias", torch.empty(size.scores))

    @classmethod
    def fit(
        cls, texts: Sequence[str], labels: Sequence[int] | NDArray[np.int64], kinds: Sequence[str], strength: float
    ) -> "NgramRegression":
        """Fit to texts and their classes, which are numbered from 0; ``strength`` is scikit-learn's C."""
        vectors = [TfidfVectorizer(**KINDS[kind]) for kind in kinds]
        counted = scipy.sparse.hstack([part.fit_transform(texts) for part in vectors], format="csr")
        regression = LogisticRegression(C=strength, max_iter=1000).fit(counted, labels)
        terms = "\n".join(term for part in vectors for term in part.get_feature_names_out()).encode()
        counts = tuple(len(part.idf_) for part in vectors)
        model = cls(RegressionSize(tuple(kinds), counts, len(terms), len(regression.intercept_)))
        model.terms.copy_(torch.frombuffer(bytearray(terms), dtype=torch.uint8))
        model.idf.copy_(torch.from_numpy(np.concatenate([part.idf_ for part in vectors])))
        model.weight.copy_(torch.from_numpy(regression.coef_))
        model.bias.copy_(torch.from_numpy(regression.intercept_))
        return model

    def log_probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Of every class for every text, (S, C)."""
        counted = scipy.sparse.hstack([part.transform(texts) for part in self._vectors], format="csr")
        scores = torch.from_numpy(counted @ self.weight.numpy().T + self.bias.numpy())
        if self.size.scores == 1:  # of the second class against the first
            scores = torch.cat([torch.zeros_like(scores), scores], 1)
        return scores.double().log_softmax(-1).numpy()

    def contributions(self, text: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What each token adds to the logit of every class, (T, C), and what is there without any, (C,).

        An n-gram's weight is divided among its occurrences, and of each among the characters that belong to a token.
        The sum of both is the logits of the text.
        """
        places = token_places(text)
        added = np.zeros((len(tokens(text)), self.size.scores))
        spread = np.zeros(self.size.scores)  # of n-grams in which no character belongs to a token
        weight, first = self.weight.numpy().astype(np.float64), 0
        for kind, part in zip(self.size.kinds, self._vectors, strict=True):
            row = part.transform([text])
            values = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
            grams = [(part.vocabulary_.get(gram), left, right) for gram, left, right in grams_of(text.lower(), kind)]
            counts = Counter(column for column, _, _ in grams if column is not None)
            for column, left, right in grams:
                if column is None:
                    continue
                worth = weight[:, first + column] * values[column] / counts[column]
                owners = [place for place in places[left:right] if 0 <= place < len(added)]
                if owners:
                    np.add.at(added, owners, worth / len(owners))
                else:
                    spread += worth
            first += len(part.vocabulary_)
        bias = self.bias.numpy().astype(np.float64)
        if len(added):
            added += spread / len(added)
        else:
            bias = bias + spread
        if self.size.scores == 1:  # of the second class against the first
            return np.pad(added, ((0, 0), (1, 0))), np.pad(bias, (1, 0))
        return added, bias

    @cached_property
    def _vectors(self) -> list[TfidfVectorizer]:
        terms = bytes(self.terms.numpy()).decode().split("\n")
        result, begin = [], 0
        for kind, count in zip(self.size.kinds, self.size.terms, strict=True):
            vocabulary = {term: place for place, term in enumerate(terms[begin : begin + count])}
            part = TfidfVectorizer(**KINDS[kind], vocabulary=vocabulary)
            part.idf_ = self.idf[begin : begin + count].numpy()
            result.append(part)
            begin += count
        return result


@dataclass(frozen=True)
class LinearModels:
    """Both linear models of the same texts.

    Attributes:
        ngrams: what the LSTMs are blended with.
        standard: the usual baseline.
    """

    ngrams: NgramRegression
    standard: NgramRegression

    @classmethod
    def fit(cls, texts: Sequence[str], labels: NDArray[np.int64], by_character: bool) -> "LinearModels":
        """Fit to texts and their classes, which are numbered from 0 and all there."""
        if by_character:
            model = NgramRegression.fit(texts, labels, ("characters",), STRENGTH)
            return cls(model, deepcopy(model))  # each is stored by itself
        ngrams = NgramRegression.fit(texts, labels, ("words", "parts"), 4.0)
        return cls(ngrams, NgramRegression.fit(texts, labels, ("words",), STRENGTH))

    def log_probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Of every class for every text by either model, (2, S, C)."""
        return np.stack([self.ngrams.log_probabilities(texts), self.standard.log_probabilities(texts)])

    @classmethod
    def left_out(
        cls, texts: Sequence[str], labels: NDArray[np.int64], by_character: bool, folds: Sequence[Sequence[int]]
    ) -> NDArray[np.float64]:
        """What `log_probabilities` gives of the texts in each fold by models of all other texts, (2, N, C).

        Args:
            folds: places of texts; the others of each fold hold every class.
        """
        parts = []
        for rows in filter(None, folds):
            others = np.setdiff1d(np.arange(len(texts)), rows)
            models = cls.fit([texts[row] for row in others], labels[others], by_character)
            parts.append(models.log_probabilities([texts[row] for row in rows]))
        return np.concatenate(parts, 1)
