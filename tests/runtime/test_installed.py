"""Installed from a wheel where there is no torch: models answer by the command line and from Python."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tasks.small import SMALL

pytestmark = pytest.mark.release
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with memfold and its extra cli alone."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([*pip, f"--config-settings=build-dir={folder / 'build'}"], check=True)
    (wheel,) = folder.glob("memfold-*.whl")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel}[cli]"], check=True)
    return python


def test_there_is_no_torch(python: Path) -> None:
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    names = {line.partition("==")[0].lower() for line in listed.stdout.splitlines()}
    assert {"memfold", "numpy", "safetensors", "typer"} <= names
    assert not names & {"torch", "polars", "scikit-learn", "scipy"}


@pytest.mark.parametrize("name", ["anomaly", "generate", "sentiment"])
def test_a_model_streams(python: Path, name: str, tmp_path: Path) -> None:
    small = SMALL[name](tmp_path)
    small.fitted().save(tmp_path / "model")
    given = Path(small.data[0]).read_bytes()
    here = [Path(sys.executable), "-m", "memfold", "stream", tmp_path / "model"]
    expected = subprocess.run(here, input=given, capture_output=True, check=True).stdout
    done = subprocess.run([python, *here[1:]], input=given, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == expected
    assert expected


def test_a_forecast_is_made_of_columns(python: Path, tmp_path: Path) -> None:
    small = SMALL["forecast"](tmp_path)
    small.fitted().save(tmp_path / "model")
    code = (
        "import sys; from memfold.runtime import load; "
        "print(load(sys.argv[1]).answer({'ds': list(range(120)), 'y': [k % 4 for k in range(120)]})['forecast'].sum())"
    )
    command = ["-c", code, str(tmp_path / "model")]
    answers = [
        subprocess.run([which, *command], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        for which in (Path(sys.executable), python)
    ]
    assert answers[0] == answers[1]
