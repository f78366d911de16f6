"""Linear models of n-grams, by scikit-learn: what to beat, and what the LSTMs are blended with; kept with the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from memfold.runtime.texts.linear import BETWEEN, LinearModel
from memfold.runtime.texts.ngrams import KINDS, RegressionSize

__all__ = ["LinearModels", "NgramRegression"]

STRENGTH = 10.0  # of the standard one, scikit-learn's C
# Of the blended one. On Chinese reviews the cross-entropy was 0.257 with 10 and 0.247 with 30 when learned from 4,969,
# 0.371 and 0.339 from 600, 0.512 and 0.488 from 100; on English sentences it is least between 4 and 10.
STRENGTH_OF_WORDS, STRENGTH_OF_CHARACTERS = 4.0, 30.0


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
        self.register_buffer("terms", torch.empty(size.letters, dtype=torch.uint8))
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
        terms = BETWEEN.join(term.encode() for part in vectors for term in part.get_feature_names_out())
        counts = tuple(len(part.idf_) for part in vectors)
        model = cls(RegressionSize(tuple(kinds), counts, len(terms), len(regression.intercept_)))
        model.terms.copy_(torch.frombuffer(bytearray(terms), dtype=torch.uint8))
        model.idf.copy_(torch.from_numpy(np.concatenate([part.idf_ for part in vectors])))
        model.weight.copy_(torch.from_numpy(regression.coef_))
        model.bias.copy_(torch.from_numpy(regression.intercept_))
        return model

    @property
    def linear(self) -> LinearModel:
        """The model as it answers without torch and scikit-learn."""
        buffers = (self.terms, self.idf, self.weight, self.bias)
        return LinearModel(self.size, *(buffer.numpy() for buffer in buffers))


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
            ngrams = NgramRegression.fit(texts, labels, ("runs",), STRENGTH_OF_CHARACTERS)
            return cls(ngrams, NgramRegression.fit(texts, labels, ("characters",), STRENGTH))
        ngrams = NgramRegression.fit(texts, labels, ("words", "parts"), STRENGTH_OF_WORDS)
        return cls(ngrams, NgramRegression.fit(texts, labels, ("words",), STRENGTH))

    def log_probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Of every class for every text by either model, (2, S, C)."""
        return np.stack([model.linear.log_probabilities(texts) for model in (self.ngrams, self.standard)])

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
