"""The linear model beside the network: fitted to windows before the validation part, and again to all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.forecasting.linear import rows_of
from memfold.runtime.forecasting.size import MOST_GRAM, NetworkSize, linear_shape
from memfold.runtime.forecasting.windows import Places, SeriesArrays
from memfold.tasks.forecast.ridge import best_penalty, solved

__all__ = ["Linear", "fit_linear", "refitted"]

Array = NDArray[np.float64]
MOST_ROWS = 20_000  # windows that the linear model is fitted to
FEWEST_ROWS = 30
PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10_000.0)  # the validation part chooses


@dataclass(frozen=True)
class Linear:
    """A ridge regression of every step ahead.

    Attributes:
        weights: (K, X + F).
        penalty: that was chosen.
    """

    weights: Array
    penalty: float


def fit_linear(
    data: SeriesArrays,
    last: NDArray[np.int64],
    valid: SeriesArrays,
    judged: Places,
    size: NetworkSize,
    calendar: int,
) -> Linear | None:
    """A linear model fitted to windows that end at each series' row ``last`` at most; None where these are too few."""
    places = _training_places(last, size)
    shape = linear_shape(size, calendar)
    if len(places.series) < FEWEST_ROWS or shape[1] ** 2 > MOST_GRAM:
        return None
    beside = rows_of(valid, judged, size, calendar)
    if not np.isfinite(beside.actual).all():
        return None
    penalty, weights = best_penalty(rows_of(data, places, size, calendar), beside, PENALTIES)
    return Linear(weights, penalty)


def refitted(data: SeriesArrays, last: NDArray[np.int64], linear: Linear, size: NetworkSize, calendar: int) -> Array:
    """The weights with the same penalty on more windows."""
    return solved(rows_of(data, _training_places(last, size), size, calendar), linear.penalty)


def _training_places(last: NDArray[np.int64], size: NetworkSize) -> Places:
    """Windows evenly from all series, whose values are all there."""
    first = size.context
    apart = max(1, -(-int((last - first + 1).clip(0).sum()) // MOST_ROWS))
    ends = [np.arange(max(int(end), first - 1), first - 1, -apart) for end in last]
    series = [np.full_like(origins, index) for index, origins in enumerate(ends)]
    return Places(np.concatenate(series), np.concatenate(ends))
