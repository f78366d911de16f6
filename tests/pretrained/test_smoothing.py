"""Exponential smoothing of many series at once, against the same said step by step."""

import numpy as np
import pytest

from memfold.runtime.forecasting.smoothing import KINDS, TRENDS, smoothed

PATCH, STEPS = 16, 160
FAR = np.array([[-50.0]])  # 0 lies far below
NEVER = np.array([[50.0]])  # no value is above 0
NONE, DAMPED, LASTING = range(3)


def forecasts(y: np.ndarray, season: int = 1, zero: np.ndarray = FAR) -> np.ndarray:
    """What each kind forecasts for the last patch, (KINDS, P)."""
    seen = np.isfinite(y)[None]
    z = np.where(seen, np.nan_to_num(y), 0).astype(np.float32)
    return smoothed(z, seen, np.array([[season]]), zero, PATCH).values[0, :, -2 * PATCH : -PATCH]


@pytest.mark.parametrize("trend", [NONE, DAMPED, LASTING])
def test_a_trend_is_that_of_the_factors_with_the_least_error_of_a_step(trend: int) -> None:
    y = np.cumsum(np.random.default_rng(trend).normal(size=STEPS)) / 8
    y[30:40] = np.nan
    known = STEPS - PATCH
    best = (np.inf, np.zeros(PATCH))
    for alpha, beta, damping in TRENDS[trend]:
        level, slope, error, number = 0.0, 0.0, 0.0, 0
        for value in y[:known]:
            level += damping * slope
            slope *= damping
            error *= 0.99
            if np.isfinite(value):
                number += 1
                surprise = value - level
                rate = max(alpha, 1 / number)
                level += rate * surprise
                slope += (number > 1) * rate * (max(beta, 1 / number) if beta else 0.0) * surprise
                error += (number > 2) * surprise**2
        path = level + slope * np.cumsum(damping ** np.arange(1, PATCH + 1))
        best = min(best, (error, path), key=lambda of: of[0])
    assert np.allclose(forecasts(y)[trend], best[1], atol=2e-3)


def test_a_straight_line_goes_on() -> None:
    y = np.linspace(-2, 2, STEPS)
    assert np.allclose(forecasts(y)[LASTING], y[-PATCH:], atol=1e-3)


@pytest.mark.parametrize("season", [4, 7, 12])
def test_a_season_on_a_line_goes_on(season: int) -> None:
    profile = np.random.default_rng(season).normal(size=season)
    y = np.linspace(-1, 1, STEPS) + np.resize(profile - profile.mean(), STEPS)
    assert np.allclose(forecasts(y, season)[LASTING], y[-PATCH:], atol=0.05)
    assert np.abs(forecasts(y, 1)[LASTING] - y[-PATCH:]).max() > 0.5


def test_a_season_that_grows_with_its_level_is_multiplied() -> None:
    profile = np.exp(np.random.default_rng(0).normal(0, 0.3, 12))
    y = np.exp(np.linspace(0, 1.2, STEPS)) * np.resize(profile, STEPS)
    its = forecasts(y, 12, np.zeros((1, 1)))
    added, multiplied = (np.abs(its[row] - y[-PATCH:]).mean() for row in (LASTING, len(TRENDS) + LASTING))
    assert multiplied < 0.1 * y[-PATCH:].mean()
    assert multiplied < added


def test_a_season_is_not_multiplied_where_values_are_not_above_0() -> None:
    y = np.random.default_rng(0).normal(size=STEPS)
    its = forecasts(y, 7, NEVER)
    assert np.array_equal(its[: len(TRENDS)], its[len(TRENDS) :])


def test_what_follows_the_end_is_the_same_path_farther_out() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(1, STEPS)).astype(np.float32)
    seen = np.arange(STEPS)[None] < STEPS - 3 * PATCH
    z[~seen] = 0
    values = smoothed(z, seen, np.array([[1]]), FAR, PATCH).values[0]
    first, last = (values[LASTING, STEPS - back * PATCH : STEPS - (back - 1) * PATCH] for back in (4, 2))
    slope = first[1] - first[0]
    assert np.allclose(last, first + 2 * PATCH * slope, atol=1e-3)


def test_nothing_seen_and_one_value_are_forecast_too() -> None:
    z = np.zeros((2, STEPS), np.float32)
    seen = np.zeros((2, STEPS), bool)
    seen[1, 5], z[1, 5] = True, 1.5
    its = smoothed(z, seen, np.full((2, 1), 12), np.repeat(FAR, 2, 0), PATCH)
    assert its.values.shape == (2, KINDS, STEPS)
    assert np.array_equal(its.values[0], np.zeros((KINDS, STEPS)))
    assert np.allclose(its.values[1, :, PATCH:], 1.5)
    assert np.isnan(its.errors).all()
