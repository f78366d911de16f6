"""Forecasts without torch: of a table as the task gives them, of columns, and what is refused."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.errors import InputError
from memfold.runtime import load
from memfold.runtime.forecasting.covariates import Calendar
from memfold.runtime.forecasting.forecasting import times_from
from memfold.tasks import Forecaster
from memfold.tasks import load as load_task
from memfold.tasks.forecast.network import Window

BLOCKED = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
import json
from memfold.runtime import load
columns = json.load(sys.stdin)
answer = load(sys.argv[2]).answer(columns)
print(json.dumps({name: [str(value) for value in values] for name, values in answer.items()}))
"""


def table() -> pl.DataFrame:
    """Two daily series with a covariate known ahead, one known up to now, and a static one."""
    rng, days = np.random.default_rng(0), 70
    frames = []
    for name, kind in (("a", "shop"), ("b", "stall")):
        ds = [datetime(2024, 1, 1) + timedelta(days=day) for day in range(days)]
        open_ = (np.arange(days) % 5 > 0).astype(float)
        y = 20 + 5 * (np.arange(days) % 7 == 2) + 8 * open_ + rng.normal(size=days)
        values = [*y[: days - 7].tolist(), *[None] * 7]
        rain = [*rng.normal(size=days - 7).tolist(), *[None] * 7]
        frame = {"unique_id": name, "ds": ds, "y": values, "open": open_, "rain": rain, "kind": kind}
        frames.append(pl.DataFrame(frame))
    return pl.concat(frames)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options: dict[str, Any] = {"past": ("rain",), "future": ("open",), "static": ("kind",), "linear": True}
    fitted = Forecaster(horizon=7, hidden_size=4, num_layers=2, members=2, **options)
    folder = tmp_path_factory.mktemp("forecast") / "model"
    fitted.fit(table(), budget="3ep", progress=False).save(folder)
    return folder


def columns() -> dict[str, list[Any]]:
    frame = table().with_columns(pl.col("ds").dt.strftime("%Y-%m-%dT%H:%M:%S"))
    return frame.to_dict(as_series=False)


def test_columns_are_forecast_as_the_table_is(model: Path) -> None:
    answer, expected = load(model).answer(columns()), load_task(model).predict(table())
    assert answer["unique_id"].tolist() == expected["unique_id"].to_list()
    assert answer["ds"].tolist() == expected["ds"].to_list()
    for name in expected.columns[2:]:
        assert answer[name].tolist() == expected[name].to_list()


def test_it_takes_neither_torch_nor_polars(model: Path) -> None:
    import json

    command = [sys.executable, "-c", BLOCKED, "torch,polars,sklearn,statsforecast", str(model)]
    done = subprocess.run(command, input=json.dumps(columns()), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    here = load(model).answer(columns())
    assert json.loads(done.stdout) == {name: [str(value) for value in values] for name, values in here.items()}


def test_the_network_is_torchs(model: Path) -> None:
    task: Any = load_task(model)
    arrays = task.arrays(task.read(table()), 7)
    windows = arrays.windows(arrays.ends(), task.size_, target=False)
    with torch.no_grad():
        expected = task.network_.quantiles(Window.of(windows)).numpy()
    np.testing.assert_allclose(task.pipeline.network(windows), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"y": None}, "there is no column 'y'"),
        ({"rain": ["wet"] * 140}, "column 'rain' holds something that is no number"),
        ({"open": [1.0] * 139}, "columns of 139, 140 rows, expected as many in each"),
        ({"open": [None] * 140}, "series 'a' has no 'open' for the 7 steps to forecast"),
        ({"y": [None, *[1.0] * 139]}, "series 'a' has no value at 2024-01-01.*, which is before its last one"),
        ({"y": [None] * 140}, "series 'a' has no value"),
        ({"ds": list(range(140))}, "times that are no dates as ISO 8601 writes them"),
        ({"ds": [f"20{20 + k // 140}-01-01" for k in range(140)]}, "series 'a': its times are not 1d apart"),
    ],
)
def test_what_does_not_fit_is_refused(model: Path, change: dict[str, Any], reason: str) -> None:
    given = {name: value for name, value in {**columns(), **change}.items() if value is not None}
    with pytest.raises(InputError, match=reason):
        load(model).answer(given)


def test_lines_are_refused(model: Path) -> None:
    with pytest.raises(InputError, match="does not answer line by line; use memfold predict"):
        load(model).open()


STEPS = st.sampled_from(["1us", "7ms", "30s", "15m", "2h", "1d", "1w", "2w", "1mo", "3mo", "1q", "1y"])


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), STEPS)
@settings(max_examples=60, deadline=None)
def test_times_go_on_as_those_of_a_table(first: datetime, step: str) -> None:
    count, unit = int(step.rstrip("usmhdwoqy")), step.lstrip("0123456789")
    by = (pl.int_range(10, eager=True) * count).cast(pl.String) + unit
    expected = pl.select(pl.lit(first, pl.Datetime("us")).dt.offset_by(by)).to_series()
    assert times_from(np.datetime64(first, "us"), step, 10).tolist() == expected.to_list()


@pytest.mark.parametrize("step", ["1mo", "3mo", "1y"])
def test_ends_of_months_go_on_as_those_of_a_table(step: str) -> None:
    month = pl.Series([datetime(2020, 2, 1)])
    ends = month.dt.offset_by(pl.Series([f"{k * int(step[0])}{step[1:]}" for k in range(12)])).dt.month_end()
    assert times_from(np.datetime64(ends[0], "us"), step, 12, month_ends=True).tolist() == ends.to_list()


def test_a_forecast_after_ends_of_months_is_of_ends_of_months(tmp_path: Path) -> None:
    """Of a series of one row too, as the others show what the rows are."""
    ends = pl.Series([datetime(2019, 4, 1)]).dt.offset_by(pl.Series([f"{k}mo" for k in range(45)])).dt.month_end()
    long = pl.DataFrame({"unique_id": "a", "ds": ends[:42], "y": [10.0 + k % 12 for k in range(42)]})
    model = Forecaster(horizon=3, hidden_size=2, members=1, pretrained=False).fit(long, budget="1ep", progress=False)
    model.save(tmp_path / "model")
    both = pl.concat([long, pl.DataFrame({"unique_id": "b", "ds": ends[41:42], "y": [3.0]})])
    given = {name: both[name].to_list() for name in both.columns}
    answer = load(tmp_path / "model").answer(given)
    assert [str(np.datetime64(time, "D")) for time in answer["ds"]] == 2 * [f"{end:%Y-%m-%d}" for end in ends[42:]]


@given(st.lists(st.datetimes(datetime(1960, 1, 1), datetime(2200, 1, 1)), min_size=1))
@settings(max_examples=60, deadline=None)
def test_the_calendar_is_that_of_a_table(times: list[datetime]) -> None:
    series = pl.Series(times, dtype=pl.Datetime("us"))
    features = Calendar(True, True, True).features(series.to_numpy())
    minutes = 60.0 * series.dt.hour() + series.dt.minute()
    np.testing.assert_allclose(features[:, 0], np.sin(2 * np.pi * minutes.to_numpy() / 1440), atol=1e-6)
    assert (features[:, 2:9].argmax(1) + 1).tolist() == series.dt.weekday().to_list()
    turns = series.dt.ordinal_day().to_numpy() / 365.25
    np.testing.assert_allclose(features[:, 10], np.cos(2 * np.pi * turns), atol=1e-6)
