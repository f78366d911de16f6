"""What stands beside the values of a series, as the network reads it: the calendar and the covariates."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.tables import TIME, SeriesTable

__all__ = ["Calendar", "Covariates"]


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
class Covariates:
    """The columns that a model reads, and what it subtracts from them and divides them by.

    Attributes:
        past: columns known up to now.
        future: columns known ahead.
        scaling: mean and standard deviation of each.
    """

    calendar: Calendar
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    scaling: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: SeriesTable, past: Sequence[str], future: Sequence[str]) -> "Covariates":
        """As a table to learn from suggests."""
        scaling = {}
        for column in (*past, *future):
            values = table.known[column]
            scaling[column] = (float(values.mean()), float(values.std() or 1.0))  # type: ignore[arg-type]
        return cls(Calendar.of(table.known[TIME], table.step), tuple(past), tuple(future), scaling)

    @property
    def known_size(self) -> int:
        """The number of features that are known ahead."""
        return self.calendar.size + len(self.future)

    def past_features(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """The covariates known up to now, (N, F_past)."""
        return self._scaled(frame, self.past)

    def known_features(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """The calendar and the covariates known ahead, (N, F_known)."""
        return np.concatenate([self.calendar.features(frame[TIME]), self._scaled(frame, self.future)], -1)

    def _scaled(self, frame: pl.DataFrame, columns: Sequence[str]) -> NDArray[np.float32]:
        parts = []
        for column in columns:
            mean, deviation = self.scaling[column]
            parts.append((frame[column].fill_null(mean).to_numpy() - mean) / deviation)
        return np.stack(parts, -1).astype(np.float32) if parts else np.zeros((frame.height, 0), np.float32)

    def as_json(self) -> dict[str, Any]:
        """What was found in the table, as plain values."""
        return {"calendar": asdict(self.calendar), "scaling": dict(self.scaling)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any], past: Sequence[str], future: Sequence[str]) -> "Covariates":
        """Take back what `as_json` gave."""
        scaling = {name: (mean, deviation) for name, (mean, deviation) in state["scaling"].items()}
        return cls(Calendar(**state["calendar"]), tuple(past), tuple(future), scaling)
