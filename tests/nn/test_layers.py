"""What the layers are beside their arithmetic: parameters, copies, first values, training, traces."""

import copy
import inspect
import math
import pickle

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad
from torch.nn.utils.rnn import pack_sequence

from memfold import nn
from memfold.nn.dispatch import served_by

LAYERS = ["LSTM", "GRU", "RNN"]
EVERY_CELL = [
    ("LSTM", {}),
    ("LSTM", {"peephole": True}),
    ("LSTM", {"coupled": True}),
    ("LSTM", {"coupled": True, "peephole": True, "proj_size": 3}),
    ("LSTM", {"layer_norm": True, "zoneout": (0.1, 0.2), "recurrent_dropout": 0.3}),
    ("GRU", {}),
    ("GRU", {"reset_after": False, "clip": 2.0}),
    ("RNN", {"nonlinearity": "relu", "zoneout": 0.3}),
]


def build(kind, **options):
    return getattr(nn, kind)(4, 5, **{"dtype": torch.float64, **options})


# Parameters


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"num_layers": 3, "bidirectional": True}])
@pytest.mark.parametrize("kind", [*LAYERS, "projected"])
def test_state_dicts_load_both_ways(kind, options):
    if kind == "projected":
        kind, options = "LSTM", options | {"proj_size": 2}
    ours, theirs = build(kind, **options), getattr(torch.nn, kind)(4, 5, dtype=torch.float64, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [[w.shape for w in ws] for ws in ours.all_weights] == [[w.shape for w in ws] for ws in theirs.all_weights]
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 2, 4, dtype=torch.float64)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], rtol=0, atol=1e-12)
    ours.load_state_dict(getattr(torch.nn, kind)(4, 5, **options).double().state_dict())


def test_variants_have_the_contracts_parameters():
    shapes = {name: tuple(p.shape) for name, p in build("LSTM", peephole=True, layer_norm=True).named_parameters()}
    assert shapes["weight_ph_l0"] == (15,)
    assert (shapes["ln_ih_l0"], shapes["ln_hh_l0"], shapes["ln_c_l0"]) == ((20,), (20,), (5,))
    coupled = build("LSTM", peephole=True, coupled=True, bidirectional=True)
    assert coupled.weight_ih_l0.shape == (15, 4)
    assert coupled.weight_hh_l0_reverse.shape == (15, 5)
    assert coupled.weight_ph_l0_reverse.shape == (10,)


@pytest.mark.parametrize(("kind", "options"), EVERY_CELL, ids=str)
@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["copy", "pickle"]
)
def test_a_copy_answers_as_the_original_and_shares_nothing(kind, options, again):
    layer = build(kind, **options).eval()
    x = torch.randn(3, 2, 4, dtype=torch.float64)
    before = layer(x)[0]
    twin = again(layer)
    assert torch.equal(twin(x)[0], before)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert torch.equal(layer(x)[0], before)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "dropout": 0.2, "batch_first": True}])
def test_from_torch_and_back(kind, options):
    theirs = getattr(torch.nn, kind)(4, 5, **options).eval()
    theirs.weight_hh_l0.requires_grad_(False)
    state = torch.get_rng_state()
    ours = getattr(nn, kind).from_torch(theirs)
    again = ours.to_torch()
    assert torch.equal(torch.get_rng_state(), state)
    x = torch.randn(2, 3, 4)
    for module in (ours, again):
        torch.testing.assert_close(module(x)[0], theirs(x)[0], rtol=0, atol=1e-6)
        assert not module.training
        assert [p.requires_grad for p in module.parameters()] == [p.requires_grad for p in theirs.parameters()]
        assert module.weight_ih_l0.data_ptr() != theirs.weight_ih_l0.data_ptr()
    assert repr(again) == repr(theirs) == repr(ours)


