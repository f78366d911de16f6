"""Every later memfold loads what memfold 0.2.0 wrote, and it answers the same."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formats.kept import FOLDER, answers_in
from memfold.formats.directory import read_config
from memfold.runtime.pipeline import KINDS
from memfold.tasks.registry import TASKS


def differences(one: Any, other: Any, where: str = "answers") -> list[str]:
    """Where two answers differ by more than instruction sets do."""
    if isinstance(one, np.ndarray):
        one = one.tolist()
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [line for key in one for line in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for at, (a, b) in pairs for line in differences(a, b, f"{where}[{at}]")]
    if isinstance(one, float) and isinstance(other, int | float):
        same = math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-4) or (math.isnan(one) and math.isnan(other))
    else:
        same = type(one) is type(other) and one == other
    return [] if same else [f"{where}: {one!r}, {other!r} kept"]


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
