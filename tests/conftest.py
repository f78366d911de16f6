"""What all tests share: one thread each, turns for those that need the machine to themselves, and the largest
difference to every oracle, by cell, printed at the end of a run."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from memfold import engine

# A busy machine is no fault of what is tested.
hypothesis.settings.register_profile("memfold", deadline=None)
hypothesis.settings.load_profile("memfold")

# The tests of the engine and the cells run where there is no torch too, on a wheel that stands alone.
HAS_TORCH = importlib.util.find_spec("torch") is not None
WITH_TORCH = ["engine/test_nn_inference.py", "engine/soak_busy.py", "cells/test_cells_table.py"]
collect_ignore = [] if HAS_TORCH else WITH_TORCH

# The tests' tensors are small, and two threads would mostly wait for each other; so would those of the programs that
# tests start, beside the tests on the other cores.
if HAS_TORCH:
    import torch

    torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.hookimpl(optionalhook=True)  # there is no xdist beside a wheel that stands alone
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many as there are cores in reach, a container's quota counted."""
    return engine.cores()


@contextmanager
def _turn(alone: bool) -> Iterator[None]:
    """Among the processes of one run: alone, or beside others that are not. Who wants to be alone waits at the gate,
    where nobody passes it; a process that dies lets go of both."""
    import fcntl

    here = Path(__file__)
    gate, floor = os.open(here.parent, os.O_RDONLY), os.open(here, os.O_RDONLY)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield
    finally:
        os.close(gate)
        os.close(floor)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> object:
    with _turn(item.get_closest_marker("alone") is not None) if hasattr(item.config, "workerinput") else nullcontext():
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What a test draws does not depend on which tests the same process ran before it: every run deals them anew."""
    if HAS_TORCH:
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation site, built once in a run: by the first of its processes that wants it."""
    import fcntl

    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    out, script = folder / "site", Path(__file__).parent.parent / "docs" / "site" / "build.py"
    with (folder / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "index.html").exists():
            built = subprocess.run([sys.executable, script, out], capture_output=True, text=True, check=False)
            assert built.returncode == 0, built.stdout + built.stderr
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for tests that are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def record_difference(request: pytest.FixtureRequest) -> Callable[[str, str, float], None]:
    """``record_difference(oracle, cell, difference)`` adds a comparison to the table."""
    properties = request.node.user_properties  # which come back from a worker with the test's outcome
    return lambda oracle, cell, difference: properties.append(("difference", (oracle, cell, float(difference))))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, value in report.user_properties if report.when == "call" else ():
            if name == "difference":
                oracle, cell, difference = value
                found[oracle, cell].append(difference)
    if not found:
        return
    terminalreporter.section("largest difference to each oracle")
    for (oracle, cell), differences in sorted(found.items()):
        terminalreporter.write_line(f"{oracle:24} {cell:28} {max(differences):.1e}  in {len(differences)} comparisons")
