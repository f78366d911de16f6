"""Tasks in scikit-learn's hands: arrays for its scorers, and rows that are split by time."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import KFold, ShuffleSplit, cross_val_score

from memfold.data.splits import TimeSplit, with_column
from memfold.errors import InputError
from memfold.tasks import AnomalyDetector, Forecaster, TextClassifier

TEXTS, LABELS = ["a good day", "a bad day"] * 20, ["good", "bad"] * 20
NOISE = np.random.default_rng(0).normal(0, 0.3, 80)
SERIES = pl.DataFrame({"ds": range(80), "y": np.tile([1.0, 2.0, 4.0, 3.0], 20) + NOISE})


def readings() -> pl.DataFrame:
    y = np.sin(np.arange(240) * 0.3)
    y[40::40] = 6.0
    return pl.DataFrame({"ds": range(240), "y": y, "label": (np.arange(240) % 40 == 0).astype(int)})


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    model = Forecaster(horizon=4, seasons=(4,), hidden_size=4)
    return model.fit(SERIES.head(72), budget="1ep", progress=False)


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    model = AnomalyDetector(hidden_size=4, window=16, batch_size=4)
    return model.fit(readings().head(180), budget="1ep", progress=False)


def test_scorers_work_by_their_names() -> None:
    task = TextClassifier(embedding_size=8, hidden_size=4, members=1, lr=1e-2)
    estimator = task.as_sklearn()
    assert is_classifier(estimator)
    assert clone(estimator).get_params() == estimator.get_params() == task.get_params()
    for scoring in ("accuracy", "f1_macro", "neg_log_loss"):
        scores = cross_val_score(
            estimator, TEXTS, LABELS, cv=2, scoring=scoring, params={"budget": "2ep"}, error_score="raise"
        )
        assert np.isfinite(scores).all()
    estimator.fit(TEXTS, LABELS, budget="6ep")
    assert estimator.predict(TEXTS[:2]).tolist() == LABELS[:2]
    probabilities = estimator.predict_proba(TEXTS[:3])
    assert probabilities.shape == (3, len(estimator.classes_))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert not hasattr(task, "network_")  # the task that it came from is as it was


def test_a_task_without_classes_gives_no_probabilities(forecaster: Forecaster) -> None:
    estimator = Forecaster(horizon=4, seasons=(4,), hidden_size=4).as_sklearn().fit(SERIES, budget="1ep")
    with pytest.raises(AttributeError, match="has no classes_"):
        _ = estimator.classes_
    with pytest.raises(AttributeError, match="gives no probabilities"):
        estimator.predict_proba(SERIES)


# -- forecasts -----------------------------------------------------------------------------------------------


def test_rows_that_follow_are_forecast_in_their_order(forecaster: Forecaster) -> None:
    following = SERIES[72:76]
    expected = forecaster.predict(SERIES.head(72))["forecast"].to_numpy()
    np.testing.assert_array_equal(forecaster.array(following), expected)
    np.testing.assert_array_equal(forecaster.array(following[::-1].drop("y")), expected[::-1])
    with pytest.raises(InputError, match=r"76 is not among the 4 steps after the rows that the model was trained on"):
        forecaster.array(SERIES[72:77])


def test_following_rows_and_whole_series_have_one_score(forecaster: Forecaster) -> None:
    score = forecaster.score(SERIES[72:])
    assert score < 0
    assert forecaster.score(SERIES) == score
    assert forecaster.score(SERIES[72:].drop("y"), SERIES["y"][72:]) == score
    assert forecaster.score(SERIES.to_pandas()[72:]) == score


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (KFold(3), "has 0 rows after those that the model was trained on.*cv=model.splitter"),
        (KFold(3, shuffle=True, random_state=0), "has no row for"),
        (ShuffleSplit(1, random_state=0), "has no row for"),
    ],
)
def test_a_random_split_of_a_series_is_refused(cv: Any, message: str) -> None:
    model = Forecaster(horizon=4, seasons=(4,), hidden_size=4)
    with pytest.raises(InputError, match=message):
        cross_val_score(model, SERIES, cv=cv, params={"budget": "1ep", "progress": False}, error_score="raise")


def test_rows_that_cannot_follow_are_named(forecaster: Forecaster) -> None:
    with pytest.raises(InputError, match="the rows have no column 'y'"):
        forecaster.score(SERIES[72:].drop("y"))
    with pytest.raises(InputError, match="no column for the time"):
        forecaster.score(SERIES.drop("ds"))
    with pytest.raises(InputError, match="3 rows in X and 2 values in y"):
        forecaster.score(SERIES[72:75].drop("y"), [1.0, 2.0])
    with pytest.raises(InputError, match="needs the horizon"):
        Forecaster().splitter()


# -- anomalies -----------------------------------------------------------------------------------------------


@pytest.mark.release
def test_a_detector_goes_on_from_what_it_was_trained_on(detector: AnomalyDetector) -> None:
    table = readings()
    score = detector.score(table[180:])
    assert detector.score(table) == score
    assert detector.score(table[180:].drop("label"), table["label"][180:]) == score
    found = detector.array(table[180:])
    assert set(found) <= {-1, 1}
    np.testing.assert_array_equal(detector.array(table[180:][::-1]), found[::-1])


def test_rows_among_those_of_the_training_are_refused(detector: AnomalyDetector) -> None:
    for rows in (readings()[20:120], readings()[::2]):
        with pytest.raises(InputError, match="rows before the end of those that the model was trained on"):
            detector.score(rows)
    with pytest.raises(InputError, match="a score needs labelled anomalies"):
        detector.score(readings()[180:].drop("label"))


# -- splits --------------------------------------------------------------------------------------------------


def test_what_is_scored_comes_after_what_is_trained_on_in_every_series() -> None:
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"unique_id": ["a"] * 9 + ["b"] * 12, "ds": [*range(9), *range(12)]})
    table = table[rng.permutation(21)]
    splits = list(TimeSplit(3, 2).split(table))
    assert len(splits) == TimeSplit(3, 2).get_n_splits() == 3
    for train, test in splits:
        for name in ("a", "b"):
            before, after = (table[rows].filter(pl.col("unique_id") == name)["ds"] for rows in (train, test))
            assert before.max() + 1 == after.min()
            assert len(after) == 2


def test_too_short_a_series_and_another_column_are_named() -> None:
    with pytest.raises(InputError, match="the shortest series has 6 rows: too few for 3 splits of 2 steps"):
        list(TimeSplit(3, 2).split(pd.DataFrame({"ds": range(6)})))
    with pytest.raises(InputError, match="no column 'time'; it has 'ds'"):
        list(TimeSplit(time="time").split(pd.DataFrame({"ds": range(6)})))
    with pytest.raises(InputError, match="X must be a data frame, got list"):
        with_column([1, 2], "y", [1, 2])
