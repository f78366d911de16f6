"""Layers under ``torch.autocast`` in bfloat16: torch's types, and products of rounded numbers forward and backward."""

import copy
import hashlib
from typing import Any

import pytest
import torch
from kinds import SERVED
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from instruction_sets import digests
from memfold import nn

SIZES = {"input_size": 11, "hidden_size": 37}


def in_bfloat16() -> Any:
    return torch.autocast("cpu", dtype=torch.bfloat16)


def sequence(steps: int = 9, batch: int = 5) -> Tensor:
    return torch.randn(steps, batch, SIZES["input_size"], generator=torch.Generator().manual_seed(1))


def layer_of(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return getattr(nn, name)(**SIZES, init="torch", **options)


def as_tuple(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def types(result: Any) -> list[torch.dtype]:
    y, state = result
    y = y.data if isinstance(y, PackedSequence) else y
    return [tensor.dtype for tensor in (y, *as_tuple(state))]


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_answers_are_of_the_types_that_torch_gives(name: str, gradient: bool) -> None:
    ours = layer_of(name)
    theirs, x = ours.to_torch(), sequence()
    h = torch.zeros(1, 5, 37)
    packed = pack_padded_sequence(x, [9, 7, 7, 2, 1])
    with in_bfloat16(), torch.set_grad_enabled(gradient):
        for given in (x, x.bfloat16(), packed):
            assert types(ours(given)) == types(theirs(given))
        for dtype in (torch.float32, torch.bfloat16):
            hx = h.to(dtype) if name != "LSTM" else (h.to(dtype), h.to(dtype))
            assert types(ours(x, hx)) == types(theirs(x, hx))
    assert types(ours(x)) == types(theirs(x))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_answers_and_gradients_are_close_to_torchs(name: str) -> None:
    """Torch's own products in bfloat16 are as far from those in float32."""
    ours = layer_of(name, num_layers=2, bidirectional=True)
    theirs, x = ours.to_torch(), sequence()

    def run(layer: Any, enabled: bool) -> list[Tensor]:
        layer.zero_grad()
        given = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            y, _ = layer(given)
        y.float().square().sum().backward()
        return [y.float(), given.grad, *(p.grad for p in layer.parameters())]

    for exact, torchs, own in zip(run(theirs, False), run(theirs, True), run(ours, True), strict=True):
        assert own.dtype == torch.float32
        assert (own - exact).norm() < 1.5 * (torchs - exact).norm() + 2e-3 * exact.norm()


class Product(torch.autograd.Function):
    """W x + R h + b in float64, whose factors are rounded to bfloat16 forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, weight: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
        x, h, weight, recurrent = (rounded(factor) for factor in (x, h, weight, recurrent))
        ctx.save_for_backward(x, h, weight, recurrent)
        return x @ weight.T + h @ recurrent.T + bias

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> Any:
        x, h, weight, recurrent = ctx.saved_tensors
        d = rounded(d)
        return d @ weight, d @ recurrent, d.T @ x, d.T @ h, d.sum(0)


def rounded(values: Tensor) -> Tensor:
    return values.to(torch.bfloat16).double()


def product(x: Tensor, h: Tensor, weight: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
    result: Tensor = Product.apply(x, h, weight, recurrent, bias)  # type: ignore[no-untyped-call]
    return result


def step(cell: str, x: Tensor, state: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
    """A step by the formulas of torch's documentation."""
    weight, recurrent, bias, recurrent_bias = weights
    if cell == "RNN":
        return [product(x, state[0], weight, recurrent, bias + recurrent_bias).tanh()]
    if cell == "LSTM":
        i, f, g, o = product(x, state[0], weight, recurrent, bias + recurrent_bias).chunk(4, 1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return [o.sigmoid() * c.tanh(), c]
    hidden = len(recurrent) // 3
    none = torch.zeros_like(x), torch.zeros_like(state[0])
    both, new = slice(2 * hidden), slice(2 * hidden, None)
    gates = product(x, state[0], weight[both], recurrent[both], (bias + recurrent_bias)[both])
    r, z = gates.sigmoid().chunk(2, 1)
    by_input = product(x, none[1], weight[new], recurrent[new], bias[new])
    by_hidden = product(none[0], state[0], weight[new], recurrent[new], recurrent_bias[new])
    n = (by_input + r * by_hidden).tanh()
    return [(1 - z) * n + z * state[0]]


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
def test_gradients_are_those_of_products_of_rounded_numbers(cell: str) -> None:
    """In float64, by torch's own derivatives: what differs is the rounding of float32."""
    layer = layer_of(cell)
    x = sequence(steps=4).requires_grad_()
    with in_bfloat16():
        trace = layer.trace(x)["l0"]  # float32, which y is not
    weighted = torch.randn(trace["h"].shape, generator=torch.Generator().manual_seed(2))
    with in_bfloat16():
        y = layer(x, torch.zeros(1, 5, 37) if cell == "GRU" else None)[0]
    y.backward(weighted.to(y.dtype))
    found = [x.grad, *(p.grad for p in layer.parameters())]

    exact_x = x.detach().double().requires_grad_()
    weights = [p.detach().double().requires_grad_() for p in layer.parameters()]
    state = [torch.zeros(5, 37, dtype=torch.float64) for _ in range(2 if cell == "LSTM" else 1)]
    outputs = []
    for row in exact_x:
        state = step(cell, row, state, weights)
        outputs.append(state[0])
    torch.testing.assert_close(trace["h"].double(), torch.stack(outputs), atol=1e-5, rtol=0)
    torch.stack(outputs).backward(weighted.to(y.dtype).double())
    for own, expected in zip(found, [exact_x.grad, *(w.grad for w in weights)], strict=True):
        assert expected is not None
        assert (own.double() - expected).norm() < 1e-4 * expected.norm()


@pytest.mark.parametrize(("name", "options"), SERVED)
def test_every_cell_learns_in_bfloat16(name: str, options: dict[str, Any]) -> None:
    """Its gradient points where that in float32 does, with lengths, resets and two directions."""
    layer, x = layer_of(name, bidirectional=True, **options), sequence()
    resets = torch.zeros(9, 5, dtype=torch.bool)
    resets[3, 2] = resets[5, 0] = True
    gradients = []
    for enabled in (False, True):
        layer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            y, _ = layer(x, lengths=[9, 8, 5, 0, 1], resets=resets)
        assert not y[5:, 2].any()
        y.float().square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in layer.parameters()]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99
    assert not torch.equal(*gradients)


@pytest.mark.parametrize(("name", "options"), SERVED)
def test_threads_change_no_bit(name: str, options: dict[str, Any]) -> None:
    layer, x = layer_of(name, **options), sequence(12, 13)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            layer.zero_grad()
            with in_bfloat16():
                y, _ = layer(x)
            y.float().sum().backward()
            results.append([y, *(p.grad.clone() for p in layer.parameters())])
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_without_a_gradient_the_bits_are_the_same(name: str) -> None:
    layer, x = layer_of(name, num_layers=2, bidirectional=True), sequence()
    with in_bfloat16():
        for lengths in (None, [9, 3, 0, 1, 8]):
            with_gradient, state = layer(x, lengths=lengths)
            with torch.no_grad():
                without, other_state = layer(x, lengths=lengths)
            assert torch.equal(with_gradient, without)
            assert all(map(torch.equal, as_tuple(state), as_tuple(other_state)))
    with torch.no_grad():
        assert torch.equal(layer(x)[0], copy.deepcopy(layer)(x)[0])  # weights packed for either are kept apart


def test_other_types_stay_as_they_are() -> None:
    """Weights in float64, and autocast in float16, which the engine does not multiply in."""
    layer, x = layer_of("LSTM"), sequence()
    expected = layer(x)[0]
    with torch.autocast("cpu", dtype=torch.float16):
        assert torch.equal(layer(x)[0], expected)
    layer = layer.double()
    expected = layer(x.double())[0]
    with in_bfloat16():
        y = layer(x.double())[0]
    assert y.dtype == torch.float64
    assert torch.equal(y, expected)


def test_a_call_of_the_operator_in_bfloat16_takes_float32() -> None:
    layer, x = layer_of("RNN").double(), sequence().double()
    weights, state = list(layer.parameters()), [torch.zeros(1, 5, 37, dtype=torch.float64)]
    options = (None, None, None, [None], "rnn_tanh", 1, None, [0.0], False, False)
    torch.ops.memfold.fold(x, weights, state, *options)  # as older programs call it
    with pytest.raises(ValueError, match=r"products in bfloat16 take x in float32, got torch\.float64"):
        torch.ops.memfold.fold(x, weights, state, *options, True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_compiled_the_bits_are_the_same(name: str) -> None:
    layer, x = layer_of(name), sequence()
    compiled = torch.compile(lambda x: layer(x)[0], fullgraph=True, backend="aot_eager")
    with in_bfloat16():
        assert torch.equal(compiled(x), layer(x)[0])


def digest() -> str:
    """Of the gradients of layers, both ways."""
    result = hashlib.sha256()
    for name in ("LSTM", "GRU", "RNN"):
        layer, x = layer_of(name, bidirectional=True), sequence().requires_grad_()
        with in_bfloat16():
            layer(x)[0].float().square().sum().backward()
        for gradient in (x.grad, *(p.grad for p in layer.parameters())):
            result.update(gradient.numpy().tobytes())
    return result.hexdigest()


@pytest.mark.slow
def test_instruction_sets_have_the_same_gradients() -> None:
    """To the bit: those of v4-bf16's instruction and of the others' unpacking."""
    by_isa = digests("test_autocast")
    assert len(set(by_isa.values())) == 1, by_isa
