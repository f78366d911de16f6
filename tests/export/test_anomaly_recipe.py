"""A detector of anomalies through its exported network: the same judgements."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from export.parts import by_torch, examples_agree
from memfold.errors import InputError
from memfold.export import export
from memfold.tasks import AnomalyDetector

pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    noise = 0.05 * np.random.default_rng(0).normal(size=600)
    return pl.DataFrame({"ds": range(600), "y": np.sin(np.arange(600) * 0.3) + noise})


@pytest.fixture(scope="module")
def model(table: pl.DataFrame) -> AnomalyDetector:
    return AnomalyDetector(hidden_size=4).fit(table, budget="1ep", progress=False)


def test_the_recipe_answers_as_the_model_does(model: AnomalyDetector, table: pl.DataFrame) -> None:
    recipe = model.recipe()
    examples_agree(recipe)
    through = model.through(by_torch(recipe)).predict(table)
    np.testing.assert_allclose(through["score"], model.predict(table)["score"], atol=1e-4)


@pytest.mark.parametrize("to", ["onnx", "step"])
def test_the_file_answers_as_the_model_does(
    to: str, model: AnomalyDetector, table: pl.DataFrame, tmp_path: Path
) -> None:
    done = export(model, to, tmp_path / "m.onnx", check=table)
    assert done.place.stat().st_size == len(done.parts[0].content)
    assert done.parts[0].difference < 1e-5
    scores = [report.metrics for report in done.scores.values()]
    assert scores[0] == pytest.approx(scores[1])
    assert any("tail" in what for what in done.left_out)


def test_the_folder_for_the_runtime_is_scored_too(model: AnomalyDetector, table: pl.DataFrame, tmp_path: Path) -> None:
    done = export(model, "runtime", tmp_path / "m", check=table)
    first, second = (report.metrics for report in done.scores.values())
    assert first == second
    assert (tmp_path / "m" / "config.json").exists()


def test_a_file_of_another_name_is_refused(model: AnomalyDetector, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected the name of a file that ends in \.onnx"):
        export(model, "onnx", tmp_path / "m.bin")
    with pytest.raises(InputError, match="there is onnx, step, runtime"):
        export(model, "tflite", tmp_path / "m.tflite")


def test_the_folder_of_another_model_stays(model: AnomalyDetector, table: pl.DataFrame, tmp_path: Path) -> None:
    export(model, "runtime", tmp_path / "m")
    before = (tmp_path / "m" / "config.json").read_bytes()
    export(model, "runtime", tmp_path / "m")  # the same one again
    other = AnomalyDetector(hidden_size=3).fit(table, budget="1ep", progress=False)
    with pytest.raises(InputError, match="m: holds another model; choose another folder"):
        export(other, "runtime", tmp_path / "m")
    assert (tmp_path / "m" / "config.json").read_bytes() == before
