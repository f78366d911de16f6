"""Scores of forecasts, by utilsforecast, in the M4 competition's definitions."""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
from utilsforecast.losses import coverage, mase, scaled_crps, smape

from memfold.data.tables import ID, TARGET, TIME
from memfold.runtime.forecasting.demand import intermittent

__all__ = [
    "MEAN",
    "MODEL",
    "NAIVE2",
    "intermittent_names",
    "mean_scores",
    "point_scores",
    "quantile_scores",
    "scaled_errors",
]

# Columns of forecasts: the model's one number and its mean, and that of the baseline of OWA.
MODEL, MEAN, NAIVE2 = "forecast", "mean", "Naive2"


def point_scores(
    forecasts: pl.DataFrame, train: pl.DataFrame, season: int, models: Sequence[str]
) -> dict[str, dict[str, float]]:
    """sMAPE, MASE and OWA of every model (Makridakis, Spiliotis & Assimakopoulos 2020, sec. 2.3).

    Args:
        forecasts: columns ``unique_id``, ``cutoff``, ``ds``, ``y`` and one a model, Naive2's among them.
        train: ``unique_id``, ``ds``, ``y``, up to the last cutoff at least: MASE is scaled by the mean absolute
            seasonal difference up to each cutoff.
        season: the period of that difference, in steps.

    Returns:
        By model: ``smape`` in per cent (0 to 200) and ``mase``, both averaged over series and cutoffs, and ``owa``,
        the mean of the two ratios to Naive2's. A series whose seasonal difference is 0 throughout is left out of
        MASE; what is then undefined is NaN. Demand that comes now and then is left out of all three: they ask for the
        median, which is 0 there, and sMAPE is 200 at every 0 that was not forecast exactly.
    """
    names = list(models)
    comes_and_goes = intermittent_names(train)
    forecasts = forecasts.filter(~pl.col(ID).is_in(comes_and_goes))
    if not forecasts.height:
        return {name: {"smape": math.nan, "mase": math.nan, "owa": math.nan} for name in names}
    percent = smape(forecasts, names).select(pl.col(names).mean() * 200).row(0, named=True)
    scaled = mase(forecasts, names, seasonality=season, train_df=train)
    finite = scaled.filter(pl.all_horizontal(pl.col(names).is_finite()))
    ratio = {name: float(finite[name].to_numpy().mean()) if finite.height else math.nan for name in names}
    scores = {}
    for name in names:
        perfect = percent[NAIVE2] == 0 or ratio[NAIVE2] == 0  # nothing to compare with
        owa = math.nan if perfect else (percent[name] / percent[NAIVE2] + ratio[name] / ratio[NAIVE2]) / 2
        scores[name] = {"smape": percent[name], "mase": ratio[name], "owa": owa}
    return scores


def intermittent_names(train: pl.DataFrame) -> list[str]:
    """The series of demand that comes now and then, see `memfold.runtime.forecasting.demand.intermittent`."""
    groups = train.group_by(ID, maintain_order=True).agg(TARGET).iter_rows()
    return [name for name, values in groups if intermittent(np.array(values)[None])[0]]


def mean_scores(forecasts: pl.DataFrame, train: pl.DataFrame, models: Sequence[str]) -> dict[str, dict[str, float]]:
    """RMSSE of every model's mean forecasts, as the M5 competition has it (Makridakis et al. 2022, sec. 2.3).

    The root of the mean squared error of a series from a cutoff, by that of the differences from step to step up to the
    cutoff, averaged over series and cutoffs. A series that does not change is left out; of no other it is NaN.

    Args:
        forecasts, train, models: as for `point_scores`; the columns of models hold means.
    """
    change = (pl.col(TARGET) - pl.col(TARGET).shift(1)) ** 2
    unit = (change.cum_sum() / change.cum_count()).over(ID)
    units = train.sort(ID, TIME).select(ID, pl.col(TIME).alias("cutoff"), unit.alias("unit"))
    ratio = [((pl.col(model) - pl.col(TARGET)) ** 2).mean() / pl.col("unit").first() for model in models]
    scaled = forecasts.join(units, on=[ID, "cutoff"]).filter(pl.col("unit") > 0)
    each = scaled.group_by(ID, "cutoff").agg(
        value.sqrt().alias(model) for value, model in zip(ratio, models, strict=True)
    )
    return {model: {"rmsse": float(each[model].to_numpy().mean()) if each.height else math.nan} for model in models}


def quantile_scores(forecasts: pl.DataFrame, levels: Sequence[float], columns: Sequence[str]) -> dict[str, float]:
    """``crps``, scaled by the mean absolute value of each series, and ``coverage80`` in per cent.

    The CRPS is estimated from the quantiles (Rangapuram et al. 2021, sec. 4; the mean over series of twice the summed
    pinball loss over the summed absolute values). A series that is 0 throughout is left out of it.

    Args:
        levels: rising, 0.1 and 0.9 among them.
        columns: the quantiles' columns, in the order of ``levels``.
    """
    scaled = forecasts.filter((pl.col(TARGET) != 0).any().over(ID))
    crps = scaled_crps(scaled, {"model": list(columns)}, quantiles=np.array(levels))["model"].mean()
    low = columns[levels.index(0.1)]
    high = columns[levels.index(0.9)]
    bands = forecasts.rename({low: "model-lo-80", high: "model-hi-80"}).with_columns(model=pl.lit(0.0))
    inside = coverage(bands, ["model"], level=80)["model"].mean()
    return {"crps": math.nan if crps is None else float(crps), "coverage80": 100 * float(inside)}  # type: ignore[arg-type]


def scaled_errors(forecasts: pl.DataFrame, train: pl.DataFrame, season: int, models: Sequence[str]) -> pl.DataFrame:
    """Absolute errors in units of the mean absolute seasonal difference up to each cutoff: their means are MASE.

    Args:
        forecasts, train, season, models: as for `point_scores`.

    Returns:
        Columns ``unique_id``, ``cutoff``, ``ahead`` (1 for the first step) and one a model. A series whose seasonal
        difference is 0 throughout is left out.
    """
    change = (pl.col(TARGET) - pl.col(TARGET).shift(season)).abs()
    unit = (change.cum_sum() / change.cum_count()).over(ID)
    units = train.sort(ID, TIME).select(ID, pl.col(TIME).alias("cutoff"), unit.alias("unit"))
    return (
        forecasts.sort(ID, "cutoff", TIME)
        .join(units, on=[ID, "cutoff"], maintain_order="left")
        .filter(pl.col("unit") > 0)
        .select(
            ID,
            "cutoff",
            pl.int_range(1, pl.len() + 1).over(ID, "cutoff").alias("ahead"),
            *((pl.col(model) - pl.col(TARGET)).abs() / pl.col("unit") for model in models),
        )
    )
