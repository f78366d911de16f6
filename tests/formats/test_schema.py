"""A damaged ``config.json`` is one line, at once; what is accepted answers as before."""

import json
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import memfold
from memfold.errors import InputError
from memfold.files import read_json
from memfold.formats.schema import check, decode, encode
from memfold.formats.weights import at_most_tensors
from memfold.runtime.texts.ngrams import RegressionSize
from memfold.tasks.forecast import Forecaster
from memfold.tasks.parameters import parameters_of
from memfold.tasks.registry import TASKS, task_class

STRANGE = [None, True, 0, -1, 10**5, 10**12, 10**400, 0.5, -0.5, 1e308, float("nan"), "", "x" * 300, [], [[]], [None]]
STRANGE += [{}, {"a": 1}, [0], ["a"], [10**12]]
SECONDS = 2.0  # at most, on a busy machine; a load takes a hundredth


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    t = np.arange(60)
    return pl.DataFrame({"ds": t, "y": np.tile([1.0, 2.0, 3.0, 2.0], 15), "x": np.sin(t), "kind": ["a"] * 60})


@pytest.fixture(scope="module")
def folder(table: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("m") / "model"
    model = Forecaster(4, (4,), past=("x",), static=("kind",), hidden_size=4, members=2)
    model.fit(table, budget="1ep", progress=False).save(path)
    return path


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every value within a value of JSON."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, own in entries:
        yield from places(own, (*path, key))


def changed(config: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = {"": deepcopy(config)}
    inner: Any = copy
    for key in ("", *path)[:-1]:
        inner = inner[key]
    inner[("", *path)[-1]] = value
    return copy[""]


def without(config: Any, path: tuple[Any, ...]) -> Any:
    copy = deepcopy(config)
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return copy


def mutants(text: str) -> Iterator[str]:
    config = json.loads(text)
    for path in places(config):
        for value in STRANGE:
            yield json.dumps(changed(config, path, value))
        if path:
            yield json.dumps(without(config, path))
        yield json.dumps(changed(config, path, "DEEP")).replace('"DEEP"', "[" * 10**5 + "]" * 10**5)
        inner = config
        for key in path:
            inner = inner[key]
        if isinstance(inner, dict):
            yield json.dumps(changed(config, path, {**inner, "unknown": 1}))
            if inner:
                name = json.dumps(next(iter(inner)))
                body = json.dumps(inner)
                yield json.dumps(changed(config, path, "TWICE")).replace('"TWICE"', f"{{{name}: 0, {body[1:]}")
    for at in range(0, len(text), 7):
        yield text[:at]
        yield text[:at] + text[at + 1 :]


def outcome(folder: Path, table: pl.DataFrame) -> pl.DataFrame | str:
    """The answers of a model, or the line that refuses it."""
    try:
        return memfold.load(folder).predict(table)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.release)])
def test_a_mutant_of_a_models_configuration_is_refused_in_one_line_or_answers(
    folder: Path, table: pl.DataFrame, every: int
) -> None:
    file = folder / "config.json"
    whole = file.read_text()
    before = memfold.load(folder).predict(table)
    fitted = json.loads(whole)["fitted"]
    refused = accepted = 0
    try:
        for mutant in islice(mutants(whole), 0, None, every):
            file.write_text(mutant)
            begun = time.perf_counter()
            got = outcome(folder, table)
            assert time.perf_counter() - begun < SECONDS, mutant[:2000]
            if isinstance(got, str):
                assert "\n" not in got, mutant[:2000]
                assert len(got) < 2000
                refused += 1
            else:
                assert got.shape == before.shape, mutant[:2000]
                if json.loads(mutant)["fitted"] == fitted:
                    assert got.equals(before), mutant[:2000]
                accepted += 1
    finally:
        file.write_text(whole)
    assert refused > 1000 / every
    assert accepted < refused / 4


WRONG: dict[str, list[Any]] = {
    "int": [True, 0.5, "1", [1], {}, 10**30],
    "float": [True, "1", [1.0], {}, float("inf"), float("nan")],
    "bool": [0, 1, "true", []],
    "str": [0, ["a"], {}],
}


@pytest.mark.parametrize("task", TASKS)
def test_every_parameter_of_every_task_has_its_type_and_bounds(task: str) -> None:
    kind = task_class(task)
    kind().check()
    for p in parameters_of(kind):
        assert p.meaning
        assert not p.meaning.endswith(".") or p.meaning.endswith(" ...")
        for wrong in WRONG.get(type(encode(p.default)).__name__, [object()]):
            with pytest.raises(InputError, match=f"^parameters.{p.name} is "):
                kind(**{p.name: wrong}).check()
        outside = [bound - 1 for bound in (p.least, p.above) if bound is not None]
        outside += [bound + 1 for bound in (p.most, p.below) if bound is not None]
        for value in outside:
            number = value if float in (p.hint, *get_args(p.hint)) else int(value)
            with pytest.raises(InputError, match=f"{p.name} must be "):
                p.check((number,) if isinstance(p.default, tuple) else number)


@pytest.mark.parametrize("task", TASKS)
def test_what_fitting_found_is_an_object_of_known_names(task: str) -> None:
    types = task_class(task).fitted_types()
    for wrong in (None, [], {"a": 1}):
        with pytest.raises(InputError, match=r"^fitted "):
            check(wrong, types, "fitted")
    if types:  # a translator's are files of their own
        for wrong in ({}, dict.fromkeys(types)):
            with pytest.raises(InputError, match=r"^fitted"):
                check(wrong, types, "fitted")


@pytest.mark.parametrize(("kinds", "terms"), [(["pats"], [3]), (["words"], [3, 4]), (["words"], [-1])])
def test_ngrams_of_no_known_kind_or_number_are_refused(kinds: list[str], terms: list[int]) -> None:
    with pytest.raises(InputError, match="n-grams"):
        RegressionSize.from_json({"kinds": kinds, "terms": terms, "letters": 9, "scores": 1})


def test_a_network_of_more_tensors_than_its_file_is_refused_at_once() -> None:
    begun = time.perf_counter()
    with (
        torch.device("meta"),
        pytest.raises(InputError, match="more tensors than the 4 of the weights"),
        at_most_tensors(4),
    ):
        nn.ModuleList(nn.Linear(1, 1) for _ in range(10**6))
    with at_most_tensors(4):
        nn.ModuleList(nn.Linear(1, 1) for _ in range(2))
    assert time.perf_counter() - begun < SECONDS
    nn.ModuleList(nn.Linear(1, 1) for _ in range(50))  # is counted no more


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 10**5, "nested too deep"),
        ('{"a": 1, "b": {"c": 1, "c": 1}}', "'c' is given twice"),
        ("1" * 5000, "not readable as JSON"),
        ("\udcff", "not readable as JSON"),
        ("{", "not readable as JSON"),
    ],
)
def test_json_that_is_broken_or_ambiguous_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=f"a.json: .*{message}"):
        read_json(file)


@dataclass(frozen=True)
class Inner:
    pair: tuple[int, float]
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Outer:
    inner: list[Inner]
    by_name: dict[str, tuple[float, float]]


def test_what_is_encoded_comes_back_by_its_type() -> None:
    value = Outer([Inner((1, 2.0)), Inner((3, 4.0), ("a", "b"))], {"x": (0.0, 1.0)})
    stored = json.loads(json.dumps(encode(value)))
    check(stored, Outer, "fitted")
    assert decode(stored, Outer) == value
    assert encode(np.float32(0.5)) == 0.5
    assert encode({"a": np.arange(3)}) == {"a": [0, 1, 2]}
