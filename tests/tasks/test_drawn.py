"""Answers drawn into files: series with forecasts and alarms, pictures with boxes and labels."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from PIL import Image

from explain.makers import MAKERS, generator
from memfold.drawing.colours import literal
from memfold.errors import InputError
from memfold.tasks import Forecaster


@pytest.mark.parametrize("task", ["forecast", "anomaly"])
def test_series_are_drawn(task: str, tmp_path: Path) -> None:
    model, source = MAKERS[task](tmp_path)
    (file,) = model.draw([source], model.answers([source]), tmp_path / "drawn")
    assert file.suffix == ".svg"
    said = " ".join(ElementTree.fromstring(file.read_text("utf-8")).itertext())
    for name in ("actual", "80 %", "forecast" if task == "forecast" else "alarm"):
        assert name in said


def test_names_of_series_are_names_of_files_and_none_is_lost(tmp_path: Path) -> None:
    names = ["../a", "a/b", "a:b", "商店"]
    rows = [{"id": name, "ds": k, "y": float(k % 4)} for name in names for k in range(60)]
    pl.DataFrame(rows).write_csv(tmp_path / "shops.csv")
    model = Forecaster(horizon=4, seasons=(4,), hidden_size=4, id="id")
    model.fit(tmp_path / "shops.csv", budget="1ep", progress=False)
    source = [str(tmp_path / "shops.csv")]
    files = model.draw(source, model.answers(source), tmp_path / "drawn")
    assert [file.name for file in files] == ["_a.svg", "a_b.svg", "a_b (2).svg", "商店.svg"]
    assert sorted(files) == sorted((tmp_path / "drawn").iterdir())


@pytest.mark.parametrize("task", ["detect", "classify", "faces"])
def test_pictures_are_drawn_on(task: str, tmp_path: Path) -> None:
    model, source = MAKERS[task](tmp_path)
    if task == "detect":
        model.thresholds_ = np.zeros(2)  # type: ignore[attr-defined]
    (file,) = model.draw([source], model.answers([source]), tmp_path / "drawn")
    with Image.open(source) as before, Image.open(file) as after:
        assert min(after.width // before.width, after.height // before.height) >= 1
        assert max(after.size) >= 320
        colour = literal("plus" if task == "detect" else "ink").removeprefix("#")
        shade = [int(colour[k : k + 2], 16) for k in (0, 2, 4)]
        assert (np.asarray(after) == shade).all(-1).sum() > 50


def test_pictures_that_are_compared_are_not_drawn(tmp_path: Path) -> None:
    model, source = MAKERS["faces"](tmp_path)
    answers = model.answers([source, source], verify=True)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="compared with each other are not drawn"):
        model.draw([source, source], answers, tmp_path / "drawn")


def test_what_cannot_be_drawn_is_refused_before_the_work(tmp_path: Path) -> None:
    model, source = generator(tmp_path)
    with pytest.raises(InputError, match="a generate model cannot be drawn"):
        model.check_drawing(tmp_path / "new")
    model, _ = MAKERS["forecast"](tmp_path)
    with pytest.raises(InputError, match="give the name of a new or an empty folder"):
        model.check_drawing(tmp_path)
    with pytest.raises(InputError, match="give the name of a new or an empty folder"):
        model.check_drawing(Path(source))
