"""`memfold predict` over many files: the same bytes whoever does the work, and whatever ends it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from command_line import run_here
from memfold.bulk.inputs import expanded, units_of
from memfold.bulk.manifest import MANIFEST, Manifest
from memfold.bulk.scoring import output_name
from memfold.errors import InputError
from memfold.tasks import Forecaster
from memfold.tasks.registry import task_class
from tasks.small import SMALL

FILES = 24  # of a run that is killed


def write_series(path: Path, name: str | None, seed: int = 0) -> None:
    y = np.tile([1.0, 2.0, 4.0, 3.0], 10) + 0.3 * np.random.default_rng(seed).normal(size=40)
    frame = pl.DataFrame({"ds": range(40), "y": y})
    frame = frame if name is None else frame.insert_column(0, pl.Series("unique_id", [name] * 40))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bulk")
    write_series(folder / "train.csv", "a")
    task = Forecaster(horizon=4, seasons=(4,), hidden_size=4, pretrained=False)
    task.fit(str(folder / "train.csv"), budget="1ep", progress=False).save(folder / "model")
    return str(folder / "model")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for number in range(4):
        write_series(tmp_path / "data" / f"{number}.csv", f"s{number}", number)
    return tmp_path / "data"


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / MANIFEST).read_text(encoding="utf-8").splitlines()]


def answers_in(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in out.iterdir() if file.name != MANIFEST}


# -- a run ---------------------------------------------------------------------------------------------------


def test_a_run_does_not_depend_on_how_many_work_and_is_done_once(model: str, data: Path, tmp_path: Path) -> None:
    write_series(data / "4.parquet", "s4")
    for jobs in ("1", "2"):
        done = run_here("predict", model, f"{data}/*", "--out", f"{tmp_path}/by{jobs}/", "--jobs", jobs)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert answers_in(tmp_path / "by1") == answers_in(tmp_path / "by2")
    assert set(answers_in(tmp_path / "by1")) == {*(f"{number}.csv" for number in range(4)), "4.parquet"}
    assert f"{data}/*: 5 files: {data}/0.csv, {data}/1.csv" in done.stderr
    run_here("predict", model, f"{data}/0.csv", "--out", f"{tmp_path}/alone.csv")
    assert (tmp_path / "alone.csv").read_bytes() == answers_in(tmp_path / "by1")["0.csv"]
    lines = lines_of(tmp_path / "by2")
    assert sorted(line["input"] for line in lines) == sorted(map(str, data.iterdir()))
    assert all(line["rows"] == 4 and line["isa"] and line["host"] and line["seconds"] > 0 for line in lines)
    # Again: nothing is done twice.
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "by2").iterdir()}
    again = run_here("predict", model, f"{data}/*", "--out", f"{tmp_path}/by2", "--jobs", "2")
    assert "0 of 5 files answered to, 5 were there already" in again.stderr
    assert before == {file.name: file.stat().st_mtime_ns for file in (tmp_path / "by2").iterdir()}


def test_what_is_truncated_or_changed_is_done_again(model: str, data: Path, tmp_path: Path) -> None:
    command = ["predict", model, f"{data}/*.csv", "--out", f"{tmp_path}/out/", "--jobs", "1"]
    run_here(*command)
    whole = answers_in(tmp_path / "out")
    (tmp_path / "out" / "0.csv").write_bytes(whole["0.csv"][:-9])  # truncated
    (tmp_path / "out" / "1.csv").write_bytes(whole["1.csv"].replace(b"1", b"2"))  # as long, but another
    (tmp_path / "out" / "2.csv").unlink()
    with (tmp_path / "out" / MANIFEST).open("ab") as manifest:
        manifest.write(b'{"input": "half a li')  # as a crash leaves it
    done = run_here(*command)
    assert "3 of 4 files answered to, 1 were there already" in done.stderr
    assert answers_in(tmp_path / "out") == whole
    assert len(lines_of(tmp_path / "out")) == 7
    write_series(data / "3.csv", "s3", seed=9)  # an input that is another now
    assert "1 of 4 files answered to, 3 were there already" in run_here(*command).stderr


def test_files_that_cannot_be_answered_to_are_listed_and_the_others_done(
    model: str, data: Path, tmp_path: Path
) -> None:
    (data / "bad.csv").write_text("ds,y\n1,high\n2,low\n")
    (data / "empty.parquet").write_bytes(b"")
    done = run_here("predict", model, f"{data}/*", "--out", f"{tmp_path}/out/", "--jobs", "1")
    assert done.returncode == 3
    assert set(answers_in(tmp_path / "out")) == {f"{number}.csv" for number in range(4)}
    errors = {Path(line["input"]).name: line["error"] for line in lines_of(tmp_path / "out") if "error" in line}
    assert set(errors) == {"bad.csv", "empty.parquet"}
    assert all(f"  {error}" in done.stderr.splitlines() for error in errors.values())
    strict = run_here("predict", model, f"{data}/*", "--out", f"{tmp_path}/strict/", "--jobs", "1", "--strict")
    assert strict.returncode == 3
    assert sum("error" in line for line in lines_of(tmp_path / "strict")) == 1
    (data / "bad.csv").unlink()
    (data / "empty.parquet").unlink()
    mended = run_here("predict", model, f"{data}/*", "--out", f"{tmp_path}/strict/", "--jobs", "1")
    assert (mended.returncode, answers_in(tmp_path / "strict")) == (0, answers_in(tmp_path / "out"))


def test_without_ray_it_is_one_line_with_what_installs_it(
    model: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "memfold.bulk.cluster", raising=False)
    done = run_here("predict", model, f"{data}/0.csv", "--out", f"{tmp_path}/out/", "--ray", "auto")
    assert done.returncode == 2
    assert done.stderr == "memfold: this needs ray, which is not installed: pip install 'memfold[ray]'\n"


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_driver_are_mended_by_the_same_command(model: str, tmp_path: Path) -> None:
    for number in range(FILES):
        write_series(tmp_path / "data" / f"{number}.csv", f"s{number}", number)
    out = tmp_path / "out"
    command = ["predict", model, f"{tmp_path}/data/*.csv", "--out", f"{out}/", "--jobs", "2"]
    driver = subprocess.Popen([sys.executable, "-m", "memfold", *command], stderr=subprocess.PIPE)
    wait_for(lambda: (out / MANIFEST).exists() and len(lines_in_part(out)) > 2)
    workers = children_of(driver.pid)
    os.kill(workers[-1], signal.SIGKILL)
    wait_for(lambda: len(lines_in_part(out)) > 8)
    driver.kill()
    driver.communicate()
    assert len(lines_in_part(out)) < FILES
    wait_for(lambda: not any(Path(f"/proc/{worker}/cmdline").exists() for worker in workers))
    again = run_here(*command)
    assert again.returncode == 0, again.stderr
    assert "were there already" in again.stderr
    whole = run_here(*command[:-3], f"{tmp_path}/whole/", "--jobs", "1")
    assert whole.returncode == 0, whole.stderr
    assert answers_in(out) == answers_in(tmp_path / "whole")
    assert len(answers_in(out)) == FILES
    assert {line["input"] for line in lines_of(out)} == {str(file) for file in (tmp_path / "data").iterdir()}


def lines_in_part(out: Path) -> Sequence[bytes]:
    return (out / MANIFEST).read_bytes().splitlines()


def children_of(process: int) -> list[int]:
    """Its workers: what its resource tracker is, is no worker."""
    children = [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.002)


# -- which files ---------------------------------------------------------------------------------------------


def test_a_series_in_two_files_is_refused_before_anything_is_done(model: str, data: Path, tmp_path: Path) -> None:
    write_series(data / "again.parquet", "s1")
    done = run_here("predict", model, f"{data}/*", "--out", f"{tmp_path}/out/", "--jobs", "1")
    assert done.returncode == 2
    assert f"series 's1' is in {data}/1.csv and in {data}/again.parquet" in done.stderr
    assert answers_in(tmp_path / "out") == {}


def test_series_without_names_are_each_their_file(model: str, tmp_path: Path) -> None:
    for number in range(2):
        write_series(tmp_path / f"{number}.csv", None, number)
    done = run_here("predict", model, f"{tmp_path}/?.csv", "--out", f"{tmp_path}/out/", "--jobs", "1")
    assert (done.returncode, len(answers_in(tmp_path / "out"))) == (0, 2), done.stderr


def test_files_of_one_name_do_not_overwrite_each_other(model: str, tmp_path: Path) -> None:
    for folder in ("b", "a"):
        write_series(tmp_path / folder / "x.csv", folder, ord(folder))
    out = tmp_path / "out"
    done = run_here("predict", model, f"{tmp_path}/a/x.csv", "--out", f"{out}/", "--jobs", "1")
    first = answers_in(out)
    done = run_here("predict", model, f"{tmp_path}/b/x.csv", f"{tmp_path}/a/x.csv", "--out", f"{out}/", "--jobs", "1")
    assert "1 of 2 files answered to, 1 were there already" in done.stderr
    assert len(answers_in(out)) == 2
    assert first.items() <= answers_in(out).items()


def test_names_of_answers_are_apart_in_any_order(tmp_path: Path) -> None:
    files = ["/a/x.png", "/b/x.png", "/c/x.png.csv", "/d/X.PNG", "/e/y.csv"]
    units = units_of(files, {})
    assert len({unit.name.casefold() for unit in units}) == len(files)
    lines = {unit.path: {"input": unit.path, "output": output_name(unit.name, text=False)} for unit in units[:2]}
    assert [unit.name for unit in units_of(files[1::-1], lines)][1] == "x.png"


def test_a_path_that_exists_is_that_path_whatever_characters_it_has(model: str, tmp_path: Path) -> None:
    for name in ("a[1].csv", "what?.csv", "*.csv", "@home.csv", "数据 1.csv"):
        write_series(tmp_path / "odd" / name, name, len(name))
    write_series(tmp_path / "odd" / "a1.csv", "other", 7)
    odd = sorted(file.name for file in (tmp_path / "odd").iterdir())
    done = run_here("predict", model, "a[1].csv", "--out", "../out/", "--jobs", "1", folder=tmp_path / "odd")
    assert set(answers_in(tmp_path / "out")) == {"a[1].csv"}, done.stderr
    done = run_here("predict", model, *odd, "--out", "../out", "--jobs", "1", folder=tmp_path / "odd")
    assert done.returncode == 0, done.stderr
    assert set(answers_in(tmp_path / "out")) == set(odd)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (["*.nothing"], "no file matches"),
        (["absent.csv"], "no such file"),
        (["data"], "is a folder; give its files, such as data/*"),
        (["@nyc-taxi"], "a known data set is no file"),
        ([], "no file is given"),
    ],
)
def test_inputs_that_name_no_files_are_refused(
    inputs: list[str], said: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said.replace("*", r"\*")):
        expanded(inputs, tmp_path / "out")


def test_answers_are_no_inputs_of_the_next_run(
    model: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        run_here("predict", model, "**/*.csv", "--out", "scored/", "--jobs", "1")
    assert set(answers_in(tmp_path / "scored")) == {f"{number}.csv" for number in range(4)}


def test_what_is_for_many_files_needs_a_folder(model: str, data: Path) -> None:
    done = run_here("predict", model, f"{data}/0.csv", "--jobs", "2")
    assert done.returncode == 2
    assert "give --out FOLDER" in done.stderr
    done = run_here("predict", model, f"{data}/*.csv")  # no pattern without a folder
    assert (done.returncode, "no such file" in done.stderr) == (2, True)


def test_a_folder_belongs_to_one_run_at_a_time(model: str, data: Path, tmp_path: Path) -> None:
    from memfold.system import locked

    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out"):
        done = run_here("predict", model, f"{data}/*.csv", "--out", f"{tmp_path}/out/")
    assert (done.returncode, "another run writes into this folder" in done.stderr) == (2, True)


def test_a_manifest_keeps_the_last_line_of_an_input_and_passes_over_what_is_none(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b'{"input": "a", "rows": 1}\nnothing\n[]\n{"input": "a", "rows": 2}\n{"inp')
    with closing(Manifest(tmp_path)) as manifest:
        assert manifest.lines == {"a": {"input": "a", "rows": 2}}
        manifest.add({"input": "b\udcff", "rows": 3})
    with closing(Manifest(tmp_path)) as manifest:
        assert set(manifest.lines) == {"a", "b\udcff"}


# -- every task ----------------------------------------------------------------------------------------------


@pytest.mark.release
@pytest.mark.parametrize("task", SMALL)
def test_every_task_answers_to_files_as_to_one(task: str, tmp_path: Path) -> None:
    small = SMALL[task](tmp_path)
    small.fitted(budget="1ep").save(tmp_path / "model")
    files = [Path(file) for file in small.data if Path(file).is_file()]
    if not files:
        files = sorted(file for file in Path(small.data[0]).rglob("*") if file.suffix in (".png", ".jpg", ".wav"))[:3]
    one = task_class(task)
    assert one.name == task
    for jobs in ("1", "2"):
        out = f"{tmp_path}/by{jobs}/"
        done = run_here("predict", str(tmp_path / "model"), *map(str, files), "--out", out, "--jobs", jobs)
        assert done.returncode == 0, done.stderr
    answers = answers_in(tmp_path / "by1")
    assert answers == answers_in(tmp_path / "by2")
    assert len(answers) == len(files)
    for line in lines_of(tmp_path / "by1"):
        alone = tmp_path / f"alone{Path(line['output']).suffix}"
        done = run_here("predict", str(tmp_path / "model"), line["input"], "--out", str(alone))
        assert done.returncode == 0, done.stderr
        assert alone.read_bytes() == answers[line["output"]]
