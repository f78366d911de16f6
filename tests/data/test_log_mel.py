"""Frames and cepstra beside Kaldi's, and in pieces beside whole."""

import kaldi_native_fbank as knf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.data.features import FrameStream, LogMel, cepstra


def sound(rate: int) -> np.ndarray:
    """Two seconds with a loud chirp and near silence."""
    rng = np.random.default_rng(0)
    time = np.arange(2 * rate) / rate
    samples = 0.2 * np.sin(2 * np.pi * 440 * time * (1 + time / 8)) + 0.02 * rng.standard_normal(len(time))
    samples[rate // 2 : rate] *= 0.001
    return samples.astype(np.float32)


def kaldis(online, samples: np.ndarray, rate: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    online.accept_waveform(rate, 32768 * samples)
    online.input_finished()
    return np.stack([online.get_frame(k) for k in range(online.num_frames_ready)])


@pytest.mark.parametrize(("rate", "bins"), [(16000, 80), (8000, 40), (11025, 23), (44100, 40)])
def test_frames_are_kaldis(rate: int, bins: int) -> None:
    options = knf.FbankOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither, options.mel_opts.num_bins = rate, 0.0, bins
    expected = kaldis(knf.OnlineFbank(options), sound(rate), rate)
    np.testing.assert_allclose(LogMel(rate, bins).of(sound(rate)), expected, atol=1e-3)


@pytest.mark.parametrize("rate", [16000, 8000, 11025])
def test_cepstra_are_kaldis(rate: int) -> None:
    options = knf.MfccOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither, options.num_ceps = rate, 0.0, 13
    np.testing.assert_allclose(
        cepstra(sound(rate), rate), kaldis(knf.OnlineMfcc(options), sound(rate), rate), atol=2e-3
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 900), max_size=8))
def test_frames_are_the_same_in_pieces(sizes: list[int]) -> None:
    samples, features = sound(8000)[:4000], LogMel(8000, 20)
    stream = FrameStream(features)
    frames = [frame for block in np.split(samples, np.cumsum(sizes).clip(max=4000)) for frame in stream.push(block)]
    assert np.array_equal(np.array(frames), features.of(samples))


def test_sound_that_is_too_short_has_no_frame() -> None:
    assert LogMel(8000, 20).of(np.zeros(199, np.float32)).shape == (0, 20)
    assert cepstra(np.zeros(199, np.float32), 8000).shape == (0, 13)
