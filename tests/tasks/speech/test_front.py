"""The front end: the same features from a whole recording and step by step."""

import numpy as np
import pytest
import torch

from memfold.nn import LSTM
from memfold.runtime.hearing.live import FrontStream, Listener, StackedStream
from memfold.tasks.speech.front import Front, Stacked, thinned


def arrays_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("convolutions", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 8, 9, 22])
def test_a_recording_gives_the_same_features_step_by_step_whatever_its_padding_holds(convolutions, frames):
    torch.manual_seed(frames)
    front = Front(5, 6, convolutions)
    x = torch.randn(2, frames + 3, 5)
    x[0, frames:] = float("nan")
    front.normalise_by([x[1].numpy()])
    features, lengths = front(front.normalised(x), torch.tensor([frames, frames + 3]))
    assert lengths.tolist() == thinned(torch.tensor([frames, frames + 3]), convolutions).tolist()
    live = FrontStream(arrays_of(front))
    found = [y for t in range(frames) if (y := live.step(x[0, t].numpy())) is not None] + live.finish()
    assert len(found) == lengths[0]
    np.testing.assert_allclose(np.stack(found), features[0, : len(found)].detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("stacked", [1, 3, 4])
@pytest.mark.parametrize("frames", [1, 2, 3, 8, 12])
def test_stacked_frames_are_the_same_step_by_step_whatever_the_padding_holds(stacked, frames):
    front, x = Stacked(5, stacked), torch.randn(2, frames + 3, 5)
    x[0, frames:] = float("nan")
    front.normalise_by([x[1].numpy()])
    features, lengths = front(front.normalised(x), torch.tensor([frames, frames + 3]))
    assert features.shape[2] == 5 * stacked
    live = StackedStream(front.mean.numpy(), front.scale.numpy(), stacked)
    found = [y.copy() for t in range(frames) if (y := live.step(x[0, t].numpy())) is not None] + live.finish()
    assert len(found) == lengths[0] == -(-frames // stacked)
    np.testing.assert_allclose(np.stack(found), features[0, : len(found)], atol=1e-5)


def test_normalised_bands_have_mean_0_and_deviation_1():
    frames = [np.random.default_rng(k).normal([3, -5], [2, 0.1], (100 + k, 2)).astype(np.float16) for k in range(3)]
    front = Front(2, 1, 1)
    front.normalise_by(frames)
    all_frames = front.normalised(torch.from_numpy(np.concatenate(frames)).float())
    np.testing.assert_allclose(all_frames.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(all_frames.std(0, correction=0), 1, atol=1e-4)


def test_features_look_six_frames_ahead_and_no_further():
    torch.manual_seed(0)
    front, x = Front(5, 6, 2), torch.randn(1, 40, 5)
    before, _ = front(x, torch.tensor([40]))
    for changed, same in ((7, 1), (6, 0)):  # step s stands at frame 4s
        y = x.clone()
        y[0, changed:] += 1
        after, _ = front(y, torch.tensor([40]))
        assert torch.equal(after[0, 0], before[0, 0]) == bool(same)


def test_a_listener_gives_what_the_layers_give():
    torch.manual_seed(0)
    front, lstm, head = Front(5, 6, 2), LSTM(6, 7, 2, batch_first=True), torch.nn.Linear(7, 3)
    x = torch.randn(1, 21, 5)
    features, _ = front(x, torch.tensor([21]))
    expected = head(lstm(features)[0])[0].detach().numpy()
    weights = {name: value.detach().numpy() for name, value in head.named_parameters()}
    listener = Listener(FrontStream(arrays_of(front)), lstm.stream().layers, weights)
    found = [y.copy() for t in range(21) if (y := listener.step(x[0, t].numpy())) is not None] + listener.finish()
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-5)
