import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import memfold
from memfold.cli import run
from memfold.errors import InputError
from memfold.tasks import AnomalyDetector


def table(rows: int = 1200, spikes: tuple[int, ...] = (700, 1000), label: bool = True) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    y = 20 + 5 * np.sin(np.arange(rows) * 2 * np.pi / 24) + rng.normal(0, 0.3, rows)
    y[list(spikes)] += 9
    columns = {
        "ds": pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2030, 1, 1), "1h", eager=True)[:rows],
        "y": y,
    }
    marks = {"label": [int(any(s <= k <= s + 5 for s in spikes)) for k in range(rows)]} if label else {}
    return pl.DataFrame({**columns, **marks})


def small(**changes: object) -> AnomalyDetector:
    return AnomalyDetector(
        **{"hidden_size": 8, "window": 32, "batch_size": 8, "lr": 1e-2, "span": 1, "false_alarms": 0.5, **changes}
    )  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted() -> AnomalyDetector:
    return small().fit(table()[:600], budget="30ep", progress=False)


def test_it_finds_what_strays_and_says_by_how_much(fitted: AnomalyDetector) -> None:
    judged = fitted.predict(table())
    alarms = judged.with_row_index("row").filter(pl.col("alarm") & (pl.col("row") >= 360))["row"].to_list()
    assert {700, 1000} <= set(alarms)
    assert len(alarms) <= 5
    spike = judged.row(1000, named=True)
    assert spike["variable"] == "y"
    assert spike["sigmas"] > 5
    assert spike["lo80_y"] < spike["expected_y"] < spike["hi80_y"] < table()["y"][1000]


def test_its_report_has_the_scores_of_the_labels(fitted: AnomalyDetector) -> None:
    report = fitted.evaluate(table(), "made up")
    names = {"alarms_per_1000", "nab_standard", "nab_low_fp", "nab_low_fn", "vus_pr", "f1"}
    assert set(report.metrics) == set(report.baselines["windowed Gaussian"]) == names
    assert report.metrics["nab_standard"] > report.baselines["windowed Gaussian"]["nab_standard"] + 20
    assert set(fitted.evaluate(table(label=False)).metrics) == {"alarms_per_1000"}


def test_it_may_watch_without_learning_on() -> None:
    model = small(online=False).fit(table()[:600], budget="10ep", progress=False)
    before = {name: value.clone() for name, value in model.network_.state_dict().items()}
    model.predict(table())
    assert all((before[name] == value).all() for name, value in model.network_.state_dict().items())


def test_watching_leaves_the_model_as_it_was(fitted: AnomalyDetector) -> None:
    first, second = fitted.predict(table()), fitted.predict(table())
    assert first.equals(second)


def test_a_loaded_model_judges_as_the_saved_one(fitted: AnomalyDetector, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m")
    again = memfold.load(tmp_path / "m")
    assert isinstance(again, AnomalyDetector)
    assert again.predict(table()).equals(fitted.predict(table()))
    line = "2024-01-26 00:00:00,20.1"
    assert list(again.respond(line)) == list(fitted.respond(line))


def test_lines_are_judged_as_the_table_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = table(label=False)
    model = small(online=False).fit(data[:600], budget="10ep", progress=False)
    model.save(tmp_path / "m")
    lines = ["ds,y", *(f"{ds},{y!r}" for ds, y in data[600:].iter_rows())]
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(("\n".join(lines) + "\n").encode())))
    monkeypatch.setattr(sys, "argv", ["memfold", "stream", str(tmp_path / "m")])
    assert run() == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line]
    expected = model.predict(data)[600:]
    assert [a["score"] for a in answers] == pytest.approx(expected["score"].to_list(), abs=1e-4)
    assert [a["alarm"] for a in answers] == expected["alarm"].to_list()
    assert set(answers[0]) == {
        "ds",
        "y",
        "score",
        "alarm",
        "reason",
        "fault",
        "variable",
        "sigmas",
        "expected",
        "lo80",
        "hi80",
    }


def test_a_series_that_was_not_learnt_does_not_go_on_from_another(fitted: AnomalyDetector, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m")
    model = memfold.load(tmp_path / "m")
    assert isinstance(model, AnomalyDetector)
    known, other = (model.session.monitor(name).news.points for name in ("", "another"))
    assert (known, other) == (600, 0)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("2024-01-26 00:00:00", "line 1: 1 fields; expected ds,y"),
        ("2024-01-26 00:00:00,high", "line 1: no number for 'y'"),
        ("2024-01-26 00:00:00,inf", "'y' is not a finite number"),
        ("yesterday,4", "'yesterday' is not a date such as"),
        ('{"y": 4}', "line 1: no time; expected ds or timestamp"),
        ('{"y": 4', "not readable as JSON"),
    ],
)
def test_a_bad_line_is_named(fitted: AnomalyDetector, tmp_path: Path, line: str, what: str) -> None:
    fitted.save(tmp_path / "m")
    with pytest.raises(InputError, match=what.replace("(", r"\(")):
        list(memfold.load(tmp_path / "m").respond(line))  # type: ignore[attr-defined]


def test_several_variables_and_series(tmp_path: Path) -> None:
    one = table(label=False).with_columns(z=pl.col("y") * -3, unique_id=pl.lit("a"))
    two = one.with_columns(y=pl.col("y") + 100, unique_id=pl.lit("b"))
    model = small(values=("y", "z")).fit(pl.concat([one, two]), budget="3ep", progress=False)
    judged = model.predict(pl.concat([one, two]))
    assert judged["unique_id"].unique().sort().to_list() == ["a", "b"]
    assert {"expected_y", "hi80_z"} <= set(judged.columns)
    with pytest.raises(InputError, match="fitted to y, z over dates, this has y over dates"):
        model.predict(small().read(one))


