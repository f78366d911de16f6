"""The exported parts of a recogniser of speech: a causal one's step as its listener goes, long recordings in parts."""

from pathlib import Path

import numpy as np
import pytest

from export.parts import by_torch, run_of_part
from memfold.runtime.hearing.search import log_softmax
from memfold.tasks.transcribe.batches import log_probabilities
from memfold.tasks.transcribe.exported import Stepped
from tasks.small import SMALL, tone


@pytest.mark.parametrize("length", [1, 7, 8, 50])
def test_a_step_is_that_of_the_listener(length: int, tmp_path: Path) -> None:
    small = SMALL["transcribe"](tmp_path)
    small.parameters |= {"causal": True, "stacked": 3, "num_layers": 2}
    model = small.fitted()
    frames = np.random.default_rng(length).normal(9, 4, (length, model.bins)).astype(np.float16)
    listener = model.pipeline.listeners().open()
    expected = [*listener.push(frames.astype(np.float32)), *listener.finish()]
    log_p = Stepped(run_of_part(model.recipe().steps[1]), model.pipeline.settings).log_p(frames)
    np.testing.assert_allclose(log_p, [log_softmax(y) for y in expected], atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_long_recordings_are_cut_as_the_task_cuts_them(causal: bool, tmp_path: Path) -> None:
    small = SMALL["transcribe"](tmp_path)
    small.parameters["causal"] = causal
    model = small.fitted()
    heard = model.inputs([tone(tmp_path / "long.wav", 400, 12.0), small.X[0]])
    expected = model.answer(heard).log_p
    through = model.through(by_torch(model.recipe())).answer(heard).log_p
    for one, other in zip(through, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_without_torch_the_network_reads_as_with_it(tmp_path: Path) -> None:
    small = SMALL["transcribe"](tmp_path)
    small.parameters["num_layers"] = 2
    model = small.fitted()
    heard = model.inputs(small.X)
    expected = log_probabilities(model.network_, heard.frames)
    for one, other in zip(model.answer(heard).log_p, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
