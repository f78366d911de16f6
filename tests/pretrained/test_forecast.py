"""Forecasts at once: what holds for any table, and the network in NumPy against torch's."""

import hashlib
import json
import subprocess
import sys
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

import memfold
from command_line import run_here
from memfold.data.tables import read_series
from memfold.errors import InputError
from memfold.pretrained import answering, streaming
from memfold.pretrained.network import InstantNetwork
from memfold.pretrained.streaming import ForecastStream
from memfold.runtime.forecasting.candidates import PATCH, candidates, facts, unit
from memfold.runtime.forecasting.instant import FILE, InstantForecaster

QUANTILES = [f"q{level}" for level in range(10, 100, 10)]


def monthly(count: int = 60, **columns: list[object]) -> pl.DataFrame:
    """A series of months with a trend and a season."""
    start = date(2015, 1, 1)
    months = pl.date_range(start, pl.lit(start).dt.offset_by(f"{count - 1}mo"), "1mo", eager=True)
    y = 100 + np.arange(count) + 20 * np.sin(2 * np.pi * np.arange(count) / 12)
    return pl.DataFrame({"month": months, "sold": y, **columns})


def test_a_trend_and_a_season_go_on() -> None:
    ahead = memfold.forecast(monthly(72), horizon=12)
    true = monthly(84)["sold"].tail(12).to_numpy()
    assert np.abs(ahead["forecast"].to_numpy() - true).mean() < 7  # last year's months are 12 too low
    assert ahead["month"][0] == date(2021, 1, 1)
    assert ahead.columns == ["unique_id", "month", "forecast", "mean", "lo80", "hi80", *QUANTILES]


