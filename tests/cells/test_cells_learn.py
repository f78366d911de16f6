"""The learner's cells: their equations, their shapes and their gradients."""

from functools import partial

import numpy as np
import pytest

from conformance.finite_difference import finite_difference
from memfold import cells
from memfold.cells import Bidirectional, GRUCell, LSTMCell, PeepholeLSTMCell, RNNCell

KINDS = {
    "LSTMCell": LSTMCell,
    "PeepholeLSTMCell": PeepholeLSTMCell,
    "GRUCell": GRUCell,
    "GRUCell reset before": partial(GRUCell, reset_after=False),
    "RNNCell": RNNCell,
}


def states(cell):
    return 2 if isinstance(cell, LSTMCell) else 1


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


def shaken(cell, rng):
    """The cell with no weight left at a round value."""
    for parameter in cell.parameters().values():
        parameter += rng.normal(scale=0.3, size=parameter.shape)
    return cell


def s(x):
    return 1 / (1 + np.exp(-x))


def test_the_lstm_cell_computes_the_textbook_equations():
    rng = np.random.default_rng(10)
    cell = shaken(LSTMCell(3, 4), rng)
    x, h_prev, c_prev = rng.normal(size=(5, 3)), rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    h, c = cell.forward(x, h_prev, c_prev)

    joined = np.concatenate([x, h_prev], axis=1)
    i, f, o = (s(joined @ W + b) for W, b in [(cell.W_i, cell.b_i), (cell.W_f, cell.b_f), (cell.W_o, cell.b_o)])
    new_c = f * c_prev + i * np.tanh(joined @ cell.W_c + cell.b_c)
    np.testing.assert_allclose(c, new_c, atol=1e-15)
    np.testing.assert_allclose(h, o * np.tanh(new_c), atol=1e-15)


def test_the_peephole_cell_shows_the_old_cell_to_i_and_f_and_the_new_one_to_o():
    rng = np.random.default_rng(11)
    cell = shaken(PeepholeLSTMCell(3, 4), rng)
    x, h_prev, c_prev = rng.normal(size=3), rng.normal(size=4), rng.normal(size=4)
    h, c = cell.forward(x, h_prev, c_prev)

    joined = np.concatenate([x, h_prev])
    i = s(joined @ cell.W_i + cell.b_i + cell.p_i * c_prev)
    f = s(joined @ cell.W_f + cell.b_f + cell.p_f * c_prev)
    new_c = f * c_prev + i * np.tanh(joined @ cell.W_c + cell.b_c)
    o = s(joined @ cell.W_o + cell.b_o + cell.p_o * new_c)
    np.testing.assert_allclose(c[None], new_c, atol=1e-15)
    np.testing.assert_allclose(h[None], o * np.tanh(new_c), atol=1e-15)


