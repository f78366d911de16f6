"""What the layers are beside their arithmetic: parameters, first values, options, errors, copies, traces."""

import copy
import inspect
import math
import pickle

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from memfold import nn

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
    assert torch.equal(ours(x)[0], theirs(x)[0])
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
        assert torch.equal(module(x)[0], theirs(x)[0])
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
    layer = nn.LSTM(2, 2000, init="chrono:200")
    i, f, g, o = layer.bias_ih_l0.chunk(4)
    assert f.min() >= 0
    assert math.log(190) < f.max() <= math.log(199)
    assert f.exp().mean().item() == pytest.approx(100, rel=0.1)
    assert torch.equal(i, -f)
    assert not g.any()
    assert not o.any()
    r, z, _ = nn.GRU(2, 2000, init="chrono").bias_ih_l0.chunk(3)
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


# Options and errors


@pytest.mark.parametrize("kind", LAYERS)
def test_signature_begins_as_torchs(kind):
    ours = list(inspect.signature(getattr(nn, kind)).parameters)
    torchs = ["input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"]
    if kind == "RNN":
        torchs.insert(3, "nonlinearity")
    if kind == "LSTM":
        torchs.append("proj_size")
    assert ours[: len(torchs) + 2] == [*torchs, "device", "dtype"]


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("GRU", "peephole"),
        ("GRU", "coupled"),
        ("GRU", "layer_norm"),
        ("GRU", "forget_bias"),
        ("GRU", "proj_size"),
        ("RNN", "peephole"),
        ("RNN", "reset_after"),
        ("LSTM", "reset_after"),
        ("LSTM", "nonlinearity"),
        ("LSTMCell", "recurrent_dropout"),
        ("LSTMCell", "proj_size"),
        ("LSTMCell", "num_layers"),
        ("GRUCell", "peephole"),
        ("RNNCell", "bidirectional"),
    ],
)
def test_an_option_the_cell_lacks_is_named_with_the_cell(kind, option):
    with pytest.raises(ValueError, match=f"{kind} has no option '{option}'"):
        getattr(nn, kind)(3, 4, **{option: True})