def test_pandas_give_pandas() -> None:
    frame = monthly().to_pandas()
    ahead = memfold.forecast(frame, horizon=3)
    assert isinstance(ahead, pd.DataFrame)
    assert ahead["month"].iloc[0].month == 1


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 99),
    length=st.sampled_from([1, 2, 3, 7, 20, 129, 700, 3000]),
    horizon=st.sampled_from([1, 17, 100]),
    kind=st.sampled_from(["normal", "constant", "huge", "tiny", "counts", "rare", "gaps"]),
)
def test_quantiles_are_in_order_and_finite_whatever_comes(seed: int, length: int, horizon: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    y = {
        "normal": rng.normal(50, 10, length),
        "constant": np.full(length, 7.0),
        "huge": rng.normal(0, 1, length) * 1e300,
        "tiny": rng.normal(0, 1, length) * 1e-300,
        "counts": rng.poisson(2, length).astype(float),
        "rare": (rng.random(length) < 0.1) * rng.poisson(5, length).astype(float),
        "gaps": np.where(rng.random(length) < 0.4, np.nan, rng.normal(size=length)),
    }[kind]
    y[-1] = 1.0 if np.isnan(y[-1]) else y[-1]
    quantiles = InstantForecaster.bundled().quantiles([y], horizon, [(7, 1)])[0]
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    if kind == "constant":
        assert (quantiles == 7).all()
    if kind in ("counts", "rare"):
        assert quantiles.min() >= 0


def test_the_longest_series_and_the_longest_horizon() -> None:
    y = np.sin(np.arange(100_000) / 24 * 2 * np.pi)
    quantiles = InstantForecaster.bundled().quantiles([y], 1000, [(24, 168)])[0]
    assert quantiles.shape == (1000, 9)
    assert np.abs(quantiles[:48, 4] - np.sin(np.arange(100_000, 100_048) / 24 * 2 * np.pi)).max() < 0.3


@pytest.mark.parametrize("factor", [1e-6, 0.3, 1e9])
def test_another_unit_gives_the_same_forecast(factor: float) -> None:
    y = np.random.default_rng(0).normal(size=200).cumsum() + 100
    model = InstantForecaster.bundled()
    one = model.quantiles([y], 20, [(7, 1)])
    other = model.quantiles([factor * y], 20, [(7, 1)])
    assert np.allclose(other, factor * one, rtol=1e-3, atol=factor * 2e-3)


@pytest.mark.parametrize("shift", [-1e3, -2.0, 3.0])
def test_where_0_lies_matters_only_to_a_series_above_it(shift: float) -> None:
    y = np.random.default_rng(0).normal(size=200).cumsum()
    y -= y[-100:].mean()
    assert y[-100:].min() + shift < 0  # of the later half too, which is read once more
    model = InstantForecaster.bundled()
    one = model.quantiles([y], 20, [(7, 1)])
    other = model.quantiles([y + shift], 20, [(7, 1)])
    assert np.allclose(other, one + shift, rtol=1e-3, atol=2e-3)


def test_a_series_is_forecast_alike_whoever_else_is_there() -> None:
    rng = np.random.default_rng(0)
    many = [rng.normal(size=length).cumsum() for length in (5, 40, 300, 90, 2000, 129)]
    model = InstantForecaster.bundled()
    together = model.quantiles(many, 24, [(12, 1)] * len(many))
    for place, y in enumerate(many):
        assert np.allclose(together[place], model.quantiles([y], 24, [(12, 1)])[0], rtol=1e-4, atol=1e-4)


def test_numpy_answers_as_the_network_that_was_trained() -> None:
    arrays = load(files("memfold.pretrained").joinpath(FILE).read_bytes())
    network = InstantNetwork(arrays["read.0.bias"].shape[0], sum(name.startswith("norms.") for name in arrays) // 2)
    network.load_state_dict({name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()})
    rng = np.random.default_rng(0)
    seen = rng.random((3, 8 * PATCH)) < 0.8
    seen[:, -2 * PATCH :] = False
    z = np.where(seen, rng.normal(size=seen.shape), 0).astype(np.float32)
    seasons = np.array([[7, 28], [12, 1], [1, 1]])
    zero = np.array([[-3.0], [0.0], [5.0]])
    its = candidates(z, seen, seasons, zero)
    same = (facts(z, seen, seasons), unit(z, seen, seasons))
    inputs = (z, seen.astype(np.float32), its.values, its.known, its.record, *same)
    with torch.inference_mode():
        theirs = network(*map(torch.from_numpy, inputs)).numpy()
    ours = InstantForecaster.bundled()._network(z, seen, seasons, its, 0)
    assert np.allclose(ours, theirs[:, :-1].reshape(3, -1, 9), atol=2e-5)


def test_the_card_names_the_weights() -> None:
    folder = files("memfold.pretrained")
    content = folder.joinpath(FILE).read_bytes()
    assert hashlib.sha256(content).hexdigest() in folder.joinpath("CARD.md").read_text(encoding="utf-8")
    assert len(content) <= 3_000_000


def test_gaps_are_forecast_over_and_columns_left_out_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    frame = monthly(48, price=[1.5] * 48).with_columns(
        pl.when(pl.int_range(pl.len()) % 5 == 0).then(None).otherwise(pl.col("sold")).alias("sold")
    )
    ahead = memfold.forecast(frame.filter(pl.int_range(pl.len()) != 9), horizon=6, target="sold")
    assert ahead["forecast"].is_finite().all()
    said = capsys.readouterr().err
    assert "a season of 12 steps, by the calendar" in said
    assert "not used: 'price'" in said


def test_a_season_is_found_where_the_calendar_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    table = pl.DataFrame({"ds": range(60), "y": [1.0, 5.0, 3.0, 2.0, 9.0] * 12})
    memfold.forecast(table, horizon=5)
    assert "a season of 5 steps, found in the values" in capsys.readouterr().err


@pytest.mark.parametrize("horizon", [0, 1001, -3])
def test_a_horizon_out_of_bounds_is_refused(horizon: int) -> None:
    with pytest.raises(InputError, match="expected 1 to 1,000"):
        memfold.forecast(monthly(), horizon=horizon)


def test_more_than_memory_holds_is_refused_before_it_is_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MOST_NUMBERS", 100)
    with pytest.raises(InputError, match="forecast fewer series at a time"):
        memfold.forecast(monthly(), horizon=12)


@pytest.mark.parametrize("season", [0, (1, 2, 3), 5000])
def test_a_season_out_of_bounds_is_refused(season: object) -> None:
    with pytest.raises(InputError, match="expected one or two numbers of steps"):
        memfold.forecast(monthly(), horizon=2, season=season)


def test_the_command_writes_a_table_and_a_page(tmp_path: Path) -> None:
    source = tmp_path / "sales.csv"
    monthly().write_csv(source)
    out, page = tmp_path / "ahead.csv", tmp_path / "page.html"
    done = run_here(
        *("forecast", str(source), "--horizon", "4", "--out", str(out), "--report", str(page), "--set", "season=12,1")
    )
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(out)["month"].to_list() == ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]
    assert "80 % interval" in page.read_text(encoding="utf-8")
    assert "as given" in done.stderr


def test_the_page_is_in_chinese_where_that_is_asked_for(tmp_path: Path) -> None:
    source, page = tmp_path / "sales.csv", tmp_path / "page.html"
    monthly().with_columns(promo=pl.lit(1)).write_csv(source)
    done = run_here(
        "forecast", str(source), "--horizon", "4", "--report", str(page), "--lang", "zh", "--set", "target=sold"
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    for words in (
        'lang="zh-CN"',
        "sales.csv 的预测",
        "季节周期 12 步（按日历）",
        "未使用的列：&#x27;promo&#x27;",
        "80% 区间",
    ):
        assert words in text
    assert "a season of 12 steps, by the calendar" in done.stderr
    refused = run_here("forecast", str(source), "--horizon", "4", "--lang", "fr")
    assert refused.returncode == 2
    assert "en and zh" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--horizon", "0"], "expected 1 to 1,000"),
        (["--horizon", "2", "--out", "x.txt"], "ends in .csv or .parquet"),
        (["--horizon", "2", "--set", "colour=red"], "no parameter 'colour'"),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path: Path, arguments: list[str], word: str) -> None:
    source = tmp_path / "sales.csv"
    monthly().write_csv(source)
    done = run_here("forecast", str(source), *arguments)
    assert done.returncode == 2
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_stream_forecasts_as_the_table_does() -> None:
    y = np.random.default_rng(0).normal(size=80).cumsum().round(3)
    stream = ForecastStream(horizon=5, season=7)
    said = [answer for time, value in enumerate(y) for answer in stream.push(f"{time},{value}")]
    whole = memfold.forecast(pl.DataFrame({"ds": range(80), "y": y}), horizon=5, season=7)
    assert len(said) == 80
    assert np.allclose(said[-1]["forecast"], whole["forecast"], rtol=1e-4, atol=1e-4)
    assert np.allclose(said[-1]["hi80"], whole["hi80"], rtol=1e-4, atol=1e-4)


def test_a_stream_takes_headers_objects_and_series_and_minds_gaps() -> None:
    stream = ForecastStream(horizon=2)
    assert stream.push("time,load") == []
    for hour in (0, 1, 2, 5):
        (said,) = stream.push(f"2024-01-01 0{hour}:00:00,{hour}")
    assert said["load"] == 5
    assert np.isnan(stream.series[""].values).sum() == 2
    with pytest.raises(InputError, match="not later"):
        stream.push("2024-01-01 05:00:00,1")
    objects = ForecastStream(horizon=1)
    for name in ("a", "b"):
        (said,) = objects.push(json.dumps({"unique_id": name, "ds": 1, "y": 3.0}))
    assert said["unique_id"] == "b"
    assert len(objects.series) == 2


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (["time,load,temperature", "1,2,3"], "which column is forecast"),
        (["{broken"], "not readable as JSON"),
        (["[1, 2]"], "a list; a reading is"),
        (["1,2", "2,x"], "no number"),
        (["2024-01-01,2", "01/02/2024,3"], "is not a date"),
    ],
)
def test_a_stream_refuses_what_holds_no_reading(lines: list[str], word: str) -> None:
    stream = ForecastStream()
    for line in lines[:-1]:
        stream.push(line)
    with pytest.raises(InputError, match=word):
        stream.push(lines[-1])


