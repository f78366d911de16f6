"""How far the probabilities of classes can be believed, and one number that mends them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["expected_calibration_error", "temperature_of"]

BINS = 15
SPREAD = 0.5  # standard deviation of the logarithm of a temperature, before anything was seen
HALVINGS = 50


def expected_calibration_error(probabilities: NDArray[Any], truth: NDArray[np.int64]) -> float:
    """By how much the probability of the answered class differs from how often it is right, 0 to 1.

    The mean over 15 bins of equal width, each with the weight of its examples (Guo et al. 2017, eq. 3).

    Args:
        probabilities: of every class, ``(N, K)``.
        truth: classes by number, ``(N,)``.

    >>> expected_calibration_error(np.array([[0.75, 0.25], [0.25, 0.75]]), np.array([0, 0]))
    0.25
    """
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, confidence - right, BINS)
    return float(np.abs(gaps).sum() / max(len(truth), 1))


def temperature_of(log_p: NDArray[Any], truth: NDArray[np.int64]) -> float:
    """What log-probabilities are divided by so that they fit examples that the model did not learn from best.

    The least cross-entropy (Guo et al. 2017, sec. 4.2), beside a normal distribution of the temperature's logarithm
    around 0: ten examples hardly move it, a thousand decide.

    Args:
        log_p: of every class, ``(N, K)``, or logits.
        truth: classes by number, ``(N,)``.
    """
    finite = np.maximum(log_p, -1e4)
    reached = finite[np.arange(len(truth)), truth].sum()

    def slope(inverse: float) -> float:
        """Of the loss, by the logarithm of the inverse temperature."""
        scaled = inverse * finite
        p = np.exp(scaled - scaled.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        return inverse * float((p * finite).sum() - reached) + float(np.log(inverse)) / SPREAD**2

    # The slope rises where it is near 0, so that halving finds its zero.
    low, high = np.log(1 / 20), np.log(20)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(np.exp(middle)) < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))
