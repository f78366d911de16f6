"""The forecasts to beat: Naive2 as the M4 competition defines it, and statsforecast's SeasonalNaive and AutoTheta."""

import os
import warnings
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.series_table import FROM_END, ID, TARGET, TIME, SeriesTable
from memfold.data.workdays import weekdays_of
from memfold.runtime.forecasting.decomposition import is_seasonal, seasonal_indices, seasonal_naive_name

__all__ = ["baseline_forecasts", "naive2"]

THETA_POINTS = 2000  # AutoTheta sees at most so many of the last values
_MANY = 50  # series from which on a second process pays


def naive2(y: NDArray[np.float64], horizon: int, season: int) -> NDArray[np.float64]:
    """M4's Naive2: the last value of the seasonally adjusted series, seasonalised again; plain naive where not
    seasonal.

    Args:
        y: the series, (N,).
        horizon: steps to forecast, K.
        season: the period in steps.

    Returns:
        The forecast, (K,).

    >>> naive2(np.tile([1.0, 3.0], 10), 3, 2)
    array([1., 3., 1.])
    """
    if not is_seasonal(y, season) or y.min() <= 0:
        return np.full(horizon, y[-1])
    indices = seasonal_indices(y, season)
    adjusted = y[-1] / indices[(len(y) - 1) % season]
    return np.asarray(adjusted * indices[(len(y) + np.arange(horizon)) % season])


def baseline_forecasts(
    table: SeriesTable, horizon: int, seasons: Sequence[int], *, demand: bool = False
) -> pl.DataFrame:
    """Every baseline's forecast of the next ``horizon`` values of every series.

    Args:
        seasons: the seasonal naive's periods; Naive2 and AutoTheta use the first.
        demand: add CrostonSBA (Syntetos & Boylan 2005), which forecasts the mean of demand that comes now and then.

    Returns:
        Columns ``unique_id``, ``ds``, ``Naive2``, ``SeasonalNaive`` (see `seasonal_naive_name`) and ``AutoTheta``,
        with ``demand`` also ``CrostonSBA``.
    """
    from statsforecast import StatsForecast
    from statsforecast.models import AutoTheta, CrostonSBA, SeasonalNaive

    frame = table.known.select(ID, TIME, TARGET)
    freq = int(table.step) if frame.schema[TIME].is_integer() else "1d" if weekdays_of(table.step) else table.step
    naives = [SeasonalNaive(s, alias=seasonal_naive_name(s, seasons)) for s in seasons]
    naive = StatsForecast([*naives, *([CrostonSBA()] if demand else [])], freq)
    recent = frame.filter(FROM_END < THETA_POINTS)
    jobs = min(os.cpu_count() or 1, 4) if len(table.ids) >= _MANY else 1
    theta = StatsForecast(
        [AutoTheta(seasons[0])], freq, n_jobs=jobs, fallback_model=SeasonalNaive(1, alias="AutoTheta")
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Historical data .* is shorter than season_length")
        forecasts = [naive.forecast(df=frame, h=horizon), theta.forecast(df=recent, h=horizon)]
    columns = [forecast.select(pl.exclude(ID, TIME)) for forecast in forecasts]
    values = np.concatenate([naive2(y, horizon, seasons[0]) for y in table.values])
    result = pl.concat([table.times_after(horizon).with_columns(Naive2=values), *columns], how="horizontal")
    # A series shorter than a season repeats its last value, as Naive2 does there.
    return result.with_columns(
        pl.when(pl.col(c).is_nan()).then("Naive2").otherwise(c).alias(c) for c in result.columns[3:]
    )
