"""Layers out of the files of PyTorch, ONNX and Keras: they answer as the original does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

import memfold.nn as mnn
from memfold.errors import InputError
from memfold.formats import load_weights

HERE = Path(__file__).parent
X = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 2, 3)).astype(np.float32))


def output(layer: Any, x: Any = X) -> torch.Tensor:
    with torch.no_grad():
        return layer(x)[0]  # type: ignore[no-any-return]


# -- torch -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}, {"dtype": torch.float64}]
)
@pytest.mark.parametrize("file", ["m.pt", "m.safetensors"])
def test_a_state_dict_of_torch(kind: str, options: dict[str, Any], file: str, tmp_path: Path) -> None:
    module = nn.ModuleDict({"rec": getattr(nn, kind)(3, 4, **options), "out": nn.Linear(4, 2)})
    (save_file if file.endswith("safetensors") else torch.save)(module.state_dict(), tmp_path / file)
    layers = load_weights(tmp_path / file)
    assert list(layers) == ["rec"]
    assert type(layers["rec"]) is getattr(mnn, kind)
    x = X.to(options.get("dtype", torch.float32))
    torch.testing.assert_close(output(layers["rec"], x), output(module["rec"], x))


@pytest.mark.parametrize(
    "options",
    [{"proj_size": 2}, {"peephole": True}, {"layer_norm": True}, {"coupled": True, "peephole": True}],
    ids=str,
)
def test_an_lstm_of_memfold_with_its_options(options: dict[str, Any], tmp_path: Path) -> None:
    layer = mnn.LSTM(3, 4, num_layers=2, bidirectional=True, **options)
    nn.init.normal_(layer.weight_ih_l0)
    torch.save({"state_dict": layer.state_dict()}, tmp_path / "m.ckpt")
    (name, read), *_ = load_weights(tmp_path / "m.ckpt").items()
    assert name == ""
    torch.testing.assert_close(output(read), output(layer))


@pytest.mark.parametrize(
    ("cell", "layer"),
    [
        ("rnn_relu", lambda: mnn.RNN(3, 4, nonlinearity="relu")),
        ("coupled_lstm", lambda: mnn.LSTM(3, 4, coupled=True)),
        ("gru_reset_before", lambda: mnn.GRU(3, 4, reset_after=False)),
    ],
)
def test_a_cell_that_shapes_do_not_tell(cell: str, layer: Any, tmp_path: Path) -> None:
    own = layer()
    torch.save({f"a.b.{name}": value for name, value in own.state_dict().items()}, tmp_path / "m.pt")
    read = load_weights(tmp_path / "m.pt", cells={"a.b": cell})["a.b"]
    torch.testing.assert_close(output(read), output(own))


def test_a_layer_that_was_read_streams(tmp_path: Path) -> None:
    layer = nn.GRU(3, 4)
    torch.save(layer.state_dict(), tmp_path / "m.pth")
    stream = load_weights(tmp_path / "m.pth")[""].stream()
    steps = np.stack([stream.step(x.numpy()).copy() for x in X[:, 0]])
    np.testing.assert_allclose(steps, output(layer)[:, 0].numpy(), atol=1e-6)


# -- ONNX ------------------------------------------------------------------------------------------------------


def write_node(path: Path, op: str, **attributes: Any) -> None:
    """A model of one node with random weights."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    random = np.random.default_rng(1)
    shapes = {"W": (gates * 4, 3), "R": (gates * 4, 4), "B": (2 * gates * 4,)}
    if attributes.pop("peephole", False):
        shapes["P"] = (12,)
    arrays = {name: random.normal(size=(directions, *shape)).astype(np.float32) for name, shape in shapes.items()}
    inputs = ["X", "W", "R", "B", "", "", "", "P"] if "P" in arrays else ["X", "W", "R", "B"]
    graph = helper.make_graph(
        [helper.make_node(op, inputs, ["Y"], name="rec", hidden_size=4, **attributes)],
        "layer",
        [helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, ["T", "B", 3])],
        [helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("LSTM", {}),
        ("LSTM", {"direction": "bidirectional"}),
        ("LSTM", {"peephole": True, "clip": 0.5}),
        ("LSTM", {"input_forget": 1}),
        ("LSTM", {"input_forget": 1, "peephole": True}),
        ("GRU", {"linear_before_reset": 1}),
        ("GRU", {"direction": "bidirectional"}),
        ("RNN", {}),
        ("RNN", {"direction": "bidirectional", "activations": ["Relu", "Relu"]}),
    ],
    ids=str,
)
def test_a_node_of_onnx(op: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    write_node(tmp_path / "m.onnx", op, **attributes)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"X": X.numpy()})  # (T, D, B, H)
    expected = torch.from_numpy(y.transpose(0, 2, 1, 3).reshape(6, 2, -1))
    torch.testing.assert_close(output(load_weights(tmp_path / "m.onnx")["rec"]), expected, atol=2e-6, rtol=1e-5)


