import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import memfold
from memfold.data.tables import read_series
from memfold.errors import InputError
from memfold.runtime.forecasting.covariates import Calendar, Covariates
from memfold.runtime.forecasting.network import lag_index
from memfold.runtime.forecasting.size import NetworkSize
from memfold.runtime.forecasting.windows import Places
from memfold.tasks import Forecaster
from memfold.tasks.forecast.covariates import arrays_of, static_column_of
from memfold.tasks.forecast.network import (
    ForecastNetwork,
    Window,
    level_and_scale,
    quantile_loss,
)

SEASON = np.array([10.0, 20.0, 30.0, 20.0, 15.0, 10.0, 25.0, 5.0])  # twice the season that the model is given


def table(series: int = 3, seasons: int = 15) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    frames = []
    for index in range(series):
        y = (index + 1) * (np.tile(SEASON, seasons) + rng.normal(scale=0.5, size=8 * seasons))
        frames.append(pl.DataFrame({"unique_id": f"s{index}", "ds": np.arange(len(y)), "y": y}))
    return pl.concat(frames)


def small(**changes: object) -> Forecaster:
    return Forecaster(**{"horizon": 4, "seasons": (4,), "context": 16, "hidden_size": 8, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return small(lr=1e-2).fit(table(), budget="60ep", progress=False)


def test_it_learns_a_season_that_it_was_not_given(fitted: Forecaster) -> None:
    report = fitted.evaluate(table(), origins=3)
    assert report.metrics["mase"] < report.baselines["SeasonalNaive"]["mase"] / 2
    assert set(report.metrics) == {"smape", "mase", "owa", "rmsse", "crps", "coverage80"}
    assert list(report.baselines) == ["Naive2", "SeasonalNaive", "AutoTheta", "linear model", "the network alone"]


def test_a_forecast_has_a_row_a_step_and_ordered_quantiles(fitted: Forecaster) -> None:
    forecast = fitted.predict(table())
    assert forecast.height == 3 * 4
    assert forecast["ds"].to_list() == [120, 121, 122, 123] * 3
    quantiles = forecast.select(pl.col("^q.*$")).to_numpy()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert (forecast["lo80"] <= forecast["forecast"]).all()
    assert (forecast["forecast"] <= forecast["hi80"]).all()


def test_a_forecast_follows_scale_and_level(fitted: Forecaster) -> None:
    base = fitted.predict(table())["forecast"].to_numpy()
    moved = fitted.predict(table().with_columns(y=1000 * pl.col("y") + 5e6))["forecast"].to_numpy()
    np.testing.assert_allclose((moved - 5e6) / 1000, base, rtol=1e-3)


def test_the_future_does_not_reach_a_backtest(fitted: Forecaster) -> None:
    frame = table()
    changed = frame.with_columns(y=pl.when(pl.col("ds") >= 116).then(1e6).otherwise("y"))
    before = fitted.backtest(frame, baselines=False)["forecast"].to_list()
    assert fitted.backtest(changed, baselines=False)["forecast"].to_list() == before


def test_origins_are_a_horizon_apart_and_can_be_closer(fitted: Forecaster) -> None:
    assert sorted(set(fitted.backtest(table(), 3, baselines=False)["cutoff"])) == [107, 111, 115]
    assert sorted(set(fitted.backtest(table(), 3, origin_step=1, baselines=False)["cutoff"])) == [113, 114, 115]


def test_a_configuration_that_describes_another_model_is_refused(fitted: Forecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    config = json.loads(file.read_text())
    for change, message in (
        ({"parameters": {"nonsense": 1}}, "does not describe a forecast model"),
        ({"task": "brew coffee"}, "is a model for the task 'brew coffee'"),
        ({"parameters": config["parameters"] | {"hidden_size": 10**7}}, "tensor .* has shape"),
        ({"fitted": config["fitted"] | {"seasons": [0]}}, "seasons .*, expected at least 1"),
    ):
        file.write_text(json.dumps(config | change))
        with pytest.raises(InputError, match=message):
            memfold.load(tmp_path / "model")


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    first, again, other = (
        small(seed=seed).fit(table(), budget="1ep", progress=False).network_.state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_covariate_known_ahead_is_used() -> None:
    """The values are the covariate's, which no past can predict."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, 400).astype(float)
    frame = pl.DataFrame({"ds": np.arange(400), "y": 10 + x, "x": x})
    model = Forecaster(horizon=4, hidden_size=16, lr=1e-2, future=("x",)).fit(frame, budget="30ep", progress=False)
    ahead = frame.with_columns(y=pl.when(pl.col("ds") < 396).then("y"))
    np.testing.assert_allclose(model.predict(ahead)["forecast"].to_numpy(), 10 + x[-4:], atol=0.25)
    scored = model.backtest(frame, baselines=False)
    np.testing.assert_allclose(scored["forecast"].to_numpy(), 10 + x[-4:], atol=0.25)
    with pytest.raises(InputError, match="series 'y' has no 'x' at 400: a covariate known ahead must be given"):
        model.predict(frame)


def test_a_covariate_of_the_past_is_read_and_not_needed_ahead() -> None:
    frame = table(1).with_columns(x=pl.col("y") * 2)
    model = small(past=("x",)).fit(frame, budget="1ep", progress=False)
    assert model.predict(frame).height == 4
    with pytest.raises(InputError, match="no column 'x'"):
        model.predict(frame.drop("x"))


def promoted(feature: Mapping[str, str | float], length: int = 400) -> pl.DataFrame:
    """Noise, but for rare promotions that raise the values of some series and lower those of others.

    No window holds two of them, so that the past does not show which series it is.
    """
    rng = np.random.default_rng(0)
    promotion = (np.arange(length) % 20 == 17).astype(float)
    frames = []
    for name, value in feature.items():
        effect = {"north": 5.0, "south": -5.0}[value] if isinstance(value, str) else value
        y = 100 + rng.normal(size=length) + promotion * effect
        columns = {"unique_id": name, "ds": np.arange(length), "y": y, "promotion": promotion, "feature": value}
        frames.append(pl.DataFrame(columns))
    return pl.concat(frames)


def effects(model: Forecaster, frame: pl.DataFrame) -> list[float]:
    """How much the promotion at step 397 raises each series' forecast from step 395."""
    ahead = frame.with_columns(y=pl.when(pl.col("ds") < 396).then("y"))
    forecast = model.predict(ahead).filter(pl.col("ds").is_in([396, 397]))["forecast"].to_numpy()
    return list(forecast[1::2] - forecast[::2])


TEXTS = {"a": "north", "b": "south", "c": "north", "d": "south"}
NUMBERS = {"a": 5.0, "b": -5.0, "c": 5.0, "d": -5.0}


def with_feature() -> Forecaster:
    return small(lr=1e-2, future=("promotion",), static=("feature",))


@pytest.fixture(scope="module")
def of_texts() -> Forecaster:
    return with_feature().fit(promoted(TEXTS), budget="60ep", progress=False)


def test_a_static_text_decides_a_forecast(of_texts: Forecaster) -> None:
    frame = promoted(TEXTS)
    np.testing.assert_allclose(effects(of_texts, frame), [5, -5, 5, -5], atol=3)
    turned = frame.with_columns(pl.col("feature").replace({"north": "south", "south": "north"}))
    np.testing.assert_allclose(effects(of_texts, turned), [-5, 5, -5, 5], atol=3)


def test_a_text_that_was_not_learnt_from_is_neither(of_texts: Forecaster) -> None:
    frame = promoted(TEXTS).with_columns(feature=pl.lit("west"))
    assert of_texts.arrays(of_texts.read(frame)).static.tolist() == [[0, 0]] * 4
    assert np.isfinite(effects(of_texts, frame)).all()


def test_a_static_number_decides_a_forecast() -> None:
    frame = promoted(NUMBERS)
    model = with_feature().fit(frame, budget="60ep", progress=False)
    np.testing.assert_allclose(effects(model, frame), [5, -5, 5, -5], atol=2.5)
    as_text = frame.with_columns(pl.col("feature").cast(pl.Int64).cast(pl.String))
    assert effects(model, as_text) == effects(model, frame)
    with pytest.raises(InputError, match="series 'a' has 'big' in column 'feature', where those that"):
        effects(model, frame.with_columns(feature=pl.lit("big")))


def test_a_saved_model_knows_its_static_columns(of_texts: Forecaster, tmp_path: Path) -> None:
    of_texts.save(tmp_path / "m")
    loaded = memfold.load(tmp_path / "m")
    assert isinstance(loaded, Forecaster)
    assert loaded.covariates_ == of_texts.covariates_
    assert effects(loaded, promoted(TEXTS)) == effects(of_texts, promoted(TEXTS))


def test_a_static_column_that_names_the_series_is_refused() -> None:
    texts = pl.Series("feature", [f"name {i}" for i in range(501)])
    with pytest.raises(InputError, match="column 'feature' has 501 different texts; a static column may have 500"):
        static_column_of(texts)
    assert static_column_of(texts[:500]).size == 500


def test_a_column_that_a_table_was_read_without_is_named() -> None:
    with pytest.raises(InputError, match="the series have no column 'region'"):
        small(static=("region",)).fit(read_series(table()), budget="1ep", progress=False)


def test_bad_requests_are_refused(fitted: Forecaster) -> None:
    with pytest.raises(InputError, match="the longest series has 2 values: too short to learn a horizon of 100 from"):
        Forecaster(horizon=100).fit(table().group_by("unique_id").head(2), budget="1ep", progress=False)
    with pytest.raises(InputError, match="horizon must be at least 1, got -1"):
        Forecaster(horizon=-1).fit(table(), budget="1ep", progress=False)
    with pytest.raises(InputError, match="context of 3 is shorter than the season of 4"):
        small(context=3).fit(table(), budget="1ep", progress=False)
    with pytest.raises(InputError, match="the rows are 2 apart, those the model was fitted to 1"):
        fitted.predict(table().with_columns(ds=2 * pl.col("ds")))
    with pytest.raises(InputError, match="no series is longer than the 400 steps"):
        fitted.backtest(table(), origins=100)
    for options in ({"origins": 0}, {"origin_step": 0}):
        with pytest.raises(InputError, match=f"{next(iter(options))} must be at least 1, got 0"):
            fitted.backtest(table(), **options)


def test_a_constant_series_and_a_series_of_zeros_are_forecast(fitted: Forecaster) -> None:
    for value in (0.0, 7.0):
        forecast = fitted.predict(pl.DataFrame({"ds": range(40), "y": [value] * 40}))["forecast"].to_numpy()
        np.testing.assert_allclose(forecast, value, atol=0.05 * max(value, 20))


def test_a_series_shorter_than_the_context_is_forecast(fitted: Forecaster) -> None:
    forecast = fitted.predict(pl.DataFrame({"ds": [1, 2, 3], "y": [5.0, 6.0, 7.0]}))
    assert forecast["forecast"].is_finite().all()


def test_seasons_are_found_from_the_calendar() -> None:
    hours = [datetime(2024, 1, 1) + timedelta(hours=h) for h in range(24 * 30)]
    model = Forecaster(hidden_size=4).fit(pl.DataFrame({"ds": hours, "y": 1.0}), budget="1ep", progress=False)
    assert model.seasons_ == (24, 168)
    assert model.size_.horizon == 24
    assert model.covariates_.calendar == Calendar(day=True, week=True, year=False)


def test_lags_point_to_the_same_phase_before_the_origin() -> None:
    size = NetworkSize(12, 6, 1, (4, 1), 0, 0, (0.5,), 4, 1, 0.0, False)
    assert lag_index(size).T.tolist() == [[8, 9, 10, 11, 8, 9], [11, 11, 11, 11, 11, 11]]


def test_a_linear_map_adds_to_every_quantile_and_begins_at_nothing() -> None:
    torch.manual_seed(0)
    size = NetworkSize(8, 3, 1, (4,), 0, 0, (0.1, 0.5, 0.9), 4, 1, 0.0, True)
    network = ForecastNetwork(size).eval()
    z = torch.randn(2, 8)
    window = Window(z.double(), z > -9, torch.zeros(2, 8, 0), torch.zeros(2, 11, 0), torch.zeros(2, 0))
    before = network(z, window)
    assert network.linear is not None
    torch.testing.assert_close(before[..., 0], z[:, 4:7])  # the seasonal naive forecast
    with torch.no_grad():
        network.linear.weight[1, 7] = 2.0
    added = network(z, window) - before
    torch.testing.assert_close(added[:, 1], 2 * z[:, 7:].expand(2, 3))
    assert not added[:, [0, 2]].any()


def test_at_most_thirty_origins_of_a_known_set_are_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etth1").mkdir()
    hours = pl.datetime_range(datetime(2016, 7, 1), datetime(2018, 12, 31), "1h", eager=True)[:17_420]
    pl.DataFrame({"date": hours, "HUFL": 1.0, "OT": 2.0}).write_csv(tmp_path / "etth1" / "ETTh1.csv")
    monkeypatch.setenv("MEMFOLD_DATA", str(tmp_path))
    parts = Forecaster(**Forecaster.known_parameters(["@etth1"])).parts(["@etth1"])
    assert parts.train.lengths.tolist() == [11_520, 11_520]
    assert parts.test.lengths.tolist() == [14_400, 14_400]
    assert parts.scoring == {"origins": 30, "origin_step": 96}
    taxi = Forecaster(**Forecaster.known_parameters(["@nyc-taxi"])).parts(["@nyc-taxi"])
    assert taxi.scoring == {"origins": 14, "origin_step": 48}


def test_what_was_not_seen_does_not_count_for_level_and_scale() -> None:
    y = torch.tensor([[99.0, 1.0, 3.0]]).double()
    seen = torch.tensor([[False, True, True]])
    level, scale = level_and_scale(y, seen)
    assert (level.item(), scale.item()) == (2.0, 1.0)


def test_the_quantile_loss_is_least_at_the_quantile() -> None:
    target = torch.arange(101.0)[:, None]
    losses = [quantile_loss(torch.full((101, 1, 1), q), target, (0.9,)).item() for q in (80.0, 90.0, 100.0)]
    assert min(losses) == losses[1]


def test_windows_start_where_the_series_start() -> None:
    arrays = arrays_of(read_series(table(2, 2)), Covariates(Calendar()))
    size = NetworkSize(4, 2, 1, (1,), 0, 0, (0.5,), 4, 1, 0.0, False)
    window = arrays.windows(Places(np.array([1]), np.array([2])), size, target=True)
    assert window.seen.tolist() == [[False, False, True, True]]
    series = read_series(table(2, 2)).values[1]
    assert window.y[0, 2:].tolist() == series[:2].tolist()
    assert window.target is not None
    assert window.target[0].tolist() == series[2:4].tolist()


def test_a_few_series_are_not_seen_for_all_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, place = promoted(NUMBERS), "memfold.tasks.forecast.plan"
    monkeypatch.setattr(f"{place}.MOST_EPOCHS", 3)
    for fewest, epochs in ((1, 3), (25, 5)):  # of 6 steps each
        monkeypatch.setattr(f"{place}.FEWEST_STEPS", fewest)
        assert small().fit(frame, budget="10m", progress=False).training_.steps == 6 * epochs
    assert small().fit(frame, budget="9ep", progress=False).training_.steps == 6 * 9  # as somebody wanted it
