"""Two opinions on an image in one answer: a weighted mean of log-probabilities, as sure as it should be."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from memfold.errors import InputError

__all__ = ["Answers", "Blend", "best_blend"]

Array = NDArray[np.float64]

ALONE_FROM = 0.97  # of a share, which then is 1
PENALTY = 2.0  # nats, of a weight that is off by one: of few images the chance ones are not believed


@dataclass(frozen=True)
class Blend:
    """How much the network has in the answer, 0 to 1, and what the mean log-probabilities are divided by."""

    share: float
    temperature: float

    def __post_init__(self) -> None:
        if not (0 <= self.share <= 1 and 0 < self.temperature < math.inf):
            raise InputError(f"a blend has a share of 0 to 1 and a temperature above 0, got {self}")

    def of(self, network: Array, kernel: Array | None) -> Array:
        """Log-probabilities ``(N, K)`` of both, for the network alone without the other."""
        mean = network if kernel is None else self.share * network + (1 - self.share) * kernel
        result: Array = log_softmax(mean / self.temperature, 1)
        return result


@dataclass(frozen=True)
class Answers:
    """What the whole model and its parts make of images.

    Attributes:
        probabilities: of every class by the whole model, (N, K).
        network: by the network alone, (N, K); None where an exported part answers.
    """

    probabilities: NDArray[np.float32]
    network: NDArray[np.float32] | None = None


def best_blend(network: Array, kernel: Array, labels: NDArray[np.int64]) -> Blend:
    """The blend that gives images' classes the highest likelihood, drawn to even shares where images are few.

    Args:
        network, kernel: log-probabilities ``(N, K)`` of images that neither was fitted to.
        labels: the true classes by number, ``(N,)``.
    """
    rows = np.arange(len(labels))

    def loss(weights: Array) -> float:
        mixed = log_softmax(weights[0] * network + weights[1] * kernel, 1)[rows, labels]
        return float(-mixed.sum() + PENALTY * np.square(weights - 0.5).sum())

    a, b = minimize(loss, np.array([0.5, 0.5]), bounds=[(0.0, 20.0)] * 2, method="L-BFGS-B").x.tolist()
    total = max(a + b, 0.05)
    share = a / total if a + b else 0.5
    share = 1.0 if share > ALONE_FROM else 0.0 if share < 1 - ALONE_FROM else share
    return Blend(round(share, 3), round(1 / total, 4))