def test_a_stream_holds_so_many_series_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST_SERIES", 2)
    stream = ForecastStream()
    for name in ("a", "b"):
        stream.push(json.dumps({"unique_id": name, "ds": 1, "y": 3.0}))
    with pytest.raises(InputError, match="more than 2 series"):
        stream.push(json.dumps({"unique_id": "c", "ds": 1, "y": 3.0}))


def test_a_month_that_is_missing_leaves_the_months() -> None:
    frame = monthly(36).filter(pl.int_range(pl.len()) != 17)
    assert read_series(frame, missing="keep").step == "1mo"
    assert np.isnan(read_series(frame, missing="keep").values[0]).sum() == 1
    quarters = monthly(60).gather_every(3).filter(pl.int_range(pl.len()) != 5)
    assert read_series(quarters, missing="keep").step == "3mo"


def test_neither_torch_nor_a_model_folder_is_needed(tmp_path: Path) -> None:
    source = tmp_path / "sales.csv"
    monthly().write_csv(source)
    code = (
        "import sys; sys.modules['torch'] = None; import memfold; "
        f"print(memfold.forecast({str(source)!r}, horizon=2).height)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["2"], done.stderr


def test_few_values_are_read_twice_and_many_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[int]] = []
    once = InstantForecaster._read

    def watched(self: InstantForecaster, series: Any, *arguments: Any) -> Any:
        read.append([len(y) for y in series])
        return once(self, series, *arguments)

    monkeypatch.setattr(InstantForecaster, "_read", watched)
    rng = np.random.default_rng(0)
    gap = np.r_[rng.normal(size=100), np.full(100, np.nan)]
    lengths = {300: (12, 1), 256: (12, 1), 100: (12, 1), 90: (24, 168), 20: (1, 1), 16: (1, 1), 3: (1, 1)}
    series = [*(rng.normal(size=length) for length in lengths), gap]
    both = InstantForecaster.bundled().quantiles(series, 4, [*lengths.values(), (12, 1)])
    # Not less than four seasons and 16 values; nothing is to be learnt of a half in which nothing is seen.
    assert read == [[*lengths, 200], [128, 50, 16]]
    monkeypatch.setattr(InstantForecaster, "_read", once)
    model = InstantForecaster.bundled()
    whole, half = (model._read([y], 4, [(12, 1)])[0] for y in (series[2], series[2][-50:]))
    assert np.allclose(both[2], (whole + half) / 2, rtol=1e-5, atol=1e-5)
