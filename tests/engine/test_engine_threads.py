"""Threads: many callers, a forked child, and torch's workers beside ours."""

import multiprocessing
import os
import subprocess
import sys
import threading

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


def test_importing_memfold_and_its_engine_loads_no_torch() -> None:
    probe = "import sys, memfold, memfold.engine, memfold.stream, memfold.cells; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe]).returncode == 0
