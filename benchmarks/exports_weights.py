"""Layers that `memfold.formats.load_weights` reads, beside what wrote them; a case of exports.py.

python benchmarks/exports_weights.py '{"source": "torch"}'
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from safetensors.torch import save_file

import memfold.nn
from memfold.formats import load_weights

INPUTS, HIDDEN, STEPS, BATCH = 8, 16, 40, 3
KERAS = Path(__file__).parents[1] / "tests" / "formats" / "keras_layers"
Array = NDArray[np.float32]
TORCH_OPTIONS: list[dict[str, Any]] = [{}, {"bidirectional": True}, {"num_layers": 2}, {"bias": False}]
MEMFOLD_OPTIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("LSTM", "lstm", {"peephole": True}),
    ("LSTM", "lstm", {"layer_norm": True}),
    ("LSTM", "coupled_lstm", {"coupled": True}),
    ("LSTM", "coupled_lstm", {"coupled": True, "peephole": True}),
    ("GRU", "gru_reset_before", {"reset_after": False}),
]
NODES: list[tuple[str, dict[str, Any]]] = [
    ("LSTM", {}),
    ("LSTM", {"direction": "bidirectional"}),
    ("LSTM", {"peephole": True}),
    ("LSTM", {"clip": 0.5}),
    ("LSTM", {"input_forget": 1}),
    ("LSTM", {"input_forget": 1, "peephole": True}),
    ("GRU", {"linear_before_reset": 1}),
    ("GRU", {}),
    ("GRU", {"direction": "bidirectional", "linear_before_reset": 1}),
    ("RNN", {}),
    ("RNN", {"activations": ["Relu"]}),
    ("RNN", {"direction": "bidirectional"}),
]
Row = dict[str, Any]


def output(layer: Any, x: Array) -> Array:
    """What a layer answers from a zero state."""
    y: Array = layer(torch.from_numpy(x))[0].numpy()
    return y


def row(layer: str, options: dict[str, Any], actual: Array, expected: Array) -> Row:
    """The largest difference between two answers."""
    return {"layer": layer, "options": options, "difference": float(np.abs(actual - expected).max())}


def from_torch(x: Array, folder: Path) -> Iterator[Row]:
    """State dicts of torch.nn, as tensors of torch and of safetensors, and those of memfold's own options."""
    for kind in ("LSTM", "GRU", "RNN"):
        only: list[dict[str, Any]] = [{"proj_size": 4}] if kind == "LSTM" else []
        only += [{"nonlinearity": "relu"}] if kind == "RNN" else []
        for options in [*TORCH_OPTIONS, *only]:
            layer = getattr(torch.nn, kind)(INPUTS, HIDDEN, **options)
            cells = {"": "rnn_relu"} if "nonlinearity" in options else None
            torch.save(layer.state_dict(), folder / "m.pt")
            save_file(layer.state_dict(), folder / "m.safetensors")
            read = [load_weights(folder / name, cells=cells)[""] for name in ("m.pt", "m.safetensors")]
            both = np.stack([output(one, x) for one in read])
            yield row(f"torch.nn.{kind}", options, both, output(layer, x))
    for kind, cell, options in MEMFOLD_OPTIONS:
        layer = getattr(memfold.nn, kind)(INPUTS, HIDDEN, **options)
        for weight in layer.parameters():  # peepholes begin at 0 and gains at 1
            torch.nn.init.normal_(weight, std=0.3)
        torch.save(layer.state_dict(), folder / "m.pt")
        given = {} if cell == "lstm" else {"cells": {"": cell}}
        yield row(
            f"memfold.nn.{kind}", options, output(load_weights(folder / "m.pt", **given)[""], x), output(layer, x)
        )


def write_node(file: Path, operator: str, attributes: dict[str, Any]) -> None:
    """A file of ONNX with one recurrent node of random weights."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator]
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    shapes = {"W": (gates * HIDDEN, INPUTS), "R": (gates * HIDDEN, HIDDEN), "B": (2 * gates * HIDDEN,)}
    if attributes.get("peephole"):
        shapes["P"] = (3 * HIDDEN,)
    random = np.random.default_rng(1)
    arrays = {name: random.normal(0, 0.3, (directions, *shape)).astype(np.float32) for name, shape in shapes.items()}
    inputs = ["X", "W", "R", "B", *(["", "", "", "P"] if "P" in arrays else [])]
    plain = {name: value for name, value in attributes.items() if name != "peephole"}
    node = helper.make_node(operator, inputs, ["Y"], name="rec", hidden_size=HIDDEN, **plain)
    x = helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, ["T", "B", INPUTS])
    y = helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph([node], "layer", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), file)


def from_onnx(x: Array, folder: Path) -> Iterator[Row]:
    """Recurrent nodes of ONNX, as ONNX Runtime computes them."""
    for operator, attributes in NODES:
        write_node(folder / "m.onnx", operator, attributes)
        session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
        y = np.asarray(session.run(None, {"X": x})[0])  # (T, D, B, H)
        expected = y.transpose(0, 2, 1, 3).reshape(len(x), x.shape[1], -1)
        yield row(operator, attributes, output(load_weights(folder / "m.onnx")["rec"], x), expected)


def from_keras() -> Iterator[Row]:
    """A model of Keras 3 that the tests hold, and what Keras answered, to seven digits after the point."""
    layers = load_weights(KERAS.with_suffix(".keras"))
    answers = json.loads(KERAS.with_suffix(".json").read_text())
    x = np.array(answers["x"], np.float32)
    for answer in answers["layers"]:
        layer, y = layers[answer["name"]], np.array(answer["y"], np.float32)
        options = {"bidirectional": True} if layer.bidirectional else {}
        yield row(f"{answer['name']} ({type(layer).__name__})", options, output(layer, x), y)
        x = y


def main() -> None:
    """Read one kind of file, and print the differences as JSON."""
    source = json.loads(sys.argv[1])["source"]
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(STEPS, BATCH, INPUTS)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        ways = {"torch": lambda: from_torch(x, Path(folder)), "onnx": lambda: from_onnx(x, Path(folder))}
        print(json.dumps(list(ways.get(source, from_keras)())))


if __name__ == "__main__":
    main()
