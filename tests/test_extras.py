"""What the extras bring, what is said where a package is missing, and `memfold doctor`."""

import ast
import json
import os
import platform
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pooch
import pytest

from command_line import run_here
from memfold import engine
from memfold.doctor import ANSWER_BY, examine
from memfold.extras import EXTRAS, PACKAGES, TASKS_OF, extra_of, install, is_installed
from memfold.tasks.registry import TASKS, task_class
from only import closure
from tasks.small import SMALL

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED: dict[str, list[str]] = PROJECT["optional-dependencies"]
ALWAYS = {"numpy", "safetensors"}
# Modules that memfold imports where they are there, for files and benchmarks of other libraries, each with a message of
# its own; and what comes with a package of an extra.
OTHERS = {
    "h5py",
    "jax",
    "keras",
    "neuralforecast",
    "pandas",
    "pytorch_lightning",
    "pillow_heif",
    "onnx_ir",
    "platformdirs",
}


def name_of(requirement: str) -> str:
    return requirement.partition(">")[0].strip()


def brought(extra: str) -> set[str]:
    """The packages of an extra and of those that it builds on, as pyproject.toml has them."""
    names: set[str] = set()
    for requirement in DECLARED[extra]:
        if requirement.startswith("memfold["):
            for other in requirement[len("memfold[") : -1].split(","):
                names |= brought(other)
        else:
            names.add(name_of(requirement))
    return names


def without(*packages: str, run: list[str]) -> subprocess.CompletedProcess[str]:
    """The command line where only these packages are installed."""
    command = [sys.executable, str(ROOT / "tests" / "only.py"), *packages, "--", *run]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


# -- the table -----------------------------------------------------------------------------------------------


def test_messages_know_what_pyproject_brings() -> None:
    own = {extra: {name for name in map(name_of, names) if "[" not in name} for extra, names in DECLARED.items()}
    assert {extra: set(names) for extra, names in EXTRAS.items()} == {extra: own[extra] for extra in EXTRAS}
    assert DECLARED.keys() == EXTRAS.keys() | {"docs", "dev"}
    assert {task for names in TASKS_OF.values() for task in names} == set(TASKS)


@pytest.mark.parametrize("extra", TASKS_OF)
def test_a_tasks_extra_brings_the_command_line_and_no_other_tasks_packages(extra: str) -> None:
    assert brought("cli") <= brought(extra)
    assert "torch" not in closure(brought(extra))
    if extra != "series":
        assert not {"statsforecast", "numba", "statsmodels", "fugue"} & closure(brought(extra))


def test_every_module_that_is_imported_is_brought_by_an_extra() -> None:
    imported = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    foreign = imported - sys.stdlib_module_names - {"memfold"} - ALWAYS - OTHERS
    assert foreign == PACKAGES.keys()
    assert all(is_installed(package) for package in PACKAGES.values())