def test_rnn_keeps_its_nonlinearity_through_torch():
    theirs = torch.nn.RNN(4, 5, nonlinearity="relu")
    assert nn.RNN.from_torch(theirs).to_torch().nonlinearity == "relu"


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("LSTM", {"peephole": True}),
        ("LSTM", {"coupled": True}),
        ("LSTM", {"layer_norm": True}),
        ("LSTM", {"zoneout": (0.0, 0.1)}),
        ("GRU", {"reset_after": False}),
        ("GRU", {"clip": 1.0}),
        ("RNN", {"recurrent_dropout": 0.1}),
    ],
    ids=str,
)
def test_to_torch_refuses_what_torch_has_not(kind, option):
    with pytest.raises(ValueError, match=next(iter(option))):
        build(kind, **option).to_torch()


def test_from_torch_refuses_another_layer():
    with pytest.raises(TypeError, match="GRU"):
        nn.LSTM.from_torch(torch.nn.GRU(2, 3))


# First values


@pytest.mark.parametrize("kind", LAYERS)
def test_init_torch_draws_what_torch_draws(kind):
    torch.manual_seed(0)
    ours = build(kind, num_layers=2, bidirectional=True, init="torch")
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(4, 5, 2, bidirectional=True, dtype=torch.float64)
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight)


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_init_memfold_is_orthogonal_per_gate_and_glorot(kind, gates):
    layer = build(kind)
    for block in layer.weight_hh_l0.chunk(gates):
        torch.testing.assert_close(block @ block.T, torch.eye(5, dtype=torch.float64))
    assert layer.weight_ih_l0.abs().max() <= math.sqrt(6 / (4 + 5))
    assert not layer.bias_hh_l0.any()


def test_forget_bias_is_in_bias_ih_alone():
    forget = torch.tensor([0.0, 2.5, 0.0, 0.0]).repeat_interleave(5).double()
    layer = build("LSTM", forget_bias=2.5, bidirectional=True)
    assert torch.equal(layer.bias_ih_l0_reverse, forget)
    assert not layer.bias_hh_l0.any()
    assert torch.equal(build("LSTM").bias_ih_l0, forget.clamp(max=1))
    assert torch.equal(build("LSTM", coupled=True).bias_ih_l0[:5], torch.full((5,), -1.0).double())


def test_init_chrono_spreads_the_memories_up_to_the_lag():
    torch.manual_seed(0)
    layer = nn.LSTM(2, 500, init="chrono:200")
    i, f, g, o = layer.bias_ih_l0.chunk(4)
    assert f.min() >= 0
    assert math.log(190) < f.max() <= math.log(199)
    assert f.exp().mean().item() == pytest.approx(100, rel=0.1)
    assert torch.equal(i, -f)
    assert not g.any()
    assert not o.any()
    r, z, _ = nn.GRU(2, 500, init="chrono").bias_ih_l0.chunk(3)
    assert math.log(900) < z.max() <= math.log(999)
    assert not r.any()
    assert nn.LSTM(2, 3, coupled=True, init="chrono").bias_ih_l0[:3].max() <= 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_every_floating_dtype_has_first_values(dtype):
    layer = nn.LSTM(3, 4, peephole=True, layer_norm=True, dtype=dtype)
    assert all(p.dtype == dtype and p.isfinite().all() for p in layer.parameters())


def test_reset_parameters_draws_anew():
    layer = build("GRU")
    before = layer.weight_hh_l0.clone()
    layer.reset_parameters()
    assert not torch.equal(layer.weight_hh_l0, before)


# Options


@pytest.mark.parametrize("kind", LAYERS)
def test_signature_begins_as_torchs(kind):
    ours = list(inspect.signature(getattr(nn, kind)).parameters)
    torchs = ["input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"]
    if kind == "RNN":
        torchs.insert(3, "nonlinearity")
    if kind == "LSTM":
        torchs.append("proj_size")
    assert ours[: len(torchs) + 2] == [*torchs, "device", "dtype"]


# Training and evaluation


