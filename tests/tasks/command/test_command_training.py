"""Training data: recordings augmented, the targets of their steps, and how steps are pooled."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memfold.runtime.hearing.inference import CommandModel
from memfold.runtime.hearing.level import FLOOR
from memfold.runtime.hearing.spotting import log_ratios, smoothed
from memfold.runtime.hearing.warp import warp_matrix, warped
from memfold.runtime.weights import Weights
from memfold.tasks.command.augment import IGNORED, NONE, Recording, another_voice, augmented_piece
from memfold.tasks.command.network import CommandNetwork, CommandProblem, CommandSize, padded, peaks, pooled

BINS = 12


def recording(frames: int = 40, label: int = 1, quiet: int = 10) -> Recording:
    """Some quiet before and after something loud."""
    rng = np.random.default_rng(frames)
    sound = rng.normal(6, 0.2, (frames, BINS))
    sound[quiet : frames - quiet] += 8
    return Recording.of(sound.astype(np.float16), label)


def problem(convolutions: int = 1, background: int = 0) -> CommandProblem:
    torch.manual_seed(0)
    network = CommandNetwork(CommandSize(BINS, 6, convolutions, 8, 1, 2, 0.0))
    made = [recording(frames, frames % 2) for frames in (30, 41, 52, 37)]
    data = [own.frames for own in made], np.array([own.label for own in made])
    noise = np.random.default_rng(1).normal(8, 1, (90, BINS)).astype(np.float16)
    return CommandProblem(network, data, data, [noise], noise[:background], 3, 2, seed=3)


def test_the_command_is_found_between_the_quiet() -> None:
    assert (recording().begin, recording().end) == (10, 30)


@given(st.integers(1, 60), st.integers(0, 10_000))
def test_a_changed_recording_is_finite_and_tells_its_command(frames: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    own = recording(frames, quiet=min(10, frames // 3))
    piece = augmented_piece(own.changed(rng), own.quiet, [np.ones((3, BINS), np.float16)], rng)
    assert piece.frames.dtype == np.float32
    assert piece.frames.shape == (len(piece.targets), BINS)
    assert np.isfinite(piece.frames).all()
    assert piece.frames.min() >= FLOOR - 1e-5
    assert own.label in piece.targets
    assert set(piece.targets.tolist()) <= {own.label, NONE, IGNORED}


def test_nothing_is_asked_until_the_middle_of_a_command() -> None:
    own = recording(80, quiet=20)
    targets = own.changed(np.random.default_rng(0)).targets
    first = int(np.flatnonzero(targets == own.label)[0])
    assert 0.45 < first / len(targets) < 0.55
    assert set(targets[: first // 3]) == {NONE}
    assert IGNORED in targets[first // 3 : first]


def test_a_warp_of_1_changes_nothing_and_another_moves_a_peak() -> None:
    frames = np.eye(BINS, dtype=np.float32)[[4]]
    np.testing.assert_array_equal(warped(frames, 1.0), frames)
    assert warped(frames, 1.5).argmax() == 6


@given(st.floats(0.8, 1.25), st.integers(0, 30), st.integers(2, 100))
def test_a_warp_is_the_product_that_exported_models_take(factor: float, frames: int, bins: int) -> None:
    values = np.random.default_rng(frames).normal(8, 2, (frames, bins)).astype(np.float32)
    expected = values @ warp_matrix(bins, round(factor, 2))
    np.testing.assert_allclose(warped(values, factor), expected, rtol=1e-5, atol=1e-5)


@given(st.integers(1, 200), st.integers(0, 1000))
def test_another_voice_has_another_pace_and_no_new_levels(frames: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    own = rng.normal(8, 2, (frames, BINS)).astype(np.float16)
    changed = another_voice(own, rng)
    assert changed.dtype == np.float32
    assert changed.shape[1] == BINS
    assert max(2, 0.83 * frames - 1) <= len(changed) <= max(2, 1.2 * frames + 1)
    assert own.min() - 0.01 <= changed.min()
    assert changed.max() <= own.max() + 0.01


@pytest.mark.parametrize(("convolutions", "background"), [(1, 0), (2, 80)])
def test_an_epoch_has_the_same_batches_whenever_it_is_asked_for(convolutions: int, background: int) -> None:
    own = problem(convolutions, background)
    first, again, next_epoch = (list(own.batches(epoch)) for epoch in (0, 0, 1))
    assert len(first) == own.steps_per_epoch
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one.frames, two.frames)
        assert torch.equal(one.targets, two.targets)
    assert not torch.equal(first[0].frames[0, 0], next_epoch[0].frames[0, 0])
    for batch in first:
        logits, steps = own.model(batch.frames, batch.lengths)
        assert logits.shape[:2] == batch.targets.shape == batch.asked.shape
        assert not batch.asked[torch.arange(logits.shape[1]) >= steps[:, None]].any()
        assert torch.isfinite(own.loss(batch))
    assert 0 < own.validate() < 5


def test_pooling_heeds_the_steps_in_which_a_command_is_found_and_no_padding() -> None:
    logits = torch.tensor([[[0.0, 0.0, 9.0], [5.0, 0.0, 0.0], [0.0, 0.0, 9.0], [0.0, 99.0, 0.0]]])
    inside = torch.tensor([[True, True, True, False]])
    first, second = pooled(logits, inside)[0].exp().tolist()
    assert first > 0.98
    assert first + second == pytest.approx(1)


def test_padded_rows_keep_their_frames() -> None:
    frames, lengths = padded([np.ones((2, 3)), np.ones((4, 3))])
    assert frames.shape == (2, 4, 3)
    assert lengths.tolist() == [2, 4]


@given(st.integers(1, 9), st.integers(0, 4), st.integers(1, 6), st.integers(0, 1000))
def test_a_peak_is_a_streams_greatest_score(steps: int, padding: int, window: int, seed: int) -> None:
    """Of full windows: a stream's first ones reach back before its beginning."""
    logits = np.random.default_rng(seed).normal(0, 4, (steps + padding, 4)).astype(np.float32)
    window = min(window, steps)
    found = peaks(torch.from_numpy(logits)[None], torch.arange(steps + padding)[None] < steps, window)[0]
    expected = smoothed(log_ratios(logits[:steps]), window)[window - 1 :].max(0)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_no_window_reaches_outside() -> None:
    logits = torch.full((1, 6, 3), 50.0) * torch.tensor([1.0, 1.0, -1.0])
    inside = torch.tensor([[False, False, False, True, True, False]])
    assert peaks(logits, inside, 3).tolist() == [[-20.0, -20.0]]
    assert peaks(logits, inside, 2).tolist() == [[100.0, 100.0]]


@pytest.mark.parametrize("convolutions", [1, 2])
def test_the_network_without_torch_hears_the_same(convolutions: int) -> None:
    torch.manual_seed(0)
    network = CommandNetwork(CommandSize(BINS, 6, convolutions, 8, 2, 2, 0.0)).eval()
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    model = CommandModel(Weights(arrays), BINS, 6, convolutions, 8, 2, 2)
    frames = np.random.default_rng(0).normal(size=(37, BINS)).astype(np.float32)
    with torch.no_grad():
        expected = network(*padded([frames]))[0][0].numpy()
    np.testing.assert_allclose(model.logits(frames), expected, atol=1e-5)
    listener = model.listeners().open()
    live = [*(y for frame in frames for y in listener.push(frame[None])), *listener.finish()]
    np.testing.assert_allclose(live, expected, atol=1e-5)