def test_what_no_layer_has_is_refused_by_name(tmp_path: Path) -> None:
    write_node(tmp_path / "m.onnx", "LSTM", direction="reverse")
    with pytest.raises(InputError, match=r"m\.onnx: rec: direction 'reverse', which no layer of memfold has"):
        load_weights(tmp_path / "m.onnx")
    write_node(tmp_path / "m.onnx", "GRU", activations=["HardSigmoid", "Tanh"])
    with pytest.raises(InputError, match="rec: activations hardsigmoid, tanh, which no layer of memfold has"):
        load_weights(tmp_path / "m.onnx")


# -- Keras -----------------------------------------------------------------------------------------------------


def test_a_model_of_keras() -> None:
    pytest.importorskip("h5py")
    layers = load_weights(HERE / "keras_layers.keras")
    expected = json.loads((HERE / "keras_layers.json").read_text())
    assert list(layers) == [entry["name"] for entry in expected["layers"]]
    x = torch.tensor(expected["x"])
    for entry in expected["layers"]:
        y = torch.tensor(entry["y"])
        torch.testing.assert_close(output(layers[entry["name"]], x), y, atol=1e-5, rtol=0)
        x = y


# -- files that do not fit ---------------------------------------------------------------------------------------


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pt: no such file"):
        load_weights(tmp_path / "none.pt")
    for name in ("m.pt", "m.safetensors", "m.onnx", "m.keras"):
        (tmp_path / name).write_bytes(b"no model")
        with pytest.raises(InputError, match=f"{name}: "):
            load_weights(tmp_path / name)
    (tmp_path / "m.h5").write_bytes(b"")
    with pytest.raises(InputError, match=r"expected a name that ends in .pt, .pth"):
        load_weights(tmp_path / "m.h5")
    torch.save({"out.weight": torch.zeros(2, 3)}, tmp_path / "m.pt")
    with pytest.raises(InputError, match="holds no LSTM, GRU or plain RNN"):
        load_weights(tmp_path / "m.pt")
    torch.save(nn.GRU(3, 4).state_dict(), tmp_path / "m.pt")
    with pytest.raises(InputError, match="has no layer 'rec'; it has ''"):
        load_weights(tmp_path / "m.pt", cells={"rec": "gru"})
    with pytest.raises(InputError, match="'' is 'gated', expected one of lstm"):
        load_weights(tmp_path / "m.pt", cells={"": "gated"})
    torch.save({**nn.GRU(3, 4).state_dict(), "weight_hh_l0": torch.zeros(5, 4)}, tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"the layer: .*size mismatch for weight_hh_l0"):
        load_weights(tmp_path / "m.pt")
    torch.save(nn.GRU(3, 4), tmp_path / "m.pt")
    with pytest.raises(InputError, match="not readable as tensors alone"):
        load_weights(tmp_path / "m.pt")


def test_nothing_is_run_that_a_file_holds(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "harm",)

    torch.save({"weight_ih_l0": Harm()}, tmp_path / "m.pt")
    with pytest.raises(InputError, match="not readable as tensors alone"):
        load_weights(tmp_path / "m.pt")
    assert not (tmp_path / "harm").exists()
