"""What to beat: TF-IDF with logistic regression, by scikit-learn, kept with the model so that it is always shown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from memfold.tasks.sentiment.tokens import tokens, unspaced

__all__ = ["ALONE", "MAJORITY", "TFIDF", "RegressionSize", "TfidfRegression"]

TFIDF, MAJORITY, ALONE = "TF-IDF + logistic regression", "most frequent class", "the LSTMs alone"
SAMPLE = 1000  # texts that tell whether words or characters are counted


@dataclass(frozen=True)
class RegressionSize:
    """What fixes the shapes: the n-grams, the bytes of their names, the scores (one for two classes)."""

    by_character: bool
    terms: int
    letters: int
    scores: int

    def as_json(self) -> dict[str, Any]:
        """Plain values for a configuration file."""
        return asdict(self)


class TfidfRegression(nn.Module):
    """Logistic regression on the TF-IDF of n-grams: of one or two words, or of one to three characters.

    It has no parameters, only buffers: it is scikit-learn's work, and is saved with the network.
    """

    terms: Tensor
    idf: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, size: RegressionSize) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("terms", torch.empty(size.letters, dtype=torch.uint8))  # UTF-8, a line each
        self.register_buffer("idf", torch.empty(size.terms))
        self.register_buffer("weight", torch.empty(size.scores, size.terms))
        self.register_buffer("bias", torch.empty(size.scores))

    @classmethod
    def fit(cls, texts: Sequence[str], labels: Sequence[int]) -> "TfidfRegression":
        """Fit to texts and their classes, which are numbered from 0."""
        sample = [token for text in texts[:SAMPLE] for token in tokens(text)]
        spaced = sum(token[0].isalnum() and not unspaced(token) for token in sample)
        by_character = spaced < len(sample) / 2
        vectors = _vectors(by_character)
        regression = LogisticRegression(C=10.0, max_iter=1000).fit(vectors.fit_transform(texts), labels)
        terms = "\n".join(vectors.get_feature_names_out()).encode()
        model = cls(RegressionSize(by_character, len(vectors.idf_), len(terms), len(regression.intercept_)))
        model.terms.copy_(torch.frombuffer(bytearray(terms), dtype=torch.uint8))
        model.idf.copy_(torch.from_numpy(vectors.idf_))
        model.weight.copy_(torch.from_numpy(regression.coef_))
        model.bias.copy_(torch.from_numpy(regression.intercept_))
        return model

    def log_probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Of every class for every text, (S, C)."""
        scores = torch.from_numpy(self._fitted_vectors.transform(texts) @ self.weight.numpy().T + self.bias.numpy())
        if self.size.scores == 1:  # of the second class against the first
            scores = torch.cat([torch.zeros_like(scores), scores], 1)
        return scores.double().log_softmax(-1).numpy()

    @cached_property
    def _fitted_vectors(self) -> TfidfVectorizer:
        terms = bytes(self.terms.numpy()).decode().split("\n")
        vectors = _vectors(self.size.by_character, {term: place for place, term in enumerate(terms)})
        vectors.idf_ = self.idf.numpy()
        return vectors


def _vectors(by_character: bool, vocabulary: dict[str, int] | None = None) -> TfidfVectorizer:
    if by_character:
        return TfidfVectorizer(analyzer="char", ngram_range=(1, 3), vocabulary=vocabulary)
    return TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), vocabulary=vocabulary)
