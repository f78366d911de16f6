"""memfold.cells against torch.nn and torch's autograd."""

import numpy as np
import pytest
import torch

from conformance import torch_layer
from conformance.layers import largest_difference, random_state, random_weights
from memfold import cells

CELLS = ["rnn_tanh", "rnn_relu", "lstm", "projected lstm", "gru"]
SIZES = [(1, 1, 1, 1), (5, 3, 4, 6), (12, 2, 7, 5)]  # T, B, I, H
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-6}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("given_state", [True, False], ids=["state", "zero state"])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("name", CELLS)
def test_fold_equals_torch_nn(name, directions, given_state, bias, sizes, dtype, record_difference):
    steps, batch, input_size, hidden_size = sizes
    rng = np.random.default_rng(steps)
    cell = name.removeprefix("projected ")
    proj_size = 0 if cell == name else hidden_size - 1
    weights = random_weights(
        rng, cell, input_size, hidden_size, bias=bias, proj_size=proj_size, bidirectional=directions == 2, dtype=dtype
    )
    x = rng.standard_normal((steps, batch, input_size)).astype(dtype)
    shapes = [(directions, batch, proj_size or hidden_size), (directions, batch, hidden_size)]
    state = random_state(rng, cell, *shapes) if given_state else None
    lengths = rng.integers(1, steps + 1, batch)

    layer = torch_layer.build(cell, weights)
    for own_lengths in (None, lengths):
        y, final = _fold(cell, x, weights, state, own_lengths, directions)
        torch_y, torch_final = torch_layer.run(layer, x, state, own_lengths)
        difference = largest_difference([y, *final], [torch_y, *torch_final])
        record_difference(f"torch {dtype.__name__}", name, difference)
        assert y.dtype == dtype
        assert difference <= TOLERANCE[dtype]


def _fold(cell, x, weights, state, lengths, directions):
    if directions == 2:
        return cells.bidirectional(cell, x, weights, state, lengths=lengths)
    y, final = cells.fold(cell, x, weights, state and [s[0] for s in state], lengths=lengths)
    return y, [s[None] for s in final]


def test_lengths_may_be_a_list_an_array_or_a_tensor():
    rng = np.random.default_rng(1)
    weights, x = random_weights(rng, "gru", 2, 3), rng.standard_normal((5, 3, 2))
    results = [
        cells.fold("gru", x, weights, lengths=lengths)[0]
        for lengths in ([5, 0, 2], np.array([5, 0, 2], np.uint8), torch.tensor([5, 0, 2]))
    ]
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()


@pytest.mark.parametrize("name", CELLS)
def test_fold_backward_equals_torch_autograd(name, record_difference):
    rng = np.random.default_rng(1)
    cell = name.removeprefix("projected ")
    proj_size = 0 if cell == name else 3
    weights = random_weights(rng, cell, 4, 6, proj_size=proj_size)
    x = rng.standard_normal((7, 3, 4))
    state = random_state(rng, cell, (3, proj_size or 6), (3, 6))
    dy = rng.standard_normal((7, 3, proj_size or 6))
    dstate = random_state(rng, cell, (3, proj_size or 6), (3, 6))

    layer = torch_layer.build(cell, weights)
    inputs = [torch.from_numpy(a).requires_grad_() for a in (x, *state)]
    start = tuple(s[None] for s in inputs[1:])
    y, final = layer(inputs[0], start if len(start) == 2 else start[0])
    outputs = [y, *(final if isinstance(final, tuple) else [final])]
    torch.autograd.backward(outputs, [torch.from_numpy(dy), *(torch.from_numpy(d)[None] for d in dstate)])

    ours = cells.fold_backward(cell, x, weights, dy, dstate, state)
    theirs = [t.grad.numpy() for t in inputs] + [getattr(layer, f"{name}_l0").grad.numpy() for name in weights]
    difference = largest_difference([ours.x, *ours.state, *(ours.weights[name] for name in weights)], theirs)
    record_difference("torch gradients", name, difference)
    assert difference <= 1e-12


@pytest.mark.parametrize("peephole", [False, True])
@pytest.mark.parametrize("coupled", [False, True])
def test_layer_norm_lstm_and_its_gradients_equal_the_equations_in_torch_operators(coupled, peephole, record_difference):
    rng = np.random.default_rng(2)
    cell = "coupled_lstm" if coupled else "lstm"
    weights = random_weights(rng, cell, 4, 6, layer_norm=True, peephole=peephole)
    x = rng.standard_normal((5, 3, 4))
    y, (h, c) = cells.fold(cell, x, weights)

    w = {name: torch.from_numpy(weight).requires_grad_() for name, weight in weights.items()}
    functional = torch.nn.functional
    p = list(w["weight_ph"].split(6)) if peephole else [torch.zeros(6, dtype=torch.float64)] * 3
    torch_h = torch_c = torch.zeros(3, 6, dtype=torch.float64)
    outputs = []
    for x_t in torch.from_numpy(x):
        pre = functional.layer_norm(x_t @ w["weight_ih"].T, w["ln_ih"].shape, w["ln_ih"])
        pre = pre + functional.layer_norm(torch_h @ w["weight_hh"].T, w["ln_hh"].shape, w["ln_hh"])
        i, *f, g, o = (pre + w["bias_ih"] + w["bias_hh"]).split(6, dim=1)
        i = torch.sigmoid(i + p[0] * torch_c)
        f = 1 - i if coupled else torch.sigmoid(f[0] + p[1] * torch_c)
        torch_c = f * torch_c + i * torch.tanh(g)
        o = torch.sigmoid(o + p[-1] * torch_c)
        torch_h = o * torch.tanh(functional.layer_norm(torch_c, (6,), w["ln_c"]))
        outputs.append(torch_h)
    torch_y = torch.stack(outputs)
    difference = largest_difference([y, h, c], [t.detach().numpy() for t in (torch_y, torch_h, torch_c)])
    name = "peephole " * peephole + "layer-norm " + cell
    record_difference("torch float64", name, difference)
    assert difference <= 1e-12

    dy = rng.standard_normal(y.shape)
    torch_y.backward(torch.from_numpy(dy))
    ours = cells.fold_backward(cell, x, weights, dy).weights
    difference = largest_difference([ours[k] for k in weights], [w[k].grad.numpy() for k in weights])
    record_difference("torch gradients", name, difference)
    assert difference <= 1e-12
