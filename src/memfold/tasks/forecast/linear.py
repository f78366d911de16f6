"""Ridge regression on the windows and covariates that the forecasting network sees: the linear model to beat.

Every step ahead is a linear function of the window's values, of the covariates within the window and of that step's own
calendar and covariates (Hoerl & Kennard 1970). Values are in units of the window's scale, as they are for the network.
``Ridge`` is fitted on windows that end anywhere, as the network is. ``Ridge(7)``, with the season in brackets, is
fitted only on windows that end whole seasons before the forecast: of daily data with a week that is one linear model
for each weekday, and every effect may differ by weekday.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.tables import ID, TIME, SeriesTable
from memfold.errors import InputError
from memfold.runtime.forecasting.linear import Rows, predicted
from memfold.runtime.forecasting.windows import Places, SeriesArrays
from memfold.tasks.forecast.ridge import best_penalty, solved
from memfold.tasks.forecast.task import Forecaster

__all__ = ["RIDGE", "ridge_forecasts"]

Array = NDArray[np.float64]
RIDGE = "Ridge"
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)  # the validation part chooses


def ridge_forecasts(model: Forecaster, whole: SeriesTable, valid: int, forecasts: pl.DataFrame) -> pl.DataFrame:
    """Ridge regression's forecasts beside those of a fitted model.

    Both kinds are fitted on the rows up to the first cutoff. The penalty, one for all steps ahead, is the one with the
    least absolute error on the last ``valid`` of these rows, and the regression is then fitted on all of them.

    Args:
        whole: what was forecast included, with the covariates.
        forecasts: what `Forecaster.backtest` returned for it.

    Returns:
        The forecasts with the columns ``Ridge`` and, with the season, ``Ridge(7)``.

    Raises:
        InputError: there are too few rows before the first cutoff.
    """
    data, horizon, season = model.arrays(whole), model.size_.horizon, model.seasons_[0]
    cutoffs = forecasts.select(ID, "cutoff").unique().sort(ID, "cutoff")
    places = whole.known.select(ID, pl.col(TIME).alias("cutoff"), pl.int_range(1, pl.len() + 1).over(ID).alias("place"))
    cutoffs = cutoffs.join(places, on=[ID, "cutoff"]).sort(ID, "cutoff")
    names = {name: index for index, name in enumerate(whole.ids)}
    series = np.array([names[name] for name in cutoffs[ID]])
    origins = cutoffs["place"].cast(pl.Int64).to_numpy()
    last = np.zeros(len(names), np.int64)
    last[series[::-1]] = origins[::-1]  # the first of each series
    columns = {RIDGE: _fitted(model, data, last, valid, Places(series, origins), 1)}
    columns[f"{RIDGE}({season})"] = by_phase = np.empty((len(origins), horizon))
    phases = (last[series] - origins) % season
    for phase in sorted(set(phases.tolist())):
        chosen = phases == phase
        by_phase[chosen] = _fitted(model, data, last - phase, valid, Places(series[chosen], origins[chosen]), season)
    ahead = pl.int_range(pl.len()).over(ID, "cutoff").alias("ahead")
    frame = cutoffs.select(ID, "cutoff").join(pl.DataFrame({"ahead": range(horizon)}), how="cross")
    frame = frame.with_columns(pl.Series(name, values.ravel()) for name, values in columns.items())
    numbered = forecasts.sort(ID, "cutoff", TIME).with_columns(ahead)
    return numbered.join(frame, on=[ID, "cutoff", "ahead"], how="left", maintain_order="left").drop("ahead")


def _fitted(
    model: Forecaster, data: SeriesArrays, last: NDArray[np.int64], valid: int, places: Places, apart: int
) -> Array:
    """Forecasts of some windows, (B, K), by a regression on windows whose ends are ``apart`` rows from each other.

    Args:
        last: of each series, the rows before the first forecast, (S,).
    """
    train = _windows(model, data, last, 0, apart)
    before, after = _windows(model, data, last, valid, apart), _windows(model, data, last, 0, apart, since=valid)
    weights = solved(train, best_penalty(before, after, PENALTIES)[0])
    rows = _rows(model, data, places)
    return predicted(weights, rows) * rows.scale + rows.level


def _windows(
    model: Forecaster, data: SeriesArrays, last: NDArray[np.int64], drop: int, apart: int, since: int | None = None
) -> Rows:
    """All windows whose values ahead end before the ``drop`` last rows; with ``since``, within so many last rows."""
    size = model.size_
    series, origins = [], []
    for index, rows in enumerate(last.tolist()):
        first = size.context if since is None else rows - since
        ends = np.arange(rows, first - 1, -apart)
        ends = ends[ends + size.horizon <= rows - drop]
        origins.append(ends)
        series.append(np.full_like(ends, index))
    if sum(map(len, origins)) < 2:
        raise InputError("the series are too short for a ridge regression on their windows")
    return _rows(model, data, Places(np.concatenate(series), np.concatenate(origins)))


def _rows(model: Forecaster, data: SeriesArrays, places: Places) -> Rows:
    windows = data.windows(places, model.size_, target=True)
    return Rows.of(windows, model.size_, model.covariates_.calendar.size)
