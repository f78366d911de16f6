"""Ridge regression beside the forecaster: an oracle, and what it must and must not see."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from memfold.data.tables import SeriesTable
from memfold.errors import InputError
from memfold.tasks import Forecaster
from memfold.tasks.forecast import linear
from memfold.tasks.forecast.linear import ridge_forecasts

HORIZON, SEASON, DAYS = 4, 4, 240


def days(seed: int = 0) -> pl.DataFrame:
    """A season of four days, with holidays now and then that take a share of the day's value."""
    rng = np.random.default_rng(seed)
    holiday = (rng.random(DAYS) < 0.1).astype(float)
    y = np.tile([10.0, 20.0, 30.0, 20.0], DAYS // 4) * (1 - 0.5 * holiday) + rng.normal(scale=0.2, size=DAYS)
    return pl.DataFrame({"ds": np.arange(DAYS), "y": y, "holiday": holiday})


@pytest.fixture(scope="module")
def model() -> Forecaster:
    model = Forecaster(horizon=HORIZON, seasons=(SEASON,), context=8, future=("holiday",), hidden_size=4)
    return model.fit(days().head(200), budget="1ep", progress=False)


def test_it_is_ridge_regression(model: Forecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "PENALTIES", (3.0,))
    whole = model.read(days())
    found = ridge_forecasts(model, whole, 40, model.backtest(whole, origins=1, baselines=False))

    y, holiday = days()["y"].to_numpy(), days()["holiday"].to_numpy()
    mean, deviation = holiday[:200].mean(), holiday[:200].std(ddof=1)
    holiday = (holiday - mean) / deviation

    def window(origin: int) -> tuple[np.ndarray, float, float]:
        seen = y[origin - 8 : origin]
        level = seen.mean()
        scale = np.abs(seen - level).mean()
        return np.concatenate([(seen - level) / scale, holiday[origin - 8 : origin]]), level, scale

    last = DAYS - HORIZON
    origins = range(8, last - HORIZON + 1)
    inputs = [window(origin) for origin in origins]
    expected = []
    for ahead in range(HORIZON):
        rows = [np.append(row, holiday[origin + ahead]) for origin, (row, *_) in zip(origins, inputs, strict=True)]
        target = [(y[o + ahead] - level) / scale for o, (_, level, scale) in zip(origins, inputs, strict=True)]
        row, level, scale = window(last)
        fitted = Ridge(alpha=3.0).fit(np.array(rows), target)
        expected.append(fitted.predict([np.append(row, holiday[last + ahead])])[0] * scale + level)
    np.testing.assert_allclose(found["Ridge"].to_numpy(), expected, rtol=1e-9)


def test_a_model_for_each_phase_knows_what_a_holiday_takes_from_that_phase(model: Forecaster) -> None:
    whole = model.read(days())
    found = ridge_forecasts(model, whole, 40, model.backtest(whole, origins=10, baselines=False))
    errors = {name: float((found[name] - found["y"]).abs().mean()) for name in ("Ridge", f"Ridge({SEASON})")}
    assert errors[f"Ridge({SEASON})"] < errors["Ridge"] / 2


@pytest.mark.parametrize("name", ["Ridge", f"Ridge({SEASON})"])
def test_it_sees_nothing_that_follows_the_first_cutoff_but_the_window_before_each(model: Forecaster, name: str) -> None:
    frame = days()
    whole = model.read(frame)
    forecasts = model.backtest(whole, origins=5, baselines=False)
    found = ridge_forecasts(model, whole, 40, forecasts)
    later = frame.with_columns(y=pl.when(pl.col("ds") >= DAYS - HORIZON).then(1e6).otherwise("y"))
    again = ridge_forecasts(model, model.read(later), 40, forecasts)
    np.testing.assert_allclose(again[name].to_numpy(), found[name].to_numpy())


def test_the_forecasts_keep_their_rows(model: Forecaster) -> None:
    frame = pl.concat([days(seed).with_columns(unique_id=pl.lit(f"s{seed}")) for seed in range(2)])
    whole = model.read(frame)
    forecasts = model.backtest(whole, origins=3, origin_step=5, baselines=False)
    found = ridge_forecasts(model, whole, 40, forecasts)
    assert found.select(forecasts.columns).equals(forecasts.sort("unique_id", "cutoff", "ds"))
    assert found["Ridge"].null_count() == found[f"Ridge({SEASON})"].null_count() == 0


def test_series_that_are_too_short_are_refused(model: Forecaster) -> None:
    whole: SeriesTable = model.read(days().head(20))
    forecasts = model.backtest(whole, origins=1, baselines=False)
    with pytest.raises(InputError, match="too short for a ridge regression"):
        ridge_forecasts(model, whole, 8, forecasts)
