"""Conversions between float32 and bfloat16 while other programs have the cores: the bits of torch's own."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from memfold import nn
from memfold.nn import conversion
from memfold.nn.conversion import SERIAL, converted

ARRANGED: list[Callable[[Tensor], Tensor]] = [
    lambda x: x,
    lambda x: x.transpose(0, 1),
    lambda x: x[:, 1:],
    lambda x: x[:1].expand(x.shape),
]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion._engine, "works_alone", lambda threads: True)


@pytest.mark.parametrize("arranged", ARRANGED, ids=["dense", "transposed", "part", "expanded"])
def test_values_strides_and_gradient_are_torchs(arranged: Callable[[Tensor], Tensor]) -> None:
    x = arranged(torch.randn(50, 9, 130)).requires_grad_()
    assert x.numel() > SERIAL
    expected, y = x.to(torch.bfloat16), converted(x, torch.bfloat16)
    assert torch.equal(y, expected)
    assert y.stride() == expected.stride()
    d = arranged(torch.randn(50, 9, 130)).bfloat16()
    (gradient,) = torch.autograd.grad(y, x, d)
    assert torch.equal(gradient, d.float())


def test_no_piece_is_large_enough_for_torch_to_divide(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    copy = Tensor.copy_
    monkeypatch.setattr(Tensor, "copy_", lambda self, other: sizes.append(self.numel()) or copy(self, other))
    for arranged in ARRANGED:
        converted(arranged(torch.randn(3, 70_000, 2)), torch.bfloat16)
    assert len(sizes) > len(ARRANGED)
    assert max(sizes) < SERIAL


def test_a_layer_under_autocast_answers_the_same() -> None:
    layer, x = nn.LSTM(4, 40), torch.randn(300, 3, 4, requires_grad=True)
    found = []
    for busy in (False, True):
        conversion._engine.works_alone = lambda threads, busy=busy: busy
        with torch.autocast("cpu", torch.bfloat16):
            y, _ = layer(x)
        found.append((y, *torch.autograd.grad(y.float().square().sum(), [x, *layer.parameters()])))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
