"""From files to what the network and the baseline take of them, read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import kaldi_native_fbank as knf
import numpy as np
from numpy.typing import NDArray

from memfold.data.audio import read_audio
from memfold.data.commands import Excerpt
from memfold.data.features import LENGTH, LogMel
from memfold.errors import InputError

__all__ = ["FLOOR", "Heard", "Samples", "floored", "hear", "hear_background", "made_noise", "mfcc_statistics"]

Array = NDArray[np.float32]
Samples = NDArray[np.float32]
FLOOR = 2.0  # log energy of a band: about that of rounding to 16 bits, so that digital silence is no further away
COEFFICIENTS = 13
NOISE_SECONDS = 20
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Heard:
    """Recordings as features.

    Attributes:
        frames: log-mel frames of each, (T, M).
        statistics: of each recording's cepstra, for the baseline, (S, Q).
    """

    frames: list[NDArray[np.float16]]
    statistics: Array


def floored(frames: Array) -> Array:
    """Frames whose bands are not quieter than the rounding of a file."""
    return np.maximum(frames, np.float32(FLOOR))


def hear(paths: Sequence[Path], features: LogMel) -> Heard:
    """Read files.

    Raises:
        InputError: naming one that cannot be read, is empty, or is shorter than a frame.
    """
    frames, statistics = [], []
    for path in paths:
        samples = read_audio(path, features.rate)
        if not features.count(len(samples)):
            raise InputError(f"{path}: is shorter than {1000 * LENGTH:.0f} ms")
        frames.append(floored(features.of(samples)).astype(np.float16))
        statistics.append(mfcc_statistics(samples, features.rate))
    return Heard(frames, np.stack(statistics))


def hear_background(excerpts: Sequence[Excerpt], features: LogMel) -> NDArray[np.float16]:
    """The frames ``(T, M)`` of all excerpts, one after another."""
    found = [np.zeros((0, features.bins), np.float16)]
    for excerpt in excerpts:
        samples = read_audio(excerpt.path, features.rate)
        part = samples[round(excerpt.begin * len(samples)) : round(excerpt.end * len(samples))]
        found.append(floored(features.of(part)).astype(np.float16))
    return np.concatenate(found)


def made_noise(features: LogMel, seed: int = 0, levels: Sequence[float] = (10.0,)) -> list[NDArray[np.float16]]:
    """Frames of white, pink and brown noise at some levels, each on the average of its log energies."""
    rng = np.random.default_rng(seed)
    count = NOISE_SECONDS * features.rate
    frequencies = np.maximum(np.fft.rfftfreq(count), 20 / features.rate)
    found = []
    for power in (0.0, 0.5, 1.0):  # of the amplitude's fall with frequency
        spectrum = np.fft.rfft(rng.standard_normal(count)) / frequencies**power
        samples = np.fft.irfft(spectrum)
        frames = features.of((0.1 * samples / samples.std()).astype(np.float32))
        found += [floored(frames - frames.mean() + np.float32(level)).astype(np.float16) for level in levels]
    return found


def mfcc_statistics(samples: Array, rate: int) -> Array:
    """Mean, deviation and quantiles of a recording's cepstra and of their differences, (Q,)."""
    options = knf.MfccOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0.0
    options.num_ceps = COEFFICIENTS
    online = knf.OnlineMfcc(options)
    online.accept_waveform(rate, 32768 * samples)
    online.input_finished()
    frames = np.stack([online.get_frame(k) for k in range(online.num_frames_ready)])  # (T, 13)
    found = []
    for values in (frames, np.diff(frames, axis=0, prepend=frames[:1])):
        found += [values.mean(0), values.std(0), *np.quantile(values, QUANTILES, axis=0)]
    return np.concatenate(found).astype(np.float32)
