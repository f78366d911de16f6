"""One pipeline answers several threads at once, and a forked child, as it answers one caller."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formats.kept import FOLDER
from memfold.runtime import load

LINES = {
    "anomaly": [f"{300 + k},{(k % 4) / 4 - 0.5}" for k in range(12)],
    "generate": ["He said"],
    "sentiment": ["a good film", "a dull one", "so so"],
}
SERIES = {"ds": list(range(48)), "y": [k % 4 + 0.5 for k in range(48)]}


def answered(pipeline: Any, name: str) -> list[Any]:
    """What one session answers; of models that take their whole input at once, the pipeline."""
    if name == "forecast":
        return [pipeline.answer(SERIES)]
    sound = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    if name == "transcribe":
        return [pipeline.answer(sound)]
    session = pipeline.open()
    if name == "command":
        pieces = [piece for block in np.split(sound, 10) for piece in session.push(block)]
        return [*pieces, *session.finish()]
    return [piece for line in LINES[name] for piece in session.printed(line)]


NAMES = sorted({*LINES, "command", "forecast", "transcribe"})


@pytest.mark.parametrize("name", NAMES)
def test_sessions_of_one_pipeline_in_several_threads_answer_as_alone(name: str) -> None:
    pipeline = load(FOLDER / name / "model")
    expected = answered(pipeline, name)
    found: list[Any] = []
    gate = threading.Barrier(3)

    def work() -> None:
        gate.wait()
        found.append(answered(pipeline, name))
        found.append(answered(pipeline, name))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [str(one) for one in found] == [str(expected)] * 6


FORKED = """
import os, sys
from formats.kept import FOLDER
from memfold import engine
from memfold.runtime import load
from runtime.test_shared_pipelines import NAMES, answered
engine.set_num_threads(2)
pipelines = {name: load(FOLDER / name / "model") for name in NAMES}
first = {name: str(answered(pipeline, name)) for name, pipeline in pipelines.items()}
child = os.fork()
again = {name: str(answered(pipeline, name)) for name, pipeline in pipelines.items()}
if child == 0:
    os._exit(0 if again == first else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or again != first)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_pipelines_answer_in_a_forked_child_and_in_its_parent() -> None:
    """After they have answered, so that the engine's threads run when the process is forked."""
    tests = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path]), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", FORKED], env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
