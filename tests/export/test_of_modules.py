"""A layer by itself: by torch's older exporter, and as a part of one's making."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import memfold.nn as mnn
from memfold.errors import InputError
from memfold.export import export
from memfold.runtime import Part

pytest.importorskip("onnxscript")
import onnxruntime

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch's older exporter
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


def by_tracing(layer: torch.nn.Module, file: Path) -> None:
    free = {"x": {0: "time", 1: "batch"}}
    names: Any = {"input_names": ["x"], "output_names": ["y"]}
    torch.onnx.export(layer, (torch.randn(5, 2, 3),), file, dynamo=False, dynamic_axes=free, **names)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}], ids=str)
def test_torchs_older_exporter_takes_a_layer(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    layer = getattr(mnn, kind)(3, 4, **options).eval()
    by_tracing(layer, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    x = torch.randn(9, 4, 3)
    with torch.no_grad():
        expected = layer(x)[0].numpy()
    np.testing.assert_allclose(session.run(["y"], {"x": x.numpy()})[0], expected, atol=1e-5)


@pytest.mark.parametrize(("options", "name"), [({"layer_norm": True}, "layer_norm"), ({"peephole": True}, "peephole")])
def test_it_is_refused_what_it_has_no_form_for(options: dict[str, Any], name: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=rf"dynamo=False\) has no form for {name}"):
        by_tracing(mnn.LSTM(3, 4, **options).eval(), tmp_path / "m.onnx")


def test_a_module_is_exported_as_a_part(tmp_path: Path) -> None:
    layer = mnn.RNN(3, 4).eval()
    part = Part("model", layer, {"x": torch.randn(5, 2, 3)}, {"x": {0: "time", 1: "batch"}}, ("y", "h"))
    done = export(part, "onnx", tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.zeros((8, 1, 3), np.float32)})[0].shape == (8, 1, 4)
    assert done.left_out == ()
    with pytest.raises(InputError, match="a module by itself has no form for memfold's runtime"):
        export(part, "runtime", tmp_path / "m")


@pytest.mark.release
def test_a_program_names_what_it_needs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import subprocess
    import sys

    program = torch.export.export(mnn.LSTM(3, 4).eval(), (torch.randn(5, 2, 3),))
    torch.export.save(program, tmp_path / "m.pt2")
    code = "import sys, torch; sys.argv[2:] and __import__(sys.argv[2]); torch.export.load(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "m.pt2")]
    assert "torch.ops.memfold.fold" in subprocess.run(command, capture_output=True, text=True, check=False).stderr
    subprocess.run([*command, "memfold.nn"], capture_output=True, check=True)
