"""Tensors of every layout: strides and signs that torch has put off mean the same as in a plain copy."""

import pytest
import torch

from memfold import nn


def plain(x):
    return torch.empty(x.shape, dtype=x.dtype).copy_(x)


def sliding(_):
    """Windows a step apart over time and a step apart over the batch: rows overlap, and share strides."""
    return torch.randn(36, dtype=torch.float64).as_strided((6, 2, 3), (6, 1, 1))


def negated(shape):
    """A tensor whose sign torch has put off."""
    return torch.randn(shape, dtype=torch.complex128).conj().imag


LAYOUTS = {
    "sliding": sliding,
    "negated": negated,
    "negated and contiguous": lambda shape: torch._neg_view(torch.randn(shape, dtype=torch.float64)),
    "expanded over time": lambda shape: torch.randn(1, *shape[1:], dtype=torch.float64).expand(shape),
    "expanded over the batch": lambda shape: torch.randn(shape[0], 1, shape[2], dtype=torch.float64).expand(shape),
    "expanded over features": lambda shape: torch.randn(*shape[:2], 1, dtype=torch.float64).expand(shape),
    "turned": lambda shape: torch.randn(shape[::-1], dtype=torch.float64).permute(2, 1, 0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("LSTM", {"bidirectional": True, "peephole": True}), ("GRU", {"batch_first": True}), ("RNN", {"num_layers": 2})],
    ids=str,
)
def test_a_layer_reads_x_and_hx_of_any_layout(kind, options, features, layout):
    torch.manual_seed(0)
    layer = getattr(nn, kind)(features, 4, dtype=torch.float64, init="torch", **options).eval()
    x = LAYOUTS[layout]((6, 2, features))[..., :features]
    batch = x.shape[0] if layer.batch_first else x.shape[1]
    state = (layer.num_layers * layer.num_directions, batch, 4)
    make = LAYOUTS["turned" if layout == "sliding" else layout]
    hx = (make(state), make(state)) if kind == "LSTM" else make(state)
    copy = tuple(map(plain, hx)) if kind == "LSTM" else plain(hx)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            y, final = layer(x, hx)
            expected, expected_final = layer(plain(x), copy)
        torch.testing.assert_close(y, expected, rtol=0, atol=0)
        torch.testing.assert_close(final, expected_final, rtol=0, atol=0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_is_that_of_a_plain_copy(layout):
    torch.manual_seed(0)
    layer = nn.LSTM(3, 4, dtype=torch.float64, init="torch", bidirectional=True)
    x = LAYOUTS[layout]((6, 2, 3)).detach().requires_grad_()
    copy = plain(x.detach()).requires_grad_()
    weight = LAYOUTS["turned" if layout == "sliding" else layout]((6, 2, 8))  # dy is of this layout
    found = torch.autograd.grad(layer(x)[0], [x, *layer.parameters()], weight)
    expected = torch.autograd.grad(layer(copy)[0], [copy, *layer.parameters()], plain(weight))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
