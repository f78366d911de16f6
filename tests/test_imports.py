"""What imports what: only downwards, never in a circle, and no name that is another file's own."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import memfold
from memfold.tasks.registry import TASKS

ROOT = Path(memfold.__file__).parent

# From the ground. A file imports from floors below and from its own package; a new package or module is entered here.
FLOORS = (
    ("__init__", "_engine", "cells", "errors", "extras", "system"),
    ("budget", "call", "display", "drawing", "files", "trained", "words"),
    ("engine",),
    ("adamw", "stream"),
    ("data", "page"),
    ("nn",),
    ("formats",),
    ("runtime",),
    ("training",),
    ("explain",),
    ("tasks",),
    ("bulk", "export", "pretrained"),
    ("explorer", "lab", "tune"),
    ("bench", "demo", "doctor", "serve"),
    ("cli",),
    ("__main__",),
)
SHARED_BY_TASKS = {"vision", "speech", "updating"}  # folders of tasks that are no tasks

TORCH_FREE = ("cells", "cli", "data.datasets", "engine", "files", "stream", "tasks.registry")


@cache
def sources() -> dict[str, ast.Module]:
    """Every file of the package by its module's name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["memfold", *path.relative_to(ROOT).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """All that is in a node, inside of functions too, but for what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from at_run_time(child)


def imported(name: str) -> set[str]:
    """The names that a file imports from memfold, with the module's: ``memfold.nn`` and ``memfold.nn.LSTM``."""
    found = set()
    for node in at_run_time(sources()[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}, line {node.lineno}: imports are written in full"
            found |= {f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {own for own in found if own.split(".")[0] == "memfold"}


@cache
def graph() -> dict[str, set[str]]:
    """The files that each file imports."""
    return {name: {own for own in imported(name) if own in sources()} - {name} for name in sources()}


def reached_from(name: str) -> set[str]:
    """The files that a file imports, and those that they import, and so on."""
    found: set[str] = set()
    ahead = list(graph()[name])
    while ahead:
        own = ahead.pop()
        if own not in found:
            found.add(own)
            ahead += graph()[own]
    return found


def floor_of(name: str) -> int:
    """The number of the floor on which a module stands, from the ground."""
    part = name.split(".")[1] if "." in name else "__init__"
    return next(number for number, parts in enumerate(FLOORS) if part in parts)


def test_every_file_stands_on_a_floor() -> None:
    known = {part for floor in FLOORS for part in floor} - {"_engine"}
    assert {name.split(".")[1] if "." in name else "__init__" for name in sources()} == known


def test_an_import_goes_down() -> None:
    upwards = [
        f"{name} -> {own}"
        for name in sources()
        for own in imported(name)
        if own != "memfold" and own.split(".")[1] != [*name.split("."), ""][1]
        # `from memfold import engine` names what it takes
        if f"memfold.{own.split('.')[1]}" in sources() and floor_of(own) >= floor_of(name)
    ]
    assert upwards == []


def test_no_file_imports_itself_round_about() -> None:
    reached = {name: reached_from(name) for name in sources()}
    circles = {
        frozenset(own for own in reached[name] if name in reached[own]) for name in sources() if name in reached[name]
    }
    assert circles == set()


def test_a_task_knows_no_other_task() -> None:
    folders = {name.split(".")[2] for name in sources() if name.startswith("memfold.tasks.") and name.count(".") > 2}
    tasks = folders - SHARED_BY_TASKS
    found = []
    for name in sources():
        if name.startswith("memfold.tasks"):
            folder = [*name.split("."), ""][2] if name.count(".") > 1 else ""
            others = {f"memfold.tasks.{task}" for task in tasks - {folder}}
            found += [f"{name} -> {own}" for own in graph()[name] if ".".join(own.split(".")[:3]) in others]
    assert found == []


# -- names of a file's own -----------------------------------------------------------------------------------


def is_private(name: str) -> bool:
    """Whether a name is for its file alone."""
    return name.startswith("_") and not name.startswith("__")


@cache
def defined_in(name: str) -> set[str]:
    """The private names that a file defines: functions, classes, variables, attributes."""
    found = set()
    for node in ast.walk(sources()[name]):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return {own for own in found if is_private(own)}


def strange_imports(name: str) -> Iterator[str]:
    """Private names of other files that a file imports, and private modules of packages it is not in."""
    for own in imported(name):
        parts = own.split(".")
        private = next((place for place, part in enumerate(parts) if is_private(part)), None)
        if private is None:
            continue
        home, module = ".".join(parts[:private]), ".".join(parts[: private + 1])
        is_module = module in sources() or module == "memfold._engine"  # which is compiled
        if not is_module or not f"{name}.".startswith(f"{home}."):
            yield module


def strange_attributes(name: str) -> Iterator[str]:
    """Private attributes of other files' modules and classes that a file reads; its own object's are its own."""
    others = set().union(*(defined_in(own) for own in sources() if own != name))
    for node in ast.walk(sources()[name]):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            ours = node.attr in defined_in(name) or ast.unparse(node.value) in ("self", "cls", "super()")
            if not ours and node.attr in others:
                yield node.attr


def test_a_private_name_is_used_in_its_file_alone() -> None:
    found: dict[str, set[str]] = {}
    for name in sources():
        for own in {*strange_imports(name), *strange_attributes(name)}:
            found.setdefault(own, set()).add(name.removeprefix("memfold."))
    assert found == {}


# -- torch ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module", [*TORCH_FREE, *(home.split(":")[0].removeprefix("memfold.") for home in TASKS.values())]
)
def test_what_needs_no_torch_loads_none(module: str) -> None:
    code = f"import sys, memfold.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
