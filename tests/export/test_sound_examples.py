"""The examples for other programs answer as the models do, without memfold and without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from memfold.export import export
from memfold.runtime.hearing.search import greedy
from tasks.small import SMALL, tone

pytest.importorskip("onnxscript")

EXAMPLES = Path(__file__).parents[2] / "examples" / "onnx"
# A process in which neither memfold nor torch can be imported.
BLOCKED = """
import runpy, sys
sys.modules["torch"] = sys.modules["memfold"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def ran(example: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED, str(EXAMPLES / example), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, text=True)


@pytest.mark.release
def test_a_command_and_its_probability(tmp_path: Path) -> None:
    small = SMALL["command"](tmp_path)
    model = small.fitted()
    export(model, "onnx", tmp_path / "m.onnx")
    for path in small.X[::5]:
        row = model.predict(path).row(0, named=True)
        label, p = ran("command.py", tmp_path / "m.onnx", path).stdout.split()
        assert label == row["label"]
        assert float(p) == pytest.approx(row[f"p_{label}"], abs=1e-3)
    refused = ran("command.py", tmp_path / "m.onnx", tone(tmp_path / "short.wav", 300, 0.02))
    assert refused.returncode == 1
    assert "160 samples" in refused.stderr


@pytest.mark.release
@pytest.mark.parametrize("causal", [False, True])
def test_the_text_of_the_likeliest_labels(causal: bool, tmp_path: Path) -> None:
    small = SMALL["transcribe"](tmp_path)
    small.parameters |= {"causal": causal, "augment": False, "lr": 2e-2}
    model = small.fitted(budget="40ep")
    export(model, "onnx", tmp_path / "m.onnx")
    heard = model.inputs(small.X[:4])
    texts = [model.alphabet_.decode(greedy(log_p)).strip() for log_p in model.answer(heard).log_p]
    assert any(texts)
    for path, text in zip(small.X, texts, strict=False):
        assert ran("transcribe.py", tmp_path / "m.onnx", path).stdout == f"{text}\n"
    if not causal:
        refused = ran("transcribe.py", tmp_path / "m.onnx", tone(tmp_path / "long.wav", 300, 6.0))
        assert "48000 samples" in refused.stderr
