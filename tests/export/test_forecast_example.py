"""The example that forecasts without memfold gives what the model does."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from memfold.export import export
from memfold.tasks import Forecaster

pytest.importorskip("onnxscript")
EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx" / "forecast.py"


@pytest.mark.release
@pytest.mark.parametrize(
    ("step", "rows"), [(timedelta(hours=1), 500), (timedelta(days=1), 800), (timedelta(days=1), 9)]
)
def test_it_is_the_model(step: timedelta, rows: int, tmp_path: Path) -> None:
    def table(count: int) -> pl.DataFrame:
        ds = [datetime(2022, 3, 1) + k * step for k in range(count)]
        return pl.DataFrame({"ds": ds, "y": 20 + np.sin(np.arange(count) * 0.9)})

    model: Any = Forecaster(hidden_size=4).fit(table(max(rows, 500)), budget="1ep", progress=False)
    export(model, "onnx", tmp_path / "m.onnx")
    table(rows).write_csv(tmp_path / "series.csv", datetime_format="%Y-%m-%dT%H:%M:%S")
    command = [sys.executable, EXAMPLE, tmp_path / "m.onnx", tmp_path / "series.csv"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    printed = np.array([line.split(",")[1:] for line in lines], float)
    expected = model.predict(table(rows))
    np.testing.assert_allclose(printed, expected.select("forecast", "lo80", "hi80").to_numpy(), rtol=1e-4)
    assert [line.split(",")[0] for line in lines] == [time.isoformat() for time in expected["ds"].to_list()]
