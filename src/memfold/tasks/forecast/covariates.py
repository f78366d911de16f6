"""What stands beside the values of a series, as the network reads it: the calendar and the covariates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.tables import ID, TIME, SeriesTable
from memfold.errors import InputError

__all__ = ["Calendar", "Covariates", "StaticColumn"]

MOST_CATEGORIES = 500  # of a static column: more of them name the series rather than describe them


@dataclass(frozen=True)
class Calendar:
    """The cycles of the calendar that a data set can teach: covered at least twice and sampled finely enough."""

    day: bool = False
    week: bool = False
    year: bool = False

    @classmethod
    def of(cls, times: pl.Series, step: str) -> "Calendar":
        """The cycles that ``times``, ``step`` apart, cover."""
        if times.dtype.is_integer():
            return cls()
        first, last = times.min(), times.max()
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        span = last - first
        unit = step.lstrip("0123456789")
        within_day, within_week = unit in ("h", "m", "s", "us"), unit not in ("w", "mo", "y")
        return cls(
            day=within_day and span >= timedelta(days=2),
            week=within_week and span >= timedelta(days=14),
            year=unit != "y" and span >= timedelta(days=730),
        )

    @property
    def size(self) -> int:
        """The number of features."""
        return 2 * self.day + 7 * self.week + 2 * self.year

    def features(self, times: pl.Series) -> NDArray[np.float32]:
        """Sine and cosine of the time of day and of the year, the day of the week as one of seven, (N, F)."""
        columns = []
        if self.day:
            columns += _circle((times.dt.hour() * 60.0 + times.dt.minute()).to_numpy() / 1440)
        if self.week:
            weekday = times.dt.weekday().to_numpy()
            columns += [(weekday == day).astype(np.float32) for day in range(1, 8)]
        if self.year:
            columns += _circle(times.dt.ordinal_day().to_numpy() / 365.25)
        return np.stack(columns, -1).astype(np.float32) if columns else np.zeros((len(times), 0), np.float32)


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

    @classmethod
    def of(cls, texts: pl.Series) -> "StaticColumn":
        """As the texts of the series to learn from suggest: numbers where all of them are.

        Raises:
            InputError: there are too many different ones.
        """
        numbers = texts.cast(pl.Float64, strict=False)
        if numbers.is_finite().fill_null(False).all():
            mean, deviation = float(numbers.mean()), float(numbers.std() or 1.0)  # type: ignore[arg-type]
            return cls(texts.name, mean, deviation)
        categories = tuple(texts.unique().sort())
        if len(categories) > MOST_CATEGORIES:
            raise InputError(
                f"column {texts.name!r} has {len(categories):,} different texts; a static column may have "
                f"{MOST_CATEGORIES} at most"
            )
        return cls(texts.name, categories=categories)

    @property
    def size(self) -> int:
        """The number of features."""
        return 1 if self.categories is None else len(self.categories)

    def features(self, texts: pl.Series, ids: Sequence[str]) -> NDArray[np.float32]:
        """Of some series, (S, F). A text that was not seen in training has no 1.

        Raises:
            InputError: a text in a column of numbers.
        """
        if self.categories is not None:
            return np.stack([(texts == category).to_numpy() for category in self.categories], -1).astype(np.float32)
        numbers = texts.cast(pl.Float64, strict=False)
        if (wrong := (~numbers.is_finite().fill_null(False)).arg_true()).len():
            row = wrong[0]
            raise InputError(
                f"series {ids[row]!r} has {texts[row]!r} in column {self.name!r}, where those that the model was "
                "fitted to have numbers"
            )
        return ((numbers.to_numpy() - self.mean) / self.deviation).astype(np.float32)[:, None]


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

    @classmethod
    def of(cls, table: SeriesTable, past: Sequence[str], future: Sequence[str], static: Sequence[str]) -> "Covariates":
        """As a table to learn from suggests."""
        scaling = {}
        for column in (*past, *future):
            values = table.known[column]
            scaling[column] = (float(values.mean()), float(values.std() or 1.0))  # type: ignore[arg-type]
        columns = tuple(StaticColumn.of(_static(table)[name]) for name in static)
        return cls(Calendar.of(table.known[TIME], table.step), tuple(past), tuple(future), scaling, columns)

    @property
    def known_size(self) -> int:
        """The number of features that are known ahead."""
        return self.calendar.size + len(self.future)

    @property
    def static_size(self) -> int:
        """The number of features that are the same throughout a series."""
        return sum(column.size for column in self.static)

    def past_features(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """The covariates known up to now, (N, F_past)."""
        return self._scaled(frame, self.past)

    def known_features(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """The calendar and the covariates known ahead, (N, F_known)."""
        return np.concatenate([self.calendar.features(frame[TIME]), self._scaled(frame, self.future)], -1)

    def static_features(self, table: SeriesTable) -> NDArray[np.float32]:
        """What is the same throughout each series, (S, F_static)."""
        if not self.static:
            return np.zeros((len(table.ids), 0), np.float32)
        texts = _static(table)
        return np.concatenate([column.features(texts[column.name], table.ids) for column in self.static], -1)

    def _scaled(self, frame: pl.DataFrame, columns: Sequence[str]) -> NDArray[np.float32]:
        parts = []
        for column in columns:
            mean, deviation = self.scaling[column]
            parts.append((frame[column].fill_null(mean).to_numpy() - mean) / deviation)
        return np.stack(parts, -1).astype(np.float32) if parts else np.zeros((frame.height, 0), np.float32)


def _static(table: SeriesTable) -> pl.DataFrame:
    """The static columns of each series in the table, in order."""
    assert table.static is not None
    return pl.DataFrame({ID: table.ids}).join(table.static, on=ID, how="left", maintain_order="left")