@pytest.mark.parametrize("reset_after", [True, False])
def test_the_gru_cell_computes_the_textbook_equations(reset_after):
    rng = np.random.default_rng(12)
    cell = shaken(GRUCell(3, 4, reset_after=reset_after), rng)
    x, h = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
    joined = np.concatenate([x, h], axis=1)
    r, z = s(joined @ cell.W_r + cell.b_r), s(joined @ cell.W_z + cell.b_z)
    recurrent = r * (h @ cell.W_n[3:]) if reset_after else (r * h) @ cell.W_n[3:]
    n = np.tanh(x @ cell.W_n[:3] + recurrent + cell.b_n)
    np.testing.assert_allclose(cell.forward(x, h), (1 - z) * n + z * h, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_results_keep_the_rank_of_x(kind):
    rng = np.random.default_rng(13)
    cell = KINDS[kind](3, 4)
    x, state = rng.normal(size=(5, 3)), [rng.normal(size=(5, 4)) for _ in range(states(cell))]
    batched = as_tuple(cell.forward(x, *state))
    for row in range(5):
        alone = as_tuple(cell.forward(x[row], *(h[row] for h in state)))
        assert [a.shape for a in alone] == [(4,)] * len(state)
        for a, b in zip(alone, batched, strict=True):
            np.testing.assert_allclose(a, b[row], atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_one_state_serves_every_row(kind):
    cell = KINDS[kind](3, 4)
    x = np.ones((5, 3))
    results = [as_tuple(cell.forward(x, *[np.zeros(shape)] * states(cell)))[0] for shape in [(4,), (1, 4), (5, 4)]]
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_weights_and_another_seed_others(kind):
    first, same, other = (KINDS[kind](3, 4, seed=seed).parameters() for seed in (1, 1, 2))
    for name, weight in first.items():
        assert weight.shape == ((7, 4) if name.startswith("W") else (1, 4))
        assert (weight == same[name]).all()
        if name.startswith("W"):
            assert (weight != other[name]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_the_attributes_themselves(kind):
    cell = KINDS[kind](3, 4)
    for name, parameter in cell.parameters().items():
        assert parameter is getattr(cell, name)


@pytest.mark.parametrize("shape", [(3,), (5, 3)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_backward_equals_finite_differences(kind, shape):
    rng = np.random.default_rng(14)
    cell = shaken(KINDS[kind](3, 4), rng)
    x, state = rng.normal(size=shape), [rng.normal(size=(*shape[:-1], 4)) for _ in range(states(cell))]
    d_new = [rng.normal(size=h.shape) for h in state]

    def loss():
        return sum((new * d).sum() for new, d in zip(as_tuple(cell.forward(x, *state)), d_new, strict=True))

    *by_input, by_name = cell.backward(x, *state, *d_new)
    assert by_name.keys() == cell.parameters().keys()
    pairs = [*zip(by_input, [x, *state], strict=True), *((by_name[k], p) for k, p in cell.parameters().items())]
    for analytic, array in pairs:
        np.testing.assert_allclose(analytic, finite_difference(loss, array), rtol=1e-6, atol=1e-8)


def test_stepping_back_through_time_gives_the_gradients_of_the_fold():
    rng = np.random.default_rng(15)
    cell = LSTMCell(3, 4)
    x, dy = rng.normal(size=(6, 2, 3)), rng.normal(size=(6, 2, 4))
    before, h, c = [], np.zeros((2, 4)), np.zeros((2, 4))
    for x_t in x:
        before.append((h, c))
        h, c = cell.forward(x_t, h, c)
    total = {name: np.zeros_like(w) for name, w in cell.parameters().items()}
    dh, dc = np.zeros((2, 4)), np.zeros((2, 4))
    for t in reversed(range(6)):
        _, dh, dc, by_name = cell.backward(x[t], *before[t], dh + dy[t], dc)
        for name, gradient in by_name.items():
            total[name] += gradient

    folded = cells.fold_backward(cell.cell, x, cell.weights(), dy)
    for name, gradient in cell.gradients(folded.weights).items():
        np.testing.assert_allclose(total[name], gradient, atol=1e-13)


def test_bidirectional_reads_the_sequence_from_both_ends():
    rng = np.random.default_rng(16)
    ahead, back = GRUCell(3, 4, seed=0), LSTMCell(3, 5, seed=1)
    x = rng.normal(size=(6, 3))
    y = Bidirectional(ahead, back).forward(x)
    h, c, e = np.zeros(4), np.zeros(5), np.zeros(5)
    for t in range(6):
        h = ahead.forward(x[t], h)
        np.testing.assert_allclose(y[t, :4], h, atol=1e-15)
        e, c = back.forward(x[5 - t], e, c)
        np.testing.assert_allclose(y[5 - t, 4:], e, atol=1e-15)


@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 3)], ids=str)
def test_bidirectional_backward_equals_finite_differences(shape):
    rng = np.random.default_rng(17)
    both = Bidirectional(GRUCell(3, 4), PeepholeLSTMCell(3, 2))
    x, dy = rng.normal(size=shape), rng.normal(size=(*shape[:-1], 6))

    def loss():
        return (both.forward(x) * dy).sum()

    dx, ahead, back = both.backward(x, dy)
    pairs = [(dx, x)]
    for cell, by_name in [(both.forward_cell, ahead), (both.reverse_cell, back)]:
        pairs += [(by_name[name], parameter) for name, parameter in cell.parameters().items()]
    for analytic, array in pairs:
        np.testing.assert_allclose(analytic, finite_difference(loss, array), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shape_that_does_not_fit_is_named(kind):
    cell = KINDS[kind](3, 4)
    with pytest.raises(ValueError, match=r"x must be \(3,\) or \(B, 3\), got shape \(5, 2\)"):
        cell.forward(np.zeros((5, 2)), *[np.zeros(4)] * states(cell))
    with pytest.raises(ValueError, match=r"a state must be \(4,\) or \(5, 4\), got \(2, 4\)"):
        cell.forward(np.zeros((5, 3)), *[np.zeros((2, 4))] * states(cell))
