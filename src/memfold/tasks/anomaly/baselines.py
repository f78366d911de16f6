"""The detectors to beat: a Gaussian over the last values, and one over all variables of the warm-up together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr

from memfold.data.readings import Readings
from memfold.tasks.anomaly.judged import Judged, by_scores

__all__ = ["GAUSSIAN", "MAHALANOBIS", "by_baselines", "limit_of_distance", "mahalanobis", "windowed_gaussian"]

GAUSSIAN, MAHALANOBIS = "windowed Gaussian", "Mahalanobis distance"
WINDOW, MOVED = 6400, 100  # points of the window, and by how many it moves at once: the benchmark's own detector
LEAST_DEVIATION = 1e-6


def by_baselines(series: Sequence[Readings], skipped: list[int], chance: float) -> dict[str, Judged]:
    """What the detectors to beat say, by name; their alarms are as frequent in Gaussian readings as ``chance``."""
    variables = series[0].values.shape[1]
    named = {GAUSSIAN: by_scores([windowed_gaussian(one.values) for one in series], skipped, 1 - chance / 2)}
    if variables > 1:  # of one variable it is the same but for the window
        distances = [mahalanobis(one.values, skip) for one, skip in zip(series, skipped, strict=True)]
        named[MAHALANOBIS] = by_scores(distances, skipped, limit_of_distance(variables, chance))
    return named


def windowed_gaussian(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each value lies in a Gaussian over the (at most 6400) values before it: 0.5 in the middle, 1 far out.

    Args:
        values: (N, V); of several variables the most unusual one counts, of missing ones (NaN) none.

    Returns:
        Scores, (N,); the first one is 0.
    """
    scores = np.zeros(len(values))
    end = np.arange(1, len(values))
    end -= np.maximum(end - WINDOW, 0) % MOVED
    begin = np.maximum(end - WINDOW, 0)
    for given in values.T:
        there = ~np.isnan(given)
        if not there.any():
            continue
        column = _held(given, there)
        shifted = column - column[0]  # for the sums' digits
        sums, squares = (np.concatenate([[0.0], np.cumsum(shifted**power)]) for power in (1, 2))
        mean = (sums[end] - sums[begin]) / (end - begin)
        deviation = np.sqrt(np.maximum((squares[end] - squares[begin]) / (end - begin) - mean**2, 0.0))
        away = np.abs(shifted[1:] - mean) / np.where(deviation > 0, deviation, LEAST_DEVIATION)
        scores[1:] = np.maximum(scores[1:], np.where(there[1:], ndtr(away), 0.0))
    return scores


def mahalanobis(values: NDArray[np.float64], warm_up: int) -> NDArray[np.float64]:
    """How far each point lies in one Gaussian over the variables of the warm-up together.

    Args:
        values: (N, V).
        warm_up: points at the start whose mean and covariance are taken; all of them where that is fewer than two.

    Returns:
        Scores, (N,), ``d / (d + V)`` of the squared distance ``d``: 0 in the middle, 1 infinitely far out.
    """
    # A value that is missing counts as the last one that is not.
    values = np.stack([_held(column, ~np.isnan(column)) for column in values.T], 1)
    usual = values[:warm_up] if warm_up > 1 else values
    deviation = usual.std(0)
    unit = np.where(deviation > 0, deviation, LEAST_DEVIATION)
    z, count = (values - usual.mean(0)) / unit, values.shape[1]  # (N, V)
    covariance = z[: len(usual)].T @ z[: len(usual)] / len(usual) + 1e-6 * np.eye(count)
    squares = np.einsum("nv,nv->n", z, np.linalg.solve(covariance, z.T).T)
    scores: NDArray[np.float64] = squares / (squares + count)
    return scores


def _held(column: NDArray[np.float64], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A column in which the last value is held where one is missing, and 0 stands where there is none."""
    if there.all():
        return column
    if not there.any():
        return np.zeros_like(column)
    place = np.maximum.accumulate(np.where(there, np.arange(len(column)), -1))
    return column[np.where(place < 0, there.argmax(), place)]


def limit_of_distance(variables: int, chance: float) -> float:
    """The score of `mahalanobis` that a point of a Gaussian exceeds with a chance."""
    square = 2 * float(gammaincinv(variables / 2, 1 - chance))  # of the chi-squared distribution
    return square / (square + variables)
