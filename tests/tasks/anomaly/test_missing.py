"""Readings with empty cells: a row is judged by the values that are there."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from memfold.data.written import Times
from memfold.errors import InputError
from memfold.runtime import load as load_runtime
from memfold.runtime.monitoring.features import Features, FeatureSize
from memfold.runtime.monitoring.lines import LineReader
from memfold.runtime.monitoring.reference import Reference
from memfold.tasks import AnomalyDetector, load
from memfold.tasks.anomaly.baselines import mahalanobis, windowed_gaussian

SHIFT = 900  # the row from which the third variable is where it never was


def machine(rows: int = 1000) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    turn = np.sin(np.arange(rows) * 0.2)
    values = np.stack([turn, 2 * turn, np.full(rows, 5.0)], 1) + 0.1 * rng.normal(size=(rows, 3))
    values[SHIFT:, 2] += 4
    values[rng.random((rows, 3)) < 0.1] = math.nan
    values[500] = math.nan
    values[SHIFT] = [math.nan, math.nan, 9.0]
    columns = {name: values[:, k] for k, name in enumerate(("a", "b", "c"))}
    return pl.DataFrame({"ds": range(rows), **columns}).fill_nan(None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("missing") / "model"
    AnomalyDetector(hidden_size=8, pretrained=False).fit(machine()[:600], budget="3ep", progress=False).save(place)
    return place


def test_a_fault_is_found_in_a_row_with_missing_cells(folder: Path) -> None:
    judged = load(folder).predict(machine())
    assert judged.height == 1000
    assert judged["alarm"][SHIFT]
    assert judged["variable"][SHIFT] == "c"
    assert judged["variable"][500] is None
    assert judged["sigmas"][500] is None
    assert judged["score"].is_finite().all()
    assert judged["fault"].is_finite().all()
    assert judged["expected_a"].is_finite().all()
    assert judged["alarm"][600:SHIFT].sum() <= 3


def test_scores_and_baselines_are_there(folder: Path) -> None:
    labels = pl.Series("label", [int(SHIFT <= row < SHIFT + 20) for row in range(1000)])
    report = load(folder).evaluate(machine().with_columns(labels))
    assert all(math.isfinite(scores["vus_pr"]) for scores in (report.metrics, *report.baselines.values()))


def test_a_stream_takes_null_empty_fields_and_fields_that_are_not_there(folder: Path) -> None:
    session = load_runtime(folder).open()
    lines = ["ds,a,b,c", "600,0.1,,5", "601,NA,,", json.dumps({"ds": 602, "b": None, "c": 5.1}), "603,,,900"]
    answers = [answer for line in lines for answer in session.push(line)]
    assert [answer["b"] for answer in answers] == [None] * 4
    assert [answer["variable"] in ("a", "c", None) for answer in answers] == [True] * 4
    assert (answers[1]["variable"], answers[1]["sigmas"], answers[1]["expected"]) == (None, None, None)
    assert answers[3]["alarm"]
    assert "NaN" not in json.dumps(answers)
    again = load_runtime(folder).resume(session.state)
    assert again.push("604,0.1,,5") == session.push("604,0.1,,5")


def test_a_line_without_any_of_the_fields_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="no number for 'a' in it"):
        load_runtime(folder).open().push('{"ds": 600, "d": 3}')


def test_objects_in_lines_are_read_as_those_of_a_file() -> None:
    reader = LineReader(["d.temp", "d.more.flow"], False, Times("integer"), "ds", "unique_id")
    reading = reader.read('{"ds": 3, "d": {"temp": 20.5, "more": {"flow": 4}}}')
    assert reading is not None
    assert reading.values == [20.5, 4]


def test_a_frame_and_its_lines_are_judged_alike(folder: Path) -> None:
    later = machine()[600:700]
    session = load_runtime(folder).open()
    lines: list[dict[str, Any]] = [
        answer for row in later.iter_rows(named=True) for answer in session.push(json.dumps(row))
    ]
    assert len(lines) == 100
    assert all(math.isfinite(line["score"]) for line in lines)


def test_the_distance_of_a_point_is_that_of_the_variables_that_are_there() -> None:
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(3, 3))
    points = rng.normal(size=(400, 3)) @ mixing
    whole, part = Reference(1, 3), Reference(1, 2)
    for point in points:
        whole.add([point])
        part.add([point[:2]])
    whole.mean[:, :2], part.mean[:] = part.mean, part.mean  # weights depend on all variables, a little
    whole.covariance[:, :2, :2] = part.covariance
    whole.points = part.points = 60  # both inverses are made anew
    odd = np.array([3.0, -2.0, math.nan])
    np.testing.assert_allclose(whole.add([odd]), part.add([odd[:2]]), rtol=0.05)


def test_features_hold_what_was_there() -> None:
    features = Features(FeatureSize(2, True), 3)
    for k in range(4):
        features.next(600.0 * k)
        features.add([float(k), 10.0 + k])
    before = list(features.last)
    features.next(2400.0)
    seen = features.add([math.nan, 20.0])
    assert math.isnan(seen[0])
    assert features.last[0] == before[0]
    assert features.day[-1] == [1.0, 20.0]  # of a day before
    assert all(map(math.isfinite, features.next(3000.0)))


def test_baselines_count_no_missing_value() -> None:
    values = np.random.default_rng(0).normal(size=(300, 2))
    gone = values.copy()
    gone[100:200, 1] = math.nan
    alone = windowed_gaussian(values[:, :1])
    np.testing.assert_array_equal(windowed_gaussian(gone)[100:200], alone[100:200])
    assert np.isfinite(mahalanobis(gone, 100)).all()
