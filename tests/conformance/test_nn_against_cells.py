"""memfold.nn against the NumPy specification in float64: what torch.nn has not."""

import itertools

import numpy as np
import pytest
import torch

from conformance.layers import largest_difference, random_state, random_weights
from memfold import cells, nn
from memfold.nn import composition

VARIANTS = {
    "rnn_tanh": [{}],
    "rnn_relu": [{}],
    "lstm": [{"peephole": p, "proj_size": r, "layer_norm": n} for p, r, n in itertools.product([0, 1], [0, 4], [0, 1])],
    "coupled_lstm": [
        {"peephole": p, "proj_size": r, "layer_norm": n} for p, r, n in itertools.product([0, 1], [0, 4], [0, 1])
    ],
    "gru": [{}],
    "gru_reset_before": [{}],
}
MATRIX = [
    (cell, variant, *rest)
    for cell, variants in VARIANTS.items()
    for variant in variants
    for rest in itertools.product([False, True], [False, True], [False, True], [None, 0.3], [0.0, 0.3])
]
LENGTHS = [7, 0, 4, 1, 6]


def make_layer(cell, input_size, hidden_size, weights, dtype=torch.float64, **options):
    """The layer of memfold.nn for a name of memfold.cells, with these weights."""
    if cell.startswith("rnn"):
        layer = nn.RNN(input_size, hidden_size, nonlinearity=cell.removeprefix("rnn_"), dtype=dtype, **options)
    elif cell.startswith("gru"):
        layer = nn.GRU(input_size, hidden_size, reset_after=cell == "gru", dtype=dtype, **options)
    else:
        layer = nn.LSTM(input_size, hidden_size, coupled=cell == "coupled_lstm", dtype=dtype, **options)
    suffixes = {name: "_l0_reverse" if name.endswith("_reverse") else "_l0" for name in weights}
    state = {name.removesuffix("_reverse") + suffixes[name]: torch.tensor(w) for name, w in weights.items()}
    layer.load_state_dict(state)
    return layer


def _id(case):
    cell, variant, *flags, clip, zoneout = case
    words = [word * flag for word, flag in zip(["bi", "lengths", "resets"], flags, strict=True)]
    return " ".join([_name(cell, variant), *filter(None, words), f"clip={clip} zoneout={zoneout}"])


def _name(cell, variant):
    return " ".join([cell, *(option for option, value in variant.items() if value)])


def _sequence(cell, variant, bidirectional):
    rng = np.random.default_rng(5)
    weights = random_weights(rng, cell, 3, 6, bidirectional=bidirectional, **variant)
    x = rng.standard_normal((7, 5, 3))
    directions = 1 + bidirectional
    state = random_state(rng, cell, (directions, 5, variant.get("proj_size") or 6), (directions, 5, 6))
    return weights, x, state, rng.random((7, 5)) < 0.3


@pytest.mark.parametrize("case", MATRIX, ids=_id)
def test_layer_equals_the_specification(case, record_difference):
    cell, variant, bidirectional, ragged, cut, clip, zoneout = case
    weights, x, state, resets = _sequence(cell, variant, bidirectional)
    call = {"lengths": LENGTHS if ragged else None, "resets": resets if cut else None}
    options = {name: value if name == "proj_size" else bool(value) for name, value in variant.items()}
    layer = make_layer(cell, 3, 6, weights, bidirectional=bidirectional, clip=clip, zoneout=zoneout, **options).eval()
    hx = tuple(torch.tensor(s) for s in state)
    with torch.no_grad():
        y, final = layer(torch.tensor(x), hx if len(hx) > 1 else hx[0], **call)
    final = final if isinstance(final, tuple) else (final,)

    if bidirectional:
        expected, their_final = cells.bidirectional(cell, x, weights, state, clip=clip, zoneout=zoneout, **call)
    else:
        expected, their_final = cells.fold(cell, x, weights, [s[0] for s in state], clip=clip, zoneout=zoneout, **call)
        their_final = [s[None] for s in their_final]
    difference = largest_difference([t.numpy() for t in (y, *final)], [expected, *their_final])
    record_difference("memfold.cells", f"nn, {_name(cell, variant)}", difference)
    assert difference <= 1e-10


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(("cell", "variant"), [(c, v) for c, vs in VARIANTS.items() for v in vs], ids=str)
def test_gradients_and_trace_equal_the_specification(cell, variant, reverse, record_difference):
    weights, x, state, resets = _sequence(cell, variant, bidirectional=False)
    state = [s[0] for s in state]
    rng = np.random.default_rng(6)
    call = {"lengths": LENGTHS, "resets": resets}
    theirs = cells.trace(cell, x, weights, state, reverse=reverse, **call)
    dy = rng.standard_normal(theirs["h"].shape)
    dstate = [rng.standard_normal(s.shape) for s in state]
    gradients = cells.fold_backward(cell, x, weights, dy, dstate, state, reverse=reverse, **call)

    inputs = [torch.tensor(a, requires_grad=True) for a in (x, *state, *weights.values())]
    start, own = tuple(inputs[1 : 1 + len(state)]), dict(zip(weights, inputs[1 + len(state) :], strict=True))
    values, final = composition.fold(
        cell,
        inputs[0],
        own,
        start,
        lengths=torch.tensor(LENGTHS),
        resets=torch.tensor(resets),
        reverse=reverse,
        keep=True,
    )
    loss = (values["h"] * torch.tensor(dy)).sum()
    loss = loss + sum((s * torch.tensor(d)).sum() for s, d in zip(final, dstate, strict=True))
    ours = [g.numpy() for g in torch.autograd.grad(loss, inputs)]
    difference = largest_difference(ours, [gradients.x, *gradients.state, *(gradients.weights[n] for n in weights)])
    assert list(values) == list(theirs)
    trace = largest_difference([values[name].detach().numpy() for name in theirs], list(theirs.values()))
    record_difference("memfold.cells, gradients", f"nn, {_name(cell, variant)}", difference)
    assert max(difference, trace) <= 1e-10
