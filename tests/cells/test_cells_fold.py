"""What a fold over a sequence must keep, whatever the cell."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.layers import random_state, random_weights
from memfold import cells

VARIANTS = {
    "rnn_tanh": ("rnn_tanh", {}),
    "rnn_relu": ("rnn_relu", {}),
    "lstm": ("lstm", {}),
    "peephole lstm": ("lstm", {"peephole": True}),
    "coupled peephole lstm": ("coupled_lstm", {"peephole": True}),
    "projected lstm": ("lstm", {"proj_size": 2}),
    "layer-norm lstm": ("lstm", {"layer_norm": True}),
    "gru": ("gru", {}),
    "gru_reset_before": ("gru_reset_before", {}),
}


class Layer:
    """A random layer of a variant, a batch for it, and the fold with everything bound."""

    def __init__(self, variant, steps, batch, seed, **options):
        rng = np.random.default_rng(seed)
        self.cell, own = VARIANTS[variant]
        self.weights = random_weights(rng, self.cell, 2, 3, **own)
        self.x = rng.standard_normal((steps, batch, 2))
        self.state = random_state(rng, self.cell, (batch, own.get("proj_size", 3)), (batch, 3))
        self.lengths = rng.integers(0, steps + 1, batch)
        self.resets = rng.random((steps, batch)) < 0.3
        self.options = options

    def fold(self, x, state, **options):
        return cells.fold(self.cell, x, self.weights, state, **self.options, **options)


@st.composite
def layers(draw):
    options = {"clip": draw(st.sampled_from([None, 0.5])), "zoneout": draw(st.sampled_from([0.0, 0.2]))}
    options["reverse"] = draw(st.booleans())
    sizes = draw(st.integers(0, 6)), draw(st.integers(1, 4))
    return Layer(draw(st.sampled_from(list(VARIANTS))), *sizes, draw(st.integers(0, 2**32 - 1)), **options)


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


examples = settings(max_examples=100, deadline=None)


@examples
@given(layers())
def test_padding_does_not_change_a_row(layer):
    padded = layer.x.copy()
    for row, length in enumerate(layer.lengths):
        padded[length:, row] = np.nan
    y, final = layer.fold(padded, layer.state, lengths=layer.lengths, resets=layer.resets)
    for row, length in enumerate(layer.lengths):
        one = slice(row, row + 1)
        resets = layer.resets[:length, one]
        alone, alone_final = layer.fold(layer.x[:length, one], [s[one] for s in layer.state], resets=resets)
        assert_same([y[:length, one], *(s[one] for s in final)], [alone, *alone_final])
        assert (y[length:, row] == 0).all()


@examples
@given(layers())
def test_a_row_of_length_0_keeps_its_initial_state(layer):
    y, final = layer.fold(layer.x, layer.state, lengths=np.zeros(layer.x.shape[1], int), resets=layer.resets)
    assert (y == 0).all()
    assert all((a == b).all() for a, b in zip(final, layer.state, strict=True))


@examples
@given(layers(), st.data())
def test_a_split_sequence_ends_as_the_whole(layer, data):
    middle = data.draw(st.integers(0, len(layer.x)))
    pieces = [layer.x[:middle], layer.x[middle:]]
    if layer.options["reverse"]:
        pieces.reverse()
    outputs, state = [], layer.state
    for piece in pieces:
        y, state = layer.fold(piece, state)
        outputs.append(y)
    if layer.options["reverse"]:
        outputs.reverse()
    whole, final = layer.fold(layer.x, layer.state)
    assert_same([np.concatenate(outputs), *state], [whole, *final])


@examples
@given(layers())
def test_a_row_does_not_depend_on_its_batch(layer):
    y, final = layer.fold(layer.x, layer.state)
    for row in range(layer.x.shape[1]):
        one = slice(row, row + 1)
        alone, alone_final = layer.fold(layer.x[:, one], [s[one] for s in layer.state])
        assert_same([y[:, one], *(s[one] for s in final)], [alone, *alone_final])


@examples
@given(layers())
def test_a_reset_equals_cutting_the_sequence(layer):
    x, state, resets = layer.x[:, :1], [s[:1] for s in layer.state], layer.resets[:, :1]
    y, final = layer.fold(x, state, resets=resets)

    edges = [0, *np.flatnonzero(resets), len(x)]
    pieces = [slice(a, b) for a, b in itertools.pairwise(edges)]
    zero = [np.zeros_like(s) for s in state]
    outputs = np.zeros_like(y)
    order = reversed(pieces) if layer.options["reverse"] else pieces
    for k, piece in enumerate(order):
        if layer.options["reverse"] and k and piece.stop == 0:
            break  # a reset at 0 comes after the last step of the reverse direction and leaves its final state
        outputs[piece], state = layer.fold(x[piece], zero if k else state)
    assert_same([y, *final], [outputs, *state])


@examples
@given(layers())
def test_the_reverse_direction_is_the_forward_one_on_the_flipped_row(layer):
    layer.options["reverse"] = False
    y, final = layer.fold(layer.x[::-1], layer.state)
    layer.options["reverse"] = True
    reverse_y, reverse_final = layer.fold(layer.x, layer.state)
    assert_same([y[::-1], *final], [reverse_y, *reverse_final])


@examples
@given(layers())
def test_the_trace_ends_in_the_output_and_the_final_state(layer):
    values = cells.trace(layer.cell, layer.x, layer.weights, layer.state, **layer.options)
    y, final = layer.fold(layer.x, layer.state)
    assert (values["h"] == y).all()
    if len(layer.x):
        last = 0 if layer.options["reverse"] else -1
        assert all((values[name][last] == s).all() for name, s in zip("hc", final, strict=False))


@pytest.mark.parametrize("variant", VARIANTS)
def test_zoneout_is_the_mean_of_the_old_state_and_the_new(variant):
    layer = Layer(variant, steps=4, batch=2, seed=5)
    state = layer.state
    for x_t in layer.x:
        _, new = layer.fold(x_t[None], state)
        state = [p * old + (1 - p) * s for p, old, s in zip((0.3, 0.1), state, new, strict=False)]
    zoneout = (0.3, 0.1) if len(state) == 2 else 0.3
    _, final = layer.fold(layer.x, layer.state, zoneout=zoneout)
    assert_same(final, state)


@pytest.mark.parametrize("variant", VARIANTS)
def test_float32_stays_float32(variant):
    layer = Layer(variant, steps=3, batch=2, seed=6)
    x = layer.x.astype(np.float32)
    values = cells.trace(layer.cell, x, layer.weights, layer.state, clip=0.5, zoneout=0.1)
    y, final = layer.fold(x, None)
    dx, dstate, by_weight = cells.fold_backward(layer.cell, x, layer.weights, y)
    arrays = [*values.values(), y, *final, dx, *dstate, *by_weight.values()]
    assert {a.dtype for a in arrays} == {np.dtype(np.float32)}


@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - {"rnn_relu"}))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_inputs_neither_overflow_nor_warn(variant, dtype):
    layer = Layer(variant, steps=3, batch=2, seed=7)
    y, _ = layer.fold((layer.x * 1e4).astype(dtype), None)
    assert np.isfinite(y).all()


def test_sigmoid_is_accurate_in_both_tails():
    x = np.array([-800.0, -40.0, 0.0, 40.0, 800.0])
    with np.errstate(all="raise", under="ignore"):
        assert cells.sigmoid(x).tolist() == [0.0, 4.248354255291589e-18, 0.5, 1.0, 1.0]
    assert np.isnan(cells.sigmoid(np.array(np.nan)))


WEIGHTS = random_weights(np.random.default_rng(0), "lstm", 2, 3)
BAD_INPUT = {
    "cell must be one of rnn_tanh": (ValueError, {"cell": "lstn"}),
    "x must be float32 or float64, got int64": (TypeError, {"x": np.zeros((4, 2, 2), int)}),
    r"x must be \(T, B, I\), got shape \(4, 2\)": (ValueError, {"x": np.zeros((4, 2))}),
    r"weight_ih must be \(12, 3\), got shape \(12, 2\)": (ValueError, {"x": np.zeros((4, 2, 3))}),
    "weights lack weight_hh, weight_ih": (ValueError, {"weights": {}}),
    "weights lack ln_c, ln_hh": (ValueError, {"weights": WEIGHTS | {"ln_ih": np.ones(12)}}),
    "lstm has no weight 'weight_il'": (ValueError, {"weights": WEIGHTS | {"weight_il": np.ones(12)}}),
    r"the state must be \(h, c\), got 1 arrays": (ValueError, {"state": [np.zeros((2, 3))]}),
    r"c must be \(2, 3\), got shape \(1, 3\)": (ValueError, {"state": [np.zeros((2, 3)), np.zeros((1, 3))]}),
    r"lengths must be \(2,\), got shape \(1,\)": (ValueError, {"lengths": [4]}),
    "lengths must be from 0 to T = 4, got 5 in row 1": (ValueError, {"lengths": [4, 5]}),
    "lengths must be from 0 to T = 4, got -1 in row 0": (ValueError, {"lengths": [-1, 4]}),
    "lengths must be integers, got float64": (TypeError, {"lengths": [4.0, 4.0]}),
    r"resets must be \(4, 2\), got shape \(2, 4\)": (ValueError, {"resets": np.zeros((2, 4), bool)}),
    "resets must be bool, got float64": (TypeError, {"resets": np.zeros((4, 2))}),
    "clip must be above 0, got 0": (ValueError, {"clip": 0}),
    "zoneout must be from 0 to 1, got 1.5": (ValueError, {"zoneout": 1.5}),
}


@pytest.mark.parametrize("message", BAD_INPUT)
def test_bad_input_is_named(message):
    error, changed = BAD_INPUT[message]
    arguments = {"cell": "lstm", "x": np.zeros((4, 2, 2)), "weights": WEIGHTS} | changed
    with pytest.raises(error, match=message):
        cells.fold(**arguments)


def test_a_pair_of_zoneouts_needs_a_cell_with_two_states():
    weights = random_weights(np.random.default_rng(), "gru", 2, 3)
    with pytest.raises(ValueError, match=r"this cell's state is h$"):
        cells.fold("gru", np.zeros((1, 1, 2)), weights, zoneout=(0.1, 0.1))


def test_importing_the_cells_does_not_import_torch():
    code = "import sys, memfold.cells; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
