"""What every task's recipe promises: parts that take their examples, and answers through them that are the model's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxscript")
from export.parts import by_torch, examples_agree
from memfold.export import export
from tasks.small import SMALL

RECIPES = (
    "anomaly",
    "classify",
    "command",
    "detect",
    "faces",
    "forecast",
    "generate",
    "sentiment",
    "transcribe",
    "translate",
)


def untimed(metrics: Mapping[str, float]) -> dict[str, float]:
    """Without what depends on how fast the machine is."""
    return {name: value for name, value in metrics.items() if name != "real_time_factor"}


@pytest.fixture(params=RECIPES)
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return SMALL[request.param](tmp_path)


def test_answers_through_the_parts_are_the_models(small: Any) -> None:
    model = small.fitted()
    recipe = model.recipe()
    examples_agree(recipe)
    json.dumps(dict(recipe.around))
    assert recipe.steps or recipe.no_steps
    data = model.read_files(small.data)
    expected = untimed(model.evaluate(data).metrics)
    through = untimed(model.through(by_torch(recipe)).evaluate(data).metrics)
    assert through == pytest.approx(expected, rel=1e-4, nan_ok=True)


@pytest.mark.release
@pytest.mark.parametrize("to", ["onnx", "step"])
def test_the_files_answer_as_the_model_does(small: Any, to: str, tmp_path: Path) -> None:
    model = small.fitted()
    recipe = model.recipe()
    if to == "step" and not recipe.steps:
        pytest.skip(recipe.no_steps)
    single = len(recipe.steps if to == "step" else recipe.parts) == 1 and not recipe.files
    out = tmp_path / ("m.onnx" if single else "m")
    done = export(model, to, out, check=model.read_files(small.data))
    first, second = (untimed(report.metrics) for report in done.scores.values())
    assert second == pytest.approx(first, rel=1e-3, nan_ok=True)
