"""Examples of running exported models without memfold: they answer as the models do."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from memfold.export import export
from memfold.tasks import AnomalyDetector
from tasks.small import SMALL

pytest.importorskip("onnxscript")
EXAMPLES = Path(__file__).parents[2] / "examples" / "onnx"
NAMES = ("anomaly", "generate", "sentiment", "translate")
NEEDED = {"numpy", "onnxruntime", "sentencepiece"}


def output(name: str, *arguments: Any, given: str = "") -> str:
    """What an example prints, which is given a text on standard input."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, encoding="utf-8", check=True)
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_short_and_needs_neither_memfold_nor_torch(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 30
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {module.split(".")[0] for module in imported} - set(sys.stdlib_module_names) <= NEEDED


@pytest.mark.release
@pytest.mark.parametrize("to", ["onnx", "step"])
def test_a_generator_writes_the_same(to: str, tmp_path: Path) -> None:
    model: Any = SMALL["generate"](tmp_path).model(num_layers=2).fit(["abcd" * 200], budget="8ep", progress=False)
    model.share_ = 0.0  # of the n-gram model, which is not in the file
    export(model, to, tmp_path / "m.onnx")
    expected = "".join(model.generate("abé", length=20, temperature=0))
    assert output("generate", tmp_path / "m.onnx", "abé", 20, 0) == expected
    assert len(set(expected)) > 1


@pytest.mark.release
def test_a_classifier_gives_the_same_probabilities(tmp_path: Path) -> None:
    model: Any = SMALL["sentiment"](tmp_path).fitted()
    model.blend_ = type(model.blend_)(0.5, 0.7, (0.1, 0.0))
    export(model, "onnx", tmp_path / "m.onnx")
    for text in ("a good day", "What a bad, bad  day! Goodness", "", "?", "x"):
        label, probability = output("sentiment", tmp_path / "m.onnx", text).split("\t")
        (p,) = model.probabilities([text])
        assert label == model.classes_[p.argmax()]
        assert float(probability) == pytest.approx(p.max(), abs=2e-4)


@pytest.mark.release
def test_a_translator_translates_the_same(tmp_path: Path) -> None:
    small = SMALL["translate"](tmp_path)
    model: Any = small.model(lr=1e-2, beam=1).fit(small.X, small.y, budget="12ep", progress=False)
    model.memory_, model.memory_bytes_ = None, 0  # which is not in the folder
    export(model, "onnx", tmp_path / "m")
    expected = model.predict(["ten fox", "one dog cat two"])
    assert [
        output("translate", tmp_path / "m", text).rstrip("\n") for text in ("ten fox", "one dog cat two")
    ] == expected
    assert all(expected)


@pytest.mark.release
def test_a_detector_expects_the_same(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    a, b = np.sin(np.arange(300) * 0.3) + 0.05 * random.normal(size=300), 50 + random.normal(size=300)
    a[100:103] = 20.0  # which draws the scale in
    b[:30] = 0.0  # without any deviation
    table = pl.DataFrame({"ds": range(300), "a": a, "b": b})
    model = AnomalyDetector(hidden_size=4, pretrained=False, values=("a", "b")).fit(table, budget="1ep", progress=False)
    export(model, "onnx", tmp_path / "m.onnx")
    lines = output("anomaly", tmp_path / "m.onnx", given=table.write_csv()).splitlines()
    given = model.predict(table)
    columns = ["a", "b", *(f"{name}_{variable}" for name in ("expected", "lo80", "hi80") for variable in "ab")]
    actual = np.array([list(map(float, line.split(","))) for line in lines])
    np.testing.assert_allclose(actual, given.select(columns).to_numpy(), rtol=1e-4, atol=1e-4)
