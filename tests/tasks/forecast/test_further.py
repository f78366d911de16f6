"""Beyond what a forecaster was fitted to: more steps, other quantiles, new series; words, workdays and rows ahead."""

from datetime import date, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl
import pytest

from command_line import run_here
from memfold.errors import InputError
from memfold.runtime import load as load_runtime
from memfold.runtime.forecasting.blend import Answer, Parts
from memfold.runtime.forecasting.further import further, quantiles_at
from memfold.runtime.forecasting.size import LEVELS
from memfold.runtime.forecasting.windows import SeriesArrays
from memfold.tasks import Forecaster, load

Z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
FREE = {date(2023, 7, 4), date(2023, 9, 4), date(2023, 11, 23), date(2023, 12, 25), date(2024, 1, 1), date(2023, 5, 29)}


# -- the steps -----------------------------------------------------------------------------------------------


def series(*lengths: int, ahead: int) -> SeriesArrays:
    rows = sum(lengths) + ahead * len(lengths)
    starts = np.cumsum([0, *(length + ahead for length in lengths[:-1])])
    y = np.zeros(rows)
    for start, length in zip(starts, lengths, strict=True):
        y[start : start + length] = np.arange(length)
    empty = np.zeros((rows, 0), np.float32)
    return SeriesArrays(y, empty, empty, np.zeros((len(lengths), 0), np.float32), starts, np.array(lengths))


def one_more(data: SeriesArrays) -> tuple[Answer, Parts]:
    """A forecaster of two steps that goes on by one a step, with a deviation of 1."""
    last = data.y[data.starts + data.lengths - 1]
    point = last[:, None] + [1.0, 2.0]
    counts = np.zeros(len(last), bool)
    quantiles = point[..., None] + Z
    return Answer(quantiles, point, point), Parts(quantiles, {}, counts * 1.0, counts, counts)


def test_it_goes_on_from_its_own_forecasts_and_intervals_widen_as_variances_add_up() -> None:
    answer, _ = further(one_more, series(5, 9, ahead=6), 5, 2)
    assert answer.point.tolist() == [[5, 6, 7, 8, 9], [9, 10, 11, 12, 13]]
    widths = (answer.quantiles[..., -1] - answer.quantiles[..., 0]) / (Z[-1] - Z[0])
    np.testing.assert_allclose(widths, [np.sqrt([1, 1, 2, 2, 3])] * 2)


def test_fewer_steps_are_the_first_ones() -> None:
    assert further(one_more, series(5, ahead=2), 1, 2)[0].point.tolist() == [[5]]


def test_quantiles_between_and_beyond_are_those_of_a_normal_distribution_where_the_nine_are() -> None:
    levels = (0.005, 0.1, 0.25, 0.5, 0.95)
    given = quantiles_at((3 + 2 * Z)[None, None], levels, np.array([False]))[0, 0]
    expected = [3 + 2 * NormalDist().inv_cdf(level) for level in levels]
    np.testing.assert_allclose(given, expected, atol=0.02)  # a straight line between two of them
    assert (quantiles_at((0.1 + Z)[None, None], levels, np.array([True])) >= 0).all()


# -- a model -------------------------------------------------------------------------------------------------


def sales(names: str = "ab", last: date = date(2024, 3, 29)) -> pl.DataFrame:
    days = [date(2023, 5, 1) + timedelta(days=k) for k in range((last - date(2023, 5, 1)).days + 1)]
    days = [day for day in days if day.weekday() < 5 and day not in FREE]
    rng = np.random.default_rng(0)
    parts = []
    for name in names:
        rain = rng.random(len(days)) < 0.3
        y = 50 + 3.0 * np.array([day.weekday() for day in days]) - 20 * rain + rng.normal(size=len(days))
        columns = {
            "shop": [name] * len(days),
            "day": days,
            "y": y,
            "weather": ["rain" if one else "sun" for one in rain],
        }
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts)


