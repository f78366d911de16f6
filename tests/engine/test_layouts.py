"""Arrays of every layout: what a call is given by its strides means what it means to NumPy, or is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from calls import CELLS, Call, random_call

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


def packed_field(array: Array) -> Array:
    """A field of records of no padding: its strides are no multiple of its items' size."""
    records = np.zeros(array.shape[:-1], np.dtype([("flag", "u1"), ("values", array.dtype, array.shape[-1:])]))
    records["values"] = array
    return records["values"]  # type: ignore[no-any-return]


def off_its_boundary(array: Array) -> Array:
    """The same items in the same order, a byte past the boundary of their type."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


LAYOUTS = [fortran, every_other, backwards, packed_field, off_its_boundary]
Layout = Callable[[Array], Array]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_fold_takes_arrays_of_any_layout(layout: Layout, cell: str, bidirectional: bool) -> None:
    rng = np.random.default_rng(0)
    call = random_call(rng, cell, 6, 4, 3, 5, peephole=True, bidirectional=bidirectional, lengths=True, resets=True)
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


def written_into(memory: Array, view: Callable[[Array], Array]) -> tuple[Call, Array, Array]:
    """A call, its y by the specification, and where in the memory its ``out`` is."""
    call = random_call(np.random.default_rng(3), "gru", 6, 4, 3, 5)
    return call, cells.fold("gru", call.x, call.weights, call.state)[0], view(memory)


@pytest.mark.parametrize(
    "view",
    [
        lambda memory: memory[:120].reshape(6, 4, 5)[::-1],
        lambda memory: memory[:120].reshape(6, 4, 5)[:, ::-1],
        lambda memory: memory[:120].reshape(4, 6, 5).swapaxes(0, 1),
        lambda memory: memory[:240].reshape(12, 4, 5)[1::2],
        lambda memory: memory.reshape(6, 5, 16)[:, :4, 3:8],
    ],
    ids=["later steps first", "last row first", "batch first", "every other step", "within wider rows"],
)
def test_a_fold_writes_to_all_of_out_and_to_nothing_else(view: Callable[[Array], Array]) -> None:
    memory, mark = np.full(480, np.pi), np.zeros(480, bool)
    call, expected, out = written_into(memory, view)
    y, _ = engine.fold("gru", call.x, call.weights, call.state, out=out)
    assert y is out
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-14)
    view(mark)[...] = True
    assert (memory[~mark] == np.pi).all()


def strided(memory: Array, *strides: int) -> Array:
    """An out in the middle of the memory, its strides counted in bytes."""
    return np.lib.stride_tricks.as_strided(memory[240:], (6, 4, 5), strides)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (lambda memory: strided(memory, -163, 40, 8), r"aligned to its items of 8 bytes, got strides \(-163, 40, 8\)"),
        (lambda memory: strided(memory, 160, 41, 8), r"got strides \(160, 41, 8\)"),
        (lambda memory: strided(memory, 320, 80, 16), r"contiguous in its last axis .* got strides \(320, 80, 16\)"),
        (lambda memory: strided(memory, 320, 80, -8), r"got strides \(320, 80, -8\)"),
        (
            lambda memory: strided(memory, 0, 40, 8),
            r"not overlap itself, got shape \(6, 4, 5\) with strides \(0, 40, 8\)",
        ),
        (lambda memory: strided(memory, 160, 32, 8), r"not overlap itself.* strides \(160, 32, 8\)"),
        (lambda memory: strided(memory, -40, 40, 8), r"not overlap itself.* strides \(-40, 40, 8\)"),
        (lambda memory: off_its_boundary(memory[:120].reshape(6, 4, 5)), "aligned to its items"),
        (lambda memory: np.broadcast_to(memory[:5], (6, 4, 5)), r"read-only array with strides \(0, 0, 8\)"),
        (lambda memory: memory[:100].reshape(5, 4, 5), r"out must be \(6, 4, 5\) in float64, got \(5, 4, 5\)"),
        (lambda memory: memory[:120].reshape(6, 4, 5).view(">f8"), "in float64, got .* in >f8"),
    ],
)
def test_an_out_that_the_engine_cannot_follow_is_refused_untouched(out: Callable[[Array], Array], message: str) -> None:
    memory = np.full(480, np.pi)
    call, _, place = written_into(memory, out)
    with pytest.raises(ValueError, match=message):
        engine.fold("gru", call.x, call.weights, call.state, out=place)
    assert (memory == np.pi).all()


def test_an_out_that_is_no_array_is_refused() -> None:
    call = random_call(np.random.default_rng(4), "gru", 2, 1, 3, 2)
    with pytest.raises(TypeError, match=r"out must be a NumPy array, \(2, 1, 2\) in float64, got a list"):
        engine.fold("gru", call.x, call.weights, out=[[[0.0, 0.0]]] * 2)  # type: ignore[arg-type]
    stream = Stream([Layer("gru", call.weights)], dtype=np.float64)
    with pytest.raises(TypeError, match=r"out must be a NumPy array, \(1, 2\) in float64, got a list"):
        stream.step(call.x[0], out=[[0.0, 0.0]])  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_out_may_lie_on_what_the_fold_reads(cell: str) -> None:
    call = random_call(np.random.default_rng(5), cell, 300, 7, 40, 40)
    expected, _ = engine.fold(cell, call.x, call.weights, call.state)
    engine.fold(cell, call.x, call.weights, call.state, out=call.x)
    np.testing.assert_array_equal(call.x, expected)


@pytest.mark.parametrize("streams", [1, 7])
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_a_step_may_take_what_the_step_before_gave(cell: str, streams: int) -> None:
    call = random_call(np.random.default_rng(7), cell, 1, streams, 130, 130)
    plain, own, view, into = (Stream([Layer(cell, call.weights)], streams=streams, dtype=np.float64) for _ in range(4))
    x = y = z = call.x[0]
    w = x.copy()
    for _ in range(3):
        x = plain.step(x).copy()
        y = own.step(y)
        np.testing.assert_array_equal(y, x)
        z = view.step(z)[:]
        np.testing.assert_array_equal(z, x)
        into.step(w, out=w)
        np.testing.assert_array_equal(w, x)
    if streams == 1:
        np.testing.assert_array_equal(own.step(y[0]), plain.step(x[0]))


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (lambda memory: np.lib.stride_tricks.as_strided(memory, (3, 5), (0, 8)), r"overlap itself.* \(0, 8\)"),
        (lambda memory: np.lib.stride_tricks.as_strided(memory, (3, 5), (41, 8)), r"got strides \(41, 8\)"),
        (lambda memory: np.broadcast_to(memory[:5], (3, 5)), "read-only"),
    ],
)
def test_a_step_refuses_an_out_that_it_cannot_follow(out: Callable[[Array], Array], message: str) -> None:
    call, memory = random_call(np.random.default_rng(6), "gru", 1, 3, 4, 5), np.full(60, np.pi)
    stream = Stream([Layer("gru", call.weights)], streams=3, dtype=np.float64)
    with pytest.raises(ValueError, match=message):
        stream.step(call.x[0], out=out(memory))
    assert (memory == np.pi).all()
