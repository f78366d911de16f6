"""Forecasts from several origins of series that are known further, to be scored with."""

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from memfold.data.tables import ID, TARGET, TIME, SeriesTable
from memfold.errors import InputError
from memfold.runtime.forecasting.blend import LINEAR, PRETRAINED, Parts
from memfold.runtime.forecasting.forecasting import QUANTILES
from memfold.tasks.contest import ALONE
from memfold.tasks.forecast.baselines import baseline_forecasts
from memfold.tasks.forecast.scores import MEAN, MODEL, intermittent_names

if TYPE_CHECKING:
    from memfold.tasks.forecast.task import Forecaster

__all__ = ["backtested", "baselines_of"]

ALONE_MEAN = f"{ALONE}: mean"
OF_MEAN = {ALONE: ALONE_MEAN}  # the column with the mean forecasts of a baseline whose one number is another
SHARED = [ID, TIME, TARGET, "cutoff"]
OURS = {*SHARED, MODEL, MEAN, ALONE_MEAN, "lo80", "hi80", *QUANTILES}  # columns that no baseline has


def backtested(
    model: "Forecaster", table: SeriesTable, origins: int, origin_step: int | None, baselines: bool
) -> pl.DataFrame:
    """What `Forecaster.backtest` returns, of a table that has been read.

    Raises:
        InputError: no origins, or no series that is long enough for them.
    """
    horizon = model.horizon_
    step = horizon if origin_step is None else origin_step
    for name, value in (("origins", origins), ("origin_step", step)):
        if value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")
    demand = bool(intermittent_names(table.known))
    parts = []
    for origin in reversed(range(origins)):
        history = _before(table, horizon + origin * step, bool(model.future))
        answer, made = model.forecasts(history)
        forecast = model.table(history, answer)
        if baselines:
            others = baseline_forecasts(history, horizon, model.seasons_, demand=demand)
            forecast = pl.concat([forecast, others.select(pl.exclude(ID, TIME))], how="horizontal")
            forecast = forecast.with_columns(_beside(made))
        cutoff = history.known.group_by(ID).agg(pl.col(TIME).max().alias("cutoff"))
        parts.append(forecast.join(cutoff, on=ID).join(table.known.select(ID, TIME, TARGET), on=[ID, TIME]))
    return pl.concat(parts)


def baselines_of(backtest: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """What each baseline forecast, by name, in the model's columns; all baselines' own stay beside, for OWA."""
    names = [column for column in backtest.columns if column not in OURS]
    shared = backtest.select(*SHARED, *names)
    means = {name: backtest[OF_MEAN.get(name, name)].alias(MEAN) for name in names}
    return {name: shared.with_columns(pl.col(name).alias(MODEL), means[name]) for name in names}


def _before(table: SeriesTable, steps: int, with_future: bool) -> SeriesTable:
    """Series without their last steps; of these the covariates alone where they are known ahead."""
    history = table.head(steps)
    if not history.ids:
        raise InputError(f"no series is longer than the {steps} steps to be scored")
    if not with_future:
        return history
    ahead = table.known.filter(pl.col(ID).is_in(history.ids)).with_columns(pl.lit(None, pl.Float64).alias(TARGET))
    rows = ahead.join(history.frame, on=[ID, TIME], how="anti")
    return replace(history, frame=pl.concat([history.frame, rows]).sort(ID, TIME))


def _beside(parts: Parts) -> list[pl.Series]:
    """What the network alone, the linear model and the bundled forecaster forecast, as columns."""
    others = {name: parts.others[name] for name in (LINEAR, PRETRAINED) if name in parts.others}
    columns = {**others, ALONE: parts.network_point, ALONE_MEAN: parts.network_mean}
    return [pl.Series(name, values.ravel()) for name, values in columns.items()]
