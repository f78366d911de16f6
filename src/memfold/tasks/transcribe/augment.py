"""Recordings as they might have been made elsewhere: voice, pauses, room, noise, coder, gain; as log-mel frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.hearing.level import FLOOR, floored, loudness
from memfold.runtime.hearing.warp import WARP, warped
from memfold.tasks.speech.noise import DECIBEL, HISS, coded, quiet_stretch, some_noise

__all__ = ["Surroundings", "augmented", "elsewhere", "noise_alone"]

Array = NDArray[np.float32]
AROUND, WITHIN = 100, 150  # frames of quiet before and after a recording, and in a pause of it, at most
LOWEST, HIGHEST = -30 * DECIBEL, 10 * DECIBEL  # gain
SNR = (10.0, 40.0)  # of noise, in decibels
PAUSED = 0.3  # of the way from a recording's quietest to its loudest frame, below which it may pause
LOUDEST = 16.0  # log energy of noise alone, at most


@dataclass(frozen=True)
class Surroundings:
    """What is known of where recordings are made.

    Attributes:
        bank: noise to mix in, (T, M) each.
        quiet: of every recording, the level of each band where nothing is said, (M,).
    """

    bank: Sequence[NDArray[np.float16]]
    quiet: Sequence[Array]

    @classmethod
    def of(cls, bank: Sequence[NDArray[np.float16]], recordings: Sequence[NDArray[np.floating[Any]]]) -> "Surroundings":
        """Look for the quiet in recordings ``(T, M)``."""
        quiet = [np.quantile(frames, 0.05, 0).astype(np.float32) for frames in recordings]
        return cls(bank, [floored(levels) for levels in quiet])

    def around(self, frames: Array, row: int, rng: np.random.Generator) -> Array:
        """A recording of a row's number as another voice says it elsewhere."""
        factor = float(np.exp(rng.uniform(-WARP, WARP)))
        return augmented(warped(frames, factor), warped(self.quiet[row][None], factor)[0], self.bank, rng)


def augmented(frames: Array, quiet: Array, bank: Sequence[NDArray[np.float16]], rng: np.random.Generator) -> Array:
    """A recording ``(T, M)`` with pauses and quiet around it, in noise, through a coder, louder or quieter.

    Of two sounds a band has the louder one's energy (Nádas, Nahamoo & Picheny 1989), near enough.
    """
    hiss = HISS
    if rng.random() < 0.3:
        quiet, hiss = np.full_like(quiet, FLOOR), float(rng.choice([0.0, HISS]))
    if rng.random() < 0.3:
        frames = _paused(frames, quiet, hiss, rng)
    lead, trail = (int(rng.integers(0, AROUND)) if rng.random() < 0.5 else 0 for _ in range(2))
    if lead or trail:
        frames = np.concatenate([quiet_stretch(quiet, lead, rng, hiss), frames, quiet_stretch(quiet, trail, rng, hiss)])
    if rng.random() < 0.5:
        loud = loudness(frames).max()
        noise = some_noise(bank, len(frames), rng) + np.float32(loud - rng.uniform(*SNR) * DECIBEL)
        frames = np.maximum(frames, noise)
    if rng.random() < 0.3:
        frames = coded(frames, rng)
    return floored(frames + np.float32(rng.uniform(LOWEST, HIGHEST)))


def elsewhere(
    recordings: Sequence[NDArray[np.floating[Any]]], bank: Sequence[NDArray[np.float16]], seed: int
) -> list[Array]:
    """Each of some recordings ``(T, M)`` once in other surroundings."""
    rng = np.random.default_rng(seed)
    around = Surroundings.of(bank, recordings)
    return [
        augmented(frames.astype(np.float32), quiet, bank, rng)
        for frames, quiet in zip(recordings, around.quiet, strict=True)
    ]


def _paused(frames: Array, quiet: Array, hiss: float, rng: np.random.Generator) -> Array:
    """A recording with a pause put into it where it is quiet."""
    energy = frames.mean(1)
    low, high = energy.min(), energy.max()
    places = np.flatnonzero(energy <= low + PAUSED * (high - low))
    place = int(places[rng.integers(len(places))])
    pause = quiet_stretch(quiet, int(rng.integers(10, WITHIN)), rng, hiss)
    return np.concatenate([frames[:place], pause, frames[place:]])


def noise_alone(bank: Sequence[NDArray[np.float16]], frames: int, rng: np.random.Generator) -> Array:
    """So many frames in which nothing is said: of noise, or of the silence that files are made of."""
    if rng.random() < 0.3:
        return np.full((frames, bank[0].shape[1]), FLOOR, np.float32)
    return floored(some_noise(bank, frames, rng) + np.float32(rng.uniform(FLOOR, LOUDEST)))
