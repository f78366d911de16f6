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
    holidays: tuple[str, ...] = ()  # days, as ISO texts

    @property
    def size(self) -> int:
        """The number of features."""
        return 2 * self.day + 7 * self.week + 2 * self.year + 3 * bool(self.holidays)

    def features(self, times: NDArray[Any]) -> Array:
        """Sine and cosine of the time of day and of the year, the day of the week as one of seven, and whether the day,
        the next one and the last one are holidays, (N, F).

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
        if self.holidays:
            free = np.array(self.holidays, "datetime64[D]")
            columns += [np.isin(days + later, free).astype(np.float32) for later in (0, 1, -1)]
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
        scaling: mean and standard deviation of each that holds numbers.
        categories: the words of each that holds words, as seen in training, in order; each is a 1 in its place, and a
            word that was not seen, or none, has no 1.
        static: columns that are the same in all rows of a series.
    """

    calendar: Calendar
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    scaling: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    static: tuple[StaticColumn, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def past_size(self) -> int:
        """The number of features that are known up to now, the calendar's aside."""
        return sum(map(self._width, self.past))

    @property
    def known_size(self) -> int:
        """The number of features that are known ahead."""
        return self.calendar.size + sum(map(self._width, self.future))

    @property
    def static_size(self) -> int:
        """The number of features that are the same throughout a series."""
        return sum(column.size for column in self.static)

    def _width(self, name: str) -> int:
        """The features of a column."""
        return len(self.categories[name]) if name in self.categories else 1

    def past_features(self, columns: Mapping[str, NDArray[Any]], rows: int) -> Array:
        """The covariates known up to now, (N, F_past).

        Args:
            columns: of numbers by name, (N,), what is not there being NaN; of words, what is not there being None.
        """
        return self._scaled(columns, self.past, rows)

    def known_features(self, times: NDArray[Any], columns: Mapping[str, NDArray[Any]]) -> Array:
        """The calendar and the covariates known ahead, (N, F_known)."""
        return np.concatenate([self.calendar.features(times), self._scaled(columns, self.future, len(times))], -1)

    def static_features(self, columns: Mapping[str, Sequence[Any]], names: Sequence[str]) -> Array:
        """What is the same throughout each series, (S, F_static)."""
        parts = [column.features(columns[column.name], names) for column in self.static]
        return np.concatenate(parts, -1) if parts else np.zeros((len(names), 0), np.float32)

    def unseen(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
        """The words in columns that were not seen in training, by the column."""
        result = {}
        for name, words in self.categories.items():
            if other := sorted(set(columns.get(name, ())) - {*words, "", None}):
                result[name] = other
        return result

    def _scaled(self, columns: Mapping[str, NDArray[Any]], names: Sequence[str], rows: int) -> Array:
        parts: list[NDArray[Any]] = []
        for name in names:
            if name in self.categories:
                words = np.array(columns[name], object)
                parts += [(words == word).astype(np.float32) for word in self.categories[name]]
                continue
            mean, deviation = self.scaling[name]
            values = columns[name]
            parts.append((np.where(np.isnan(values), mean, values) - mean) / deviation)
        return np.stack(parts, -1).astype(np.float32) if parts else np.zeros((rows, 0), np.float32)
