"""Ridge regression on the windows and covariates that the forecasting network sees: the linear model to beat.

Every step ahead is a linear function of the window's values, of the covariates within the window and of that step's own
calendar and covariates (Hoerl & Kennard 1970). Values are in units of the window's scale, as they are for the network.
``Ridge`` is fitted on windows that end anywhere, as the network is. ``Ridge(7)``, with the season in brackets, is
fitted only on windows that end whole seasons before the forecast: of daily data with a week that is one linear model
for each weekday, and every effect may differ by weekday.
"""

import polars as pl
import torch
from torch import Tensor

from memfold.data.tables import ID, TIME, SeriesTable
from memfold.errors import InputError
from memfold.tasks.forecast.ridge import Rows, best_penalty, predicted, solved
from memfold.tasks.forecast.task import Forecaster
from memfold.tasks.forecast.windows import SeriesTensors

__all__ = ["RIDGE", "ridge_forecasts"]

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
    data, horizon, season = model.tensors(whole), model.size_.horizon, model.seasons_[0]
    cutoffs = forecasts.select(ID, "cutoff").unique().sort(ID, "cutoff")
    places = whole.known.select(ID, pl.col(TIME).alias("cutoff"), pl.int_range(1, pl.len() + 1).over(ID).alias("place"))
    cutoffs = cutoffs.join(places, on=[ID, "cutoff"]).sort(ID, "cutoff")
    names = {name: index for index, name in enumerate(whole.ids)}
    series = torch.tensor([names[name] for name in cutoffs[ID]])
    origins = torch.tensor(cutoffs["place"].to_list())
    last = torch.zeros(len(names), dtype=torch.long).scatter_reduce(0, series, origins, "amin", include_self=False)
    columns = {RIDGE: torch.empty(len(origins), horizon, dtype=torch.float64)}
    columns[RIDGE][:] = _fitted(model, data, last, valid, series, origins, 1)
    columns[f"{RIDGE}({season})"] = by_phase = torch.empty_like(columns[RIDGE])
    phases = (last[series] - origins) % season
    for phase in sorted(set(phases.tolist())):
        chosen = phases == phase
        by_phase[chosen] = _fitted(model, data, last - phase, valid, series[chosen], origins[chosen], season)
    ahead = pl.int_range(pl.len()).over(ID, "cutoff").alias("ahead")
    frame = cutoffs.select(ID, "cutoff").join(pl.DataFrame({"ahead": range(horizon)}), how="cross")
    frame = frame.with_columns(pl.Series(name, values.flatten().numpy()) for name, values in columns.items())
    numbered = forecasts.sort(ID, "cutoff", TIME).with_columns(ahead)
    return numbered.join(frame, on=[ID, "cutoff", "ahead"], how="left", maintain_order="left").drop("ahead")


def _fitted(
    model: Forecaster, data: SeriesTensors, last: Tensor, valid: int, series: Tensor, origins: Tensor, apart: int
) -> Tensor:
    """Forecasts of some windows, (B, K), by a regression on windows whose ends are ``apart`` rows from each other.

    Args:
        last: of each series, the rows before the first forecast, (S,).
    """
    train = _windows(model, data, last, 0, apart)
    before, after = _windows(model, data, last, valid, apart), _windows(model, data, last, 0, apart, since=valid)
    weights = solved(train, best_penalty(before, after, PENALTIES)[0])
    rows = _rows(model, data, series, origins)
    return predicted(weights, rows) * rows.scale + rows.level


def _windows(
    model: Forecaster, data: SeriesTensors, last: Tensor, drop: int, apart: int, since: int | None = None
) -> Rows:
    """All windows whose values ahead end before the ``drop`` last rows; with ``since``, within so many last rows."""
    size = model.size_
    series, origins = [], []
    for index, rows in enumerate(last.tolist()):
        first = size.context if since is None else rows - since
        found = torch.arange(rows, first - 1, -apart)
        found = found[found + size.horizon <= rows - drop]
        origins.append(found)
        series.append(torch.full_like(found, index))
    if sum(map(len, origins)) < 2:
        raise InputError("the series are too short for a ridge regression on their windows")
    return _rows(model, data, torch.cat(series), torch.cat(origins))


def _rows(model: Forecaster, data: SeriesTensors, series: Tensor, origins: Tensor) -> Rows:
    window = data.windows(series, origins, model.size_, target=True)
    return Rows.of(window, model.size_, model.covariates_.calendar.size)
