import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command_line import run_here
from faults import CHECKPOINT, MEMFOLD, Program
from memfold.__main__ import main
from memfold.data.datasets import DATASETS
from memfold.errors import InputError
from memfold.tasks.registry import task_class

SMALL = ["--set", "horizon=4", "--set", "seasons=4", "--set", "hidden_size=8"]


def run(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """In a process of its own."""
    return subprocess.run([*MEMFOLD, *arguments], capture_output=True, text=True, cwd=folder, timeout=120)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error; asserts that it is one, and the exit code."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("memfold: ")
    assert not any(line.startswith(("Traceback", "  File")) for line in lines)
    return lines[-1]


@pytest.fixture
def series(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    y = np.tile([10.0, 20.0, 30.0, 20.0], 50) + rng.normal(size=200)
    pl.DataFrame({"ds": np.arange(200), "y": y}).write_csv(tmp_path / "series.csv")
    return tmp_path / "series.csv"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    y = np.tile([10.0, 20.0, 30.0, 20.0], 50)
    pl.DataFrame({"ds": np.arange(200), "y": y}).write_csv(folder / "series.csv")
    done = run_here(
        "fit", "forecast", str(folder / "series.csv"), "--out", str(folder / "m"), "--budget", "1ep", *SMALL
    )
    assert done.returncode == 0, done.stderr
    return folder / "m"


def test_fit_prints_one_json_object_and_nothing_else(series: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "m"
    arguments = ["--out", str(out), "--budget", "2ep", "--json", "--seed", "3", *SMALL]
    done = run_here("fit", "forecast", str(series), *arguments)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert set(report) >= {"task", "data", "metrics", "baseline", "seconds", "seed", "parameters", "memfold", "torch"}
    assert set(report["metrics"]) == {"smape", "mase", "owa", "rmsse", "crps", "coverage80"}
    assert report["baseline"]["name"] == "Naive2"
    assert report["baseline"]["owa"] == 1.0
    assert report["seed"] == 3
    assert isinstance(report["parameters"], int)
    assert "valid CRPS" in done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_fit_prints_a_table_for_people(series: Path, tmp_path: Path) -> None:
    done = run_here("fit", "forecast", str(series), "--out", str(tmp_path / "m"), "--budget", "1ep", *SMALL)
    assert done.returncode == 0, done.stderr
    for name in ("memfold", "Naive2", "SeasonalNaive", "AutoTheta", "coverage80"):
        assert name in done.stdout


def test_evaluate_and_predict_use_the_saved_model(model: Path, tmp_path: Path) -> None:
    data = str(model.parent / "series.csv")
    done = run_here(
        "evaluate",
        str(model),
        data,
        "--set",
        "origins=2",
        "origin_step=3",
        "--report",
        str(tmp_path / "a.html"),
        "--json",
    )
    report = json.loads(done.stdout)
    assert report["task"] == "forecast"
    assert "<h2>The forecasts</h2>" in (tmp_path / "a.html").read_text(encoding="utf-8")
    done = run("predict", str(model), data)
    assert done.stdout.splitlines()[0].startswith("unique_id,ds,forecast,mean,lo80,hi80,q10")
    assert len(done.stdout.splitlines()) == 5
    for name in ("a.csv", "a.parquet"):
        assert run_here("predict", str(model), data, "--out", str(tmp_path / name)).returncode == 0
    assert pl.read_parquet(tmp_path / "a.parquet").shape == pl.read_csv(tmp_path / "a.csv").shape
    assert "expected a name that ends in .csv" in refused(run_here("predict", str(model), data, "--out", "a.xls"))


def test_a_model_is_not_scored_on_a_set_that_is_not_its_own(model: Path) -> None:
    for command in ("evaluate", "predict"):
        assert "@nonsense: no such data set; forecast takes" in refused(run_here(command, str(model), "@nonsense"))
        assert "@mnist is a set for classify; forecast takes" in refused(run_here(command, str(model), "@mnist"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "knit", "{data}", "--out", "m"], "no task 'knit'; there is anomaly"),
        (["fit", "forecast", "none.csv", "--out", "m"], "none.csv: no such file"),
        (["fit", "forecast", "@nothing", "--out", "m"], "@nothing: no such data set"),
        (["fit", "forecast", "{data}"], "Missing option '--out'"),
        (["fit", "forecast", "{data}", "--out", "m", "--budget", "soon"], "budget 'soon': expected"),
        (["fit", "forecast", "{data}", "--out", "m", "--set", "colour=red"], "forecast has no parameter 'colour'"),
        (["fit", "forecast", "{data}", "--out", "m", "--set", "horizon=two"], "horizon=two: expected a whole number"),
        (["fit", "forecast", "{data}", "--out", "m", "--set", "missing=guess"], "expected error or interpolate"),
        (["fit", "forecast", "{data}", "--out", "m", "--set", "horizon"], "expected NAME=VALUE"),
        (["fit", "forecast", "{data}", "--out", "m", "--set", "target=z"], "no column 'z'; it has 'ds', 'y'"),
        (["fit", "forecast", "{data}", "--out", "m", "--set", "horizon=500"], "no series is longer than the horizon"),
        (["fit", "forecast", "{data}", "--out", "{data}"], "is a file; give the name of a folder"),
        (["evaluate", "none", "{data}"], "none: no such model folder"),
        (["predict", ".", "{data}"], "has no config.json; not a memfold model"),
        (["demo", "--budget", "soon"], "budget 'soon': expected"),
        (["data"], "Missing command"),
        (["bench", "guess"], "no benchmark 'guess'; there is layers, stream, train, series"),
        (["bench", "stream", "--budget", "9s"], "--budget: stream trains no model; only series does"),
        (["bench", "busy", "--compiled"], "--compiled: busy has no such peer; only tasks has"),
        (["bench", "layers", "--bfloat16"], "--bfloat16: layers takes no precision; only busy does"),
        (["sing"], "No such command 'sing'"),
        (["fit", "--loud"], "No such option"),
    ],
)
def test_wrong_usage_is_one_line_and_nothing_is_written(
    series: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = run_here(*(argument.format(data=series) for argument in arguments), folder=tmp_path)
    assert message in refused(done)
    assert len(done.stderr.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_process_ends_with_one_line_and_exit_code_2(series: Path, tmp_path: Path) -> None:
    done = run("fit", "forecast", str(series), "--out", "m", "--set", "target=z", folder=tmp_path)
    assert "no column 'z'; it has 'ds', 'y'" in refused(done)
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_foreign_out_folder_is_not_written_over(series: Path, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "letter.txt").write_text("dear")
    done = run_here("fit", "forecast", str(series), "--out", str(tmp_path / "m"), "--budget", "1ep", *SMALL)
    assert "holds 'letter.txt', which is not part of a model" in refused(done)
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["letter.txt"]


def test_a_place_that_cannot_be_written_is_refused_before_the_data_is_read(series: Path, tmp_path: Path) -> None:
    (tmp_path / "m").symlink_to("nowhere")
    for arguments in (["fit", "forecast", "none.csv", "--out", "m"], ["demo", "--out", "m"]):
        done = run_here(*arguments, folder=tmp_path)
        assert "nowhere" in refused(done) or "m is not a folder" in refused(done)
        assert len(done.stderr.strip().splitlines()) == 1
    done = run_here("evaluate", "none", str(series), "--report", "none/page.html", folder=tmp_path)
    assert "there is no folder" in refused(done)


def test_a_model_is_written_into_the_current_folder(series: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "here").symlink_to("disk")
    done = run_here("fit", "forecast", str(series), "--out", ".", "--budget", "1ep", *SMALL, folder=tmp_path / "here")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here").is_symlink()
    assert run_here("predict", "here", str(series), folder=tmp_path).returncode == 0


def test_a_loss_that_is_not_finite_exits_with_2_and_keeps_the_last_good_model(series: Path, tmp_path: Path) -> None:
    arguments = [*SMALL, "--set", "lr=1e30", "--budget", "20ep"]
    done = run_here("fit", "forecast", str(series), "--out", str(tmp_path / "m"), *arguments)
    assert "the likely cause is" in refused(done)
    assert run_here("predict", str(tmp_path / "m"), str(series)).returncode == 0


def test_a_model_is_exported_for_machines_without_torch(model: Path, series: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "exported")
    done = run_here("export", str(model), "--to", "runtime", "--out", out, "--check", str(series), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["out"] == out
    assert said["scores"]["exported"] == said["scores"]["the model"]
    first, second = (run_here("predict", folder, str(series)).stdout for folder in (out, str(model)))
    assert first == second


@pytest.mark.parametrize(
    ("to", "out", "reason"),
    [
        ("step", "m.onnx", "a forecast model cannot go step by step: it reads a whole window to forecast from"),
        ("tflite", "m.tflite", "there is onnx, step, runtime"),
        ("onnx", "m.bin", "expected the name of a file that ends in .onnx"),
    ],
)
def test_what_cannot_be_exported_is_refused(to: str, out: str, reason: str, model: Path, tmp_path: Path) -> None:
    assert reason in refused(run_here("export", str(model), "--to", to, "--out", str(tmp_path / out)))
    assert not (tmp_path / out).exists()


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_model_and_exits_with_130(tmp_path: Path) -> None:
    text, out, log = tmp_path / "text.txt", tmp_path / "m", tmp_path / "log"
    text.write_text("to and fro " * 60)
    arguments = ["generate", str(text), "--out", str(out), "--budget", "1000ep"]
    arguments += ["--set", "hidden_size=4", "batch_size=2"]
    training = Program([*MEMFOLD, "fit", *arguments], log)
    training.until(lambda _: (out / CHECKPOINT).exists()).send(signal.SIGINT)
    assert training.finish().code == 130, training.said()
    assert "memfold: interrupted at step" in training.said()
    assert run_here("predict", str(out), "--set", "prompt=to", "length=5").returncode == 0
    assert (out / CHECKPOINT).exists()  # it can still be resumed


def test_every_help_text_has_an_example() -> None:
    for command in (
        ["demo"],
        ["fit"],
        ["evaluate"],
        ["predict"],
        ["bench"],
        ["data"],
        ["data", "list"],
        ["data", "get"],
        [],
    ):
        done = run_here(*command, "--help")
        assert done.returncode == 0
        assert "Example: memfold" in done.stdout, command


def test_without_a_command_it_helps() -> None:
    done = run()
    assert done.returncode == 0
    assert "Example: memfold demo" in done.stdout


def test_data_list_names_every_set() -> None:
    done = run_here("data", "list")
    assert all(f"@{name}" in done.stdout for name in DATASETS)


def test_data_get_prints_the_folder() -> None:
    assert Path(run_here("data", "get", "nyc-taxi").stdout.strip(), "nyc_taxi.csv").is_file()


def seconds(code: str) -> float:
    """The least processor time of five runs of a program, so that a busy machine does not count."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    times = []
    for _ in range(5):
        before = used()
        subprocess.run([sys.executable, *code.split(" ", 1)], check=True, capture_output=True)
        times.append(used() - before)
    return min(times)


def test_help_comes_at_once_and_imports_no_torch() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--help']; from memfold.cli import run; run(); assert 'torch' not in sys.modules"
    )
    assert seconds(f"-c {code}") < 0.5


def test_import_memfold_is_quick_and_imports_no_torch() -> None:
    code = "import sys, memfold, memfold.cells, memfold.engine; assert 'torch' not in sys.modules"
    assert seconds(f"-c {code}") < 0.4
    assert seconds("-c import memfold") < 0.2


def test_a_setting_of_true_or_false_is_read_as_such(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("to and fro " * 100)
    options = ["--budget", "1ep", "--set", "hidden_size=8", "--set", "batch_size=2"]
    done = run_here("fit", "generate", str(text), "--out", str(tmp_path / "m"), *options, "--set", "tied=false")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "m" / "config.json").read_text())["parameters"]["tied"] is False
    message = refused(run_here("fit", "generate", str(text), "--out", str(tmp_path / "n"), "--set", "tied=maybe"))
    assert "tied=maybe: expected true or false" in message


def test_a_package_that_a_task_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    for module in [name for name in sys.modules if name.startswith("memfold.tasks.translate")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(InputError, match=r"translate needs sentencepiece: pip install 'memfold\[text\]'"):
        task_class("translate")


@pytest.mark.parametrize(("command", "policy"), [("bench", None), ("fit", "PASSIVE")])
def test_only_benchmarks_take_openmp_as_it_comes(
    command: str, policy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # so that it is put back
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setattr(sys, "argv", ["memfold", command, "nothing", "x", "--out", "y"])
    with pytest.raises(SystemExit):
        main()
    assert os.environ.get("OMP_WAIT_POLICY") == policy


def test_a_dry_run_shows_what_was_read_and_writes_nothing(tmp_path: Path) -> None:
    days = [f"{d:02d}.{m:02d}.2023" for m, last in ((1, 31), (2, 28), (3, 31)) for d in range(1, last + 1)]
    text = "Tag;Kasse\n" + "".join(f"{day};1.0{k % 10}0,5\n" for k, day in enumerate(days))
    (tmp_path / "kasse.csv").write_text(text, encoding="utf-8")
    done = run_here("fit", "forecast", str(tmp_path / "kasse.csv"), "--dry-run")
    assert done.returncode == 0, done.stderr
    for said in (
        "83 in 1 series of 83 rows",
        "Tag, from 01.01.2023 to 24.03.2023, every 1d",
        "day-first dates, by row 14: 13.01.2023",
        "column 'Kasse': thousands with points, decimal comma",
        "a fit would take:",
        "s a step",
        "MB so far",
    ):
        assert said in done.stderr
    assert not (tmp_path / "m").exists()


def test_an_evaluation_names_rows_that_the_model_was_fitted_to(model: Path, tmp_path: Path) -> None:
    seen = run_here("evaluate", str(model), str(model.parent / "series.csv"))
    assert "was fitted to" not in seen.stderr  # the last horizon was held out
    pl.read_csv(model.parent / "series.csv").head(190).write_csv(tmp_path / "earlier.csv")
    earlier = run_here("evaluate", str(model), str(tmp_path / "earlier.csv"))
    assert "the model was fitted to the last steps of every series which are scored here" in earlier.stderr
