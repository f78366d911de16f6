"""A part as an ONNX file: names, free axes, the step form, and what is not written."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import memfold.nn as mnn
from memfold.errors import InputError
from memfold.runtime.recipe import Part

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
from memfold.export.onnx_file import exported  # noqa: E402


class Streamed(nn.Module):
    """A layer and a head, whose state goes in and out."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.layer = getattr(mnn, kind)(3, 4, **options)
        self.head = nn.Linear(options.get("proj_size") or 4, 2)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if isinstance(self.layer, mnn.LSTM):
            y, (h, c) = self.layer(x, (h, c))
        else:
            y, h = self.layer(x, h)
        return self.head(y), h, c + 0.0


def part_of(module: Streamed, steps: int = 5, free: bool = True) -> Part:
    def given(steps: int, batch: int) -> dict[str, Tensor]:
        h = torch.randn(1, batch, module.head.in_features)
        return {"x": torch.randn(steps, batch, 3), "h": h, "c": torch.randn(1, batch, 4)}

    axes = {"x": {0: "time", 1: "batch"} if free else {1: "batch"}, "h": {1: "batch"}, "c": {1: "batch"}}
    others = [given(steps + 2 * free, 2), given(1, 5)] if free else [given(1, 5)]
    state = {"h_after": "h", "c_after": "c"}
    return Part("model", module.eval(), given(steps, 3), axes, ("y", "h_after", "c_after"), state, others)


def test_names_axes_and_what_the_file_says_of_itself() -> None:
    written = exported(part_of(Streamed("LSTM")), about={"model": "abc"})
    assert written.difference < 1e-5
    model = onnx.load_from_string(written.content)
    assert [entry.name for entry in model.graph.input] == ["x", "h", "c"]
    assert [entry.name for entry in model.graph.output] == ["y", "h_after", "c_after"]
    free = [axis.dim_param for axis in model.graph.input[0].type.tensor_type.shape.dim]
    assert free == ["time", "batch", ""]
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(about["state"]) == {"h_after": "h", "c_after": "c"}
    assert about["model"] == "abc"
    assert float(about["difference"]) == pytest.approx(written.difference, rel=0.01, abs=1e-12)
    assert written.nodes == len(model.graph.node)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("LSTM", {}, marks=pytest.mark.release),
        ("LSTM", {"peephole": True, "clip": 1.0}),
        pytest.param("LSTM", {"coupled": True, "zoneout": 0.1}, marks=pytest.mark.release),
        ("LSTM", {"layer_norm": True, "proj_size": 2}),
        pytest.param("GRU", {}, marks=pytest.mark.release),
        ("GRU", {"reset_after": False}),
        ("RNN", {"nonlinearity": "relu"}),
    ],
    ids=str,
)
def test_a_step_has_no_loop_and_no_recurrent_node(kind: str, options: dict[str, Any]) -> None:
    written = exported(part_of(Streamed(kind, **options), 1, free=False), step=True)
    assert written.difference < 1e-5
    kinds = {node.op_type for node in onnx.load_from_string(written.content).graph.node}
    assert not kinds & {"LSTM", "GRU", "RNN", "Scan", "Loop", "If"}


def test_what_answers_otherwise_is_not_written() -> None:
    class Drawn(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand_like(x)

    part = Part("noise", Drawn(), {"x": torch.randn(3, 4)}, {"x": {0: "batch"}}, ("y",))
    with pytest.raises(InputError, match="not written: noise answers otherwise than the model, by 0"):
        exported(part)


def test_what_cannot_be_exported_is_named() -> None:
    part = part_of(Streamed("LSTM", zoneout=0.5))
    part.module.train()
    with pytest.raises(InputError, match=r"model cannot be exported: .*call eval\(\) first"):
        exported(part)
