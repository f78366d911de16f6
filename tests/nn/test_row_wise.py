"""LSTMs with layer normalization or a projection, by the engine: against the composition, in all their options."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

import memfold
from memfold import nn
from memfold.nn import dispatch, row_wise
from memfold.nn.layer import Recurrent

WHOLE = [{"layer_norm": True}, {"proj_size": 7}, {"layer_norm": True, "proj_size": 7}]
CELLS = [{}, {"peephole": True}, {"coupled": True}, {"coupled": True, "peephole": True}]
by_the_engine = partial(dispatch.composed, by_rows=True)


def build(dtype: torch.dtype = torch.float64, **options: Any) -> Recurrent:
    torch.manual_seed(0)
    layer = nn.LSTM(5, 19, dtype=dtype, **options)
    for parameter in layer.parameters():  # gains and biases other than the first ones
        torch.nn.init.normal_(parameter, 0.1, 0.4)
    return layer


def random_call(layer: Recurrent, steps: int, batch: int, *, ragged: bool) -> tuple[Tensor, tuple[Tensor, ...], dict]:
    dtype, rows = layer.weight_hh_l0.dtype, layer.num_layers * layer.num_directions
    widths = layer.proj_size or layer.hidden_size, layer.hidden_size
    state = tuple(torch.randn(rows, batch, width, dtype=dtype, requires_grad=True) for width in widths)
    x = torch.randn(steps, batch, layer.input_size, dtype=dtype, requires_grad=True)
    if not ragged:
        return x, state, {}
    lengths = torch.randint(0, steps + 1, (batch,))
    return x, state, {"lengths": lengths, "resets": torch.rand(steps, batch) < 0.2}


def derived(fold: Callable[..., Any], layer: Recurrent, x: Tensor, state: Any, options: dict) -> list[Tensor]:
    """Outputs, and the gradients of a loss by everything that is read."""
    torch.manual_seed(1)  # of the masks
    y, final, _ = fold(layer, *layer.prepared(x, state, options.get("lengths"), options.get("resets")))
    torch.manual_seed(2)
    loss = sum((part * torch.randn_like(part)).sum() for part in (y, *final))
    return [y, *final, *torch.autograd.grad(loss, [x, *state, *layer.parameters()])]


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("whole", WHOLE, ids=str)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_outputs_and_gradients_are_the_compositions(whole: dict, cell: dict, training: bool, ragged: bool) -> None:
    for options in ({}, {"clip": 0.7}, {"zoneout": (0.3, 0.2)}, {"recurrent_dropout": 0.4, "bias": False}):
        layer = build(num_layers=2, bidirectional=True, **whole, **cell, **options).train(training)
        call = random_call(layer, 6, 9, ragged=ragged)
        ours, theirs = derived(by_the_engine, layer, *call), derived(dispatch.composed, layer, *call)
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("whole", WHOLE, ids=str)
def test_threads_change_no_bit(whole: dict) -> None:
    layer = build(torch.float32, **whole)
    call = random_call(layer, 20, 33, ragged=True)
    before = memfold.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            memfold.set_num_threads(threads)
            found.append(derived(by_the_engine, layer, *call))
    finally:
        memfold.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("whole", WHOLE, ids=str)
@pytest.mark.parametrize("lengths", [[], [1], [0, 0]], ids=str)
def test_no_rows_and_rows_without_steps(whole: dict, lengths: list[int]) -> None:
    layer = build(**whole)
    x, state, _ = random_call(layer, 1, len(lengths), ragged=False)
    y, (h, c) = layer(x, state, lengths=lengths)
    assert y.shape == (1, len(lengths), layer.output_size)
    if not any(lengths):
        assert torch.equal(h, state[0])
        assert torch.equal(c, state[1])
        assert not y.any()
    for gradient in torch.autograd.grad(y.sum() + h.sum(), [x, *layer.parameters()]):
        assert gradient.isfinite().all()


def test_a_projection_is_torchs() -> None:
    layer = build(num_layers=2, bidirectional=True, proj_size=7)
    x, state, _ = random_call(layer, 6, 9, ragged=False)
    for ours, theirs in zip(layer(x, state)[1], layer.to_torch()(x, state)[1], strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("whole", WHOLE, ids=str)
def test_under_autocast_products_are_of_bfloat16(whole: dict) -> None:
    layer = build(torch.float32, **whole)
    call = random_call(layer, 6, 9, ragged=False)
    exact = derived(by_the_engine, layer, *call)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = derived(by_the_engine, layer, *call)
        y, (h, c) = layer(call[0], call[1])
    assert y.dtype == h.dtype == c.dtype == torch.bfloat16
    for found, expected in zip(rounded, exact, strict=True):
        assert 0 < (found - expected).abs().max() < 0.1 * (1 + expected.abs().max())


def test_what_is_past_a_rows_end_changes_nothing() -> None:
    layer = build(layer_norm=True, proj_size=7)
    x = torch.randn(4, 2, 5, dtype=torch.float64)
    x[2:, 1] = torch.nan
    y, _ = layer(x, lengths=[4, 2])
    gradients = torch.autograd.grad(y.sum(), list(layer.parameters()))
    assert y.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_what_does_not_fit_together_is_refused() -> None:
    """As an operator in a compiled program it gets what nobody has looked at."""
    weights = dict(build(layer_norm=True, proj_size=7).weights(0))
    x, state = torch.randn(4, 3, 5, dtype=torch.float64), tuple(torch.randn(3, n, dtype=torch.float64) for n in (7, 19))
    row_wise.fold("lstm", x, weights, state)
    for name, weight in weights.items():
        with pytest.raises(ValueError, match=name if name != "weight_hh" else "must be"):
            row_wise.fold("lstm", x, weights | {name: weight[:-1]}, state)
    without = {name: weight for name, weight in weights.items() if name != "ln_hh"}
    with pytest.raises(ValueError, match="come together"):
        row_wise.fold("lstm", x, without, state)
    for options in (
        {"lengths": torch.tensor([4, 4])},
        {"resets": torch.zeros(3, 4, dtype=torch.bool)},
        {"recurrent_mask": torch.ones(3, 19, dtype=torch.float64)},
        {"zoneout": (torch.zeros(4, 3, 6, dtype=torch.bool), 0.0)},
    ):
        with pytest.raises(ValueError, match="must be"):
            row_wise.fold("lstm", x, weights, state, **options)
    with pytest.raises(ValueError, match="must be"):
        row_wise.fold("lstm", x, weights, state[::-1])
    too_long = torch.tensor([9, 4, 4])  # reads nothing past the end
    resets = torch.ones(4, 3, dtype=torch.bool)
    assert row_wise.fold("lstm", x, weights, state, lengths=too_long, resets=resets, reverse=True)[0].isfinite().all()
