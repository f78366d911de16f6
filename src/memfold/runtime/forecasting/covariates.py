"""What stands beside the values of a series, as the network reads it: the calendar and the covariates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError, shown

__all__ = ["Calendar", "Covariates", "StaticColumn"]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Calendar:
    """The cycles of the calendar that a data set can teach: covered at least twice and sampled finely enough."""

    day: bool = False
    week: bool = False
    year: bool = False

    @property
    def size(self) -> int:
        """The number of features."""
        return 2 * self.day + 7 * self.week + 2 * self.year

    def features(self, times: NDArray[Any]) -> Array:
        """Sine and cosine of the time of day and of the year, the day of the week as one of seven, (N, F).

        Args:
            times: of NumPy's datetime64, or integers of a calendar without cycles, (N,).
        """
        columns: list[NDArray[Any]] = []
        if not self.size:
            return np.zeros((len(times), 0), np.float32)
        days = times.astype("datetime64[D]")
        if self.day:
            minutes = (times - days).astype("timedelta64[m]").astype(float)
            columns += _circle(minutes / 1440)
        if self.week:
            weekday = (days.astype(int) + 3) % 7 + 1  # 1970-01-01 was a Thursday
            columns += [(weekday == day).astype(np.float32) for day in range(1, 8)]
        if self.year:
            ordinal = (days - times.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
            columns += _circle(ordinal / 365.25)
        return np.stack(columns, -1).astype(np.float32)


def _circle(turns: NDArray[Any]) -> list[NDArray[Any]]:
    return [np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)]


@dataclass(frozen=True)
class StaticColumn:
    """What is the same in all of a series: a standardised number, or a text as a 1 in its category's place.

    Attributes:
        mean, deviation: over the series to learn from, of a column of numbers.
        categories: the texts seen in training, in order; None in a column of numbers.
    """

    name: str
    mean: float = 0.0
    deviation: float = 1.0
    categories: tuple[str, ...] | None = None

    @property
    def size(self) -> int:
        """The number of features."""
        return 1 if self.categories is None else len(self.categories)

    def features(self, texts: Sequence[Any], names: Sequence[str]) -> Array:
        """Of some series, (S, F). A text that was not seen in training has no 1.

        Args:
            texts: of each series.
            names: of the series, for errors.

        Raises:
            InputError: a text in a column of numbers.
        """
        if self.categories is not None:
            return np.array([[text == category for category in self.categories] for text in texts], np.float32)
        numbers = np.zeros(len(texts))
        for row, text in enumerate(texts):
            try:
                numbers[row] = float(text)
            except (TypeError, ValueError):
                numbers[row] = np.nan
            if not np.isfinite(numbers[row]):
                raise InputError(
                    f"series {names[row]!r} has {shown(text)} in column {self.name!r}, where those that the model was "
                    "fitted to have numbers"
                )
        return ((numbers - self.mean) / self.deviation).astype(np.float32)[:, None]


@dataclass(frozen=True)
class Covariates:
    """The columns that a model reads, and what it subtracts from them and divides them by.

    Attributes:
        past: columns known up to now.
        future: columns known ahead.
        scaling: mean and standard deviation of each.
        static: columns that are the same in all rows of a series.
    """

    calendar: Calendar
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    scaling: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    static: tuple[StaticColumn, ...] = ()

    @property
    def known_size(self) -> int:
        """The number of features that are known ahead."""
        return self.calendar.size + len(self.future)

    @property
    def static_size(self) -> int:
        """The number of features that are the same throughout a series."""
        return sum(column.size for column in self.static)

    def past_features(self, columns: Mapping[str, NDArray[np.float64]], rows: int) -> Array:
        """The covariates known up to now, (N, F_past).

        Args:
            columns: of numbers by name, (N,); what is not there is NaN.
        """
        return self._scaled(columns, self.past, rows)

    def known_features(self, times: NDArray[Any], columns: Mapping[str, NDArray[np.float64]]) -> Array:
        """The calendar and the covariates known ahead, (N, F_known)."""
        return np.concatenate([self.calendar.features(times), self._scaled(columns, self.future, len(times))], -1)

    def static_features(self, columns: Mapping[str, Sequence[Any]], names: Sequence[str]) -> Array:
        """What is the same throughout each series, (S, F_static)."""
        parts = [column.features(columns[column.name], names) for column in self.static]
        return np.concatenate(parts, -1) if parts else np.zeros((len(names), 0), np.float32)

    def _scaled(self, columns: Mapping[str, NDArray[np.float64]], names: Sequence[str], rows: int) -> Array:
        parts = []
        for name in names:
            mean, deviation = self.scaling[name]
            values = columns[name]
            parts.append((np.where(np.isnan(values), mean, values) - mean) / deviation)
        return np.stack(parts, -1).astype(np.float32) if parts else np.zeros((rows, 0), np.float32)
