"""Model folders that are kept, one for each task, and what their models answer."""

from pathlib import Path
from typing import Any

import polars as pl

import memfold
from memfold.data.audio import read_audio
from memfold.formats.directory import read_config
from memfold.runtime import load
from memfold.runtime.pipeline import answers_alone

__all__ = ["BEGINNING", "FOLDER", "GIVEN", "answers_in"]

FOLDER = Path(__file__).parent / "format2"
GIVEN = "input"  # the file that the answers are to, without its suffix
BEGINNING = "He said"  # of a text that a generator goes on with
READINGS = [{"ds": 300, "y": -0.9}, {"ds": 301, "y": 5.0}]


def answers_in(folder: Path) -> dict[str, Any]:
    """What the model in a kept folder answers to the input beside it: of a task, and where it has one, of a pipeline.

    The folder is the current one, as answers name files.
    """
    (given,) = folder.glob(f"{GIVEN}.*")
    options = {"length": 20, "temperature": 0.1, "seed": 0} if given.read_bytes() == BEGINNING.encode() else {}
    found = memfold.load(folder / "model").answers([str(given)], **options)
    answers: dict[str, Any] = {}
    answers["task"] = found.to_dict(as_series=False) if isinstance(found, pl.DataFrame) else "".join(found)
    config = read_config(folder / "model")
    if answers_alone(config):
        pipeline = load(folder / "model")
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
        answers["runtime"] = pipeline.answer(whole, **options)
    return answers
