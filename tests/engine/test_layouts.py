"""Arrays of every layout: what a call is given by its strides means what it means to NumPy, or is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from calls import CELLS, random_call

from memfold import cells, engine
from memfold.stream import Layer, Stream

Array = np.ndarray[Any, Any]


def fortran(array: Array) -> Array:
    return np.asfortranarray(array)


def every_other(array: Array) -> Array:
    """A view of an array twice as long in every axis."""
    whole = np.zeros([2 * n for n in array.shape], array.dtype)
    view = whole[(slice(None, None, 2),) * array.ndim]
    view[...] = array
    return view


def backwards(array: Array) -> Array:
    """A view with a negative stride along every axis."""
    turned = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[turned])[turned]


LAYOUTS = [fortran, every_other, backwards]
Layout = Callable[[Array], Array]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_fold_takes_arrays_of_any_layout(layout: Layout, cell: str, bidirectional: bool) -> None:
    rng = np.random.default_rng(0)
    call = random_call(
        rng, cell, 6, 4, 3, 5, peephole="lstm" in cell, bidirectional=bidirectional, lengths=True, resets=True
    )
    oracle = cells.bidirectional if bidirectional else cells.fold
    expected, expected_state = oracle(cell, call.x, call.weights, call.state, **call.options)
    y, state = engine.fold(
        cell,
        layout(call.x),
        {name: layout(weight) for name, weight in call.weights.items()},
        [layout(part) for part in call.state],
        **{name: layout(array) for name, array in call.options.items()},
    )
    for ours, theirs in [(y, expected), *zip(state, expected_state, strict=True)]:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_trace_takes_a_state_of_any_layout(layout: Layout) -> None:
    call = random_call(np.random.default_rng(1), "lstm", 6, 4, 3, 5)
    expected = cells.trace("lstm", call.x, call.weights, call.state)
    actual = engine.trace("lstm", call.x, call.weights, [layout(part) for part in call.state])
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=0, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_stream_takes_arrays_of_any_layout(layout: Layout) -> None:
    rng = np.random.default_rng(2)
    call = random_call(rng, "lstm", 1, 3, 4, 5)
    head = {"weight": rng.standard_normal((2, 5)), "bias": rng.standard_normal(2)}
    plain = Stream([Layer("lstm", call.weights)], head, streams=3, dtype=np.float64)
    other = Stream(
        [Layer("lstm", {name: layout(weight) for name, weight in call.weights.items()})],
        {name: layout(weight) for name, weight in head.items()},
        streams=3,
        dtype=np.float64,
    )
    plain.state = [call.state]
    other.state = [[layout(part) for part in call.state]]
    np.testing.assert_array_equal(other.state[0], plain.state[0])
    np.testing.assert_array_equal(other.step(layout(call.x[0])), plain.step(call.x[0]))
