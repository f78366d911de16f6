"""Recordings augmented in every epoch, as log-mel frames: voice, pace, channel, noise, and sound before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.hearing.level import FLOOR
from memfold.runtime.hearing.warp import WARP, warped
from memfold.tasks.speech.noise import DECIBEL, channel, coded, masked, quiet_stretch, some_noise

__all__ = ["IGNORED", "NONE", "Piece", "Recording", "another_voice", "augmented_piece"]

Array = NDArray[np.float32]
IGNORED, NONE = -2, -1  # targets of frames: not asked, and no command

PACE = 0.18  # of the logarithm, at most: 0.84 to 1.2 times as fast
SNR = (0.0, 45.0)  # of noise, in decibels
CODED = 0.2  # of the recordings
LEAD, TRAIL = 60, 40  # frames around a command, at most
RELEASE = 12  # frames after a command's end in which it may still be reported


@dataclass(frozen=True)
class Piece:
    """Frames and their targets.

    Attributes:
        frames: (T, M).
        targets: of every frame, a command's number, `NONE` or `IGNORED`, (T,).
    """

    frames: Array
    targets: NDArray[np.int64]

    @classmethod
    def of_nothing(cls, frames: Array) -> "Piece":
        """Sound without a command."""
        return cls(frames, np.full(len(frames), NONE))

    @classmethod
    def joined(cls, pieces: Sequence["Piece"]) -> "Piece":
        """One after another."""
        return cls(np.concatenate([p.frames for p in pieces]), np.concatenate([p.targets for p in pieces]))


@dataclass(frozen=True)
class Recording:
    """A command's frames, and what is known of them.

    Attributes:
        frames: (T, M).
        label: the command's number.
        begin, end: where the command is among the frames.
        quiet: the level of each band where nothing is said, (M,).
    """

    frames: NDArray[np.float16]
    label: int
    begin: int
    end: int
    quiet: Array

    @classmethod
    def of(cls, frames: NDArray[np.float16], label: int) -> "Recording":
        """Look where the command is: between the first and the last frame of some energy."""
        energy = frames.mean(1, dtype=np.float32)
        low, high = np.quantile(energy, [0.05, 0.95])
        loud = np.flatnonzero(energy >= low + 0.3 * (high - low))
        quiet = np.quantile(frames, 0.05, 0).astype(np.float32)
        return cls(frames, label, int(loud[0]), int(loud[-1]) + 1, quiet)

    def changed(self, rng: np.random.Generator) -> Piece:
        """The same by another voice.

        The targets are no command, and from the middle of the command to a little after its end, the command.
        """
        frames = another_voice(self.frames, rng)
        pace = len(frames) / len(self.frames)
        begin = round(self.begin * pace)
        end = round(self.end * pace)
        targets = np.full(len(frames), NONE)
        targets[begin : end + RELEASE] = IGNORED
        targets[(begin + end) // 2 : end + RELEASE // 2] = self.label
        return Piece(frames, targets)


def another_voice(frames: NDArray[np.floating], rng: np.random.Generator) -> Array:
    """Frames at another pace, their vocal tract length changed (Jaitly & Hinton 2013): both are warped."""
    frames = warped(frames.astype(np.float32), float(np.exp(rng.uniform(-WARP, WARP))))
    length = max(2, round(len(frames) * float(np.exp(rng.uniform(-PACE, PACE)))))
    places = np.linspace(0, len(frames) - 1, length)
    below = np.minimum(places.astype(int), max(len(frames) - 2, 0))
    above = np.minimum(below + 1, len(frames) - 1)
    share = (places - below).astype(np.float32)[:, None]
    changed: Array = (1 - share) * frames[below] + share * frames[above]
    return changed


def augmented_piece(piece: Piece, quiet: Array, bank: Sequence[NDArray[np.float16]], rng: np.random.Generator) -> Piece:
    """A piece through another channel, in noise, of which there may be some before and after it.

    Of two sounds a band has the louder one's energy (Nádas, Nahamoo & Picheny 1989), near enough.

    Args:
        quiet: the level of each band where nothing is said, (M,).
    """
    bins = len(quiet)
    if rng.random() < 0.3:
        quiet = np.full(bins, FLOOR, np.float32)
    lead, trail = (int(rng.integers(0, most)) if rng.random() < 0.6 else 0 for most in (LEAD, TRAIL))
    around = [Piece.of_nothing(quiet_stretch(quiet, count, rng)) for count in (lead, trail)]
    whole = Piece.joined([around[0], piece, around[1]])
    frames = whole.frames + channel(bins, rng)
    if rng.random() < 0.7:
        loud = frames.mean(1).max()
        noise = some_noise(bank, len(frames), rng) + np.float32(loud - rng.uniform(*SNR) * DECIBEL)
        frames = np.maximum(frames, noise)
    if rng.random() < CODED:
        frames = coded(frames, rng)
    return Piece(masked(np.maximum(frames, np.float32(FLOOR)), rng), whole.targets)
