"""The layers without a gradient: the engine's results, and a cache of packed weights that never goes stale."""

import copy
import io
import pickle
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import memfold.nn as mnn
from memfold import engine
from memfold.nn import dispatch, inference
from memfold.nn.layer import Recurrent

LAYERS: dict[str, Callable[[], Recurrent]] = {
    "lstm": lambda: mnn.LSTM(7, 20),
    "two layers both ways": lambda: mnn.LSTM(7, 20, num_layers=2, bidirectional=True),
    "batch first": lambda: mnn.LSTM(7, 20, batch_first=True),
    "peephole": lambda: mnn.LSTM(7, 20, peephole=True, clip=1.0, zoneout=(0.1, 0.2)),
    "coupled": lambda: mnn.LSTM(7, 20, coupled=True, peephole=True),
    "gru": lambda: mnn.GRU(7, 20, bidirectional=True, bias=False),
    "reset_before": lambda: mnn.GRU(7, 20, reset_after=False, clip=1.0, zoneout=0.1),
    "rnn": lambda: mnn.RNN(7, 20, nonlinearity="relu"),
    "double": lambda: mnn.LSTM(7, 20, dtype=torch.float64),
}


def composed(layer: Recurrent, x: torch.Tensor, **ragged: torch.Tensor) -> torch.Tensor:
    time_first, state, lengths, resets = layer.prepared(x, None, ragged.get("lengths"), ragged.get("resets"))
    y = dispatch.composed(layer, time_first, state, lengths, resets)[0]
    return y.transpose(0, 1) if layer.batch_first else y


def the_engine_serves(layer: Recurrent, x: torch.Tensor) -> bool:
    return dispatch.served_by(layer, x, layer._initial_state(x, None, 4, True), ragged=False) == "packed"


@torch.no_grad()
@pytest.mark.parametrize("name", LAYERS)
def test_evaluation_gives_the_results_of_the_composition(name: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]().eval()
    x = torch.randn(4, 9, 7) if layer.batch_first else torch.randn(9, 4, 7)
    x = x.to(layer.weight_ih_l0.dtype)
    assert the_engine_serves(layer, x)
    resets = torch.rand(x.shape[:2]) < 0.2
    for ragged in ({}, {"lengths": torch.tensor([9, 0, 4, 1])}, {"resets": resets}):
        y, _ = layer(x, **ragged)
        torch.testing.assert_close(y, composed(layer, x, **ragged), atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_final_state_and_a_packed_sequence_are_torchs() -> None:
    torch.manual_seed(1)
    reference = nn.LSTM(7, 20, num_layers=2, bidirectional=True)
    layer = mnn.LSTM.from_torch(reference).eval()
    x, hx = torch.randn(9, 4, 7), (torch.randn(4, 4, 20), torch.randn(4, 4, 20))
    for ours, theirs in zip(layer(x, hx)[1], reference(x, hx)[1], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([3, 9, 5, 1]), enforce_sorted=False)
    ours, _ = layer(packed, hx)
    theirs, _ = reference(packed, hx)
    torch.testing.assert_close(ours.data, theirs.data, atol=1e-5, rtol=0)


def test_the_engine_stands_back_where_a_derivative_is_asked_for() -> None:
    layer, x = mnn.LSTM(7, 20).eval(), torch.randn(9, 4, 7)
    assert not the_engine_serves(layer, x)
    layer.requires_grad_(False)
    assert the_engine_serves(layer, x)
    assert not the_engine_serves(layer, x.clone().requires_grad_())
    with torch.no_grad():
        assert the_engine_serves(mnn.LSTM(7, 20), x)
        assert not the_engine_serves(mnn.LSTM(7, 20, zoneout=0.1), x)  # draws masks in training
        assert the_engine_serves(mnn.LSTM(7, 20, zoneout=0.1).eval(), x)
        assert not the_engine_serves(mnn.LSTM(7, 20, layer_norm=True), x)
        assert not the_engine_serves(mnn.LSTM(7, 20, dtype=torch.bfloat16), x.bfloat16())


def fused_adam(layer: Recurrent, x: torch.Tensor) -> None:
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1, fused=True)
    layer(x)[0].square().sum().backward()
    optimiser.step()


def assign_data(layer: Recurrent, x: torch.Tensor) -> None:
    layer.weight_hh_l0.data[3, 5] += 1


