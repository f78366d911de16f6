"""The front end: the same features from a whole recording and step by step."""

import numpy as np
import pytest
import torch

from memfold.nn import LSTM
from memfold.runtime.hearing.live import Convolved, Front, Levelled, Listeners, Stacked
from memfold.tasks.speech import front as trained


def arrays_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


def pushed(front: Front, frames: np.ndarray) -> np.ndarray:
    """The features of frames that come one by one."""
    held = front.begin()
    return np.concatenate([*(front.push([held], [frame[None]])[0] for frame in frames), front.finish(held)])


@pytest.mark.parametrize("convolutions", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 8, 9, 22])
def test_a_recording_gives_the_same_features_step_by_step_whatever_its_padding_holds(convolutions, frames):
    torch.manual_seed(frames)
    front = trained.Front(5, 6, convolutions)
    x = torch.randn(2, frames + 3, 5)
    x[0, frames:] = float("nan")
    front.normalise_by([x[1].numpy()])
    features, lengths = front(front.normalised(x), torch.tensor([frames, frames + 3]))
    assert lengths.tolist() == trained.thinned(torch.tensor([frames, frames + 3]), convolutions).tolist()
    found = pushed(Convolved(arrays_of(front)), x[0, :frames].numpy())
    assert len(found) == lengths[0]
    np.testing.assert_allclose(found, features[0, : len(found)].detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("stacked", [1, 3, 4])
@pytest.mark.parametrize("frames", [1, 2, 3, 8, 12])
def test_stacked_frames_are_the_same_step_by_step_whatever_the_padding_holds(stacked, frames):
    front, x = trained.Stacked(5, stacked), torch.randn(2, frames + 3, 5)
    x[0, frames:] = float("nan")
    front.normalise_by([x[1].numpy()])
    features, lengths = front(front.normalised(x), torch.tensor([frames, frames + 3]))
    assert features.shape[2] == 5 * stacked
    found = pushed(Stacked(front.mean.numpy(), front.scale.numpy(), stacked), x[0, :frames].numpy())
    assert len(found) == lengths[0] == -(-frames // stacked)
    np.testing.assert_allclose(found, features[0, : len(found)], atol=1e-5)


def test_normalised_bands_have_mean_0_and_deviation_1():
    frames = [np.random.default_rng(k).normal([3, -5], [2, 0.1], (100 + k, 2)).astype(np.float16) for k in range(3)]
    front = trained.Front(2, 1, 1)
    front.normalise_by(frames)
    all_frames = front.normalised(torch.from_numpy(np.concatenate(frames)).float())
    np.testing.assert_allclose(all_frames.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(all_frames.std(0, correction=0), 1, atol=1e-4)


def test_features_look_six_frames_ahead_and_no_further():
    torch.manual_seed(0)
    front, x = trained.Front(5, 6, 2), torch.randn(1, 40, 5)
    before, _ = front(x, torch.tensor([40]))
    for changed, same in ((7, 1), (6, 0)):  # step s stands at frame 4s
        y = x.clone()
        y[0, changed:] += 1
        after, _ = front(y, torch.tensor([40]))
        assert torch.equal(after[0, 0], before[0, 0]) == bool(same)


def test_a_listener_gives_what_the_layers_give():
    torch.manual_seed(0)
    front, lstm, head = trained.Front(5, 6, 2), LSTM(6, 7, 2, batch_first=True), torch.nn.Linear(7, 3)
    x = torch.randn(1, 21, 5)
    features, _ = front(x, torch.tensor([21]))
    expected = head(lstm(features)[0])[0].detach().numpy()
    weights = {name: value.detach().numpy() for name, value in head.named_parameters()}
    listener = Listeners(Convolved(arrays_of(front)), lstm.stream().layers, weights).open()
    found = [listener.push(x[0, t : t + 1].numpy()) for t in range(21)]
    np.testing.assert_allclose(np.concatenate([*found, listener.finish()]), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["convolved", "stacked", "levelled"])
def test_recordings_heard_together_have_the_bits_of_each_alone(kind):
    """However they are divided, and whoever else is heard."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    stacked = Stacked(np.full(5, 0.1, np.float32), np.full(5, 0.7, np.float32), 3)
    fronts = {"convolved": Convolved(arrays_of(trained.Front(5, 6, 2))), "stacked": stacked}
    front = fronts.get(kind) or Levelled(stacked)
    inputs = 6 if kind == "convolved" else 15
    head = {"weight": rng.standard_normal((3, 7), np.float32), "bias": rng.standard_normal(3, np.float32)}
    layers = LSTM(inputs, 7, 2).stream().layers
    recordings = [rng.normal(4, 3, (30 + 7 * k, 5)).astype(np.float32) for k in range(9)]
    alone = []
    for frames in recordings:
        listener = Listeners(front, layers, head).open()
        alone.append(np.concatenate([listener.push(frames), listener.finish()]))
    listeners = Listeners(front, layers, head, most=9)
    listening = [listeners.open(row) for row in range(9)]
    heard, at = [[np.zeros((0, 3), np.float32)] for _ in recordings], [0] * 9
    while open_ones := [k for k in range(9) if at[k] < len(recordings[k])]:
        some = rng.permutation(open_ones)[: rng.integers(1, len(open_ones) + 1)]
        ends = {k: at[k] + int(rng.integers(0, 12)) for k in some}
        blocks = [recordings[k][at[k] : ends[k]] for k in some]
        for k, y in zip(some, listeners.push([listening[k] for k in some], blocks), strict=True):
            heard[k].append(y)
            at[k] = ends[k]
    for k, listener in enumerate(listening):
        np.testing.assert_array_equal(np.concatenate([*heard[k], listener.finish()]), alone[k])
