"""memfold's recurrent operators in ONNX: every option, at other lengths and batches than those of the export."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

import memfold.nn as mnn

pytest.importorskip("onnxscript")
import onnxruntime

from memfold.export.flat import flattened
from memfold.export.operators import TABLE

OPTIONS = [
    ("LSTM", {}, "LSTM"),
    ("LSTM", {"clip": 1.0, "coupled": True, "peephole": True, "bidirectional": True}, "LSTM"),
    ("LSTM", {"peephole": True, "num_layers": 2}, "LSTM LSTM"),
    ("LSTM", {"layer_norm": True, "bidirectional": True, "peephole": True}, "Scan Scan"),
    ("LSTM", {"proj_size": 3, "num_layers": 2}, "Scan Scan"),
    ("LSTM", {"zoneout": 0.1, "coupled": True}, "Scan"),
    ("GRU", {"bidirectional": True, "bias": False}, "GRU"),
    ("GRU", {"reset_after": False}, "GRU"),
    ("RNN", {"nonlinearity": "relu", "bidirectional": True}, "RNN"),
]
# An export takes a second or more: of ragged batches every change tries some options, a release all.
ALWAYS = {"": set(range(len(OPTIONS))), "lengths": {3, 8}, "resets": {1, 7}}
CASES = [
    pytest.param(*option, ragged, marks=[] if place in ALWAYS[ragged] else pytest.mark.release)
    for ragged in ("", "lengths", "resets")
    for place, option in enumerate(OPTIONS)
]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch's exporter
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


class Called(nn.Module):
    """A layer called with all that is given, its outputs in one row."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, hx: Any, lengths: Tensor | None = None, resets: Tensor | None = None) -> Any:
        y, state = self.layer(x, hx, lengths=lengths, resets=resets)
        return (y, *state) if isinstance(state, tuple) else (y, state)


def arguments(layer: Any, ragged: str, steps: int, batch: int) -> tuple[Any, ...]:
    """An input with a state; lengths with a row of 0 and one of 1, or resets."""
    rows = layer.num_layers * layer.num_directions
    h = torch.randn(rows, batch, layer.proj_size or layer.hidden_size)
    state = (h, torch.randn(rows, batch, layer.hidden_size)) if "LSTM" in type(layer).__name__ else h
    x = torch.randn(steps, batch, layer.input_size)
    if ragged == "lengths":
        return x, state, torch.tensor([steps, 0, 1] + [steps - 1] * (batch - 3))
    if ragged == "resets":
        return x, state, None, torch.rand(steps, batch) < 0.3
    return x, state


@pytest.mark.parametrize(("kind", "options", "nodes", "ragged"), CASES, ids=str)
def test_a_layer_answers_in_onnx_as_in_torch(kind: str, options: dict[str, Any], nodes: str, ragged: str) -> None:
    torch.manual_seed(0)
    layer = getattr(mnn, kind)(4, 5, **options).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    steps, batch = Dim("steps"), Dim("batch")
    shapes: list[Any] = [{0: steps, 1: batch}, ({1: batch}, {1: batch}) if kind == "LSTM" else {1: batch}]
    shapes += {"": [], "lengths": [{0: batch}], "resets": [None, {0: steps, 1: batch}]}[ragged]
    module = Called(layer)
    program = torch.export.export(module, arguments(layer, ragged, 6, 3), dynamic_shapes=tuple(shapes))
    exported = torch.onnx.export(
        flattened(program), dynamo=True, custom_translation_table=TABLE, verbose=False, opset_version=20
    )
    model = exported.model_proto
    recurrent = [node.op_type for node in model.graph.node if node.op_type in ("LSTM", "GRU", "RNN", "Scan")]
    assert recurrent == (["Scan"] * len(recurrent) if ragged == "resets" else nodes.split())
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = arguments(layer, ragged, 9, 4)
    flat = [value for value in torch.utils._pytree.tree_leaves(given) if value is not None]
    names = [entry.name for entry in session.get_inputs()]
    found = session.run(None, {name: value.numpy() for name, value in zip(names, flat, strict=True)})
    with torch.no_grad():
        expected = module(*given)
    most = 5e-5 if "layer_norm" in options else 5e-6  # a normalisation enlarges what rounding leaves
    for value, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, other.numpy(), atol=most, rtol=0)


def test_a_layer_in_training_is_refused() -> None:
    layer = mnn.LSTM(4, 5, zoneout=0.5)
    program = torch.export.export(layer, (torch.randn(6, 3, 4),))
    with pytest.raises(torch.onnx.errors.OnnxExporterError) as caught:
        torch.onnx.export(flattened(program), dynamo=True, custom_translation_table=TABLE, verbose=False)
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, NotImplementedError):
        cause = cause.__cause__
    assert "call eval() first" in str(cause)