def numpy_view(layer: Recurrent, x: torch.Tensor) -> None:
    layer.weight_ih_l0.detach().numpy()[0, 0] += 1


def load_state(layer: Recurrent, x: torch.Tensor) -> None:
    layer.load_state_dict({name: w * 2 for name, w in layer.state_dict().items()})


def load_and_assign(layer: Recurrent, x: torch.Tensor) -> None:
    layer.load_state_dict({name: w * 2 for name, w in layer.state_dict().items()}, assign=True)


def swap_rows(layer: Recurrent, x: torch.Tensor) -> None:
    with torch.no_grad():
        layer.weight_hh_l0[[0, 40]] = layer.weight_hh_l0[[40, 0]]


def one_bias(layer: Recurrent, x: torch.Tensor) -> None:
    layer.bias_hh_l0.data[-1] += 1e-3


@pytest.mark.parametrize(
    "write", [fused_adam, assign_data, numpy_view, load_state, load_and_assign, swap_rows, one_bias]
)
def test_a_write_to_the_weights_is_always_seen(write: Callable[[Recurrent, torch.Tensor], None]) -> None:
    torch.manual_seed(2)
    layer, x = mnn.LSTM(7, 20, init="torch"), torch.randn(9, 4, 7)
    with torch.no_grad():
        before = layer(x)[0]
    write(layer, x)
    with torch.no_grad():
        after, expected = layer(x)[0], composed(layer, x)
    assert (after != before).any()
    torch.testing.assert_close(after, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_cache_is_in_no_copy_pickle_or_state_dict() -> None:
    layer, x = mnn.LSTM(7, 20).eval(), torch.randn(9, 4, 7)
    keys, size = set(layer.state_dict()), len(pickle.dumps(layer))
    y, _ = layer(x)
    assert set(layer.state_dict()) == keys
    assert len(pickle.dumps(layer)) == size
    twin = copy.deepcopy(layer)
    twin.weight_ih_l0.zero_()
    assert (twin(x)[0] != y).any()
    assert (layer(x)[0] == y).all()
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    entries = len(inference._cache._entries)
    del layer, twin
    assert len(inference._cache._entries) == entries - 2


@torch.no_grad()
def test_weights_are_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = mnn.LSTM(7, 20).eval(), torch.randn(9, 4, 7)
    y, _ = layer(x)
    monkeypatch.setattr(engine, "pack", None)
    assert (layer(x)[0] == y).all()


def test_many_threads_may_call_one_layer() -> None:
    torch.manual_seed(3)
    layer = mnn.LSTM(16, 64, num_layers=2, bidirectional=True).eval()
    inputs = [torch.randn(30, 1 + k, 16) for k in range(8)]
    with torch.no_grad():
        expected = [layer(x)[0] for x in inputs]
    wrong: list[int] = []

    def work(k: int) -> None:
        with torch.no_grad():
            for _ in range(20):
                if not torch.equal(layer(inputs[k])[0], expected[k]):
                    wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@torch.no_grad()
def test_gradients_and_transforms_still_work_beside_the_engine() -> None:
    layer, x = mnn.GRU(3, 4).eval(), torch.randn(5, 2, 3)
    expected, _ = layer(x)
    mapped = torch.func.vmap(lambda row: layer(row)[0], in_dims=1, out_dims=1)(x)
    torch.testing.assert_close(mapped, expected, atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", ["lstm", "peephole", "coupled", "double", "rnn", "reset_before"])
def test_a_stream_takes_the_layers_steps(name: str) -> None:
    layer = LAYERS[name]().eval()
    stream = layer.stream(streams=4)
    x = torch.randn(9, 4, 7, dtype=layer.weight_ih_l0.dtype)
    y, _ = layer(x)
    for x_t, y_t in zip(x.numpy(), y.numpy(), strict=True):
        np.testing.assert_array_equal(stream.step(x_t), y_t)


def test_what_cannot_stream_says_so() -> None:
    with pytest.raises(ValueError, match="a bidirectional LSTM cannot stream"):
        mnn.LSTM(3, 4, bidirectional=True).stream()
    with pytest.raises(ValueError, match="streams have no proj_size"):
        mnn.LSTM(3, 4, proj_size=2).stream()
