"""Scores of forecasts, by utilsforecast, in the M4 competition's definitions."""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
from utilsforecast.losses import coverage, mase, scaled_crps, smape

from memfold.data.tables import ID, TARGET, TIME

__all__ = ["MODEL", "NAIVE2", "point_scores", "quantile_scores", "scaled_errors"]

MODEL, NAIVE2 = "forecast", "Naive2"  # columns of forecasts: the model's, and that of the baseline of OWA


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
        MASE; what is then undefined is NaN.
    """
    names = list(models)
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


def quantile_scores(forecasts: pl.DataFrame, levels: Sequence[float], columns: Sequence[str]) -> dict[str, float]:
    """``crps``, scaled by the mean absolute value of each series, and ``coverage80`` in per cent.

    The CRPS is estimated from the quantiles (Rangapuram et al. 2021, sec. 4; the mean over series of twice the summed
    pinball loss over the summed absolute values).

    Args:
        levels: rising, 0.1 and 0.9 among them.
        columns: the quantiles' columns, in the order of ``levels``.
    """
    crps = scaled_crps(forecasts, {"model": list(columns)}, quantiles=np.array(levels))["model"].mean()
    low = columns[levels.index(0.1)]
    high = columns[levels.index(0.9)]
    bands = forecasts.rename({low: "model-lo-80", high: "model-hi-80"}).with_columns(model=pl.lit(0.0))
    inside = coverage(bands, ["model"], level=80)["model"].mean()
    return {"crps": float(crps), "coverage80": 100 * float(inside)}  # type: ignore[arg-type]


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
