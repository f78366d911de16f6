"""A linear model of every step ahead, in units of the windows' scales."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.forecasting.size import NetworkSize, linear_shape
from memfold.runtime.forecasting.windows import Places, SeriesArrays, Windows, level_and_scale, standardised

__all__ = ["Rows", "predicted", "rows_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Windows as the rows of a regression, in units of their scales.

    Attributes:
        shared: what every step ahead depends on: values, covariates within the window, and a 1, (B, X).
        ahead: what is known of each step ahead, (B, K, F).
        target: the values ahead, (B, K); None when they are to be forecast.
        level, scale: of the windows, (B, 1).
    """

    shared: Array
    ahead: Array
    target: Array | None
    level: Array
    scale: Array

    @classmethod
    def of(cls, windows: Windows, size: NetworkSize, calendar: int) -> "Rows":
        """The rows of windows.

        Args:
            calendar: features of the calendar, which come first among those that are known ahead.
        """
        level, scale = level_and_scale(windows.y, windows.seen)
        z = np.where(windows.seen, standardised(windows.y, level, scale), 0.0)  # (B, C)
        count = len(z)
        within = windows.known[:, : size.context, calendar:]  # the calendar repeats, as values do
        shared = [z, windows.past.reshape(count, -1), within.reshape(count, -1), np.ones((count, 1))]
        target = None if windows.target is None else standardised(windows.target, level, scale)
        ahead = windows.known[:, size.context :].astype(np.float64)
        return cls(np.concatenate(shared, 1, dtype=np.float64), ahead, target, level, scale)

    @property
    def actual(self) -> Array:
        """The target of rows that have one."""
        assert self.target is not None
        return self.target


def rows_of(data: SeriesArrays, places: Places, size: NetworkSize, calendar: int, target: bool = True) -> Rows:
    """The rows of the windows that end at these places, as wide as the model's weights."""
    rows = Rows.of(data.windows(places, size, target), size, calendar)
    ahead = linear_shape(size, calendar)[1] - rows.shared.shape[1]
    return rows if ahead else Rows(rows.shared, rows.ahead[..., :0], rows.target, rows.level, rows.scale)


def predicted(weights: Array, rows: Rows) -> Array:
    """In units of the windows' scales, (B, K), by weights (K, X + F)."""
    size = rows.shared.shape[1]
    result: Array = rows.shared @ weights[:, :size].T + np.einsum("bkf,kf->bk", rows.ahead, weights[:, size:])
    return result
