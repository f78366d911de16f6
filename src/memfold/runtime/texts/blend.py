"""How the answer is made of the LSTMs' and the n-grams', and how sure it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blend", "TextAnswers"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Blend:
    """The weighted geometric mean of two models' probabilities, a factor for each class, and a temperature.

    Attributes:
        share: of the n-grams, 0 to 1; the rest is the LSTMs'.
        temperature: above 0; below 1 the answer is surer than the two.
        offsets: logarithm of every class's factor; none when there are none of them.
    """

    share: float
    temperature: float = 1.0
    offsets: tuple[float, ...] = ()

    def logits(self, network: Array, ngrams: Array) -> Array:
        """From both models' log-probabilities (S, C)."""
        mean = (1 - self.share) * network + self.share * ngrams
        logits: Array = (mean + np.array(self.offsets or 0.0)) / self.temperature
        return logits

    def probabilities(self, network: Array, ngrams: Array) -> Array:
        """From both models' log-probabilities (S, C)."""
        logits = self.logits(network, ngrams)
        p = np.exp(logits - logits.max(1, keepdims=True))
        result: Array = p / p.sum(1, keepdims=True)
        return result


@dataclass(frozen=True)
class TextAnswers:
    """What the whole model and its halves make of texts.

    Attributes:
        probabilities: of every class by the whole model, (S, C).
        network, ngrams: log-probabilities by the LSTMs and by the n-grams alone, (S, C).
    """

    probabilities: Array
    network: Array
    ngrams: Array
