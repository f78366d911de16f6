"""Windows of series, as the network and the formulas see them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.forecasting.size import NetworkSize

__all__ = ["WINDOWS_AT_ONCE", "Places", "SeriesArrays", "Windows", "level_and_scale", "standardised"]

WINDOWS_AT_ONCE = 256  # windows that are forecast together

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """Where windows end: a series by number and the rows before the origin, (B,) each."""

    series: Integers
    origins: Integers

    def split(self, count: int) -> list["Places"]:
        """The same, so many at once."""
        starts = range(0, len(self.series), count)
        return [Places(self.series[start : start + count], self.origins[start : start + count]) for start in starts]


@dataclass(frozen=True)
class Windows:
    """A batch of windows.

    Attributes:
        y: values up to the origin, (B, C); anything where ``seen`` is False.
        seen: whether the series had begun, (B, C).
        past: covariates known up to the origin, (B, C, F_past).
        known: covariates known ahead, (B, C + K, F_known).
        static: what is the same throughout a series, (B, F_static).
        target: values after the origin, (B, K), NaN after a series' end; None when they are to be forecast.
    """

    y: Array
    seen: NDArray[np.bool_]
    past: Floats
    known: Floats
    static: Floats
    target: Array | None = None


@dataclass(frozen=True)
class SeriesArrays:
    """All series one after another, N rows.

    Attributes:
        y: (N,).
        past: standardised covariates known up to now, (N, F_past).
        known: calendar and standardised covariates known ahead, (N, F_known).
        static: what is the same throughout each series, (S, F_static).
        starts: the first row of each series, (S,).
        lengths: the number of its rows whose y is known, (S,).
    """

    y: Array
    past: Floats
    known: Floats
    static: Floats
    starts: Integers
    lengths: Integers

    def windows(self, places: Places, size: NetworkSize, target: bool) -> Windows:
        """The windows that end at these places.

        What is known ahead and lies after a table's end is that of its last row.
        """
        row = places.origins[:, None] + np.arange(-size.context, size.horizon)  # (B, C + K), within the series
        index = self.starts[places.series][:, None] + row.clip(0)
        before, after = index[:, : size.context], index[:, size.context :]
        there = row[:, size.context :] < self.lengths[places.series][:, None]
        last = len(self.y) - 1
        return Windows(
            self.y[before],
            row[:, : size.context] >= 0,
            self.past[before],
            self.known[index.clip(max=last)],
            self.static[places.series],
            np.where(there, self.y[after.clip(max=last)], np.nan) if target else None,
        )

    def ends(self) -> Places:
        """After each series' last value."""
        return Places(np.arange(len(self.lengths)), self.lengths)

    def histories(self, places: Places, most: int) -> Array:
        """At most so many values before each origin, (B, T); what lies before a series began is NaN."""
        steps = min(most, int(places.origins.max()))
        row = places.origins[:, None] + np.arange(-steps, 0)
        values = self.y[self.starts[places.series][:, None] + row.clip(0)]
        return np.where(row >= 0, values, np.nan)

    def targets(self, places: Places, horizon: int) -> Array:
        """The values after each origin, (B, K); NaN after a series' end."""
        row = places.origins[:, None] + np.arange(horizon)
        index = (self.starts[places.series][:, None] + row).clip(max=len(self.y) - 1)
        return np.where(row < self.lengths[places.series][:, None], self.y[index], np.nan)


def level_and_scale(y: Array, seen: NDArray[np.bool_]) -> tuple[Array, Array]:
    """The mean and the mean absolute deviation of what was seen of each window, (B, 1) each.

    The scale is at least a thousandth of the mean absolute value. It is 0 where all is 0, and so is the forecast then.
    """
    count = seen.sum(1, keepdims=True).clip(1)
    y = np.where(seen, y, 0.0)
    level = y.sum(1, keepdims=True) / count
    deviation = np.where(seen, np.abs(y - level), 0.0).sum(1, keepdims=True) / count
    floor = 1e-3 * np.abs(y).sum(1, keepdims=True) / count
    return level, np.maximum(deviation, floor)


def standardised(y: Array, level: Array, scale: Array) -> Array:
    """``y`` in units of the window's scale; a scale of 0 divides as 1."""
    result: Array = (y - level) / np.where(scale > 0, scale, 1.0)
    return result
