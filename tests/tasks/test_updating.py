"""Going on from a model with new data, over a small model of every task."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import memfold
from command_line import run_here
from memfold.tasks import Task
from memfold.tasks.registry import TASKS
from tasks.small import SMALL, Small


def settings_of(small: Small) -> list[str]:
    """The parameters of a small model, as the command line takes them."""
    given = []
    for name, value in small.parameters.items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        given += ["--set", f"{name}={text.lower() if isinstance(value, bool) else text}"]
    return given


@pytest.fixture(scope="module", params=sorted(TASKS))
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Small:
    return SMALL[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def begun(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that the command line fitted."""
    out = tmp_path_factory.mktemp("begun") / "m"
    done = run_here("fit", small.name, *small.data, "--out", str(out), "--budget", "2ep", *settings_of(small))
    assert done.returncode == 0, done.stderr
    return out


def updated(small: Small, begun: Path, out: Path, *more: str, data: list[str] | None = None) -> Any:
    return run_here(
        "fit", small.name, *(data or small.data), "--from", str(begun), "--out", str(out), "--budget", "1ep", *more
    )


def test_an_update_scores_the_old_data_before_and_after(small: Small, begun: Path, tmp_path: Path) -> None:
    done = updated(small, begun, tmp_path / "m2", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)["from"]
    assert said["model"] == str(begun)
    first = memfold.load(begun).metrics[0].name
    part = said["old"] or said["new"]
    assert part is not None
    assert {first} <= part["before"].keys() & part["after"].keys() or small.name in ("anomaly", "command")
    model = memfold.load(tmp_path / "m2")
    assert model.get_params() == memfold.load(begun).get_params()


def test_what_was_held_out_stays_held_out(small: Small, begun: Path, tmp_path: Path) -> None:
    updated(small, begun, tmp_path / "m2")
    one, other = (json.loads((folder / "config.json").read_text())["data"] for folder in (begun, tmp_path / "m2"))
    assert {part: one[part] for part in ("train", "valid", "test")} == {
        part: other[part] for part in ("train", "valid", "test")
    }


def test_update_in_python_goes_on_and_returns_itself(small: Small) -> None:
    model: Task = small.fitted()
    before = {name: value.clone() for name, value in model.network_.state_dict().items()}
    assert model.update(small.X, small.y, budget="1ep", progress=False) is model
    after = model.network_.state_dict()
    assert after.keys() == before.keys()
    assert model.training_.steps or small.name == "faces"
    moved = [name for name, value in after.items() if value.is_floating_point() and value.shape == before[name].shape]
    assert all(torch.isfinite(after[name]).all() for name in moved)
    model.predict(small.X) if small.name != "translate" else model.predict(small.X[:2])


def test_a_setting_that_the_network_is_made_of_is_refused_by_name(small: Small, begun: Path, tmp_path: Path) -> None:
    done = updated(small, begun, tmp_path / "m2", "--set", "hidden_size=32")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"memfold: --set hidden_size=32: {begun} has hidden_size={small.parameters['hidden_size']}, which an update "
        "keeps; leave it out, or fit anew without --from"
    ]


def test_dry_run_writes_nothing(small: Small, begun: Path, tmp_path: Path) -> None:
    done = updated(small, begun, tmp_path / "m2", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "m2").exists()
