import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from memfold.data.datasets import load_split
from memfold.data.tables import SeriesTable, read_series
from memfold.runtime.forecasting.decomposition import is_seasonal, seasonal_indices
from memfold.tasks.forecast.baselines import baseline_forecasts, naive2
from memfold.tasks.forecast.scores import point_scores, quantile_scores


def test_a_pure_season_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    assert is_seasonal(np.tile([1.0, 2.0, 3.0, 4.0], 30), 4)
    assert not is_seasonal(rng.normal(size=400), 12)
    assert not is_seasonal(np.ones(100), 12)
    assert not is_seasonal(np.tile([1.0, 2.0], 2), 2)  # fewer than three seasons


@pytest.mark.parametrize("season", [4, 5])
def test_seasonal_indices_are_recovered_from_a_trend_times_a_season(season: int) -> None:
    indices = np.linspace(0.5, 1.5, season)
    y = (100 + 0.01 * np.arange(40 * season)) * np.tile(indices, 40)
    np.testing.assert_allclose(seasonal_indices(y, season), indices, rtol=1e-3)


def test_naive2_continues_a_season_at_the_last_level() -> None:
    y = np.tile([1.0, 2.0, 3.0, 4.0], 30)[:-1]
    np.testing.assert_allclose(naive2(y, 3, 4), [4.0, 1.0, 2.0])


def test_naive2_repeats_the_last_value_where_there_is_no_season_or_the_values_are_not_positive() -> None:
    np.testing.assert_array_equal(naive2(np.array([3.0, 1.0, 2.0]), 2, 4), [2.0, 2.0])
    assert naive2(np.tile([-1.0, 1.0], 50), 1, 2) == [1.0]


def test_baselines_of_short_series_are_numbers() -> None:
    frame = pl.DataFrame(
        {"unique_id": ["a"] * 60 + ["b"] * 3, "ds": [*range(60), *range(3)], "y": [1.0, 2.0, 3.0] * 21}
    )
    forecasts = baseline_forecasts(read_series(frame), 5, (24,))
    assert forecasts.columns == ["unique_id", "ds", "Naive2", "SeasonalNaive", "AutoTheta"]
    assert forecasts.height == 10
    assert all(forecasts[name].is_finite().all() for name in forecasts.columns[2:])


def test_scores_are_the_textbook_ones() -> None:
    train = pl.DataFrame({"unique_id": "a", "ds": [1, 2, 3, 4], "y": [1.0, 3.0, 5.0, 7.0]})
    forecasts = pl.DataFrame(
        {"unique_id": "a", "cutoff": 4, "ds": [5, 6], "y": [10.0, 20.0], "m": [10.0, 10.0], "Naive2": [7.0, 7.0]}
    )
    scores = point_scores(forecasts, train, 1, ["m", "Naive2"])
    assert scores["m"]["smape"] == pytest.approx(200 * (10 / 30) / 2)
    assert scores["m"]["mase"] == pytest.approx(5.0 / 2.0)
    expected = (scores["m"]["smape"] / scores["Naive2"]["smape"] + scores["m"]["mase"] / scores["Naive2"]["mase"]) / 2
    assert scores["m"]["owa"] == pytest.approx(expected)
    assert scores["Naive2"]["owa"] == pytest.approx(1.0)


def test_crps_of_a_point_forecast_is_its_relative_absolute_error() -> None:
    forecasts = pl.DataFrame({"unique_id": "a", "cutoff": 0, "ds": [1, 2], "y": [10.0, 20.0]})
    forecasts = forecasts.with_columns(q10=pl.lit(12.0), q50=pl.lit(12.0), q90=pl.lit(12.0))
    scores = quantile_scores(forecasts, (0.1, 0.5, 0.9), ("q10", "q50", "q90"))
    assert scores["crps"] == pytest.approx((2 + 8) / 30)
    assert scores["coverage80"] == 0.0


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("MEMFOLD_DATA"), reason="needs the M4 files under $MEMFOLD_DATA")
def test_naive2_and_the_seasonal_naive_reproduce_the_competition() -> None:
    if not (Path(os.environ["MEMFOLD_DATA"]) / "m4-hourly").is_dir():
        pytest.skip("$MEMFOLD_DATA has no m4-hourly")
    split = load_split("m4-hourly")
    future = split.whole.tail(48).frame
    values = np.concatenate([naive2(y, 48, 24) for y in split.train.values])
    repeated = np.concatenate([np.tile(y[-24:], 2) for y in split.train.values])
    forecasts = future.with_columns(Naive2=values, SeasonalNaive=repeated).join(
        split.train.frame.group_by("unique_id").agg(cutoff=pl.col("ds").max()), on="unique_id"
    )
    scores = point_scores(forecasts, SeriesTable(split.train.frame, "1").frame, 24, ["SeasonalNaive", "Naive2"])
    assert scores["Naive2"]["smape"] == pytest.approx(18.383, abs=5e-4)
    assert scores["Naive2"]["mase"] == pytest.approx(2.395, abs=5e-4)
    assert scores["SeasonalNaive"]["smape"] == pytest.approx(13.912, abs=5e-4)
    assert scores["SeasonalNaive"]["mase"] == pytest.approx(1.193, abs=5e-4)
