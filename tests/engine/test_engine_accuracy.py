"""The activations over a dense sweep: within 2e-7 of the exact values, exact at the infinities."""

import numpy as np
import pytest

from memfold import engine


def activations(x: np.ndarray, width: int = 1) -> dict[str, np.ndarray]:
    """tanh and sigmoid of x as the engine computes them: an RNN's output, and an LSTM's input gate, of layers of so
    many units, each of which takes one number."""
    of_one = np.eye(width, dtype=x.dtype)
    rows = {"weight_ih": np.tile(of_one, (4, 1)), "weight_hh": np.zeros((4 * width, width), x.dtype)}
    one = {name: w[:width] for name, w in rows.items()}
    sequence = x.reshape(1, -1, width)
    return {
        "tanh": engine.fold("rnn_tanh", sequence, one)[0].ravel(),
        "sigmoid": engine.trace("lstm", sequence, rows)["i"].ravel(),
    }


@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 2e-7), (np.float64, 5e-16)])
def test_activations_are_right_to_the_last_digits(dtype: type, limit: float) -> None:
    small = np.geomspace(1e-37, 1, 200_000)
    x = np.concatenate([np.linspace(-90, 90, 900_000), np.linspace(-2, 2, 200_000), small, -small]).astype(dtype)
    wide = x.astype(np.longdouble)
    exact = {"tanh": np.tanh(wide), "sigmoid": 1 / (1 + np.exp(-wide))}
    smallest = np.finfo(dtype).tiny
    for name, values in activations(x, width=16).items():
        difference = np.abs(values - exact[name])
        normal = np.abs(exact[name]) >= smallest
        assert (difference[normal] / np.abs(exact[name][normal])).max() <= limit, name
        assert (difference[~normal] <= smallest).all(), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_limits_are_exact_and_nan_passes(dtype: type) -> None:
    values = activations(np.array([-np.inf, np.inf, 0, np.nan], dtype))
    np.testing.assert_array_equal(values["tanh"], np.array([-1, 1, 0, np.nan], dtype))
    np.testing.assert_array_equal(values["sigmoid"], np.array([0, 1, 0.5, np.nan], dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_number_near_the_ends_of_the_exponential_becomes_nan(dtype: type) -> None:
    ends = np.log(np.array([np.finfo(dtype).max, np.finfo(dtype).tiny], np.longdouble)).astype(dtype)
    kind = np.int32 if dtype is np.float32 else np.int64
    around = (ends.view(kind)[:, None] + np.arange(-1000, 1001)).astype(kind).view(dtype).ravel()
    for x in (around, -around):
        values = activations(x)
        assert all(np.isfinite(own).all() for own in values.values())
        exact = 1 / (1 + np.exp(-x.astype(np.longdouble)))
        assert np.abs(values["sigmoid"] - exact).max() <= np.finfo(dtype).eps
