"""Examples of running exported detectors in C++ and in JavaScript: they expect what the model expects."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from memfold.export import export
from memfold.tasks import AnomalyDetector

pytest.importorskip("onnxscript")
import onnxruntime

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "onnx"
COMPILE = ("g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror")
HEADER = "onnxruntime_cxx_api.h"
HEADERS = "/usr/include/onnxruntime"  # where Debian has it; g++ also looks where CPATH says


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    y = 5 + np.sin(np.arange(300) * 0.3) + 0.05 * np.random.default_rng(0).normal(size=300)
    y[100:103] = 20.0  # which draws the scale in
    return pl.DataFrame({"ds": range(300), "y": y})


@pytest.fixture(scope="module")
def model(table: pl.DataFrame) -> AnomalyDetector:
    return AnomalyDetector(hidden_size=4, pretrained=False).fit(table, budget="1ep", progress=False)


def check(command: Sequence[str | Path], model: AnomalyDetector, table: pl.DataFrame) -> None:
    """Fail where a program prints other values than the model expects of a table."""
    given = "".join(f"{value!r}\n" for value in table["y"])
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    actual: NDArray[Any] = np.array([line.split(",") for line in done.stdout.splitlines()], float)
    expected = model.predict(table).select("y", "expected_y", "lo80_y", "hi80_y").to_numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def compiled(source: Path, include: Path, library: Path) -> Path:
    """The program of a source and a library, whose folder it looks into."""
    program = source.with_suffix("")
    paths = ["-isystem", str(include), f"-Wl,-rpath,{library.parent}", "-o", str(program)]
    subprocess.run([*COMPILE, str(source), str(library), *paths], check=True)
    return program


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}")


def by_onnx_runtime() -> str:
    """anomaly.cpp with the lines of the guide in the place of those for OpenVINO."""
    text = (EXAMPLES / "anomaly.cpp").read_text(encoding="utf-8")
    guide = (ROOT / "docs" / "guide" / "export.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```cpp\n(.*?)^```", guide, re.M | re.S)
    headers, _, network = block.partition("\n\n")
    lines = re.subn(r"#include <openvino.*", lambda _: headers, text)
    struct = re.subn(r"struct Network \{.*?^\};\n", lambda _: network, lines[0], flags=re.M | re.S)
    assert lines[1] == struct[1] == 1
    return struct[0]


def test_the_examples_are_short() -> None:
    assert len((EXAMPLES / "anomaly.cpp").read_text(encoding="utf-8").splitlines()) <= 64
    assert len((EXAMPLES / "step.mjs").read_text(encoding="utf-8").splitlines()) <= 40


def test_both_guides_have_the_same_lines_of_cpp() -> None:
    pages = [(ROOT / "docs" / "guide" / f"export{suffix}.md").read_text("utf-8") for suffix in ("", ".zh-CN")]
    code = [re.sub("//.*", "", "".join(re.findall(r"^```cpp\n(.*?)^```", page, re.M | re.S))) for page in pages]
    assert code[0] == code[1]


@pytest.mark.release
@pytest.mark.parametrize("to", ["onnx", "step"])
def test_a_program_with_openvino_expects_the_same(
    to: str, model: AnomalyDetector, table: pl.DataFrame, tmp_path: Path
) -> None:
    needs("g++")
    spec = importlib.util.find_spec("openvino")
    if spec is None or spec.origin is None:
        pytest.skip("openvino is not installed: pip install --no-deps openvino")
    package = Path(spec.origin).parent
    (library,) = (package / "libs").glob("libopenvino.so.*")
    source = Path(shutil.copy(EXAMPLES / "anomaly.cpp", tmp_path))
    program = compiled(source, package / "include", library)
    export(model, to, tmp_path / "m.onnx")
    check([program, tmp_path / "m.onnx"], model, table)


@pytest.mark.release
def test_a_program_with_onnx_runtime_expects_the_same(
    model: AnomalyDetector, table: pl.DataFrame, tmp_path: Path
) -> None:
    needs("g++")
    probe = ["g++", "-fsyntax-only", "-I", HEADERS, "-include", HEADER, "-x", "c++", "/dev/null"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip(f"there is no {HEADER}, which the wheel of onnxruntime leaves out")
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    (tmp_path / "libonnxruntime.so.1").symlink_to(library)
    source = tmp_path / "anomaly.cpp"
    source.write_text(by_onnx_runtime(), encoding="utf-8")
    program = compiled(source, Path(HEADERS), tmp_path / "libonnxruntime.so.1")
    export(model, "onnx", tmp_path / "m.onnx")
    check([program, tmp_path / "m.onnx"], model, table)


@pytest.mark.release
@pytest.mark.parametrize("to", ["onnx", "step"])
def test_javascript_expects_the_same(to: str, model: AnomalyDetector, table: pl.DataFrame, tmp_path: Path) -> None:
    needs("node")
    needs("npm")
    script = shutil.copy(EXAMPLES / "step.mjs", tmp_path)
    npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(tmp_path), "onnxruntime-web@1"]
    subprocess.run(npm, check=True)
    export(model, to, tmp_path / "m.onnx")
    check(["node", script, tmp_path / "m.onnx"], model, table)
