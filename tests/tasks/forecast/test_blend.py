"""What stands beside the network: formulas against statsforecast, shares, intervals, demand that comes now and then."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from statsforecast import models

from memfold.data.seasons import periods_in
from memfold.runtime.forecasting.blend import PRETRAINED, Parts
from memfold.runtime.forecasting.classical import THETA, seasonal_mean, seasonal_unit, theta
from memfold.runtime.forecasting.demand import intermittent, tsb, whole_counts
from memfold.runtime.recipe import ALONE
from memfold.tasks import Forecaster
from memfold.tasks.forecast.independent import UNKNOWN, independent_windows, intraclass_correlation
from memfold.tasks.forecast.plan import SeriesFacts, plan
from memfold.tasks.forecast.shares import fitted_blend

LEVELS = tuple(level / 10 for level in range(1, 10))
SEASONAL = (20 + 0.2 * np.arange(60)) * (1 + 0.2 * np.sin(np.arange(60) * 2 * np.pi / 12))


@pytest.fixture
def rng() -> np.random.Generator:
    """Of one test alone: what it draws does not depend on which tests ran before it."""
    return np.random.default_rng(0)


def padded(y: np.ndarray, before: int = 7) -> np.ndarray:
    """As the row of a history that began later than others."""
    return np.r_[np.full(before, np.nan), y][None]


def test_a_seasonal_mean_of_one_cycle_is_the_seasonal_naive() -> None:
    expected = models.SeasonalNaive(12).forecast(SEASONAL, 30)["mean"]
    np.testing.assert_allclose(seasonal_mean(padded(SEASONAL), 30, 12, 1)[0], expected)
    assert seasonal_mean(padded(SEASONAL[:5]), 3, 12, 1).tolist() == [[SEASONAL[4]] * 3]


def test_theta_continues_trend_and_season_as_statsforecast_does(rng: np.random.Generator) -> None:
    y = SEASONAL + rng.normal(0, 0.3, 60)
    expected = models.AutoTheta(12).forecast(y, 12)["mean"]
    np.testing.assert_allclose(theta(padded(y), 12, 12)[0], expected, rtol=0.08)
    np.testing.assert_allclose(theta(padded(y - 40), 12, 12)[0] + 40, expected, rtol=0.08)  # by differences


def test_the_mean_of_demand_is_that_of_statsforecast(rng: np.random.Generator) -> None:
    y = rng.poisson(0.3, 600).astype(float)  # so long that what the averages begin with is forgotten
    np.testing.assert_allclose(tsb(padded(y), 3)[0], models.TSB(0.1, 0.1).forecast(y, 3)["mean"], rtol=1e-5)


def test_demand_and_counts_are_known_by_their_values() -> None:
    rows = np.array([[0, 0, 3, 0.0], [1, 2, 3, 4], [0, 0, -1, 0], [0.5, 0, 0, 0], [0, 0, 0, 0]])
    assert intermittent(rows).tolist() == [True, False, False, True, False]
    assert whole_counts(rows).tolist() == [True, True, False, False, True]


def test_the_unit_of_errors_is_the_seasonal_difference() -> None:
    np.testing.assert_allclose(seasonal_unit(padded(np.arange(20.0)), 4), [4.0])
    assert seasonal_unit(padded(np.full(20, 3.0)), 4).tolist() == [3.0]  # which does not change


@pytest.mark.parametrize(
    ("period", "steps", "found"), [((1.0, 5.0, 3.0, 2.0), 80, (4,)), ((3.0, 9.0), 7, (2,)), ((1.0,), 50, (1,))]
)
def test_periods_are_found_in_the_values(period: tuple[float, ...], steps: int, found: tuple[int, ...]) -> None:
    assert periods_in([np.resize(period, steps)]) == found


def test_a_week_is_found_beside_the_day(rng: np.random.Generator) -> None:
    hours = np.arange(24 * 7 * 6)
    day = np.sin(2 * np.pi * hours / 24)
    weekend = np.where(hours // 24 % 7 > 4, 0.3, 1.0)
    assert periods_in([day * weekend + 0.1 * rng.normal(size=len(hours))]) == (24, 168)


def parts(rng: np.random.Generator, count: int, *, right: str, horizon: int = 6) -> Parts:
    """Windows in which one part forecasts the values but for a little noise, and the others do not."""
    actual = rng.normal(0, 3, (count, horizon))

    def by(name: str) -> np.ndarray:
        return actual + rng.normal(0, 0.1 if name == right else 3, (count, horizon))

    quantiles = by(ALONE)[..., None] + np.linspace(-0.06, 0.06, 9)  # too narrow
    none = np.zeros(count, dtype=bool)
    return Parts(
        quantiles, {"SeasonalNaive": by("SeasonalNaive"), THETA: by(THETA)}, np.ones(count), none, none, actual
    )


@pytest.mark.parametrize("right", [ALONE, THETA, "SeasonalNaive"])
def test_the_part_that_is_right_has_the_largest_share(rng: np.random.Generator, right: str) -> None:
    blend = fitted_blend(parts(rng, 300, right=right), LEVELS, {"SeasonalNaive": 1.0, THETA: 1.0})
    assert max(blend.shares, key=blend.shares.__getitem__) == right
    assert blend.shares[right] > 0.85
    assert sum(blend.shares.values()) == pytest.approx(1)


def test_the_bundled_forecaster_has_a_share_and_gives_its_own_spread(rng: np.random.Generator) -> None:
    windows = parts(rng, 300, right="none of them")
    skewed = np.r_[np.linspace(-1, 0, 5), np.linspace(0.75, 3, 4)]
    quantiles = windows.true[..., None] + rng.normal(0, 0.1, (300, 6, 1)) + skewed
    others = {**windows.others, PRETRAINED: quantiles[..., 4]}
    windows = replace(windows, others=others, pretrained=quantiles)
    blend = fitted_blend(windows, LEVELS, {"SeasonalNaive": 1.0, THETA: 1.0})
    assert blend.shares[PRETRAINED] > 0.8
    answer = blend.answer(windows)
    assert (answer.mean > answer.point).mean() > 0.9  # as the skewed distribution has it
    alone = blend.without(PRETRAINED)
    assert PRETRAINED not in {**alone.shares, **alone.mean_shares}
    assert sum(alone.shares.values()) == pytest.approx(1)


def test_a_short_series_is_forecast_by_the_bundled_forecaster_too() -> None:
    frame = pl.DataFrame({"ds": np.arange(60), "y": SEASONAL[:60]})
    model = Forecaster(horizon=12, seasons=(12,)).fit(frame, budget="2ep", progress=False)
    assert model.shares_[PRETRAINED] > 0.1
    assert PRETRAINED in model.evaluate(frame).baselines
    without = Forecaster(horizon=12, seasons=(12,), pretrained=False).fit(frame, budget="2ep", progress=False)
    assert PRETRAINED not in {**without.shares_, **without.mean_shares_}
    (left_out,) = model.recipe().left_out  # of an exported file, which says so
    assert left_out.startswith(f"the {PRETRAINED}, which has ")
    assert not without.recipe().left_out


def test_one_window_does_not_decide() -> None:
    actual, none = np.zeros((1, 6)), np.zeros(1, dtype=bool)
    others = {"SeasonalNaive": actual + 1, THETA: actual + 1}
    window = Parts(actual[..., None] + 0.5 + np.linspace(-0.1, 0.1, 9), others, np.ones(1), none, none, actual)
    blend = fitted_blend(window, LEVELS, {"SeasonalNaive": 1.0, THETA: 1.0})
    assert 0.5 < blend.shares[ALONE] < 0.75  # though it is twice as good


def test_intervals_are_stretched_until_they_hold_on_other_windows(rng: np.random.Generator) -> None:
    blend = fitted_blend(parts(rng, 400, right=ALONE), LEVELS, {"SeasonalNaive": 1.0, THETA: 1.0})
    other = parts(rng, 400, right=ALONE)
    answer = blend.answer(other)
    inside = (other.true >= answer.quantiles[..., 0]) & (other.true <= answer.quantiles[..., -1])
    assert 75 < 100 * inside.mean() < 85


def demand(days: int = 200) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    return pl.DataFrame({"ds": np.arange(days), "y": rng.poisson(0.25, days) * rng.integers(1, 5, days)})


def test_demand_that_comes_now_and_then_has_a_mean_and_scores_that_mean_something() -> None:
    model = Forecaster(horizon=7, seasons=(7,), hidden_size=8).fit(demand()[:172], budget="5ep", progress=False)
    forecast = model.predict(demand())
    assert (forecast["mean"] > 0.1).all()
    assert forecast["forecast"].equals(forecast["mean"].rename("forecast"))
    assert (forecast["lo80"] >= 0).all()
    report = model.evaluate(demand(), origins=4)
    assert np.isnan(report.metrics["smape"])
    assert report.metrics["rmsse"] < report.baselines["SeasonalNaive"]["rmsse"]
    assert report.baselines["CrostonSBA"]["rmsse"] > 0
    assert model.contest_ is not None
    assert model.contest_.metric == "rmsse"
    assert model.score(demand()[172:]) < 0


@pytest.mark.parametrize("steps", [3, 12, 24, 30])
def test_short_series_are_forecast(steps: int) -> None:
    model = Forecaster(horizon=12, seasons=(12,) if steps >= 24 else (1,))
    frame = pl.DataFrame({"ds": np.arange(steps), "y": SEASONAL[:steps]})
    forecast = model.fit(frame, budget="3ep", progress=False).predict(frame)
    assert forecast.height == 12
    assert np.isfinite(forecast.drop("unique_id").to_numpy()).all()
    assert (forecast["forecast"] - SEASONAL[:12].mean()).abs().mean() < 10  # type: ignore[operator]


def test_the_plan_leaves_what_is_given() -> None:
    frame = pl.DataFrame({"ds": np.arange(60), "y": SEASONAL})
    model = Forecaster(horizon=12, seasons=(12,), members=2).fit(frame, budget="1ep", progress=False)
    assert model.plan_ == {"hidden_size": 16, "dropout": 0.3, "linear": False, "pretrained": True}
    assert len(model.network_.members) == 2
    assert model.get_params()["hidden_size"] is None


def test_a_linear_map_is_learned_from_few_long_series() -> None:
    def linear(series: int, windows: int) -> bool:
        return bool(plan(SeriesFacts(series, windows, 24, 12), 60, 1).values["linear"])

    assert [linear(1, windows) for windows in (50, 399, 400)] == [False, False, True]
    assert not linear(50, 4000)
    frame = pl.DataFrame({"ds": np.arange(1700), "y": np.resize(SEASONAL, 1700)})
    for given, chosen in ({}, True), ({"linear": False}, False):
        model = Forecaster(horizon=4, seasons=(12,), members=1, **given).fit(frame, budget="1ep", progress=False)
        assert model.size_.linear is chosen
        assert model.plan_.get("linear", False) is chosen


def in_turns(
    rng: np.random.Generator, turns: int, series: int, common: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Errors of two forecasts in every series at every time, and the times; so much of the variance is the time's."""
    ahead = math.sqrt(common) * rng.normal(size=(turns, 1)) + math.sqrt(1 - common) * rng.normal(size=(turns, series))
    return {"one": 5 + ahead.ravel(), "two": 5 - ahead.ravel()}, np.arange(turns).repeat(series)