# -- what is missing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", sorted(PACKAGES))
def test_a_missing_package_is_one_line_with_the_command_that_installs_it(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def need(*_: object, **__: object) -> None:
        raise ModuleNotFoundError(f"No module named '{module}.part'", name=f"{module}.part")

    monkeypatch.setattr("memfold.doctor.examine", need)
    done = run_here("doctor")
    assert (done.returncode, done.stdout) == (2, "")
    extra = extra_of(module)
    assert extra is not None
    assert PACKAGES[module] in brought(extra)
    said = f"memfold: this needs {module}.part, which is not installed: pip install 'memfold[{extra}]'"
    assert done.stderr.strip() == said


def test_a_package_of_no_extra_is_named_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def need() -> None:
        raise ModuleNotFoundError("No module named 'jax'", name="jax")

    monkeypatch.setattr("memfold.doctor.examine", need)
    assert run_here("doctor").stderr.strip().endswith("not installed: pip install jax")


@pytest.mark.slow
def test_without_torch_the_command_line_says_what_to_install(tmp_path: Path) -> None:
    small = SMALL["sentiment"](tmp_path)
    done = without(*brought("text"), run=["fit", "sentiment", *small.data, "--out", str(tmp_path / "m")])
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(install(["train"]))


@pytest.mark.release
def test_without_torch_the_command_line_helps_and_lists_parameters() -> None:
    assert without(*EXTRAS["cli"], run=["--help"]).returncode == 0
    listed = without(*brought("text"), run=["params", "sentiment"])
    assert listed.returncode == 0, listed.stderr
    assert "hidden_size" in listed.stdout


def settings_of(parameters: dict[str, Any]) -> list[str]:
    return [
        f"{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in parameters.items()
    ]


@pytest.mark.release
@pytest.mark.parametrize("task", TASKS)
def test_a_task_runs_with_what_its_extras_bring(task: str, tmp_path: Path) -> None:
    small = SMALL[task](tmp_path)
    (extra,) = (extra for extra, names in TASKS_OF.items() if task in names)
    fitting = brought("train") | brought(extra)
    model = str(tmp_path / "model")
    settings = [word for setting in settings_of(small.parameters) for word in ("--set", setting)]
    one = small.X[0] if task == "transcribe" else small.data[0]
    given = one if Path(one).is_file() else str(max(Path(one).rglob("*.[wp][an][vg]")))
    for packages, command in (
        (fitting, ["fit", task, *small.data, "--out", model, "--budget", "1ep", *settings]),
        (fitting, ["evaluate", model, *small.data]),
        (fitting, ["explain", model, given, "--out", str(tmp_path / "page.html")]),
        ({*brought("cli"), *ANSWER_BY[task]}, ["predict", model, *small.data]),
    ):
        done = without(*packages, run=command)
        assert "not installed" not in done.stderr, command
        assert "pip install" not in done.stderr, command
        assert done.returncode == 0, done.stderr


# -- doctor --------------------------------------------------------------------------------------------------


def test_doctor_names_what_is_installed_and_what_the_machine_has() -> None:
    found = json.loads(run_here("doctor", "--json").stdout)
    assert found == examine().as_json()
    assert (found["memfold"], found["python"]) == (version("memfold"), platform.python_version())
    assert found["packages"]["torch"] == version("torch")
    assert found["packages"]["pillow"] == version("pillow")
    assert set(found["packages"]) == {*ALWAYS, *PACKAGES.values()}
    assert found["isa"] == engine.isa()
    assert found["threads"] == engine.get_num_threads()
    assert found["cache"] == str(pooch.os_cache("memfold"))
    said = run_here("doctor").stdout
    for piece in (version("memfold"), version("numpy"), engine.isa(), "float32", "bfloat16", found["cache"], *TASKS):
        assert piece in said


def test_doctor_says_that_everything_can_run_where_everything_is_installed() -> None:
    for does in examine().tasks.values():
        assert {what: (state.ready, state.missing, state.install) for what, state in does.items()} == {
            "fit": (True, [], None),
            "answer": (True, [], None),
        }


@pytest.mark.parametrize("task", TASKS)
def test_doctor_says_what_is_missing_and_the_command_brings_it(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memfold.doctor.is_installed", lambda package: package in EXTRAS["cli"])
    does = examine().tasks[task]
    for what, needed in (("fit", {"torch"}), ("answer", set(ANSWER_BY[task]))):
        state = does[what]
        assert not state.ready
        assert needed <= set(state.missing)
        assert state.install is not None
        extras = state.install.removeprefix("pip install 'memfold[").removesuffix("]'").split(",")
        assert set(state.missing) <= set.union(*map(brought, extras))


def test_tasks_that_answer_without_torch_are_those_of_the_runtime() -> None:
    assert {task for task, by in ANSWER_BY.items() if "torch" not in by} == {
        task for task in TASKS if task_class(task).runtime
    }


def threads_said(**environment: str) -> dict[str, Any]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "MEMFOLD_DATA")}
    command = [sys.executable, "-m", "memfold", "doctor", "--json"]
    done = subprocess.run(command, env={**inherited, **environment}, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_doctor_says_why_there_are_so_many_threads_and_where_sets_are_read(tmp_path: Path) -> None:
    found = threads_said(OMP_NUM_THREADS="3", MEMFOLD_DATA=str(tmp_path))
    assert (found["threads"], found["threads_reason"]) == (3, "OMP_NUM_THREADS=3")
    assert found["data_folder"] == str(tmp_path)


@pytest.mark.parametrize(
    ("affinity", "quota", "every", "threads", "reason"),
    [
        (8, sys.maxsize, 8, 8, "one for each core"),
        (3, sys.maxsize, 8, 3, "one for each core that its affinity allows, of 8"),
        (8, 2, 8, 2, "by the quota of its control group, of 8 cores"),
    ],
)
def test_the_reason_for_the_number_of_threads(
    affinity: int, quota: int, every: int, threads: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(engine, "_threads", None)
    monkeypatch.setattr(engine, "_by_affinity", lambda: affinity)
    monkeypatch.setattr(engine._quota, "cores", lambda: quota)
    monkeypatch.setattr("os.cpu_count", lambda: every)
    assert engine.threads_and_reason() == (threads, reason)
    assert engine.get_num_threads() == engine.cores() == threads


def test_doctor_imports_neither_torch_nor_polars() -> None:
    code = "import sys; from memfold.doctor import examine; list(examine().lines()); "
    code += "sys.exit(bool({'torch', 'polars', 'pooch', 'sklearn'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
