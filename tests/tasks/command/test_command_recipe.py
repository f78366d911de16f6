"""The exported step of a recogniser of commands: the logits of its listener, recordings of any length."""

from pathlib import Path

import numpy as np
import pytest
import torch

from export.parts import run_of_part
from memfold.runtime.hearing.level import floored
from memfold.tasks import CommandRecognizer
from memfold.tasks.command.exported import Stepped
from tasks.small import SMALL


@pytest.fixture(scope="module", params=[1, 2, 3])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CommandRecognizer:
    small = SMALL["command"](tmp_path_factory.mktemp("command"))
    small.parameters |= {"convolutions": request.param, "layers": 2}
    return small.fitted()


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 31, 32, 33])
def test_a_step_is_that_of_the_listener(model: CommandRecognizer, length: int) -> None:
    frames = floored(np.random.default_rng(length).normal(6, 3, (length, model.bins)).astype(np.float32))
    listener = model.recogniser.listeners().open()
    expected = [*listener.push(frames), *listener.finish()]
    step = model.recipe().steps[1]
    logits = Stepped(run_of_part(step), model.recogniser.settings).logits(frames)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_the_front_of_a_step_makes_its_frames(model: CommandRecognizer) -> None:
    front, _ = model.recipe().steps
    stream = model.recipe().around["stream"]
    samples = np.random.default_rng(0).normal(0, 0.1, 3 * stream["hop"] + stream["window"]).astype(np.float32)
    hops = [samples[first : first + stream["window"]] for first in range(0, 4 * stream["hop"], stream["hop"])]
    frames = run_of_part(front)(samples=np.stack(hops))["frames"]
    np.testing.assert_allclose(frames.reshape(-1, model.bins), model.features.of(samples), atol=2e-6)


def test_background_is_a_class_of_the_whole(tmp_path: Path) -> None:
    small = SMALL["command"](tmp_path)
    small.parameters["background"] = small.X[0]
    model = small.fitted()
    (part,) = model.recipe().parts
    heard = model.inputs(small.X)
    expected = model.answer(heard).classes
    through = model.through({"model": run_of_part(part)}).answer(heard).classes
    assert through.shape[1] == len(model.recipe().around["classes"]) == 3
    np.testing.assert_allclose(through, expected, atol=1e-4)


def test_rows_do_not_change_each_other(model: CommandRecognizer) -> None:
    (part,) = model.recipe().parts
    noise = 0.1 * torch.randn(3, 9000, generator=torch.Generator().manual_seed(0))
    lengths = [9000, 150, 4000]
    together = part.module(noise, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone = part.module(noise[row : row + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=0)
    assert together.sum(1).tolist() == pytest.approx([1, 0, 1])
