"""Detectors of series that are too short to train on: the bundled forecaster predicts in the network's place."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from memfold import load, runtime
from memfold.errors import InputError
from memfold.runtime.forecasting.blend import PRETRAINED
from memfold.runtime.recipe import ALONE
from memfold.tasks import AnomalyDetector


def short(count: int = 120, spike: int | None = None) -> pl.DataFrame:
    """A wave with a little noise, and perhaps a spike."""
    y = 10 + 3 * np.sin(np.arange(count) * 0.5) + np.random.default_rng(0).normal(0, 0.1, count)
    if spike is not None:
        y[spike] += 9
    return pl.DataFrame({"ds": range(count), "y": y})


@pytest.fixture(scope="module")
def model() -> AnomalyDetector:
    return AnomalyDetector(hidden_size=8).fit(short(60), budget="2ep", progress=False)


def test_a_short_series_is_watched_by_the_bundled_forecaster(model: AnomalyDetector) -> None:
    assert model.cold_
    judged = model.predict(short(120, spike=100))
    assert int(judged["score"][60:].arg_max()) + 60 == 100
    assert judged["alarm"][100]
    inside = (short(100)["y"] >= judged["lo80_y"][:100]) & (short(100)["y"] <= judged["hi80_y"][:100])
    assert 0.6 < inside[30:].mean() <= 1  # type: ignore[operator]


def test_it_is_kept_and_answers_without_torch(model: AnomalyDetector, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.predict(short(120)).equals(model.predict(short(120)))
    session = runtime.load(tmp_path / "model").open()
    rows = [(float(time), [value]) for time, value in short(80).iter_rows()]
    said = [answer for row in rows[60:] for answer in session.push(row)]
    resumed = runtime.load(tmp_path / "model").resume(session.state)
    assert resumed.push((80.0, [9.0])) == session.push((80.0, [9.0]))
    assert len(said) == 20


def test_it_is_neither_exported_nor_explained_by_a_network_that_it_does_not_use(
    model: AnomalyDetector, tmp_path: Path
) -> None:
    short(80).write_csv(tmp_path / "readings.csv")
    with pytest.raises(InputError, match="no network to export"):
        model.recipe()
    with pytest.raises(InputError, match="say nothing of its answers"):
        model.explain(str(tmp_path / "readings.csv"), "en")


def test_its_own_row_in_the_scores_is_not_called_the_networks(model: AnomalyDetector) -> None:
    baselines = model.evaluate(short(120, spike=100)).baselines
    assert PRETRAINED in baselines
    assert ALONE not in baselines


def test_a_long_series_or_one_that_is_learnt_on_has_a_network() -> None:
    online = AnomalyDetector(hidden_size=8, online=True).fit(short(60), budget="1ep", progress=False)
    long = AnomalyDetector(hidden_size=8).fit(short(700), budget="1ep", progress=False)
    assert not online.cold_
    assert not long.cold_
