"""Products of bfloat16 numbers: which are multiplied, in what order they are added, and what stays in float32."""

import hashlib

import numpy as np
import pytest
from calls import CELLS, Array, random_call

from instruction_sets import digests
from memfold import cells, engine


def rounded(values: Array) -> Array:
    """The nearest numbers of 8 significant bits, ties to even, in float32."""
    mantissa, exponent = np.frexp(np.asarray(values, np.float32))
    return np.ldexp(np.round(mantissa * 256), exponent - 8).astype(np.float32)


def added_products(sums: Array, x: Array, weight: Array) -> Array:
    """Sums (B, H) in float32, to which products over the inner index are added: of each pair of indices the odd one
    first, each addition rounded once."""
    inner = x.shape[1] + x.shape[1] % 2
    x, weight = (np.pad(rounded(a).astype(np.float64), ((0, 0), (0, inner - a.shape[1]))) for a in (x, weight))
    for pair in range(0, inner, 2):
        for k in (pair + 1, pair):
            sums = (sums + x[:, k, None] * weight[:, k]).astype(np.float32)
    return sums


def added_blocks(sums: Array, x: Array, weight: Array) -> Array:
    """The same by matrix registers: of 32 inner indices the even ones' products are added up by themselves, and the
    odd ones', then one to the other, then both to the sum, each addition rounded once."""
    x, weight = (rounded(a).astype(np.float64) for a in (x, weight))
    for block in range(0, x.shape[1], 32):
        parts = []
        for first in (block, block + 1):
            part = np.zeros_like(sums)
            for k in range(first, min(block + 32, x.shape[1]), 2):
                part = (part + x[:, k, None] * weight[:, k]).astype(np.float32)
            parts.append(part)
        sums = sums + (parts[0] + parts[1])
    return sums


@pytest.mark.parametrize(("input_size", "hidden"), [(1, 1), (3, 17), (16, 32), (33, 65)])
@pytest.mark.parametrize("batch", [1, 7, 20])
def test_the_bits_are_those_of_the_definition(input_size: int, hidden: int, batch: int) -> None:
    """Of a relu, which shows its pre-activation, over steps that each round the last one's output. BFDOT rounds
    otherwise, and is only close."""
    added = added_blocks if engine.isa() == "v4-amx" else added_products
    away = 1e-5 if engine.isa() == "neon-bf16" else 0
    call = random_call(np.random.default_rng(0), "rnn_relu", 6, batch, input_size, hidden)
    x, weights = call.x.astype(np.float32), {name: w.astype(np.float32) for name, w in call.weights.items()}
    h = call.state[0].astype(np.float32)
    y, (last,) = engine.fold("rnn_relu", x, weights, [h], precision="bfloat16")
    for step in range(len(x)):
        bias = np.broadcast_to(weights["bias_ih"] + weights["bias_hh"], h.shape)
        sums = added(bias, x[step], weights["weight_ih"])
        h = np.maximum(added(sums, h, weights["weight_hh"]), 0)
        np.testing.assert_allclose(y[step], h, rtol=away, atol=away)
        h = y[step]
    np.testing.assert_array_equal(last, h)


@pytest.mark.parametrize("cell", sorted(set(CELLS) - {"gru_reset_before"}))
def test_a_step_is_the_specifications_on_rounded_numbers(cell: str) -> None:
    """The hidden product sees h rounded; what blends h into the new one sees all of it."""
    call = random_call(np.random.default_rng(1), cell, 1, 9, 40, 33, peephole=True)
    x, state = call.x.astype(np.float32), [s.astype(np.float32) for s in call.state]
    weights = {name: rounded(w).astype(np.float64) if w.ndim == 2 else w for name, w in call.weights.items()}
    y, final = engine.fold(cell, x, call.weights, state, precision="bfloat16")
    seen = [rounded(state[0]), *state[1:]]
    values = cells.trace(cell, rounded(x).astype(np.float64), weights, [s.astype(np.float64) for s in seen])
    expected = values["h"][0]
    if cell == "gru":
        expected = values["z"][0] * state[0] + (1 - values["z"][0]) * values["n"][0]
    np.testing.assert_allclose(y[0], expected, atol=2e-6)
    for name, part in zip(CELLS[cell].state[1:], final[1:], strict=True):
        np.testing.assert_allclose(part, values[name][0], atol=2e-6)


