"""torch.export and torch.compile keep time and batch free, whatever the layer's options."""

from typing import Any

import pytest
import torch
from torch.export import Dim

import memfold.nn as mnn

OPTIONS = [
    ("LSTM", {}),
    ("LSTM", {"layer_norm": True}),
    ("LSTM", {"proj_size": 3, "num_layers": 2}),
    ("LSTM", {"peephole": True, "layer_norm": True, "bidirectional": True, "num_layers": 2}),
    ("LSTM", {"coupled": True, "clip": 1.0}),
    ("LSTM", {"zoneout": (0.1, 0.2)}),
    ("GRU", {"bidirectional": True}),
    ("GRU", {"reset_after": False}),
    ("RNN", {"nonlinearity": "relu"}),
]


@pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=str)
@pytest.mark.parametrize("ragged", [False, True])
def test_an_exported_layer_takes_other_lengths_and_batches(kind: str, options: dict[str, Any], ragged: bool) -> None:
    layer = getattr(mnn, kind)(4, 5, **options).eval()
    steps, batch = Dim("steps"), Dim("batch")
    call = {"lengths": torch.tensor([6, 4, 0]), "resets": torch.zeros(6, 3, dtype=torch.bool)} if ragged else {}
    shapes: dict[str, Any] = {"x": {0: steps, 1: batch}}
    if ragged:
        shapes |= {"lengths": {0: batch}, "resets": {0: steps, 1: batch}}
    program = torch.export.export(layer, (torch.randn(6, 3, 4),), call, dynamic_shapes=shapes).module()
    x = torch.randn(9, 2, 4)
    if ragged:
        call = {"lengths": torch.tensor([9, 2]), "resets": torch.rand(9, 2) < 0.3}
    torch.testing.assert_close(program(x, **call), layer(x, **call))


@pytest.mark.parametrize(("kind", "options"), OPTIONS[1:4], ids=str)
def test_a_compiled_layer_has_the_same_gradients_at_any_length(kind: str, options: dict[str, Any]) -> None:
    torch.compiler.reset()
    layer = getattr(mnn, kind)(4, 5, **options)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=True)
    for steps in (5, 8):
        x = torch.randn(steps, 3, 4, requires_grad=True)
        asked = [x, *layer.parameters()]
        expected = torch.autograd.grad(layer(x, lengths=torch.tensor([5, 2, 0]))[0].square().sum(), asked)
        found = torch.autograd.grad(compiled(x, lengths=torch.tensor([5, 2, 0]))[0].square().sum(), asked)
        torch.testing.assert_close(found, expected)


def test_training_draws_masks_in_compiled_code() -> None:
    torch.compiler.reset()
    layer = mnn.LSTM(4, 5, layer_norm=True, recurrent_dropout=0.5, zoneout=0.3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(5, 3, 4)
    first, second = compiled(x)[0], compiled(x)[0]
    assert torch.isfinite(first).all()
    assert not torch.equal(first, second)
