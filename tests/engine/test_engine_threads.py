"""Threads: many callers, a forked child, and torch's workers beside ours."""

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from calls import random_call

import memfold
from memfold import engine


def test_many_python_threads_get_what_each_gets_alone() -> None:
    calls = [random_call(np.random.default_rng(k), "lstm", 20, 1 + 3 * k, 8, 70, lengths=True) for k in range(8)]
    expected = [engine.fold(c.cell, c.x, c.weights, c.state, **c.options)[0] for c in calls]
    wrong: list[int] = []

    def work(k: int) -> None:
        c = calls[k]
        for _ in range(20):
            if not np.array_equal(engine.fold(c.cell, c.x, c.weights, c.state, **c.options)[0], expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


FORKED = """
import os, sys, numpy as np
{load}
from memfold import engine
engine.set_num_threads(2)
w = {{"weight_ih": np.ones((256, 8), np.float32) / 9, "weight_hh": np.ones((256, 64), np.float32) / 90}}
x = np.random.default_rng(0).standard_normal((50, 16, 8)).astype(np.float32)
y, _ = engine.fold("lstm", x, w)
child = os.fork()
if child == 0:
    again, _ = engine.fold("lstm", x, w)
    os._exit(0 if np.array_equal(again, y) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("load", ["", "import torch; torch.randn(500, 500) @ torch.randn(500, 500)"])
def test_a_forked_child_folds(load: str) -> None:
    if load:
        pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-c", FORKED.format(load=load)], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_number_of_threads_is_set_and_got() -> None:
    before = memfold.get_num_threads()
    try:
        memfold.set_num_threads(3)
        assert memfold.get_num_threads() == engine.get_num_threads() == 3
        with pytest.raises(ValueError, match="at least 1, got 0"):
            memfold.set_num_threads(0)
    finally:
        memfold.set_num_threads(before)
    assert 1 <= engine.cores() <= multiprocessing.cpu_count()


WORKING = """
import os, numpy as np
from memfold import engine
{before}
w = {{"weight_ih": np.ones((512, 128), np.float32) / 99, "weight_hh": np.ones((512, 128), np.float32) / 99}}
x = np.ones(({steps}, {batch}, 128), np.float32)
packed = engine.pack("lstm", w)
engine.fold("lstm", x[:1, :1], packed)
begun = len(os.listdir("/proc/self/task"))
for _ in range(20): engine.fold("lstm", x, packed)
print(len(os.listdir("/proc/self/task")) - begun)
"""


def helpers(before: str, steps: int = 50, batch: int = 16, **environment: str) -> int:
    """Threads that the engine has started for folds of such a size."""
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("needs Linux's list of a process's threads")
    program = WORKING.format(before=before, steps=steps, batch=batch)
    variables = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | environment
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


several_cores = pytest.mark.skipif(engine.cores() < 2, reason="needs two cores")


@pytest.mark.alone
@several_cores
def test_threads_follow_what_the_process_is_given() -> None:
    assert helpers("engine.set_num_threads(2)") == 1
    assert helpers("engine.set_num_threads(1)") == 0
    assert helpers("", OMP_NUM_THREADS="1") == 0
    assert helpers("", OMP_NUM_THREADS="2,1") == 1


@pytest.mark.alone
@several_cores
def test_there_are_never_more_threads_than_cores_in_reach() -> None:
    assert helpers("engine.set_num_threads(16)") == engine.cores() - 1
    one_core = "os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})"
    assert helpers(f"engine.set_num_threads(16); {one_core}") == 0


@several_cores
def test_a_small_call_takes_one_thread() -> None:
    assert helpers("engine.set_num_threads(2)", steps=1, batch=1) == 0


def groups(folder: Path, **quotas: str) -> Path:
    """Control groups of either version, by the path of each quota file."""
    for path, text in quotas.items():
        file = folder / path.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def test_the_tightest_quota_of_the_control_groups_counts(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/a/b\n")
    files = {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "max 100000\n"}
    root = groups(tmp_path / "two", **{k.replace("/", "__"): v for k, v in files.items()})
    assert engine.quota_of(own, root) == 2  # 1.5, rounded up
    own.write_text("9:memory:/a\n4:cpu,cpuacct:/a/b\n0::/\n")
    names = {"quota": "100000\n", "period": "100000\n"}
    root = groups(tmp_path / "one", **{f"cpu,cpuacct__a__cpu.cfs_{name}_us": v for name, v in names.items()})
    assert engine.quota_of(own, root) == 1
    own.write_text("4:cpu:/\nnonsense\n")
    root = groups(tmp_path / "none", **{"cpu__cpu.cfs_quota_us": "-1\n", "cpu__cpu.cfs_period_us": "100000\n"})
    assert engine.quota_of(own, root) == sys.maxsize
    assert engine.quota_of(tmp_path / "absent", root) == sys.maxsize


def test_a_quota_bounds_the_threads_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "quota_of", lambda *paths: 1)
    monkeypatch.setattr(engine._quota, "_due", 0.0)
    try:
        assert engine.threads_at_call() == 1
        assert engine.cores() == 1
    finally:
        engine._quota._due = 0.0


@pytest.mark.alone
def test_other_programs_on_every_core_change_no_bit() -> None:
    calls = [random_call(np.random.default_rng(k), "lstm", 60, 1 + 5 * k, 40, 130, lengths=True) for k in range(3)]
    expected = [engine.fold(c.cell, c.x, c.weights, c.state, **c.options)[0] for c in calls]
    spin = [sys.executable, "-c", "while True: pass"]
    programs = [subprocess.Popen(spin) for _ in range(engine.cores())]
    try:
        for _ in range(40):
            for c, y in zip(calls, expected, strict=True):
                assert np.array_equal(engine.fold(c.cell, c.x, c.weights, c.state, **c.options)[0], y)
    finally:
        for program in programs:
            program.kill()
            program.wait()


def test_importing_memfold_and_its_engine_loads_no_torch() -> None:
    probe = "import sys, memfold, memfold.engine, memfold.stream, memfold.cells; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe]).returncode == 0