def test_bad_parameters_and_data_are_refused() -> None:
    for wrong in ({"warm_up": 0.0}, {"warm_up": 1.0}, {"update_every": 0}, {"false_alarms": 0.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            small(**wrong).fit(table(), budget="1ep", progress=False)
    with pytest.raises(InputError, match="too few"):
        small().fit(table()[:8], budget="1ep", progress=False)
    with pytest.raises(InputError, match="too few rows to train on"):
        small().fit([small().read(table())[0].head(0)], budget="1ep", progress=False)
    numbers = table().with_columns(ds=pl.int_range(1200))
    with pytest.raises(InputError, match="fitted to y over dates, this has y over numbers"):
        small().fit([*small().read(table()), *small().read(numbers)], budget="1ep", progress=False)


def test_the_command_line_fits_scores_and_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table().write_csv(tmp_path / "r.csv")
    arguments = ["fit", "anomaly", str(tmp_path / "r.csv"), "--out", str(tmp_path / "m"), "--budget", "20ep", "--json"]
    settings = ["--set", "hidden_size=8", "--set", "window=32"]
    monkeypatch.setattr(sys, "argv", ["memfold", *arguments, *settings])
    assert run() == 0
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "anomaly"
    assert found["baseline"]["name"] == "windowed Gaussian"
    assert found["metrics"]["nab_standard"] > 50


def test_answers_stand_beside_the_rows_that_were_given(fitted: AnomalyDetector, tmp_path: Path) -> None:
    given = table().with_columns(pl.lit("b12").alias("machine"), pl.int_range(pl.len()).alias("score"))
    shuffled = given.sample(fraction=1.0, shuffle=True, seed=0)
    judged = fitted.predict(shuffled)
    assert judged["ds"].to_list() == shuffled["ds"].to_list()
    assert judged["machine"].unique().to_list() == ["b12"]
    assert judged["given_score"].to_list() == shuffled["score"].to_list()
    in_order = fitted.predict(given)
    joined = judged.join(in_order, on="ds", how="left", maintain_order="left")
    assert joined["score"].to_list() == joined["score_right"].to_list()


def test_files_are_series_of_their_own(fitted: AnomalyDetector, tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in paths:
        table().write_csv(path)
    judged = fitted.predict(paths)
    assert judged["unique_id"].unique(maintain_order=True).to_list() == ["a", "b"]
    assert judged.height == 2 * table().height


def test_a_model_over_plain_numbers_takes_none_for_years() -> None:
    rows = pl.DataFrame({"ds": range(4000), "y": np.sin(np.arange(4000) * 0.3)})
    model = small(label=None).fit(rows[:1000], budget="1ep", progress=False)
    part = rows[1900:2100]  # whose times alone would be years
    assert model.predict(part)["ds"].to_list() == part["ds"].to_list()


def test_a_missing_row_is_an_alarm_with_its_reason() -> None:
    data = table(spikes=(700,), label=False).filter(pl.int_range(1200) != 1000)
    judged = small().fit(data[:600], budget="10ep", progress=False).predict(data)
    assert judged["reason"][1000] == "gap"
    assert judged["alarm"][1000]
    assert judged["reason"][700] in ("spike", "level", "joint")


def machine(rows: int = 2400) -> pl.DataFrame:
    """Two readings that go together, but for a while."""
    rng = np.random.default_rng(0)
    load = np.sin(np.arange(rows) * 2 * np.pi / 50) + 0.1 * rng.normal(size=rows)
    other = load + 0.1 * rng.normal(size=rows)
    other[1800:2000] *= -1
    label = (np.arange(rows) >= 1800) & (np.arange(rows) < 2000)
    return pl.DataFrame({"ds": range(rows), "a": load, "b": other, "label": label.astype(int)})


def test_the_fault_stays_up_and_the_joint_distance_beats_each_variable_alone() -> None:
    model = small(values=("a", "b"), hidden_size=16).fit(machine()[:720], budget="10ep", progress=False)
    report = model.evaluate(machine())
    assert report.metrics["vus_pr"] > 0.9
    assert report.metrics["vus_pr"] > report.baselines["windowed Gaussian"]["vus_pr"] + 0.3
    assert set(report.baselines) == {"windowed Gaussian", "Mahalanobis distance", "the network alone"}
    judged = model.predict(machine())
    assert judged["alarm"][1800:1810].any()
    during = np.delete(judged["fault"][1800:2000].to_numpy(), np.s_[:10])
    assert np.median(during) > judged["fault"][720:1800].quantile(0.99)  # type: ignore[operator]


def test_a_contest_is_held_where_the_validation_part_has_labels(capsys: pytest.CaptureFixture[str]) -> None:
    model = small(values=("a", "b")).fit(machine()[:720], budget="3ep", valid=machine(), progress=False)
    assert model.contest_ is not None
    assert model.contest_.metric == "vus_pr"
    assert {"memfold", "the network alone", "windowed Gaussian"} <= set(model.contest_.scores)
    assert small(values=("a", "b")).fit(machine()[:720], budget="1ep", progress=True).contest_ is None
    said = capsys.readouterr().err
    assert "no contest with the baselines is held; 0.5 false alarms in 1,000 points are allowed" in said


def test_anomalies_within_the_warm_up_are_named_and_not_scored(
    fitted: AnomalyDetector, capsys: pytest.CaptureFixture[str]
) -> None:
    early = table(spikes=(100, 700, 1000))
    later = early.with_columns(label=pl.when(pl.int_range(1200) < 360).then(0).otherwise(pl.col("label")))
    scores = fitted.evaluate(early).metrics
    assert "1 of 3 labelled anomalies end within the warm-up and are not scored" in capsys.readouterr().err
    assert scores == fitted.evaluate(later).metrics