def test_an_option_of_no_cell_is_a_type_error():
    with pytest.raises(TypeError, match="peepholes"):
        nn.LSTM(3, 4, peepholes=True)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("LSTM", {"clip": 0.0}, "clip"),
        ("LSTM", {"zoneout": 1.5}, "zoneout"),
        ("LSTM", {"zoneout": (0.1, 0.1, 0.1)}, "zoneout"),
        ("GRU", {"zoneout": (0.1, 0.1)}, "zoneout"),
        ("LSTM", {"recurrent_dropout": -0.1}, "recurrent_dropout"),
        ("LSTM", {"init": "zeros"}, "init"),
        ("LSTM", {"init": "torch:3"}, "init"),
        ("LSTM", {"init": "chrono:2"}, "lag"),
        ("LSTM", {"init": "chrono:long"}, "lag"),
        ("LSTM", {"init": "chrono", "bias": False}, "bias"),
        ("RNN", {"init": "chrono"}, "RNN"),
        ("LSTM", {"init": "torch", "forget_bias": 2.0}, "forget_bias"),
    ],
    ids=str,
)
def test_an_option_out_of_range_is_a_value_error(kind, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(nn, kind)(3, 4, **options)


BAD_CONSTRUCTION = [
    ((3.0, 4), {}),
    ((3, 4.0), {}),
    ((0, 4), {}),
    ((3, 0), {}),
    ((3, -1), {}),
    ((3, 4, 0), {}),
    ((3, 4, 1.5), {}),
    ((3, 4), {"bias": 1}),
    ((3, 4), {"batch_first": "yes"}),
    ((3, 4, 2), {"dropout": 1.5}),
    ((3, 4, 2), {"dropout": True}),
    ((3, 4), {"proj_size": 4}),
    ((3, 4), {"proj_size": -1}),
    ((3, 4), {"bidirectionnal": True}),
]


@pytest.mark.parametrize(("args", "options"), BAD_CONSTRUCTION, ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_bad_construction_raises_as_torch(kind, args, options):
    _raises_alike(lambda: getattr(nn, kind)(*args, **options), lambda: getattr(torch.nn, kind)(*args, **options))


def test_bad_nonlinearity_raises_as_torch():
    _raises_alike(lambda: nn.RNN(3, 4, nonlinearity="gelu"), lambda: torch.nn.RNN(3, 4, nonlinearity="gelu"))


def test_dropout_on_one_layer_warns_as_torch():
    for module in (nn, torch.nn):
        with pytest.warns(UserWarning, match="dropout"):
            module.LSTM(3, 4, dropout=0.5)


def _state(kind, *shape, dtype=torch.float32):
    return (torch.zeros(shape, dtype=dtype),) * 2 if kind == "LSTM" else torch.zeros(shape, dtype=dtype)


BAD_CALLS = {
    "1-D x": lambda kind: (torch.zeros(3), None),
    "4-D x": lambda kind: (torch.zeros(2, 2, 2, 3), None),
    "x of other features": lambda kind: (torch.zeros(5, 2, 4), None),
    "x of another dtype": lambda kind: (torch.zeros(5, 2, 3, dtype=torch.float64), None),
    "integer x": lambda kind: (torch.zeros(5, 2, 3, dtype=torch.int64), None),
    "no steps": lambda kind: (torch.zeros(0, 2, 3), None),
    "a list": lambda kind: ([1.0], None),
    "2-D hx": lambda kind: (torch.zeros(5, 2, 3), _state(kind, 1, 4)),
    "3-D hx for unbatched x": lambda kind: (torch.zeros(5, 3), _state(kind, 1, 1, 4)),
    "hx of another batch": lambda kind: (torch.zeros(5, 2, 3), _state(kind, 1, 3, 4)),
    "hx of another width": lambda kind: (torch.zeros(5, 2, 3), _state(kind, 1, 2, 5)),
    "hx of other layers": lambda kind: (torch.zeros(5, 2, 3), _state(kind, 2, 2, 4)),
    "hx of another dtype": lambda kind: (torch.zeros(5, 2, 3), _state(kind, 1, 2, 4, dtype=torch.float64)),
    "hx of the other kind": lambda kind: (torch.zeros(5, 2, 3), _state("GRU" if kind == "LSTM" else "LSTM", 1, 2, 4)),
    "hx of numbers": lambda kind: (torch.zeros(5, 2, 3), (1.0, 1.0) if kind == "LSTM" else 1.0),
}


@pytest.mark.parametrize("call", BAD_CALLS)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_bad_call_raises_as_torch(kind, call):
    x, hx = BAD_CALLS[call](kind)
    _raises_alike(lambda: getattr(nn, kind)(3, 4)(x, hx), lambda: getattr(torch.nn, kind)(3, 4)(x, hx))


@pytest.mark.parametrize("kind", LAYERS)
def test_a_bad_packed_call_raises_as_torchs_gru_and_rnn(kind):  # torch's LSTM looks at neither
    layer = getattr(nn, kind)(3, 4)
    with pytest.raises(RuntimeError, match=r"input_size=3.*\(5, 4\)"):
        layer(pack_sequence([torch.zeros(5, 4)]))
    with pytest.raises(RuntimeError, match=r"\(1, 1, 4\), got shape \(1, 2, 4\)"):
        layer(pack_sequence([torch.zeros(5, 3)]), _state(kind, 1, 2, 4))


BAD_STEPS = {
    "3-D x": lambda kind: (torch.zeros(2, 2, 3), None),
    "x of other features": lambda kind: (torch.zeros(2, 4), None),
    "x of another dtype": lambda kind: (torch.zeros(2, 3, dtype=torch.float64), None),
    "3-D hx": lambda kind: (torch.zeros(2, 3), _state(kind, 1, 2, 4)),
    "hx of another batch": lambda kind: (torch.zeros(2, 3), _state(kind, 3, 4)),
    "hx of another width": lambda kind: (torch.zeros(2, 3), _state(kind, 2, 5)),
    "hx of another dtype": lambda kind: (torch.zeros(2, 3), _state(kind, 2, 4, dtype=torch.float64)),
}


@pytest.mark.parametrize("call", BAD_STEPS)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_bad_step_raises_as_torch(kind, call):
    x, hx = BAD_STEPS[call](kind)
    _raises_alike(
        lambda: getattr(nn, kind + "Cell")(3, 4)(x, hx), lambda: getattr(torch.nn, kind + "Cell")(3, 4)(x, hx)
    )


def test_messages_show_both_shapes():
    with pytest.raises(RuntimeError, match=r"input_size=3.*\(5, 2, 4\)"):
        nn.LSTM(3, 4)(torch.zeros(5, 2, 4))
    with pytest.raises(RuntimeError, match=r"\(1, 2, 4\), got shape \(1, 3, 4\)"):
        nn.GRU(3, 4)(torch.zeros(5, 2, 3), torch.zeros(1, 3, 4))


def _raises_alike(ours, theirs):
    with pytest.raises(Exception) as expected:  # noqa: PT011
        theirs()
    with pytest.raises(Exception) as got:  # noqa: PT011
        ours()
    assert got.type is expected.type


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
    assert 0.1 < (nn.RNNCell(1, 2000, zoneout=0.3)(torch.ones(1, 1)) == 0).float().mean() < 0.5


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
    assert torch.equal(torch.cat([traces["l1"]["h"], traces["l1_reverse"]["h"]], dim=-1), y)
    if kind == "LSTM":
        assert torch.equal(traces["l1_reverse"]["c"][0, 0], final[1][3, 0])


def test_trace_is_time_first_and_knows_unbatched_input():
    layer = build("LSTM", batch_first=True)
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    torch.testing.assert_close(layer.trace(x)["l0"]["h"].transpose(0, 1), layer(x)[0])
    torch.testing.assert_close(layer.trace(x[1])["l0"]["f"], layer.trace(x)["l0"]["f"][:, 1])
    with pytest.raises(TypeError, match="PackedSequence"):
        layer.trace(pack_sequence([x[0]]))


# Lengths and resets, refused


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"lengths": [6, 2]}, ValueError, "T=5, got 6 in row 0"),
        ({"lengths": [5, -1]}, ValueError, "got -1 in row 1"),
        ({"lengths": [5]}, ValueError, r"\(2,\), got shape \(1,\)"),
        ({"lengths": [5.0, 2.0]}, TypeError, "integers"),
        ({"resets": torch.zeros(2, 5, dtype=torch.bool)}, ValueError, r"\(5, 2\), got shape \(2, 5\)"),
        ({"resets": torch.zeros(5, 2)}, TypeError, "bool"),
    ],
    ids=str,
)
def test_bad_lengths_and_resets_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        nn.LSTM(3, 4)(torch.zeros(5, 2, 3), **call)


def test_packed_input_brings_its_own_lengths():
    with pytest.raises(ValueError, match="PackedSequence"):
        nn.LSTM(3, 4)(pack_sequence([torch.zeros(5, 3)]), lengths=[5])


INTEGERS = [list, tuple, np.array, torch.tensor, np.int8, lambda v: torch.tensor(v, dtype=torch.int32)]


@pytest.mark.parametrize("as_given", INTEGERS)
def test_lengths_come_as_any_integers(as_given):
    layer, x = build("GRU"), torch.randn(5, 3, 4, dtype=torch.float64)
    assert torch.equal(layer(x, lengths=as_given([5, 0, 2]))[0], layer(x, lengths=[5, 0, 2])[0])
