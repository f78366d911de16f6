"""What a newcomer finds without searching, in `memfold --help` and in the first 60 lines of README.

Each test takes a sentence from there and compares it with what the program does.
"""

import errno
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from command_line import run_here
from memfold import engine
from memfold.cli import app
from memfold.tasks.generate import TextGenerator
from memfold.tasks.parameters import parameters_of
from memfold.tasks.registry import TASKS, task_class

ROOT = Path(__file__).parent.parent
BOTH = ("README.md", "README.zh-CN.md")
FIRST = 60  # lines of README that a newcomer reads
WIDE = 160  # columns of a line that is no row of a table
PAGES = [*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
# Ours once, but not the field's: it says trained, predict, augment, thread pool, actual.
NOT_THE_FIELDS = re.compile("told|foretell|spoil|crew|learnt|what came", re.I)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def first_lines(page: str = "README.md") -> str:
    return "\n".join(read(page).splitlines()[:FIRST])


def help_line(topic: str) -> str:
    """What follows a topic in ``memfold --help``, where each of the six has a line."""
    (line,) = re.findall(rf"^ *{re.escape(topic)}: (.+)$", run_here("--help").stdout, re.M)
    return line


def row(topic: str) -> str:
    """The second column of README's table of what to type."""
    (line,) = re.findall(rf"^\| {re.escape(topic)} \| (.+) \|$", first_lines(), re.M)
    return line


def answered(code: str, **environment: str) -> list[str]:
    """The words that a process prints which inherits no number of threads."""
    inherited = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**inherited, **environment}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# -- the six -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_the_named_command_lists_every_parameter(task: str) -> None:
    for command in (help_line("Every parameter of a task"), row("see every parameter of a task")):
        named = re.search(r"memfold (\w+) (?:TASK|forecast)", command)
        assert named is not None
        listed = run_here(named[1], task).stdout
        missing = [p.name for p in parameters_of(task_class(task)) if not re.search(rf"^ *{p.name}\b", listed, re.M)]
        assert missing == []


def test_the_named_section_leads_to_the_files_of_a_cell() -> None:
    named = re.search(r'(docs/[\w.]+), "(.+)"', help_line("To add a cell"))
    assert named is not None
    page, title = named.groups()
    section = re.search(rf"^## {title}\n(.*?)(?=^## )", read(page), re.M | re.S)
    assert section is not None
    files = re.findall(r"`((?:native|src|tests|docs)/[\w/.]+)`", section[1])
    assert {"native/cells.hpp", "src/memfold/cells/step.py"} <= set(files)
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert f"({page}#{title.lower().replace(' ', '-')})" in row("add a task, a cell or a file format")


def test_known_sets_are_read_from_the_named_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m4-hourly").mkdir()
    for text in (help_line("Known sets (@NAME)"), row("use a known data set"), run_here("data", "--help").stdout):
        (variable,) = re.findall(r"\$(\w+)/", text)
        with monkeypatch.context() as patch:
            patch.delenv("MEMFOLD_DATA", raising=False)
            patch.setenv(variable, str(tmp_path))
            assert run_here("data", "get", "m4-hourly").stdout.strip() == str(tmp_path / "m4-hourly")


def test_threads_are_as_many_as_cores_or_as_the_named_variable_and_call_say() -> None:
    (variable,) = re.findall(r"[A-Z]+_[A-Z_]+", help_line("Threads"))
    (call,) = re.findall(r"`(memfold\.\w+\(1\))`", row("set the number of threads"))
    assert f"`{variable}=1`" in row("set the number of threads")
    cores, threads = answered("import memfold, memfold.engine as e; print(e.cores(), memfold.get_num_threads())")
    assert threads == cores
    ask = "import memfold; print(memfold.get_num_threads()); import torch; print(memfold.get_num_threads())"
    assert answered(ask, **{variable: "1"}) == ["1", "1"]
    assert answered(f"import memfold; {call}; print(memfold.get_num_threads())", **{variable: "3"}) == ["1"]


