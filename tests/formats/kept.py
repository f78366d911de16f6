"""Model folders that are kept, one for each task, and what their models answer."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import memfold
from memfold.data.audio import read_audio
from memfold.formats.directory import read_config
from memfold.runtime import load
from memfold.runtime.pipeline import answers_alone

__all__ = ["BEGINNING", "FOLDER", "GIVEN", "answers_in", "differences", "pipelines_answer", "tasks_answer"]

FOLDER = Path(__file__).parent / "format2"
GIVEN = "input"  # the file that the answers are to, without its suffix
BEGINNING = "He said"  # of a text that a generator goes on with
READINGS = [{"ds": 300, "y": -0.9}, {"ds": 301, "y": 5.0}]


def answers_in(folder: Path) -> dict[str, Any]:
    """What the model in a kept folder answers to the input beside it: of a task, and where it has one, of a pipeline.

    The folder is the current one, as answers name files.
    """
    answers = {"task": tasks_answer(folder)}
    if answers_alone(read_config(folder / "model")):
        answers["runtime"] = pipelines_answer(folder)
    return answers


def tasks_answer(folder: Path) -> Any:
    """What ``memfold predict`` answers."""
    given = _given(folder)
    found = memfold.load(folder / "model").answers([str(given)], **_options(given))
    return found.to_dict(as_series=False) if isinstance(found, pl.DataFrame) else "".join(found)


def pipelines_answer(folder: Path) -> Any:
    """What the pipeline answers; None where the model has none."""
    config = read_config(folder / "model")
    if not answers_alone(config):
        return None
    given, pipeline = _given(folder), load(folder / "model")
    whole: Any
    match config["task"]:
        case "forecast":
            whole = pl.read_csv(given).to_dict(as_series=False)
        case "anomaly":
            whole = READINGS
        case "generate":
            whole = given.read_text(encoding="utf-8")
        case "sentiment":
            whole = given.read_text(encoding="utf-8").splitlines()
        case _:
            whole = read_audio(given, pipeline.rate)
    return pipeline.answer(whole, **_options(given))


def _given(folder: Path) -> Path:
    (given,) = folder.glob(f"{GIVEN}.*")
    return given


def _options(given: Path) -> dict[str, Any]:
    return {"length": 20, "temperature": 0.1, "seed": 0} if given.read_bytes() == BEGINNING.encode() else {}


def differences(one: Any, other: Any, where: str = "answers") -> list[str]:
    """Where two answers differ by more than instruction sets do."""
    if isinstance(one, np.ndarray):
        one = one.tolist()
    if isinstance(other, np.ndarray):
        other = other.tolist()
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [line for key in one for line in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for at, (a, b) in pairs for line in differences(a, b, f"{where}[{at}]")]
    if isinstance(one, float) and isinstance(other, int | float):
        same = math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-4) or (math.isnan(one) and math.isnan(other))
    else:
        same = type(one) is type(other) and one == other
    return [] if same else [f"{where}: {one!r}, {other!r} kept"]