def test_recurrent_dropout_is_one_mask_for_the_sequence():
    layer = nn.RNN(1, 64, nonlinearity="relu", recurrent_dropout=0.5, dtype=torch.float64)
    with torch.no_grad():  # h grows by the mask's factor at each step: 2 where kept, 0 where dropped
        layer.weight_ih_l0.zero_()
        layer.weight_hh_l0.copy_(torch.eye(64))
    x, ones = torch.zeros(4, 3, 1).double(), torch.ones(1, 3, 64).double()
    y, _ = layer(x, ones)
    factor = y[0]
    assert set(factor.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(y[3], factor**4)
    assert not torch.equal(factor[0], factor[1])
    assert torch.equal(
        layer.eval()(torch.zeros(4, 3, 1).double(), torch.ones(1, 3, 64).double())[0][3], torch.ones(3, 64)
    )


def test_zoneout_keeps_units_in_training_and_takes_the_mean_in_evaluation():
    torch.manual_seed(0)
    layer = nn.RNN(1, 1000, zoneout=0.25, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.weight_hh_l0.zero_()
        layer.bias_ih_l0.fill_(math.inf)  # the new state is 1
    x, zeros = torch.zeros(1, 1, 1).double(), torch.zeros(1, 1, 1000).double()
    y = layer(x, zeros)[0]
    assert set(y.unique().tolist()) == {0.0, 1.0}
    assert y.mean().item() == pytest.approx(0.75, abs=0.06)
    assert (layer.eval()(x, zeros)[0] == 0.75).all()


def test_zoneout_of_h_and_c_are_separate():
    torch.manual_seed(0)
    x, h, c = torch.randn(1, 2, 4).double(), torch.randn(1, 2, 5).double(), torch.randn(1, 2, 5).double()
    _, (new_h, new_c) = build("LSTM", zoneout=(1.0, 0.0))(x, (h, c))
    assert torch.equal(new_h, h)
    assert not (new_c == c).any()
    _, (new_h, new_c) = build("LSTM", zoneout=(0.0, 1.0))(x, (h, c))
    assert torch.equal(new_c, c)
    assert not (new_h == h).any()


@pytest.mark.parametrize(("kind", "options"), EVERY_CELL, ids=str)
def test_one_seed_gives_one_result_in_training(kind, options):
    layer = build(kind, num_layers=2, dropout=0.5, **options)
    x = torch.randn(3, 2, 4, dtype=torch.float64)
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(layer(x)[0])
    assert torch.equal(*results)
    assert not torch.equal(layer(x)[0], results[0])
    assert torch.equal(layer.eval()(x)[0], layer(x)[0])


def test_a_cell_zones_out_as_its_layer():
    layer, cell = (
        build("LSTM", zoneout=(0.3, 0.2)).eval(),
        nn.LSTMCell(4, 5, dtype=torch.float64, zoneout=(0.3, 0.2)).eval(),
    )
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in layer.state_dict().items()})
    x = torch.randn(3, 2, 4, dtype=torch.float64)
    state = None
    for t in range(3):
        state = cell(x[t], state)
    torch.testing.assert_close(state[0], layer(x)[0][-1])
    assert 0.1 < (nn.RNNCell(1, 500, zoneout=0.3)(torch.ones(1, 1)) == 0).float().mean() < 0.5


# What serves a call


@pytest.mark.parametrize(
    ("options", "training", "ragged", "path"),
    [
        ({}, True, False, "operator"),
        ({}, True, True, "operator"),
        ({"peephole": True}, True, False, "operator"),
        ({"recurrent_dropout": 0.1}, True, False, "operator"),
        ({"layer_norm": True}, True, False, "rows"),
        ({"proj_size": 2, "num_layers": 2, "dropout": 0.1}, True, False, "rows"),
        ({"proj_size": 2}, True, True, "rows"),
        ({"proj_size": 2, "zoneout": (0.0, 0.0)}, True, False, "rows"),
    ],
    ids=str,
)
def test_the_engine_serves_its_cells_then_torch_then_the_composition(options, training, ragged, path):
    layer = build("LSTM", **options).train(training)
    x = torch.randn(3, 2, 4, dtype=torch.float64)
    state = layer._initial_state(x, None, 2, True)
    assert served_by(layer, x, state, ragged=ragged) == path
    with forward_ad.dual_level():
        assert served_by(layer, x, state, ragged=ragged) == "composition"
    with torch.no_grad():
        draws = bool(options.get("recurrent_dropout"))
        without = "packed" if path == "operator" and not draws else path
        assert served_by(layer, x, state, ragged=ragged) == without


# Trace