@pytest.mark.parametrize("common", [0.0, 0.4, 0.9])
def test_how_far_series_go_together_is_found_in_the_errors(rng: np.random.Generator, common: float) -> None:
    assert intraclass_correlation(*in_turns(rng, 300, 20, common)) == pytest.approx(common, abs=0.08)


def test_windows_of_one_time_alone_do_not_say_how_far_series_go_together(rng: np.random.Generator) -> None:
    errors, turns = in_turns(rng, 1, 20, 0.0)
    assert intraclass_correlation(errors, turns) == intraclass_correlation(*in_turns(rng, 20, 1, 0.0)) == UNKNOWN
    without = {name: np.where(np.arange(len(turns)) < 19, values, np.nan) for name, values in errors.items()}
    assert intraclass_correlation(without, turns) == UNKNOWN
    assert independent_windows(turns, 0.5) == pytest.approx(20 / 10.5)


@pytest.mark.parametrize("count", range(2, 9))
def test_forecasts_that_are_the_same_do_not_say_it_either(rng: np.random.Generator, count: int) -> None:
    errors, turns = in_turns(rng, 7, 5, 0.3)
    same = {str(number): errors["one"] for number in range(count)}
    assert intraclass_correlation(same, turns) == UNKNOWN


def test_many_series_of_few_times_decide_less_than_as_many_of_many(rng: np.random.Generator) -> None:
    """Found is that the formulas, one too high and one too low, need no network; how far they are off is the same in
    all series of a time, so that this was seen five times rather than three hundred."""
    turns, series = 5, 60
    windows = parts(rng, turns * series, right="none of them")
    shift = rng.choice([0.5, 2.0], (turns, 1)).repeat(series, 0)
    network = windows.true + rng.normal(0, 1, windows.true.shape)
    windows = replace(
        windows,
        network=network[..., None] + np.linspace(-0.06, 0.06, 9),
        others={"SeasonalNaive": windows.true + shift, THETA: windows.true - 1},
    )
    of_few, of_many = (
        fitted_blend(windows, LEVELS, {"SeasonalNaive": 1.0, THETA: 1.0}, given).shares
        for given in (np.arange(turns).repeat(series), None)
    )
    assert of_few[ALONE] > 2 * of_many[ALONE]
