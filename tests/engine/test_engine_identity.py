"""A row's result is the same bits whatever is computed beside it."""

import numpy as np
import pytest
from calls import CELLS, random_call

from memfold import engine

SIZES = [(1, 1), (5, 33), (64, 64), (3, 130)]
PRECISIONS = {"float32": np.float32, "bfloat16": np.float32, "float64": np.float64}  # of products: the type of x


@pytest.fixture(autouse=True)
def _threads_as_they_were():
    before = engine.get_num_threads()
    yield
    engine.set_num_threads(before)


@pytest.mark.parametrize(("input_size", "hidden"), SIZES)
@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_batch_does_not_change_a_row(cell: str, input_size: int, hidden: int, precision: str) -> None:
    call = random_call(np.random.default_rng(0), cell, 7, 29, input_size, hidden, peephole=True)
    dtype = PRECISIONS[precision]
    x, state = call.x.astype(dtype), [s.astype(dtype) for s in call.state]
    together, final = engine.fold(cell, x, call.weights, state, precision=precision)
    for some in (slice(0, 1), slice(3, 5), slice(4, 11), slice(0, 28)):
        y, own = engine.fold(cell, x[:, some], call.weights, [s[some] for s in state], precision=precision)
        np.testing.assert_array_equal(y, together[:, some])
        np.testing.assert_array_equal(own[0], final[0][some])


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("batch", [1, 2, 5, 16, 29])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_number_of_threads_changes_nothing(cell: str, batch: int, precision: str) -> None:
    call = random_call(np.random.default_rng(1), cell, 9, batch, 40, 130, bidirectional=True, lengths=True, resets=True)
    one_way = random_call(np.random.default_rng(1), cell, 9, batch, 40, 130, resets=True)
    for c in (call, one_way):
        results = []
        for threads in (1, 2, 3, 4, 7):
            engine.set_num_threads(threads)
            x = c.x.astype(np.float32)
            results.append(engine.fold(c.cell, x, c.weights, c.state, precision=precision, **c.options))
        for y, state in results[1:]:
            np.testing.assert_array_equal(y, results[0][0])
            for ours, first in zip(state, results[0][1], strict=True):
                np.testing.assert_array_equal(ours, first)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("bfloat16", [False, True])
def test_padding_does_not_change_a_row(cell: str, bfloat16: bool) -> None:
    call = random_call(np.random.default_rng(2), cell, 11, 8, 6, 20, lengths=True)
    x, packed = call.x.astype(np.float32), engine.pack(cell, call.weights, bfloat16=bfloat16)
    together, final = engine.fold(cell, x, packed, call.state, **call.options)
    for row, length in enumerate(call.options["lengths"]):
        y, own = engine.fold(cell, x[:length, row : row + 1], packed, [s[row : row + 1] for s in call.state])
        np.testing.assert_array_equal(together[:length, row], y[:, 0])
        np.testing.assert_array_equal(final[0][row], own[0][0])
        assert (together[length:, row] == 0).all()


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_sequence_in_pieces_is_the_whole_sequence(cell: str, bfloat16: bool) -> None:
    call = random_call(np.random.default_rng(3), cell, 12, 3, 10, 37, clip=1.0, zoneout=0.1)
    x, packed = call.x.astype(np.float32), engine.pack(cell, call.weights, bfloat16=bfloat16)
    whole, final = engine.fold(cell, x, packed, call.state, **call.options)
    state = call.state
    for start, end in [(0, 1), (1, 2), (2, 7), (7, 12)]:
        y, state = engine.fold(cell, x[start:end], packed, state, **call.options)
        np.testing.assert_array_equal(y, whole[start:end])
    for ours, theirs in zip(state, final, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_keeping_the_gates_changes_nothing() -> None:
    for cell in CELLS:
        call = random_call(np.random.default_rng(4), cell, 8, 9, 10, 37)
        x = call.x.astype(np.float32)
        y, _ = engine.fold(cell, x, call.weights, call.state)
        np.testing.assert_array_equal(engine.trace(cell, x, call.weights, call.state)["h"], y)
