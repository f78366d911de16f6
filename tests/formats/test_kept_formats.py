"""Every later memfold loads what memfold 0.2.0 wrote, and it answers the same."""

import json
from pathlib import Path

import numpy as np
import pytest

from formats.kept import FOLDER, answers_in, differences
from memfold.formats.directory import read_config
from memfold.runtime.pipeline import KINDS
from memfold.tasks.registry import TASKS


def test_differences_are_seen() -> None:
    kept = {"a": [1.0, float("nan")], "b": "x"}
    assert differences({"a": np.array([1.00001, np.nan]), "b": "x"}, kept) == []
    assert len(differences({"a": [1.1, float("nan")], "b": "y"}, kept)) == 2
    assert len(differences({"a": [1.0], "b": "x"}, kept)) == 1


def test_every_task_has_a_kept_folder_and_all_are_small() -> None:
    assert {folder.name for folder in FOLDER.iterdir()} == set(TASKS)
    assert sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) < 600_000


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_kept_model_answers_as_it_did(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER / name)
    config = read_config(Path("model"))
    assert (config["format"], config["task"], config["memfold"][:3]) == (2, name, "0.2")
    kept = json.loads(Path("answers.json").read_text(encoding="utf-8"))
    assert ("runtime" in kept) == (config.get("runtime") in KINDS)
    assert differences(answers_in(Path()), kept) == []
