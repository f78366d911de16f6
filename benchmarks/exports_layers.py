"""A layer of torch through torch's own exporter and through memfold's, with the same weights; a case of exports.py.

python benchmarks/exports_layers.py '{"kind": "LSTM", "options": {"num_layers": 2}}'
"""

import contextlib
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch.export import Dim

import memfold.nn
from memfold.export import export
from memfold.runtime import Part

INPUTS, HIDDEN, STEPS, BATCH = 8, 16, 7, 3
OTHER_STEPS, OTHER_BATCH = 11, 2  # that the file is run with
RECURRENT = ("LSTM", "GRU", "RNN", "Scan", "Loop")


def axes(form: str) -> tuple[dict[int, Any]]:
    """The free axes of time and batch, in one of the ways that torch.export takes."""
    forms = {
        "named": {0: Dim("time"), 1: Dim("batch")},
        "auto": {0: Dim.AUTO, 1: Dim.AUTO},
        "dynamic": {0: Dim.DYNAMIC, 1: Dim.DYNAMIC},
    }
    return (forms[form],)


def by_torch(layer: torch.nn.Module, form: str) -> onnx.ModelProto:
    """The file of torch's own exporter."""
    x = torch.randn(STEPS, BATCH, INPUTS)
    written = torch.onnx.export(layer, (x,), dynamo=True, dynamic_shapes=axes(form), verbose=False)
    assert written is not None
    model: onnx.ModelProto = written.model_proto
    return model


def by_memfold(layer: Any) -> onnx.ModelProto:
    """The file of memfold's, of the same weights."""
    ours = getattr(memfold.nn, type(layer).__name__).from_torch(layer).eval()
    examples = {"x": torch.randn(STEPS, BATCH, INPUTS)}
    outputs = ("y", "h", "c") if isinstance(layer, torch.nn.LSTM) else ("y", "h")
    module = Flat(ours) if len(outputs) == 3 else ours
    part = Part("model", module, examples, {"x": {0: "time", 1: "batch"}}, outputs)
    with tempfile.TemporaryDirectory() as folder:
        export(part, "onnx", Path(folder) / "m.onnx")
        return onnx.load(Path(folder) / "m.onnx")


class Flat(torch.nn.Module):
    """An LSTM whose outputs stand side by side."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, (h, c) = self.layer(x)
        return y, h, c


def reason_of(error: Exception) -> str:
    """What an exporter or ONNX Runtime says, short."""
    text = " ".join(str(error).split())
    start = max(text.find("Received user-specified"), text.find("Got invalid"), text.find("Input shape:"), 0)
    return text[start:].split(" (Refer")[0].split(" Please fix")[0][:200]


def answered(model: onnx.ModelProto, layer: torch.nn.Module, steps: int, batch: int) -> dict[str, Any]:
    """Whether a file answers so many steps as the layer does, and the largest difference."""
    x = torch.randn(steps, batch, INPUTS)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        y = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    except Exception as error:  # of ONNX Runtime, in many kinds
        return {"refused": reason_of(error)}
    expected = layer(x)[0].numpy()
    if y.shape != expected.shape:
        return {"shape": list(y.shape), "expected": list(expected.shape)}
    return {"difference": float(np.abs(y - expected).max())}


def tried(layer: torch.nn.Module, way: Callable[[], onnx.ModelProto]) -> dict[str, Any]:
    """What becomes of a layer in one way."""
    begun = time.monotonic()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            model = way()
    except Exception as error:  # of the exporter
        return {"refused": reason_of(error)}
    seconds = round(time.monotonic() - begun, 1)
    operators = [node.op_type for node in model.graph.node]
    return {
        "nodes": len(operators),
        "recurrent": [name for name in operators if name in RECURRENT],
        "seconds": seconds,
        "same": answered(model, layer, STEPS, BATCH),
        "length": answered(model, layer, OTHER_STEPS, BATCH),
        "batch": answered(model, layer, STEPS, OTHER_BATCH),
    }


def main() -> None:
    """Try one layer in every way, and print what became of it as JSON."""
    job = json.loads(sys.argv[1])
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    layer = getattr(torch.nn, job["kind"])(INPUTS, HIDDEN, **job["options"]).eval()
    with torch.no_grad():
        ways = {form: tried(layer, lambda form=form: by_torch(layer, form)) for form in ("named", "auto", "dynamic")}  # type: ignore[misc]
        ways["memfold"] = tried(layer, lambda: by_memfold(layer))
    print(json.dumps(ways))


if __name__ == "__main__":
    main()