def test_a_second_product_rounds_what_it_multiplies() -> None:
    call = random_call(np.random.default_rng(2), "gru_reset_before", 1, 9, 40, 33)
    x, h = call.x.astype(np.float32), call.state[0].astype(np.float32)
    y, _ = engine.fold("gru_reset_before", x, call.weights, [h], precision="bfloat16")
    w, r = (rounded(call.weights[name]).astype(np.float64).reshape(3, 33, -1) for name in ("weight_ih", "weight_hh"))
    bias = (call.weights["bias_ih"] + call.weights["bias_hh"]).reshape(3, 33)
    by_input = [rounded(x[0]).astype(np.float64) @ w[gate].T + bias[gate] for gate in range(3)]
    reset, update = (1 / (1 + np.exp(-(by_input[gate] + rounded(h) @ r[gate].T))) for gate in range(2))
    new = np.tanh(by_input[2] + rounded(reset * h) @ r[2].T)
    np.testing.assert_allclose(y[0], update * h + (1 - update) * new, atol=1e-4)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_a_fold_is_close_to_that_in_float32(cell: str) -> None:
    call = random_call(
        np.random.default_rng(3), cell, 30, 9, 40, 65, peephole=True, bidirectional=True, lengths=True, resets=True
    )
    x = call.x.astype(np.float32)
    y, _ = engine.fold(cell, x, call.weights, call.state, precision="bfloat16", **call.options)
    exact, _ = engine.fold(cell, x, call.weights, call.state, precision="float32", **call.options)
    assert 0 < np.abs(y - exact).max() < 0.05


def test_numbers_at_the_ends_of_the_range() -> None:
    """Infinities and NaN pass; half a unit in the last place goes to the even neighbour; what is below the smallest
    normal number is 0."""
    weights = {"weight_ih": np.ones((1, 1)), "weight_hh": np.zeros((1, 1))}
    values = [np.inf, np.nan, 3.4e38, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, 1e-39]
    x = np.array(values, np.float32).reshape(1, -1, 1)
    y, _ = engine.fold("rnn_relu", x, weights, precision="bfloat16")
    expected = np.array([np.inf, np.nan, np.inf, 1, 1 + 2**-6, 1 + 2**-7, 0], np.float32)
    np.testing.assert_array_equal(y[0, :, 0], expected)


def test_no_steps_and_no_rows() -> None:
    weights = {"weight_ih": np.ones((4, 2)), "weight_hh": np.ones((4, 1))}
    y, (h, _) = engine.fold("lstm", np.zeros((0, 3, 2), np.float32), weights, precision="bfloat16")
    assert y.shape == (0, 3, 1)
    assert not h.any()
    assert engine.fold("lstm", np.zeros((5, 0, 2), np.float32), weights, precision="bfloat16")[0].shape == (5, 0, 1)


def test_a_precision_that_does_not_fit_is_refused() -> None:
    weights, x = {"weight_ih": np.ones((4, 2)), "weight_hh": np.ones((4, 1))}, np.zeros((1, 1, 2), np.float32)
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, float64, got 'half'"):
        engine.fold("lstm", x, weights, precision="half")
    with pytest.raises(TypeError, match="precision='bfloat16' takes x in float32, got float64"):
        engine.fold("lstm", x.astype(np.float64), weights, precision="bfloat16")
    with pytest.raises(TypeError, match="precision='float64' takes x in float64, got float32"):
        engine.fold("lstm", x, weights, precision="float64")
    with pytest.raises(ValueError, match="the weights are packed for products in bfloat16"):
        engine.fold("lstm", x, engine.pack("lstm", weights, bfloat16=True), precision="float32")
    with pytest.raises(ValueError, match="the weights are packed for products in float32"):
        engine.fold("lstm", x, engine.pack("lstm", weights), precision="bfloat16")


def digest() -> str:
    """Of folds of every cell in bfloat16."""
    result = hashlib.sha256()
    for cell in sorted(CELLS):
        for batch, hidden in ((1, 130), (7, 33), (30, 64)):
            call = random_call(np.random.default_rng(4), cell, 9, batch, 21, hidden, peephole=True, lengths=True)
            x = call.x.astype(np.float32)
            y, state = engine.fold(cell, x, call.weights, call.state, precision="bfloat16", **call.options)
            for array in (y, *state):
                result.update(array.tobytes())
    return result.hexdigest()


@pytest.mark.slow
def test_instruction_sets_have_the_same_bits() -> None:
    """The instruction of v4-bf16 and the others' unpacking."""
    by_isa = digests("test_bfloat16")
    assert len(set(by_isa.values())) == 1, by_isa
