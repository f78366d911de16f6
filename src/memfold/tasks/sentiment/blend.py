"""How the answer is made of the LSTMs' and the n-grams', and how sure it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.tasks.calibration import temperature_of

__all__ = ["Blend"]

SHARES = tuple(twentieth / 20 for twentieth in range(21))
USUAL, SPREAD = 0.5, 0.25  # mean and standard deviation of a share before anything was seen: few texts hardly move it

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Blend:
    """The weighted geometric mean of two models' probabilities, to the power of 1 / temperature.

    Attributes:
        share: of the n-grams, 0 to 1; the rest is the LSTMs'.
        temperature: above 0; below 1 the answer is surer than the two.
    """

    share: float
    temperature: float = 1.0

    @classmethod
    def best(cls, network: Array, ngrams: Array, labels: NDArray[np.int64]) -> "Blend":
        """The one with the least cross-entropy on texts that neither model learned from.

        The fewer they are, the nearer it stays to equal shares and a temperature of 1.

        Args:
            network, ngrams: log-probabilities, (S, C).
            labels: classes, (S,).
        """
        rows = np.arange(len(labels))

        def loss(blend: "Blend") -> float:
            wrong = -np.log(np.maximum(blend.probabilities(network, ngrams)[rows, labels], 1e-300)).sum()
            return float(wrong) + ((blend.share - USUAL) / SPREAD) ** 2 / 2

        candidates = [cls(share, temperature_of(cls(share).logits(network, ngrams), labels)) for share in SHARES]
        return min(candidates, key=loss)

    def logits(self, network: Array, ngrams: Array) -> Array:
        """From both models' log-probabilities (S, C)."""
        return ((1 - self.share) * network + self.share * ngrams) / self.temperature

    def probabilities(self, network: Array, ngrams: Array) -> Array:
        """From both models' log-probabilities (S, C)."""
        logits = self.logits(network, ngrams)
        p = np.exp(logits - logits.max(1, keepdims=True))
        result: Array = p / p.sum(1, keepdims=True)
        return result
