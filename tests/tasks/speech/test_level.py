"""The level of speech: the same step by step, whatever the gain; and long recordings cut at pauses."""

import numpy as np
import pytest

from memfold.data.features import LogMel
from memfold.runtime.hearing.level import FLOOR, RunningLevel, cut_at_pauses, levelled
from memfold.tasks.speech.noise import DECIBEL, coded
from memfold.tasks.speech.voice import speech_share

RATE = 8000
MEL = LogMel(RATE, 24)


def said(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Sound with some of speech's traits: four syllables a second, harmonics, and a resonance that wanders."""
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    resonance = 900 + 500 * np.sin(2 * np.pi * 1.3 * time)
    voice = sum(np.sin(k * phase) * np.exp(-(((k * pitch - resonance) / 300) ** 2)) for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 4 * time + 1.5 * np.sin(time)), 0, 1)
    return (0.2 * voice * syllables + 1e-3 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture
def sound() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([np.zeros(RATE, np.float32), said(3, rng), said(3, rng) / 10])


def test_the_level_of_what_came_before_is_the_same_step_by_step(sound: np.ndarray) -> None:
    frames = MEL.of(sound)
    live = RunningLevel()
    found = np.concatenate([live.push(some) for some in np.array_split(frames, 7)])
    np.testing.assert_allclose(found, levelled(frames, causal=True), atol=1e-4)


@pytest.mark.parametrize("causal", [False, True])
def test_gain_changes_little_but_what_falls_below_the_floor(sound: np.ndarray, causal: bool) -> None:
    loud, quiet = (levelled(MEL.of(gain * sound), causal) for gain in (1.0, 0.1))
    heard = loud > loud.max() - 20 * DECIBEL
    heard[:130] = False  # before there is a level
    np.testing.assert_allclose(loud[heard], quiet[heard], atol=0.05)


def test_a_click_does_not_make_speech_quiet(sound: np.ndarray) -> None:
    clicked = sound.copy()
    clicked[100:120] = 1.0
    np.testing.assert_allclose(levelled(MEL.of(clicked), False)[200:], levelled(MEL.of(sound), False)[200:], atol=0.05)


def test_silence_stays_quieter_than_speech_at_the_level() -> None:
    assert levelled(MEL.of(np.zeros(RATE, np.float32)), causal=False).max() < -15 * DECIBEL


def test_a_long_recording_is_cut_where_it_is_quiet() -> None:
    rng = np.random.default_rng(1)
    quiet = 1e-4 * rng.standard_normal(RATE // 2).astype(np.float32)
    frames = MEL.of(np.concatenate([part for _ in range(12) for part in (said(2, rng), quiet)]))
    cuts = cut_at_pauses(frames, 400)
    assert [cut.start for cut in cuts[1:]] == [cut.stop for cut in cuts[:-1]]
    assert (cuts[0].start, cuts[-1].stop) == (0, len(frames))
    assert all(cut.stop - cut.start <= 400 for cut in cuts)
    assert all(cut.stop % 250 >= 195 for cut in cuts[:-1])
    assert cut_at_pauses(frames, len(frames)) == [slice(0, len(frames))]


def test_a_coder_keeps_the_loudest_bands(sound: np.ndarray) -> None:
    frames = MEL.of(sound)[100:]
    heard = coded(frames, np.random.default_rng(3))
    gone = heard != frames
    assert 0.1 < gone.mean() < 0.9
    assert (heard[gone] == FLOOR).all()
    assert (heard[:, 4].max() == frames[:, 4].max()).all()


def test_talk_is_told_from_noise_hum_and_clicks() -> None:
    rng = np.random.default_rng(2)
    time = np.arange(20 * RATE) / RATE
    clicks = 1e-3 * rng.standard_normal(len(time))
    for place in rng.integers(0, len(time) - 200, 60):
        clicks[place : place + 200] += 0.3 * rng.standard_normal(200) * np.exp(-np.arange(200) / 40)
    others = (0.05 * rng.standard_normal(len(time)), 0.1 * np.sin(2 * np.pi * 100 * time), clicks, 0 * time)
    assert speech_share(MEL.of(said(20, rng))) > 0.3
    assert max(speech_share(MEL.of(other.astype(np.float32))) for other in others) < 0.1
    assert speech_share(np.zeros((0, 24))) == 0
