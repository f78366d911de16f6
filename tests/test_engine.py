from typing import Any

import numpy as np
import pytest

from memfold import cells
from memfold.engine import fold, trace
from memfold.stream import Layer, Stream


def weights(rng: np.random.Generator, inputs: int, hidden: int, dtype: type) -> dict[str, np.ndarray]:
    shapes = {"weight_ih": (4 * hidden, inputs), "weight_hh": (4 * hidden, hidden)}
    shapes |= {"bias_ih": (4 * hidden,), "bias_hh": (4 * hidden,)}
    return {name: rng.normal(scale=0.5, size=shape).astype(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-12)])
@pytest.mark.parametrize(
    ("time", "batch", "inputs", "hidden"), [(1, 1, 1, 1), (7, 3, 5, 4), (50, 2, 16, 33), (0, 2, 3, 4)]
)
def test_the_engine_is_the_specification(
    dtype: type, tolerance: float, time: int, batch: int, inputs: int, hidden: int
) -> None:
    rng = np.random.default_rng(0)
    w = weights(rng, inputs, hidden, dtype)
    x = rng.normal(size=(time, batch, inputs)).astype(dtype)
    state = tuple(rng.normal(size=(batch, hidden)).astype(dtype) for _ in range(2))
    y, (h, c) = fold("lstm", x, w, state)
    expected, (expected_h, expected_c) = cells.fold("lstm", x, w, state)
    assert y.dtype == dtype
    for ours, theirs in ((y, expected), (h, expected_h), (c, expected_c)):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


def test_the_state_given_is_left_alone_and_can_be_carried() -> None:
    rng = np.random.default_rng(0)
    w = weights(rng, 3, 4, np.float64)
    x = rng.normal(size=(6, 2, 3))
    whole, final = fold("lstm", x, w)
    first, state = fold("lstm", x[:2], w)
    kept = [part.copy() for part in state]
    second, end = fold("lstm", x[2:], w, state)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal(end, final)
    np.testing.assert_array_equal(state, kept)


def test_what_does_not_fit_is_refused_with_its_shape() -> None:
    w = weights(np.random.default_rng(0), 3, 4, np.float64)
    with pytest.raises(ValueError, match=r"x must be \(T, B, I\), got shape \(2, 3\)"):
        fold("lstm", np.zeros((2, 3)), w)
    with pytest.raises(ValueError, match=r"x must have 3 features, got shape \(2, 3, 5\)"):
        fold("lstm", np.zeros((2, 3, 5)), w)
    with pytest.raises(ValueError, match=r"h must be \(3, 4\), got shape \(1, 4\)"):
        fold("lstm", np.zeros((2, 3, 3)), w, (np.zeros((1, 4)), np.zeros((1, 4))))
    with pytest.raises(ValueError, match="weights lack weight_hh"):
        fold("lstm", np.zeros((2, 3, 3)), {"weight_ih": w["weight_ih"]})
    with pytest.raises(ValueError, match=r"cell must be one of .*lstm.*, got 'lstn'"):
        fold("lstn", np.zeros((2, 3, 3)), w)
    with pytest.raises(TypeError, match="x must be float32 or float64, got int64"):
        fold("lstm", np.zeros((2, 3, 3), np.int64), w)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([np.zeros((4, 3)), np.zeros((4, 1))], TypeError, "weights must be a mapping such as .* got a list"),
        (None, TypeError, "weights must be a mapping such as .* got a NoneType"),
        ({0: np.zeros((4, 3)), 1: np.zeros((4, 1))}, TypeError, "a weight's name must be text such as .* got 0"),
        (
            {"weight_ih": np.zeros((4, 3)), "weight_hh": 1.0},
            ValueError,
            r"weight_hh must have two axes, got shape \(\)",
        ),
        ({"weight_ih": np.zeros(3), "weight_hh": np.zeros((4, 1))}, ValueError, r"weight_ih must .* shape \(3,\)"),
    ],
    ids=["list", "none", "numbers for names", "scalar", "one axis"],
)
def test_weights_that_are_not_arrays_by_name_are_refused_in_one_sentence(
    given: Any, error: type[Exception], message: str
) -> None:
    x = np.zeros((2, 1, 3))
    for fold_of in (fold, trace, cells.fold, cells.trace, cells.bidirectional):
        with pytest.raises(error, match=message) as caught:
            fold_of("lstm", x, given)
        assert "\n" not in str(caught.value)
    with pytest.raises(error, match=message):
        Stream([Layer("lstm", given)])


def test_a_head_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(TypeError, match=r"weights must be a mapping such as .* got a ndarray"):
        Stream([Layer("lstm", weights(np.random.default_rng(0), 3, 4, np.float32))], np.ones((2, 4)))  # type: ignore[arg-type]
