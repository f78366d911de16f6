"""Sound to what a network hears, as tensors of batches: the numbers that NumPy gives of each recording."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from memfold.data.features import LogMel
from memfold.runtime.hearing.cepstra import cepstral_statistics
from memfold.runtime.hearing.level import LEAST, levelled
from memfold.tasks.speech.sound_in import CepstralStatistics, MelFrames, levelled_frames

RATE = 16_000
Samples = NDArray[np.float32]


def sounds() -> dict[str, Samples]:
    rng = np.random.default_rng(0)
    time = np.arange(RATE) / RATE
    chirp = np.sin(2 * np.pi * (200 * time + 3500 * time**2))
    vowel = np.convolve(np.repeat(rng.random(400) > 0.6, 40) * rng.standard_normal(RATE), np.hanning(60), "same")
    return {
        "a loud chirp": chirp,
        "the same, rounded to 16 bits": np.round(32767 * chirp) / 32768,
        "dull syllables": 0.02 * vowel,
        "a tone with nothing above it": 0.9 * np.sin(2 * np.pi * 440 * time),
        "near silence": 1e-5 * rng.standard_normal(RATE),
        "silence": np.zeros(RATE),
        "an offset": 0.5 + 0.01 * rng.standard_normal(RATE),
    }


@pytest.fixture(params=sounds())
def sound(request: pytest.FixtureRequest) -> Samples:
    return sounds()[request.param].astype(np.float32)


def padded(rows: list[Samples]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows in one batch, with loud noise in the padding, which must not count."""
    batch = np.random.default_rng(1).standard_normal((len(rows), max(map(len, rows)) + 700)).astype(np.float32)
    for k, row in enumerate(rows):
        batch[k, : len(row)] = row
    return torch.from_numpy(batch), torch.tensor([len(row) for row in rows])


@pytest.mark.parametrize(("rate", "bins"), [(16_000, 80), (8000, 40)])
def test_log_mel(sound: Samples, rate: int, bins: int) -> None:
    features = LogMel(rate, bins)
    frames, counts = MelFrames(features, 3)(*padded([sound, sound[:5000]]))
    for row, samples in enumerate((sound, sound[:5000])):
        expected = features.of(samples)
        assert counts[row] == len(expected)
        np.testing.assert_allclose(frames[row, : len(expected)], expected, atol=2e-6)


def test_what_is_shorter_than_a_frame_has_none() -> None:
    features = LogMel(RATE, 20)
    lengths = [0, 1, features.length - 1, features.length, features.length + features.shift]
    counts = MelFrames(features)(*padded([np.zeros(length, np.float32) for length in lengths]))[1]
    assert counts.tolist() == [0, 0, 0, 1, 2]


@pytest.mark.parametrize("causal", [False, True])
def test_levels(sound: Samples, causal: bool) -> None:
    long = np.concatenate([sound, 0.01 * sound, np.zeros(3 * RATE, np.float32), 0.1 * sound])
    features = LogMel(RATE, 20)
    frames, counts = MelFrames(features)(*padded([long, sound]))
    least = [LEAST] * 2 if causal else [LEAST, LEAST + 12]
    heard = levelled_frames(frames, counts, None if causal else torch.tensor(least))
    for row, samples in enumerate((long, sound)):
        expected = levelled(features.of(samples), causal, least[row])
        np.testing.assert_allclose(heard[row, : len(expected)], expected, atol=2e-5)


def test_a_loud_moment_is_forgotten_after_minutes() -> None:
    frames = np.full((20_000, 4), 2.0, np.float32)
    frames[5:30] = 30.0
    heard = levelled_frames(torch.from_numpy(frames)[None], torch.tensor([len(frames)]), None)
    np.testing.assert_allclose(heard[0], levelled(frames, causal=True), atol=1e-4)


def test_cepstral_statistics(sound: Samples) -> None:
    rows = [sound, sound[:3000]]
    mel = MelFrames(LogMel(RATE, 40))
    statistics = CepstralStatistics(RATE, 2)(*padded([*rows, sound[:100]]), mel)
    for row, samples in enumerate(rows):
        np.testing.assert_allclose(statistics[row], cepstral_statistics(samples, RATE), atol=2e-4)
    assert not statistics[2].any()