def weather(*words: str, begin: date = date(2024, 4, 1)) -> pl.DataFrame:
    days = [begin + timedelta(days=k) for k in range(40)]
    days = [day for day in days if day.weekday() < 5][: len(words)]
    return pl.DataFrame({"day": days, "weather": list(words)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = Forecaster(horizon=4, id="shop", time="day", future=("weather",), holidays="US", hidden_size=8)
    place = tmp_path_factory.mktemp("further") / "model"
    model.fit(sales(), budget="6ep", progress=False).save(place)
    return place


@pytest.fixture(scope="module")
def model(folder: Path) -> Forecaster:
    task = load(folder)
    assert isinstance(task, Forecaster)
    return task


def test_workdays_and_holidays_are_those_of_the_fit(model: Forecaster) -> None:
    before = sales(last=date(2024, 5, 24))
    frame = model.predict(before, weather(*["sun"] * 4, begin=date(2024, 5, 28)))
    assert frame["day"].to_list()[:4] == [date(2024, 5, day) for day in (28, 29, 30, 31)]  # 27 May is Memorial Day
    assert model.step_ == "1b"
    assert model.covariates_.calendar.size == 7 + 3


def test_words_decide_a_forecast_and_unseen_ones_are_named(
    model: Forecaster, capsys: pytest.CaptureFixture[str]
) -> None:
    sun, rain = (model.predict(sales(), weather(*[word] * 4))["forecast"].to_numpy() for word in ("sun", "rain"))
    assert (sun - rain).mean() > 8
    assert "weather" not in capsys.readouterr().err.replace("column 'weather': 2 words", "")
    model.predict(sales(), weather("sun", "hail", "", "sun"))
    assert "column 'weather': 'hail' not seen in the fit; counts as none of its words" in capsys.readouterr().err


def test_a_longer_horizon_and_other_quantiles(model: Forecaster, capsys: pytest.CaptureFixture[str]) -> None:
    ahead = weather(*["sun"] * 12)
    frame = model.predict(sales(), ahead, horizon=12, quantiles=[0.95, 0.05, 0.5])
    assert frame.columns == ["shop", "day", "forecast", "mean", "lo80", "hi80", "q5", "q50", "q95"]
    assert frame.height == 24
    assert (
        "those beyond, up to 12, are forecast from its own forecasts, with intervals that widen"
        in capsys.readouterr().err
    )
    usual = model.predict(sales(), ahead)
    first = frame.group_by("shop", maintain_order=True).head(4)
    assert first["forecast"].to_list() == usual["forecast"].to_list()
    width = (frame["q95"] - frame["q5"]).to_numpy().reshape(2, 12)
    assert (width[:, 4:8].mean(1) > width[:, :4].mean(1)).all()
    assert (width[:, 8:].mean(1) > width[:, 4:8].mean(1)).all()
    with pytest.raises(InputError, match=r"no 'weather' at 2024-04-17.* for the 13 steps"):
        model.predict(sales(), ahead, horizon=13)


def test_series_that_are_new_are_forecast_and_named(model: Forecaster, capsys: pytest.CaptureFixture[str]) -> None:
    frame = model.predict(sales("bc"), weather(*["sun"] * 4))
    assert frame["shop"].unique().sort().to_list() == ["b", "c"]
    assert "new to the model, and forecast as the others: 'c' (1 of 2 series)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "a horizon of 0"),
        ({"horizon": 10**6}, "a horizon of 1,000,000, expected 1 to 100,000"),
        ({"quantiles": [0.5, 1.0]}, "expected levels between 0 and 1"),
        ({"quantiles": []}, "expected levels between 0 and 1"),
    ],
)
def test_what_is_no_horizon_or_level_is_refused(model: Forecaster, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        model.predict(sales(), weather(*["sun"] * 4), **options)


def test_without_torch_the_answers_are_the_same(folder: Path, model: Forecaster) -> None:
    ahead = weather(*["sun", "rain"] * 5)
    names = pl.DataFrame({"shop": ["a", "b"]})
    rows = pl.concat([sales(), names.join(ahead, how="cross")], how="diagonal")
    columns = rows.with_columns(pl.col("day").cast(pl.String)).to_dict(as_series=False)
    answer = load_runtime(folder).answer(columns, horizon=9, quantiles=[0.05, 0.5])
    expected = model.predict(sales(), ahead, horizon=9, quantiles=[0.05, 0.5])
    assert answer["ds"].astype("datetime64[D]").tolist() == expected["day"].to_list()
    for name in ("forecast", "mean", "lo80", "q5", "q50"):
        assert answer[name].tolist() == expected[name].to_list()
    with pytest.warns(UserWarning, match="'hail' not seen in the fit"):
        load_runtime(folder).answer({**columns, "weather": ["hail", *columns["weather"][1:]]})


def test_on_the_command_line(folder: Path, tmp_path: Path) -> None:
    sales().write_csv(tmp_path / "past.csv")
    weather(*["sun"] * 6).write_csv(tmp_path / "ahead.csv")
    files = [str(tmp_path / "past.csv"), str(tmp_path / "ahead.csv")]
    done = run_here(
        "predict", str(folder), *files, "--set", "horizon=6", "quantiles=0.05,0.95", "--draw", str(tmp_path / "d")
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "shop,day,forecast,mean,lo80,hi80,q5,q95"
    assert (len(lines), lines[1][:12]) == (13, "a,2024-04-01")
    assert len(list((tmp_path / "d").iterdir())) == 2
    alone = run_here("predict", str(folder), files[1])
    assert alone.returncode == 2
    assert "holds what is known ahead and no values to forecast from; give the past, too" in alone.stderr


def test_a_model_saved_before_workdays_reads_days_as_it_did(model: Forecaster) -> None:
    types = Forecaster.fitted_types()
    assert "NotRequired" in str(types["off"])
    daily = Forecaster(horizon=2, hidden_size=4)
    for name in ("covariates_", "off_"):
        setattr(daily, name, getattr(model, name))
    daily.step_, daily.wide_ = "1d", False
    daily.missing = "interpolate"
    frame = sales("a").rename({"day": "ds"}).select("ds", "y")
    assert daily.read(frame).step == "1d"
