"""A model as a callable over batches of rows."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from memfold.bulk import Predictor
from memfold.errors import InputError
from tasks.small import SMALL


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("texts")
    task = SMALL["sentiment"](folder).fitted(budget="1ep")
    task.save(folder / "model")
    return task, Predictor(folder / "model")


def test_a_batch_of_arrays_is_answered_to_as_a_frame(texts: Any) -> None:
    task, predictor = texts
    batch = {"text": np.array(["a good day", "bad"], dtype=object), "number": np.array([1, 2])}
    answers = predictor(batch)
    expected = task.predict(pl.DataFrame({"text": ["a good day", "bad"], "number": [1, 2]}))
    assert list(answers) == expected.columns
    assert answers["label"].tolist() == expected["label"].to_list()
    assert np.array_equal(answers["p_bad"], expected["p_bad"].to_numpy())


def test_a_frame_gives_a_frame_of_its_kind(texts: Any) -> None:
    answers = texts[1](pd.DataFrame({"text": ["a good day"]}))
    assert isinstance(answers, pd.DataFrame)
    assert answers["text"].tolist() == ["a good day"]


def test_it_travels_to_other_processes_without_the_model(texts: Any) -> None:
    assert len(pickle.dumps(texts[1])) < 1000
    assert pickle.loads(pickle.dumps(texts[1]))({"text": np.array(["bad"])})["text"].tolist() == ["bad"]


def test_images_stand_in_a_column_of_arrays(tmp_path: Path) -> None:
    small = SMALL["classify"](tmp_path)
    task = small.fitted(budget="1ep")
    task.save(tmp_path / "model")
    answers = Predictor(tmp_path / "model")({"id": np.arange(3), "image": small.X[:3]})
    assert answers["id"].tolist() == [0, 1, 2]
    assert answers["label"].tolist() == task.predict(small.X[:3])["label"].to_list()
    with pytest.raises(InputError, match="several columns of arrays, image, other"):
        Predictor(tmp_path / "model")({"image": small.X[:3], "other": small.X[:3]})


def test_a_model_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    small = SMALL["forecast"](tmp_path)
    small.fitted(budget="1ep").save(tmp_path / "model")
    predictor = Predictor(tmp_path / "model")
    small.fitted(budget="2ep").save(tmp_path / "model")
    with pytest.raises(InputError, match="was replaced by another model"):
        predictor({"ds": np.arange(40), "y": np.tile([1.0, 2.0], 20)})
    with pytest.raises(InputError, match="not a memfold model"):
        Predictor(tmp_path)
