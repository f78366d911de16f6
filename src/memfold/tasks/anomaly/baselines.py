"""The detector to beat: a Gaussian over the last values."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = ["GAUSSIAN", "windowed_gaussian"]

GAUSSIAN = "windowed Gaussian"
WINDOW, MOVED = 6400, 100  # points of the window, and by how many it moves at once: the benchmark's own detector
LEAST_DEVIATION = 1e-6


def windowed_gaussian(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each value lies in a Gaussian over the (at most 6400) values before it: 0.5 in the middle, 1 far out.

    Args:
        values: (N, V); of several variables the most unusual one counts.

    Returns:
        Scores, (N,); the first one is 0.
    """
    scores = np.zeros(len(values))
    end = np.arange(1, len(values))
    end -= np.maximum(end - WINDOW, 0) % MOVED
    begin = np.maximum(end - WINDOW, 0)
    for column in values.T:
        shifted = column - column[0]  # for the sums' digits
        sums, squares = (np.concatenate([[0.0], np.cumsum(shifted**power)]) for power in (1, 2))
        mean = (sums[end] - sums[begin]) / (end - begin)
        deviation = np.sqrt(np.maximum((squares[end] - squares[begin]) / (end - begin) - mean**2, 0.0))
        away = np.abs(shifted[1:] - mean) / np.where(deviation > 0, deviation, LEAST_DEVIATION)
        scores[1:] = np.maximum(scores[1:], ndtr(away))
    return scores
