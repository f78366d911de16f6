"""The formulas as tensors give what those in NumPy do, of series of every kind."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.runtime.forecasting import classical, demand
from memfold.tasks.forecast.formulas import Formulas, History, smoothing_rate, tsb_of

LENGTHS = (97, 60, 41, 23, 8, 2, 1)


def rows(kind: str, seed: int, season: int) -> np.ndarray:
    """Series that end at the origin, of several lengths, NaN before they begin."""
    rng, steps = np.random.default_rng(seed), max(LENGTHS)
    time = np.arange(steps)
    wave = np.sin(2 * np.pi * time / season)
    noise = rng.normal(size=(len(LENGTHS), steps))
    values = {
        "positive": 50 + 10 * wave + noise,
        "both signs": 0.1 * time - 4 + 3 * wave + 0.2 * noise,
        "walk": 1e4 + noise.cumsum(1),
        "constant": np.full((len(LENGTHS), steps), 7.0),
        "zeros": np.zeros((len(LENGTHS), steps)),
        "demand": np.where(rng.random((len(LENGTHS), steps)) < 0.2, rng.integers(1, 9, (len(LENGTHS), steps)), 0.0),
    }[kind]
    values = np.array(values, np.float64)
    for row, length in enumerate(LENGTHS):
        values[row, : steps - length] = np.nan
    return values


@given(
    st.sampled_from(["positive", "both signs", "walk", "constant", "zeros", "demand"]),
    st.integers(0, 50),
    st.sampled_from([(1,), (4,), (7,), (12, 24)]),
)
@settings(max_examples=40, deadline=None)
@torch.no_grad()
def test_they_are_those_of_numpy(kind: str, seed: int, seasons: tuple[int, ...]) -> None:
    values = rows(kind, seed, seasons[0])
    history = History.of(torch.from_numpy(values))
    expected = classical.classical_forecasts(values, 9, seasons)
    given = Formulas(9, seasons)(history)
    assert list(given) == list(expected)
    scale = max(1.0, np.nanmax(np.abs(values)))
    for name, forecast in expected.items():
        np.testing.assert_allclose(given[name], forecast, atol=1e-5 * scale, err_msg=name)
    np.testing.assert_allclose(tsb_of(history, 9, smoothing_rate()), demand.tsb(values, 9), atol=1e-5 * scale)
    np.testing.assert_allclose(history.unit(seasons[0]), classical.seasonal_unit(values, seasons[0]), rtol=1e-9)
    assert history.intermittent().tolist() == demand.intermittent(values).tolist()
    assert history.whole_counts().tolist() == demand.whole_counts(values).tolist()


@pytest.mark.parametrize("season", [1, 5])
def test_one_value_is_enough(season: int) -> None:
    history = History.of(torch.tensor([[float("nan"), 3.0]], dtype=torch.float64))
    assert all(forecast.isfinite().all() for forecast in Formulas(2, (season,))(history).values())
