"""What holds for every task, over a small model of each."""

import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import memfold
from memfold import training
from memfold.cli import run
from memfold.errors import InputError
from memfold.tasks import Task
from memfold.tasks.registry import TASKS
from tasks.small import SMALL, Small

Made = tuple[Small, Task]  # and a model of it that is fitted


@pytest.fixture(scope="module", params=sorted(TASKS))
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Small:
    return SMALL[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def fitted(small: Small) -> Task:
    return small.fitted()


@pytest.fixture(scope="module")
def saved(fitted: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "m"
    fitted.save(path)
    return path


def answers_of(model: Task, small: Small) -> Any:
    """What ``memfold predict`` writes."""
    found = model.answers(small.data)
    return found if isinstance(found, pl.DataFrame) else "".join(found)


def same(one: Any, other: Any) -> bool:
    return one.equals(other) if isinstance(one, pl.DataFrame) else bool(one == other)


def test_every_task_has_a_small_model() -> None:
    assert SMALL.keys() == TASKS.keys()


# -- scikit-learn's contract ---------------------------------------------------------------------------------


def test_a_clone_has_the_parameters_and_is_not_fitted(small: Small, fitted: Task) -> None:
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params() == small.model().get_params()
    assert repr(copy) == repr(fitted)
    with pytest.raises(InputError, match="is not fitted yet: call fit first"):
        copy.predict(small.X)
    with pytest.raises(InputError, match="is not fitted yet: call fit first"):
        copy.score(small.X, small.y)
    with pytest.raises(InputError, match="is not fitted yet: call fit first"):
        copy.save("nowhere")


def test_an_unknown_parameter_is_named(small: Small) -> None:
    with pytest.raises(InputError, match=f"^{small.name} has no parameter 'colour'; it has "):
        small.model().set_params(colour=1)
    with pytest.raises(TypeError, match="colour"):
        small.model(colour=1)


def test_a_parameter_of_a_wrong_type_is_refused_before_the_data_are_read(small: Small) -> None:
    with pytest.raises(InputError, match=r"^parameters.lr is 'fast', expected a number"):
        small.model(lr="fast").fit(object(), budget="1ep")
    with pytest.raises(InputError, match=r"^lr must be above 0, got 0"):
        small.model(lr=0.0).fit(object(), budget="1ep")


def test_a_budget_in_the_place_of_the_answers_is_refused(small: Small) -> None:
    with pytest.raises(InputError, match="the budget is given by name: budget='2ep'"):
        small.model().fit(small.X, "2ep")


def test_a_search_finds_the_better_parameter(small: Small) -> None:
    name, values = small.search
    search = GridSearchCV(small.model(), {name: values}, cv=small.cv, error_score="raise")
    search.fit(small.X, small.y, budget="1ep", progress=False)
    assert search.best_params_[name] in values
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert search.best_score_ == scores.max()
    assert search.best_estimator_.get_params()[name] == search.best_params_[name]


def test_its_score_is_its_first_metric_where_more_is_better(small: Small, fitted: Task) -> None:
    if small.name in ("anomaly", "forecast"):
        return  # which score what follows the rows that they were trained on; see their own tests
    first = fitted.metrics[0]
    examples = fitted.read(small.X) if small.y is None else fitted.labelled(small.X, small.y)
    expected = fitted.evaluate(examples).metrics[first.name]
    assert fitted.score(small.X, small.y) == pytest.approx(expected if first.better == "higher" else -expected)


def test_answers_and_inputs_of_different_numbers_are_refused(small: Small) -> None:
    if small.y is not None:
        with pytest.raises(InputError, match=rf"{len(small.y)}\b.*\b{len(small.y) - 1}\b"):
            small.model().fit(small.X, small.y[:-1], budget="1ep", progress=False)


# -- a fit that fails ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["read", "prepare", "network", "problem", "finish"])
def test_a_refused_refit_leaves_the_model_as_it_was(
    small: Small, saved: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = memfold.load(saved)
    before = answers_of(model, small)

    def refused(*_: Any, **__: Any) -> None:
        raise InputError("refused here")

    other = small.X[::-1] if not isinstance(small.X, pl.DataFrame) else small.X.with_columns(pl.col("y") * 3 + 1)
    with monkeypatch.context() as patch:
        patch.setattr(type(model), "labelled" if step == "read" and small.y is not None else step, refused)
        with pytest.raises(InputError, match="refused here"):
            model.fit(other, small.y, budget="1ep", progress=False)
    assert same(answers_of(model, small), before)


def test_data_that_cannot_be_learnt_from_leave_the_model_as_it_was(small: Small, saved: Path) -> None:
    if small.refused is None:
        return
    model = memfold.load(saved)
    before = answers_of(model, small)
    with pytest.raises(InputError):
        model.fit(small.refused, budget="1ep", progress=False)
    assert same(answers_of(model, small), before)


def test_a_second_fit_begins_anew(small: Small, fitted: Task) -> None:
    model = small.fitted(budget="1ep")
    model.fit(small.X, small.y, budget="2ep", progress=False)
    expected = fitted.network_.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.network_.state_dict().items())


# -- resume --------------------------------------------------------------------------------------------------


def test_an_interrupted_training_resumes_to_the_same_bits(
    small: Small, fitted: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, take, half = iter(range(1000)), training._Loop.take_step, fitted.training_.steps // 2

    def interrupted(loop: Any, *arguments: Any) -> float:
        if next(taken) == half:
            raise KeyboardInterrupt
        return take(loop, *arguments)

    place = tmp_path / "m"
    with monkeypatch.context() as patch:
        patch.setattr(training._Loop, "take_step", interrupted)
        model = small.fitted(out=place)
        assert model.training_.stopped == "interrupted"
    with pytest.raises(InputError, match="unfinished training; go on with --resume"):
        small.fitted(out=place)
    with pytest.raises(InputError, match="other data or settings"):
        small.model(seed=5).fit(small.X, small.y, budget="2ep", out=place, resume=True, progress=False)
    resumed = small.fitted(out=place, resume=True)
    expected = fitted.network_.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.network_.state_dict().items())


# -- models on disk ------------------------------------------------------------------------------------------


def test_a_loaded_model_answers_as_the_saved_one(small: Small, fitted: Task, saved: Path) -> None:
    loaded = memfold.load(saved)
    assert loaded.training_ == fitted.training_
    assert type(loaded) is type(fitted)
    assert loaded.get_params() == fitted.get_params()
    assert same(answers_of(loaded, small), answers_of(fitted, small))
    examples = fitted.read_files(small.data)
    ours, theirs = loaded.evaluate(examples), fitted.evaluate(examples)
    timed = {"real_time_factor"}
    assert list(ours.baselines) == list(theirs.baselines)
    for one, other in (
        (ours.metrics, theirs.metrics),
        *((ours.baselines[name], theirs.baselines[name]) for name in ours.baselines),
    ):
        expected = {name: value for name, value in other.items() if name not in timed}
        assert {name: value for name, value in one.items() if name not in timed} == pytest.approx(expected, nan_ok=True)


def test_metrics_are_declared(small: Small, fitted: Task) -> None:
    report = fitted.evaluate(fitted.read_files(small.data))
    declared = {metric.name for metric in fitted.metrics}
    for scores in (report.metrics, *report.baselines.values()):
        assert scores.keys() <= declared


def test_a_full_disk_leaves_the_model_that_was_there(
    small: Small, fitted: Task, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "m"
    memfold.load(saved).save(place)
    before = {file.name: file.read_bytes() for file in place.iterdir()}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match=r"No space left on device.* is untouched"):
            fitted.save(place)
    assert {file.name: file.read_bytes() for file in place.iterdir()} == before


def test_a_kill_while_saving_leaves_a_whole_model(
    small: Small, fitted: Task, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "m"
    memfold.load(saved).save(place)
    replace, calls = os.replace, iter(range(100))

    def killed(*arguments: Any) -> None:
        if next(calls) == 2:  # after the folder of new files and the first of them
            raise KeyboardInterrupt
        replace(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            fitted.save(place)
    assert same(answers_of(memfold.load(place), small), answers_of(fitted, small))


def test_a_foreign_folder_is_left_alone(small: Small, fitted: Task, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    before_reading = lambda: small.model().fit(object(), out=tmp_path)  # noqa: E731
    for attempt in (lambda: fitted.save(tmp_path), lambda: small.fitted(out=tmp_path), before_reading):
        with pytest.raises(InputError, match=r"holds 'thesis.txt', which is not part of a model"):
            attempt()
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


# -- answers -------------------------------------------------------------------------------------------------


def test_an_input_has_its_answer_whatever_others_are_beside_it(small: Small, fitted: Task) -> None:
    if small.name in ("anomaly", "forecast"):
        both = pl.concat([small.X.with_columns(unique_id=pl.lit(name)) for name in ("a", "b")])
        inputs = [both.filter(pl.col("unique_id") == name) for name in ("a", "b")]
        together, alone = fitted.predict(both), [fitted.predict(one) for one in inputs]
    elif small.name == "generate":
        return  # which writes on from one text at a time
    else:
        X = list(small.X[:3])
        together, alone = fitted.predict(X), [fitted.predict([one]) for one in X]
    if not isinstance(together, pl.DataFrame):
        assert together == [answer for part in alone for answer in part]
        return
    apart = pl.concat(alone)
    names = [name for name in together.columns if name not in ("file", "image", "audio")]  # arrays are numbered anew
    for name in names:
        if together[name].dtype.is_float():
            np.testing.assert_allclose(together[name], apart[name], rtol=1e-4, atol=1e-5)
        else:
            assert together[name].to_list() == apart[name].to_list()


def test_one_bad_file_among_many_is_left_out_and_named(
    small: Small, fitted: Task, capsys: pytest.CaptureFixture[str]
) -> None:
    if not small.broken:
        return
    bad = small.broken[-1]
    if small.name == "generate":
        fitted.read_files(small.broken)
    else:
        found = fitted.answers(small.broken)
        assert isinstance(found, pl.DataFrame)
        assert found.equals(fitted.answers(small.broken[:-1]))
    said = capsys.readouterr().err
    assert f"1 of {len(small.broken)} " in said
    assert bad in said
    with pytest.raises(InputError, match="broken"):
        fitted.read_files([bad]) if small.name == "generate" else fitted.answers([bad])


# -- the command line ----------------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["memfold", *arguments])
        code = run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_fit_prints_one_object_of_the_contracts_names(small: Small, command: Any, tmp_path: Path) -> None:
    sets = []
    for name, value in small.parameters.items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        sets += ["--set", f"{name}={text}"]
    place = str(tmp_path / "m")
    code, out, err = command("fit", small.name, *small.data, "--out", place, "--budget", "1ep", "--json", *sets)
    assert code == 0, err
    report = json.loads(out)
    kind = type(small.model())
    assert report.keys() >= {"task", "data", "metrics", "baseline", "seconds", "seed", "parameters", "memfold", "torch"}
    assert report["task"] == small.name
    assert report["metrics"].keys() <= {metric.name for metric in kind.metrics}
    assert {"name"} < report["baseline"].keys()
    code, out, err = command("fit", small.name, *small.data, "--out", place, "--budget", "1ep", *sets)
    assert (code, out) == (2, "")
    assert "holds a finished model; replace it with --overwrite" in err
    code, out, err = command("fit", small.name, *small.data, "--out", place, "--budget", "1ep", "--overwrite", *sets)
    assert code == 0, err


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_a_set_that_does_not_exist_is_refused(small: Small, saved: Path, command: Any, verb: str) -> None:
    code, out, err = command(verb, str(saved), "@nonsense")
    assert (code, out) == (2, "")
    if not (small.name == "generate" and verb == "predict"):  # which goes on from files alone
        assert "@nonsense: no such data set" in err


def test_an_unknown_setting_is_named(small: Small, command: Any, tmp_path: Path) -> None:
    code, out, err = command("fit", small.name, *small.data, "--out", str(tmp_path / "m"), "--set", "colour=1")
    assert (code, out) == (2, "")
    assert f"{small.name} has no parameter 'colour'; it has " in err
    assert not (tmp_path / "m").exists()
