"""What microphones, rooms and networks do to speech, on log-mel frames: noise, another channel, few bits, gaps."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memfold.data.features import LogMel
from memfold.runtime.hearing.level import FLOOR, floored

__all__ = ["DECIBEL", "HISS", "channel", "coded", "made_noise", "masked", "quiet_stretch", "some_noise"]

Array = NDArray[np.float32]
DECIBEL = np.log(10) / 10  # in the units of log energies
GAIN = 12 * DECIBEL
TILT, RIPPLE = 6 * DECIBEL, 3 * DECIBEL  # of the channel, at its bands' ends and in waves
MASKED_BANDS, MASKED_TIME = 0.2, 0.2  # of all, at most
HISS = 0.5  # deviation of the frames of quiet, in a room
NOISE_SECONDS = 20
NARROWEST = 0.75  # of the bands that are left by a telephone or a coder: those up to about 3.4 of 8 kHz
FINEST, COARSEST = 50 * DECIBEL, 25 * DECIBEL  # below a frame's loudest band, from which on a coder keeps nothing


def made_noise(features: LogMel, seed: int = 0, levels: Sequence[float] = (10.0,)) -> list[NDArray[np.float16]]:
    """Frames of white, pink and brown noise at some levels, each on the average of its log energies."""
    rng = np.random.default_rng(seed)
    count = NOISE_SECONDS * features.rate
    frequencies = np.maximum(np.fft.rfftfreq(count), 20 / features.rate)
    noises = []
    for power in (0.0, 0.5, 1.0):  # of the amplitude's fall with frequency
        spectrum = np.fft.rfft(rng.standard_normal(count)) / frequencies**power
        samples = np.fft.irfft(spectrum)
        frames = features.of((0.1 * samples / samples.std()).astype(np.float32))
        noises += [floored(frames - frames.mean() + np.float32(level)).astype(np.float16) for level in levels]
    return noises


def some_noise(bank: Sequence[NDArray[np.float16]], frames: int, rng: np.random.Generator) -> Array:
    """So many frames of one of the bank's stretches, with the mean 0."""
    stretch = bank[int(rng.integers(len(bank)))]
    start = rng.integers(len(stretch))
    noise = np.take(stretch, np.arange(start, start + frames), 0, mode="wrap").astype(np.float32)
    noise -= noise.mean()
    return noise


def quiet_stretch(quiet: Array, frames: int, rng: np.random.Generator, hiss: float = HISS) -> Array:
    """So many frames at a level of each band ``(M,)``, as a room has it, with a deviation from it."""
    return np.asarray(quiet + np.float32(hiss) * rng.standard_normal((frames, len(quiet)), np.float32), np.float32)


def channel(bins: int, rng: np.random.Generator) -> Array:
    """What a microphone and its distance add to every band: a gain, a tilt and two waves, (M,)."""
    place = np.linspace(-1, 1, bins)
    waves = sum(rng.normal(0, RIPPLE) * np.cos(np.pi * (k * place + rng.uniform(0, 2))) for k in (1, 2))
    return np.asarray(rng.normal(0, GAIN) + rng.normal(0, TILT) * place + waves, np.float32)


def coded(frames: Array, rng: np.random.Generator) -> Array:
    """Frames ``(T, M)`` through a coder of few bits: nothing above some band, nor far below a frame's loudest one."""
    bins = frames.shape[1]
    least = frames.max(1, keepdims=True) - np.float32(rng.uniform(COARSEST, FINEST))
    heard = np.where(frames < least, np.float32(FLOOR), frames)
    heard[:, int(rng.uniform(NARROWEST, 1.1) * bins) :] = FLOOR
    return heard


def masked(frames: Array, rng: np.random.Generator) -> Array:
    """Set some bands and some of the time to their means (Park et al. 2019); the same array."""
    steps, bins = frames.shape
    for size, axis in ((int(MASKED_BANDS * bins), 1), (int(MASKED_TIME * steps), 0)):
        width = rng.integers(0, size + 1)
        start = rng.integers(0, frames.shape[axis] - width + 1)
        part = frames[:, start : start + width] if axis else frames[start : start + width]
        if width:
            part[:] = part.mean(0)
    return frames
