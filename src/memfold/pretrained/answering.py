"""Forecasts of a table at once, by the bundled forecaster: no fit, no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.columns import counters
from memfold.data.frames import like
from memfold.data.numbers import Decimal
from memfold.data.seasons import calendar_seasons, periods_in
from memfold.data.sources import read_table
from memfold.data.tables import ID, TIME, SeriesTable, read_series
from memfold.data.time_columns import of_one_column
from memfold.display import say
from memfold.errors import InputError
from memfold.runtime.forecasting.blend import mean_of
from memfold.runtime.forecasting.demand import intermittent
from memfold.runtime.forecasting.forecasting import QUANTILES
from memfold.runtime.forecasting.instant import CONTEXTS, InstantForecaster
from memfold.words import said

__all__ = ["Forecasts", "checked_horizon", "forecast", "forecast_series", "given_seasons"]

Array = NDArray[np.float64]
MOST_HORIZON = 1000
MOST_NUMBERS = 100_000_000  # quantiles of a table; with the frame that they go into about 3 GB
MOST_SEASON = CONTEXTS[-1] // 2  # of which two are read
DAYS_OF_A_YEAR, WEEK = 365, 7
WORTH_A_FIT = 200  # horizons in all series, from which on a fit may do better


@dataclass(frozen=True)
class Forecasts:
    """What follows each series of a table.

    Attributes:
        table: the series.
        seasons: a short and a long one in steps, 1 where there is none.
        frame: columns ``unique_id``, ``ds``, ``forecast``, ``mean``, ``lo80``, ``hi80`` and ``q10`` to ``q90``.
        notes: how the series were read and what was assumed, each a sentence.
    """

    table: SeriesTable
    seasons: tuple[int, int]
    frame: pl.DataFrame
    notes: tuple[str, ...]

    def written(self) -> pl.DataFrame:
        """The frame with names and times called, and times written, as they were given."""
        name, time = self.table.titles
        times = self.table.times.written(self.frame[TIME]).alias(TIME)
        return self.frame.with_columns(times).rename({ID: name, TIME: time})


def forecast(
    data: Any,
    horizon: int,
    *,
    season: Sequence[int] | int | None = None,
    id: str = ID,
    time: str | None = None,
    target: str | None = None,
    dates: str | None = None,
    decimal: Decimal | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    wide: bool | None = None,
    every: str | None = None,
    holidays: str | None = None,
) -> Any:
    """Forecast series at once, by an LSTM that was trained on synthetic series and comes with memfold.

    Nothing is fitted, and torch is not needed. Values may be missing. Columns beside the names, the times and the
    values are not used; a forecaster that is fitted can use them.

    Args:
        data: a path or several, or a data frame: what `memfold.tasks.Forecaster` reads.
        horizon: steps to forecast, at most 1,000.
        season: steps after which the series tend to repeat, or a short and a long one; None takes those of the
            calendar, or else looks for them in the values.
        id, time, target: columns with the series' names, the times and the values; None looks for them.
        dates: how dates are written: day-first, month-first or a format such as %d.%m.%Y.
        decimal: the sign before a fraction, "." or ",".
        encoding: of text files.
        sheet: of a workbook; None takes the only one that holds anything.
        wide: whether each column of numbers is a series; None looks whether they are one quantity of several things.
        every: step to put uneven times on, such as 10m, 1h or 1d.
        holidays: country, part of one or exchange, such as US, DE-BY or NYSE, on whose holidays a series of workdays
            has no step where it had none before.

    Returns:
        A frame of the kind that was given: the name and the time of each step, called and written as they were;
        ``forecast`` (the median; of demand that comes now and then the mean), ``mean``, ``lo80`` and ``hi80`` (between
        which four of five values should fall), and the quantiles ``q10`` to ``q90``.

    Raises:
        InputError: data that cannot be worked with, a horizon or a season out of bounds.

    >>> import memfold
    >>> table = pl.DataFrame({"ds": range(48), "y": [1.0, 5.0, 3.0, 2.0] * 12})
    >>> memfold.forecast(table, horizon=4)["forecast"].round(0).to_list()
    [1.0, 5.0, 3.0, 2.0]
    """
    columns = {"id": id, "time": time, "target": target, "sheet": sheet, "wide": wide}
    written = {"dates": dates, "decimal": decimal, "encoding": encoding, "every": every, "holidays": holidays}
    forecasts = forecast_series(data, horizon, season, **columns, **written)
    for note in forecasts.notes:
        say(note)
    return like(forecasts.written(), data)


def forecast_series(data: Any, horizon: int, season: Sequence[int] | int | None = None, **reading: Any) -> Forecasts:
    """What `forecast` gives, with the series that were read.

    Raises:
        InputError: as `forecast` does.
    """
    checked_horizon(horizon)
    raw = None
    if not isinstance(data, SeriesTable):
        raw = read_table(data, reading.get("encoding"), sheet=reading.get("sheet"))
        raw = of_one_column(raw) if reading.get("time") is None else raw
    table = read_series(data if raw is None else raw, missing="keep", **reading)
    numbers = len(table.ids) * horizon * len(QUANTILES)
    if numbers > MOST_NUMBERS:
        raise InputError(
            f"{len(table.ids):,} series by {horizon:,} steps are {numbers:,} quantiles, more than {MOST_NUMBERS:,} at "
            "once: forecast fewer series at a time, or fewer steps"
        )
    seasons, assumed = _seasons(table, season)
    series = table.values
    quantiles = InstantForecaster.bundled().quantiles(series, horizon, [seasons] * len(series))
    notes = [*(f"{table.name}: {note}" for note in table.notes), assumed]
    used = {*table.titles, table.target}
    others = [column for column in raw.frame.columns if column not in used] if raw and not table.wide else []
    counts = counters(raw, others) if raw else []
    if unused := [column for column in others if column not in counts]:
        notes.append(said("columns unused", columns=", ".join(map(repr, unused))))
    horizons = int((table.lengths // horizon).sum())
    if horizons >= WORTH_A_FIT:
        notes.append(said("worth a fit", horizons=horizons))
    return Forecasts(table, seasons, _frame(table, series, quantiles), tuple(notes))


def checked_horizon(horizon: int) -> int:
    """A horizon that the bundled forecaster reaches.

    Raises:
        InputError: it does not.
    """
    if not 1 <= horizon <= MOST_HORIZON:
        raise InputError(f"a horizon of {horizon:,}, expected 1 to {MOST_HORIZON:,}; fit forecast goes further")
    return horizon


def given_seasons(given: Sequence[int] | int) -> tuple[int, int]:
    """A short and a long season that somebody named, 1 for none.

    Raises:
        InputError: they are no seasons that the bundled forecaster reads.
    """
    chosen = sorted([given] if isinstance(given, int) else given)
    if not 1 <= len(chosen) <= 2 or chosen[0] < 1 or chosen[-1] > CONTEXTS[-1]:
        raise InputError(f"season {given}, expected one or two numbers of steps, from 1 to {CONTEXTS[-1]:,}")
    return chosen[0], chosen[1] if len(chosen) > 1 else 1


def _frame(table: SeriesTable, series: Sequence[Array], quantiles: Array) -> pl.DataFrame:
    """The answer as a table, of quantiles (N, K, Q)."""
    demand = np.array([bool(intermittent(y[None, -CONTEXTS[-1] :])[0]) for y in series])
    mean = mean_of(quantiles)
    point = np.where(demand[:, None], mean, quantiles[..., len(QUANTILES) // 2])
    columns = dict(zip(QUANTILES, quantiles.reshape(-1, len(QUANTILES)).T, strict=True))
    return table.times_after(quantiles.shape[1]).with_columns(
        pl.Series("forecast", point.ravel()),
        pl.Series("mean", mean.ravel()),
        pl.Series("lo80", columns["q10"]),
        pl.Series("hi80", columns["q90"]),
        *(pl.Series(name, values) for name, values in columns.items()),
    )


def _seasons(table: SeriesTable, given: Sequence[int] | int | None) -> tuple[tuple[int, int], str]:
    """A short and a long season, and a sentence about where they are from.

    Raises:
        InputError: those given are no seasons.
    """
    if given is not None:
        chosen = given_seasons(given)
        return chosen, _assumed([season for season in chosen if season > 1], "given")
    longest = int(table.lengths.max())
    of_calendar = [] if table.frame.schema[TIME].is_integer() else list(calendar_seasons(table.step))
    if of_calendar == [WEEK] and longest >= 2 * DAYS_OF_A_YEAR:
        of_calendar.append(DAYS_OF_A_YEAR)
    usable = [season for season in of_calendar if season <= min(longest, MOST_SEASON)]
    if usable:
        return (usable[0], usable[1] if len(usable) > 1 else 1), _assumed(usable, "calendar")
    in_values = [season for season in periods_in([_filled(y) for y in table.values]) if season <= MOST_SEASON]
    if not in_values or in_values == [1]:
        return (1, 1), said("season none")
    return (in_values[0], in_values[1] if len(in_values) > 1 else 1), _assumed(in_values, "values")


def _assumed(seasons: Sequence[int], source: str) -> str:
    """A sentence about one or two seasons, or none, from a source: given, calendar or values."""
    if not seasons:
        return said("season none given")
    if len(seasons) == 1:
        return said(f"season {source}", season=seasons[0])
    return said(f"seasons {source}", short=seasons[0], long=seasons[1])


def _filled(y: Array) -> Array:
    """Values with straight lines over what is missing."""
    there = np.isfinite(y)
    if there.all():
        return y
    return np.interp(np.arange(len(y)), np.flatnonzero(there), y[there])
