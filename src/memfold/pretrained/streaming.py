"""Forecasts that go on point by point, as readings come: ``memfold stream forecast``."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from memfold.data.columns import VALUE_NAMES, by_name
from memfold.data.seasons import calendar_seasons, periods_in
from memfold.data.written import TIME_NAMES, Times
from memfold.errors import InputError
from memfold.pretrained.answering import checked_horizon, given_seasons
from memfold.runtime.forecasting.blend import mean_of
from memfold.runtime.forecasting.instant import CONTEXTS, InstantForecaster
from memfold.runtime.monitoring.lines import LineReader, Reading

__all__ = ["ForecastStream"]

MOST_SERIES = 10_000  # that are remembered
LOOKED_FOR = 64  # values between two looks for a season


class ForecastStream:
    """Takes readings one after another, and forecasts after each what follows.

    Args:
        horizon: steps that are forecast, at most 1,000.
        season: steps after which the series tend to repeat, or a short and a long one; None looks for them in the
            values as these grow.
        target: name of the value; None takes y or value, or the only other column.
        time: name of the time; None looks for ds, timestamp, time, date ...
        id: column with the series' names.

    >>> stream = ForecastStream(horizon=2, season=4)
    >>> for time, value in enumerate([1, 5, 3, 2] * 8):
    ...     answers = stream.push(f"{time},{value}")
    >>> [round(value) for value in answers[0]["forecast"]]
    [1, 5]
    """

    def __init__(
        self,
        horizon: int = 1,
        *,
        season: Sequence[int] | int | None = None,
        target: str | None = None,
        time: str | None = None,
        id: str = "unique_id",
    ) -> None:
        self.horizon = checked_horizon(horizon)
        self.seasons = None if season is None else given_seasons(season)
        self.target, self.time, self.id = target, time, id
        self.reader: LineReader | None = None
        self.header: str | None = None
        self.series: dict[str, _Readings] = {}

    def push(self, line: str) -> list[dict[str, Any]]:
        """What follows after a reading; nothing after a header and an empty line.

        Args:
            line: ``time,value`` as CSV, its header, or a JSON object.

        Raises:
            InputError: it holds no reading.
        """
        if not line.strip():
            return []
        reader = self.reader or self._reader_for(line)
        if reader is None:
            return []
        reading = reader.read(line)
        if reading is None:
            return []
        if reading.name not in self.series and len(self.series) == MOST_SERIES:
            raise InputError(f"more than {MOST_SERIES:,} series in one stream")
        series = self.series.setdefault(reading.name, _Readings(self.seasons, reader.dates))
        series.add(reading)
        quantiles = InstantForecaster.bundled().quantiles([series.values], self.horizon, [series.seasons])[0]
        answer = {"forecast": quantiles[:, quantiles.shape[1] // 2], "mean": mean_of(quantiles)}
        answer |= {"lo80": quantiles[:, 0], "hi80": quantiles[:, -1]}
        return [reading.shown | {name: [float(f"{v:.6g}") for v in values] for name, values in answer.items()}]

    def _reader_for(self, line: str) -> LineReader | None:
        """What reads lines like this one; None when it is a header."""
        if line.lstrip().startswith("["):
            raise InputError("standard input, line 1: a list; a reading is a JSON object or time,value")
        if line.lstrip().startswith("{"):
            try:
                row = dict(json.loads(line))
            except (ValueError, TypeError, RecursionError):
                raise InputError("standard input, line 1: not readable as JSON") from None
            time = self.time or by_name(list(row), TIME_NAMES)
            names, first = [name for name in row if name not in (time, self.id)], row.get(time or "")
        else:
            titles = _fields(self.header) if self.header else []
            fields = _fields(line)
            if not titles and not _is_number(fields[-1]):
                self.header = line
                return None
            titles = titles or [*([self.id] if len(fields) > 2 else []), self.time or TIME_NAMES[0], "y"]
            time = self.time or by_name(titles, TIME_NAMES) or titles[0]
            names = [name for name in titles if name not in (time, self.id)]
            first = dict(zip(titles, fields, strict=False)).get(time)
        target = self.target or by_name(names, VALUE_NAMES) or (names[0] if len(names) == 1 else None)
        if target is None:
            has = ", ".join(map(repr, names)) or "no other column"
            raise InputError(f"standard input: which column is forecast? It has {has}: --set target=COLUMN")
        dates = isinstance(first, str) and not _is_number(first)
        self.reader = LineReader([target], dates, Times("text", "%Y-%m-%d %H:%M:%S"), time, self.id)
        if not line.lstrip().startswith("{"):
            self.reader.columns = titles
        self.reader.lines = 1 if self.header else 0
        return self.reader


class _Readings:
    """The latest values of a series, evenly apart: where a reading did not come, a value is missing."""

    def __init__(self, seasons: tuple[int, int] | None, dates: bool) -> None:
        self.dates = dates
        self.kept: list[float] = []
        self.given, self.found, self.looked = seasons, (1, 1), 0
        self.last: float | None = None
        self.step: float | None = None

    def add(self, reading: Reading) -> None:
        """Take the next one.

        Raises:
            InputError: it is not later than the last one.
        """
        if self.last is not None:
            apart = reading.time - self.last
            if apart <= 0:
                raise InputError(f"a reading of series {reading.name!r} that is not later than the one before it")
            self.step = apart if self.step is None else min(self.step, apart)
            self.kept += [np.nan] * min(round(apart / self.step) - 1, CONTEXTS[-1])
        self.last = reading.time
        self.kept.append(reading.values[0])
        self.looked += 1
        del self.kept[: -2 * CONTEXTS[-1]]

    @property
    def values(self) -> np.ndarray:
        """The latest, NaN where one is missing."""
        return np.array(self.kept[-CONTEXTS[-1] :])

    @property
    def seasons(self) -> tuple[int, int]:
        """Those given, those of the calendar, or those that the values show."""
        if self.given is not None:
            return self.given
        of_calendar = _calendar(self.step) if self.dates and self.step else ()
        if usable := [season for season in of_calendar if season <= CONTEXTS[-1] // 2]:
            return (*usable, 1)[0], (*usable, 1)[1]
        if self.looked >= LOOKED_FOR:
            y = np.array(self.kept)
            there = np.isfinite(y)
            filled = np.interp(np.arange(len(y)), np.flatnonzero(there), y[there])
            seen = [season for season in periods_in([filled]) if season <= CONTEXTS[-1] // 2]
            self.found, self.looked = ((*seen, 1, 1)[0], (*seen, 1, 1)[1]), 0
        return self.found


def _calendar(seconds: float) -> tuple[int, ...]:
    """The seasons of readings so far apart; the months of a year are of 28 to 31 days."""
    days = seconds / 86_400
    if 28 <= days <= 31:
        return calendar_seasons("1mo")
    if 89 <= days <= 92:
        return calendar_seasons("3mo")
    return calendar_seasons(f"{round(seconds)}s") if seconds >= 1 else ()


def _fields(line: str) -> list[str]:
    separator = max(",;\t|", key=line.count)
    return [field.strip().strip('"') for field in line.strip().split(separator)]


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
