"""Bad options and bad calls: torch.nn's kinds of exception, and messages that name what was wrong."""

import re

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from memfold import nn

LAYERS = ["LSTM", "GRU", "RNN"]


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


RESHAPED = {
    "a smaller matrix": ("weight_hh", lambda w: w[:1]),
    "a narrower matrix": ("weight_ih", lambda w: w[:, :2]),
    "a transposed matrix": ("weight_ih", lambda w: w.T),
    "a bias of one": ("bias_hh", lambda w: w[:1]),
    "a larger bias": ("bias_ih", lambda w: w.repeat(2)),
    "nothing": ("weight_hh", lambda w: w[:0]),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch's own
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("change", RESHAPED)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LSTM", {"num_layers": 2, "bidirectional": True}),
        ("LSTM", {"num_layers": 2, "bidirectional": True, "proj_size": 2}),  # by torch's own operator
        ("LSTM", {"num_layers": 2, "bidirectional": True, "layer_norm": True}),  # by the composition
        ("GRU", {"num_layers": 2, "bidirectional": True}),
        ("RNN", {"num_layers": 2, "bidirectional": True}),
    ],
    ids=str,
)
def test_a_parameter_of_another_shape_is_named_before_it_is_read(kind, options, change, grad):
    short, reshape = RESHAPED[change]
    layer, x = getattr(nn, kind)(3, 4, **options), torch.zeros(5, 2, 3)
    with torch.set_grad_enabled(grad):
        layer(x)
        name = f"{short}_l1_reverse"
        weight = getattr(layer, name)
        was = tuple(weight.shape)
        weight.data = reshape(weight.data).clone()
        message = re.escape(f"{name} must be {was}, got shape {tuple(weight.shape)}")
        for call in (layer, layer.trace, lambda x: layer(pack_sequence([x[:, 0]]))):
            with pytest.raises(RuntimeError, match=message):
                call(x)


@pytest.mark.parametrize("change", RESHAPED)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_cells_parameter_of_another_shape_is_named(kind, change):
    name, reshape = RESHAPED[change]
    cell = getattr(nn, f"{kind}Cell")(3, 4)
    weight = getattr(cell, name)
    was = tuple(weight.shape)
    weight.data = reshape(weight.data).clone()
    with pytest.raises(RuntimeError, match=re.escape(f"{name} must be {was}, got shape {tuple(weight.shape)}")):
        cell(torch.zeros(2, 3))


def test_a_stream_is_not_made_of_a_parameter_of_another_shape():
    layer = nn.LSTM(3, 4)
    layer.bias_hh_l0.data = layer.bias_hh_l0.data[:1].clone()
    with pytest.raises(RuntimeError, match=r"bias_hh_l0 must be \(16,\), got shape \(1,\)"):
        layer.stream()


@pytest.mark.parametrize("lengths", [[5, 2_000_000_000], [-1, 5]], ids=str)
def test_lengths_out_of_range_are_refused_in_compiled_code_too(lengths):
    torch.compiler.reset()
    layer = nn.LSTM(3, 4)
    compiled = torch.compile(lambda x, lengths: layer(x, lengths=lengths)[0], backend="eager", fullgraph=True)
    x, within = torch.randn(5, 2, 3), torch.tensor([5, 2])
    torch.testing.assert_close(compiled(x, within), layer(x, lengths=within)[0])
    wrong = [length for length in lengths if not 0 <= length <= 5]
    with pytest.raises(ValueError, match=f"lengths must be from 0 to T=5, got {wrong[0]}"):
        compiled(x, torch.tensor(lengths))
