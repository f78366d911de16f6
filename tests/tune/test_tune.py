"""A search for better parameters: the default first, on the validation part alone, within its time."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from command_line import run_here
from memfold.errors import InputError
from memfold.tasks import Forecaster, load
from memfold.tasks.parameters import Search, parameters_of
from memfold.tasks.registry import TASKS, task_class
from memfold.tune import Tuned, tune
from memfold.tune.space import UNCOMPARED, axes_of
from tasks.small import SMALL

SMALL_ONES = {"horizon": 4, "seasons": (4,), "pretrained": False, "hidden_size": 4, "members": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return SMALL["forecast"](tmp_path_factory.mktemp("tune")).data[0]


@pytest.fixture(scope="module")
def tuned(data: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tuned, Path]:
    out = tmp_path_factory.mktemp("tuned") / "model"
    return tune("forecast", [data], out, trials=3, budget="8s", settings=SMALL_ONES), out


# -- where it looks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_it_looks_where_the_parameters_say(task: str) -> None:
    kind = task_class(task)
    parameters = {p.name: p for p in parameters_of(kind)}
    axes = axes_of(kind, ())
    searched = {p.name for p in parameters.values() if p.search is not None}
    assert {axis.name for axis in axes} == searched - set(UNCOMPARED.get(task, ()))
    assert searched >= set(UNCOMPARED.get(task, ()))
    for axis in axes:
        p = parameters[axis.name]
        values = axis.levels or (axis.low, axis.high)
        for value in values:
            p.check(value)
            assert axis.place(value) == (value if not axis.ordered else list(values).index(value))
        if isinstance(p.search, Search):
            assert p.search.low == values[0]
            assert values[-1] <= p.search.high


def test_what_is_given_is_not_searched() -> None:
    assert "lr" in {axis.name for axis in axes_of(Forecaster, ())}
    assert "lr" not in {axis.name for axis in axes_of(Forecaster, ("lr",))}
    with pytest.raises(InputError, match="sets every parameter of forecast"):
        axes_of(Forecaster, [p.name for p in parameters_of(Forecaster)])


# -- a search ------------------------------------------------------------------------------------------------


def test_the_default_is_the_first_trial_and_the_model_the_best_by_validation(tuned: tuple[Tuned, Path]) -> None:
    result, out = tuned
    model: Any = load(out)
    first = result.trials[0]
    default = Forecaster(**SMALL_ONES)
    assert first["trial"] == 0
    assert (first["lr"], first["batch_size"]) == (default.lr, default.batch_size)
    assert model.lr == result.settings.get("lr", default.lr)
    assert (model.hidden_size, model.horizon) == (4, 4)
    assert result.report is not None
    assert result.default is not None
    assert result.report.metrics.keys() == result.default.metrics.keys()
    assert (result.best == 0) == (result.report is result.default)
    with (out / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == list(range(len(result.trials)))
    assert [float(row["score"]) for row in rows] == [row["score"] for row in result.trials]
    assert "hidden_size" not in rows[0]  # which was given
    assert json.loads(json.dumps(result.as_json()))["best"] == result.best


@pytest.mark.parametrize("task", ["forecast", "sentiment"])
def test_a_training_that_is_finished_later_is_a_fit(task: str, tmp_path: Path) -> None:
    small = SMALL[task](tmp_path)
    parts = small.model().parts(small.data)
    fitted = small.model().fit(parts.train, budget="2ep", valid=parts.valid, progress=False)
    trained, _, _ = small.model().trained(parts, "2ep")
    assert trained.training_.best_score == fitted.training_.best_score
    later, data, ready = small.model().trained(parts, "2ep", trained.plan_, dict(trained.network_.state_dict()))
    later.contest_ = later.finish(data, ready)
    later.save(tmp_path / "model")
    assert load(tmp_path / "model").predict(small.X).equals(fitted.predict(small.X))


def test_a_finished_model_is_not_replaced_unasked(tuned: tuple[Tuned, Path], data: str) -> None:
    with pytest.raises(InputError, match="holds a finished model"):
        tune("forecast", [data], tuned[1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": "20ep"}, "a search takes a time"),
        ({"trials": 0}, "--trials must be at least 1"),
        ({"settings": {"horizon": 500}}, "no series is longer"),
    ],
)
def test_what_cannot_be_searched_is_refused(options: dict[str, Any], said: str, data: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        tune("forecast", [data], tmp_path / "model", **options)


def test_the_command_prints_one_object(data: str, tmp_path: Path) -> None:
    given = [f"{name}={4 if name == 'seasons' else str(value).lower()}" for name, value in SMALL_ONES.items()]
    out = str(tmp_path / "model")
    options = ["--trials", "1", "--budget", "3s", "--json", "--set", *given]
    done = run_here("tune", "forecast", data, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert (printed["best"], printed["set"], printed["default"]) == (0, {}, printed["metrics"])
    assert "trial 0: " in done.stderr
    assert "the default is the best of 1 trials" in done.stderr


def test_without_optuna_it_is_one_line_with_what_installs_it(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = run_here("tune", "forecast", data, "--out", str(tmp_path / "model"))
    assert done.returncode == 2
    assert done.stderr == "memfold: this needs optuna, which is not installed: pip install 'memfold[tune]'\n"


@pytest.mark.release
@pytest.mark.slow
def test_ctrl_c_keeps_the_best(data: str, tmp_path: Path) -> None:
    given = ["--set", "horizon=4", "seasons=4", "pretrained=false", "members=1"]
    command = ["tune", "forecast", data, "--out", "model", "--budget", "80s", "--trials", "8", *given]
    running = subprocess.Popen(
        [sys.executable, "-m", "memfold", *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    while not running.stderr.readline().startswith("trial 1"):
        assert running.poll() is None
    time.sleep(0.5)
    os.kill(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "interrupted; the best model so far is kept" in said
    assert load(tmp_path / "model").name == "forecast"
    assert (tmp_path / "model" / "trials.csv").read_text(encoding="utf-8").count("\n") >= 3


# -- members -------------------------------------------------------------------------------------------------


def test_members_are_a_setting_of_the_tasks_that_have_some(data: str, tmp_path: Path) -> None:
    command = ["fit", "forecast", data, "--out", str(tmp_path / "m"), "--budget", "1ep", "--members", "2"]
    settings = ["--set", "horizon=4", "seasons=4", "hidden_size=4", "pretrained=false"]
    done = run_here(*command, *settings)
    assert done.returncode == 0, done.stderr
    model: Any = load(tmp_path / "m")
    assert (model.members, len(model.network_.members)) == (2, 2)
    refused = run_here(*command, "--overwrite", *settings, "members=3")
    assert (refused.returncode, "--members 2 and --set members=3" in refused.stderr) == (2, True)


@pytest.mark.parametrize("task", TASKS)
def test_members_of_other_tasks_are_refused_in_one_line(task: str, tmp_path: Path) -> None:
    has = any(p.name == "members" for p in parameters_of(task_class(task)))
    done = run_here("fit", task, "absent", "--out", str(tmp_path / "m"), "--members", "2")
    assert done.returncode == 2
    line = f"memfold: --members: {task} trains one network; faces, forecast, sentiment have members"
    assert (done.stderr.strip() == line) != has