def test_the_named_systems_are_those_that_are_built_for() -> None:
    line, build = help_line("Systems"), read("CMakeLists.txt")
    built = re.findall(r"set\(MEMFOLD_ISAS (.*)\)", build)
    assert dict(zip(("x86-64", "64-bit ARM"), built, strict=True)) == {"x86-64": "v2 v3 v4", "64-bit ARM": "neon"}
    assert platform.system() in line
    assert engine.isa().partition("-")[0] in built[0 if platform.machine() in ("x86_64", "AMD64") else 1].split()
    start = first_lines()
    for system in ("Linux", "x86-64", "64-bit ARM"):
        assert system in line
        assert system in start
    (python,) = re.findall(r'^requires-python = ">=(.+)"$', read("pyproject.toml"), re.M)
    (standard,) = re.findall(r"set\(CMAKE_CXX_STANDARD (\d+)\)", build)
    assert f"Python {python} or later" in start
    assert f"C++{standard} compiler" in start.replace("\n", " ")


def test_a_training_goes_on_with_the_named_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/test_faults.py kills a training, and goes on with it."""
    (option,) = re.findall(r"--\w+", help_line("A training that was killed"))
    assert f"`{option}`" in row("continue a training that was killed")
    model = tmp_path / "model"
    (tmp_path / "text.txt").write_text("to and fro " * 60)
    command = ["fit", "generate", "text.txt", "--out", "model", "--budget", "1ep"]
    command += ["--set", "hidden_size=4", "batch_size=2"]

    def full(*given: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(TextGenerator, "save", full)
        assert run_here(*command, folder=tmp_path).returncode == 2  # trained, and not saved
    assert (model / "checkpoint.safetensors").exists()
    assert "go on with --resume" in run_here(*command, folder=tmp_path).stderr
    assert not (model / "model.safetensors").exists()
    done = run_here(*command, option, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (model / "model.safetensors").exists()
    assert not (model / "checkpoint.safetensors").exists()


# -- README and the pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "CONTRIBUTING.md"])
def test_the_commands_that_are_named_exist(page: str) -> None:
    pieces = re.findall(r"^```\w*\n(.*?)^```|`([^`\n]+)`", read(page), re.M | re.S)
    code = "\n".join(block or span for block, span in pieces)
    targets = re.findall(r"^([a-z-]+):", read("Makefile"), re.M)
    assert set(re.findall(r"^make ([a-z-]+)", code, re.M)) <= set(targets)
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(re.findall(r"^(?:\$ )?memfold ([a-z]+)", code, re.M)) <= set(commands)


@pytest.mark.slow
def test_the_example_finds_the_days_that_it_names(tmp_path: Path) -> None:
    (command,) = re.findall(r"^\$ memfold (fit anomaly .+)$", first_lines(), re.M)
    shown = set(re.findall(r"^│ nyc_taxi │ (\d{4}-\d\d-\d\d)", first_lines(), re.M))
    assert len(shown) == 4
    arguments = [str(ROOT / word) if word.startswith("src/") else word for word in command.split()]
    done = run_here(*arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    alarms = set(re.findall(r"│ nyc_taxi │ (\d{4}-\d\d-\d\d)", done.stdout))
    assert alarms >= shown - {"2014-09-06"}  # the one without a known cause


def test_the_example_is_the_same_in_both_languages() -> None:
    one, other = (re.findall(r"^(?:\$ memfold fit|│ nyc_taxi).*$", first_lines(page), re.M) for page in BOTH)
    assert one == other
    assert len(one) > 4


def test_the_ways_to_run_one_test_name_files_and_tests_that_exist() -> None:
    lines = re.findall(r"^pytest (.+?) +#", read("CONTRIBUTING.md"), re.M)
    assert len(lines) > 2
    for line in lines:
        (path,) = (ROOT / word for word in line.split() if "/" in word)
        assert path.exists()
        for word in re.findall(r"-k (\w+)", line):
            assert re.search(rf"^def test_\w*{word}", path.read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_in_the_fields_words_and_no_line_is_too_wide(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert NOT_THE_FIELDS.findall(text) == []
    prose = re.sub(r"^ *\|.*$", "", text, flags=re.M)
    assert [line for line in prose.splitlines() if len(line) > WIDE] == []


def test_the_contributors_page_is_read_in_one_sitting() -> None:
    page = read("docs/architecture.md")
    assert len(page.splitlines()) <= 120
    files = re.findall(r"`((?:native|src|tests|docs|benchmarks)/[\w/.]+)`", page)
    there = [file for file in files if "NAME" not in file]
    assert len(there) > 10
    assert [file for file in there if not (ROOT / file).exists()] == []