@pytest.mark.parametrize(("kind", "options"), EVERY_CELL, ids=str)
def test_trace_names_every_value_of_the_call(kind, options):
    layer = build(kind, num_layers=2, bidirectional=True, **options).eval()
    x = torch.randn(6, 3, 4, dtype=torch.float64)
    y, final = layer(x, lengths=[6, 0, 2])
    traces = layer.trace(x, lengths=[6, 0, 2])
    assert list(traces) == ["l0", "l0_reverse", "l1", "l1_reverse"]
    names = {"LSTM": "ifgoch", "GRU": "rznh", "RNN": "h"}[kind]
    for values in traces.values():
        assert "".join(values) == names
        assert all(v.shape == (6, 3, 3 if n == "h" and options.get("proj_size") else 5) for n, v in values.items())
        assert all(not v[2:, 2].any() for v in values.values())
    # What the engine folds by rows is traced by the composition, which rounds otherwise.
    away = 1e-14 if options.get("layer_norm") or options.get("proj_size") else 0.0
    h = torch.cat([traces["l1"]["h"], traces["l1_reverse"]["h"]], dim=-1)
    torch.testing.assert_close(h, y, rtol=away, atol=away)
    if kind == "LSTM":
        torch.testing.assert_close(traces["l1_reverse"]["c"][0, 0], final[1][3, 0], rtol=away, atol=away)


def test_trace_is_time_first_and_knows_unbatched_input():
    layer = build("LSTM", batch_first=True)
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    torch.testing.assert_close(layer.trace(x)["l0"]["h"].transpose(0, 1), layer(x)[0])
    torch.testing.assert_close(layer.trace(x[1])["l0"]["f"], layer.trace(x)["l0"]["f"][:, 1])
    with pytest.raises(TypeError, match="PackedSequence"):
        layer.trace(pack_sequence([x[0]]))


# Outputs of every layer


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize(("kind", "options"), EVERY_CELL, ids=str)
def test_outputs_are_those_of_each_layer_alone(kind, options, gradient):
    layer = build(kind, num_layers=3, bidirectional=True, dropout=0.5, **options).eval()
    x = torch.randn(6, 3, 4, dtype=torch.float64)
    with torch.set_grad_enabled(gradient):
        outputs = layer.outputs(x, lengths=[6, 0, 2])
        traces = layer.trace(x, lengths=[6, 0, 2])
        y, _ = layer(x, lengths=[6, 0, 2])
    assert len(outputs) == 3
    torch.testing.assert_close(outputs[-1], y, rtol=0, atol=1e-14)
    for k, output in enumerate(outputs):
        h = torch.cat([traces[f"l{k}"]["h"], traces[f"l{k}_reverse"]["h"]], dim=-1)
        torch.testing.assert_close(output, h, rtol=0, atol=1e-14)
    if gradient:  # of the first layer's output, the first layer's weights alone have one
        outputs[0].square().sum().backward()
        given = {name for name, weight in layer.named_parameters() if weight.grad is not None and weight.grad.any()}
        assert given
        assert all("_l0" in name for name in given)


def test_outputs_are_formed_as_that_of_a_call():
    layer = build("LSTM", num_layers=2, batch_first=True)
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    assert [y.shape for y in layer.outputs(x)] == [(3, 6, 5), (3, 6, 5)]
    torch.testing.assert_close(layer.outputs(x[1])[0], layer.outputs(x)[0][1])
    with torch.autocast("cpu", torch.bfloat16):
        assert {y.dtype for y in layer.float().outputs(x.float())} == {torch.bfloat16}
    with pytest.raises(TypeError, match="PackedSequence"):
        layer.outputs(pack_sequence([x[0]]))


# Lengths


INTEGERS = [list, tuple, np.array, torch.tensor, np.int8, lambda v: torch.tensor(v, dtype=torch.int32)]


@pytest.mark.parametrize("as_given", INTEGERS)
def test_lengths_come_as_any_integers(as_given):
    layer, x = build("GRU"), torch.randn(5, 3, 4, dtype=torch.float64)
    assert torch.equal(layer(x, lengths=as_given([5, 0, 2]))[0], layer(x, lengths=[5, 0, 2])[0])
