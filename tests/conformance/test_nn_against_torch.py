"""memfold.nn against torch.nn in float64: outputs, states and every gradient, by the engine, by torch's operators and
composed."""

import itertools

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from conformance.layers import largest_difference
from memfold import nn
from memfold.nn import dispatch

KINDS = {
    "LSTM": (torch.nn.LSTM, {}),
    "LSTM proj_size": (torch.nn.LSTM, {"proj_size": 2}),
    "GRU": (torch.nn.GRU, {}),
    "RNN tanh": (torch.nn.RNN, {}),
    "RNN relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
}
LAYOUTS = ["batch", "unbatched", "packed", "lengths"]
SHAPES = itertools.cycle([(6, 3, 4, 5), (1, 1, 1, 3), (8, 2, 3, 7), (2, 5, 6, 3), (5, 1, 2, 4)])  # T, B, I, H
MATRIX = [
    (*case, next(SHAPES))
    for case in itertools.product(
        KINDS,
        ["operator", "rows", "torch", "composition"],
        LAYOUTS,
        [1, 2],
        [False, True],
        [True, False],
        [False, True],
        [False, True],
    )
    if case[1] == "composition"
    or case[1] == ("rows" if "proj_size" in case[0] else "operator")
    or (case[1] == "torch" and case[2] != "lengths" and case[3:5] != (1, False))  # torch on itself: the wiring only
]


def _id(case):
    kind, path, layout, layers, *flags, shape = case
    words = [word * flag for word, flag in zip(["bi", "bias", "batch_first", "state"], flags, strict=True)]
    return " ".join([kind, path, layout, f"L{layers}", *filter(None, words), "x".join(map(str, shape))])


@pytest.mark.parametrize("case", MATRIX, ids=_id)
def test_layer_equals_torch(case, record_difference, monkeypatch):
    kind, path, layout, layers, bidirectional, bias, batch_first, given_state, (steps, batch, width, hidden) = case
    torch.manual_seed(0)
    torch_class, options = KINDS[kind]
    theirs = torch_class(
        width,
        hidden,
        layers,
        bias=bias,
        batch_first=batch_first,
        bidirectional=bidirectional,
        dtype=torch.float64,
        **options,
    )
    ours = getattr(nn, torch_class.__name__).from_torch(theirs)
    x = torch.randn(steps, batch, width, dtype=torch.float64)
    lengths = [steps - row % steps for row in (1, *range(batch - 1))]
    lengths[-1] = steps  # not sorted, one row as long as x
    unbatched = layout == "unbatched"
    x = x[:, 0] if unbatched else x.transpose(0, 1) if batch_first else x
    rows = layers * (1 + bidirectional)
    state = None
    if given_state:
        widths = [options.get("proj_size", hidden), hidden][: 1 + ("LSTM" in kind)]
        state = [torch.randn(rows, *([] if unbatched else [batch]), w, dtype=torch.float64) for w in widths]

    def results(module, packs, **call):
        inputs = [t.clone().requires_grad_() for t in [x, *(state or [])]]
        hx = None if state is None else tuple(inputs[1:]) if len(state) > 1 else inputs[1]
        given = inputs[0]
        if packs:
            given = pack_padded_sequence(given, lengths, batch_first=batch_first, enforce_sorted=False)
        y, final = module(given, hx, **call)
        if packs:
            y, _ = pad_packed_sequence(y, batch_first=batch_first)
        outputs = [y, *(final if isinstance(final, tuple) else (final,))]
        torch.manual_seed(1)
        loss = sum((o * torch.randn(o.shape, dtype=o.dtype)).sum() for o in outputs)
        gradients = torch.autograd.grad(loss, [*inputs, *module.parameters()])
        return [t.detach().numpy() for t in [*outputs, *gradients]]

    monkeypatch.setattr(dispatch, "served_by", lambda *args, **options: path)
    expected = results(theirs, packs=layout in ("packed", "lengths"))
    got = results(ours, packs=layout == "packed", **({"lengths": lengths} if layout == "lengths" else {}))
    difference = largest_difference(got, expected)
    record_difference("torch.nn", f"nn.{kind}, {path}", difference)
    assert difference <= 1e-10


@pytest.mark.parametrize(("kind", "options"), [("LSTM", {"proj_size": 3}), ("GRU", {})])
def test_torch_serves_bit_for_bit_what_the_engine_has_not(kind, options):
    theirs = getattr(torch.nn, kind)(5, 7, 2, bidirectional=True, dtype=torch.bfloat16, **options)
    ours = getattr(nn, kind).from_torch(theirs)
    x = torch.randn(6, 3, 5, dtype=torch.bfloat16)
    assert torch.equal(ours(x)[0], theirs(x)[0])


@pytest.mark.parametrize("path", ["operator", "torch", "composition"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_dropout_draws_torchs_masks(kind, path, monkeypatch):
    monkeypatch.setattr(dispatch, "served_by", lambda *args, **options: path)
    theirs = getattr(torch.nn, kind)(5, 7, 3, bidirectional=True, dropout=0.4, dtype=torch.float64)
    ours = getattr(nn, kind).from_torch(theirs)
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    outputs = []
    for module in (theirs, ours):
        torch.manual_seed(3)
        outputs.append(module(x)[0])
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-12)


CELLS = {
    "LSTMCell": (torch.nn.LSTMCell, {}),
    "GRUCell": (torch.nn.GRUCell, {}),
    "RNNCell tanh": (torch.nn.RNNCell, {}),
    "RNNCell relu": (torch.nn.RNNCell, {"nonlinearity": "relu"}),
}


@pytest.mark.parametrize("given_state", [False, True], ids=["", "state"])
@pytest.mark.parametrize("batch", [(), (1,), (4,)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", CELLS)
def test_cell_equals_torch(kind, bias, batch, given_state, record_difference):
    torch.manual_seed(0)
    torch_class, options = CELLS[kind]
    theirs = torch_class(3, 5, bias=bias, dtype=torch.float64, **options)
    ours = getattr(nn, torch_class.__name__)(3, 5, bias=bias, dtype=torch.float64, **options)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(*batch, 3, dtype=torch.float64)
    state = [torch.randn(*batch, 5, dtype=torch.float64) for _ in range(1 + ("LSTM" in kind))] if given_state else []

    def results(module):
        inputs = [t.clone().requires_grad_() for t in [x, *state]]
        hx = None if not state else tuple(inputs[1:]) if len(state) > 1 else inputs[1]
        new = module(inputs[0], hx)
        outputs = list(new) if isinstance(new, tuple) else [new]
        torch.manual_seed(1)
        loss = sum((o * torch.randn(o.shape, dtype=o.dtype)).sum() for o in outputs)
        gradients = torch.autograd.grad(loss, [*inputs, *module.parameters()])
        return [t.detach().numpy() for t in [*outputs, *gradients]]

    difference = largest_difference(results(ours), results(theirs))
    record_difference("torch.nn", f"nn.{kind}", difference)
    assert difference <= 1e-10
