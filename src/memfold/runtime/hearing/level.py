"""How loud speech is in a recording: frames are taken relative to it, so that the microphone's gain does not count.

Of a whole recording the level is that of its loudest tenth of a second; of one that is still coming in, of the loudest
so far, which is forgotten by and by.
"""

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FLOOR",
    "FORGOTTEN",
    "LEAST",
    "WINDOW",
    "RunningLevel",
    "cut_at_pauses",
    "floored",
    "levelled",
    "loudness",
    "parted",
]

Array = NDArray[np.float32]
FLOOR = 2.0  # log energy of a band: about that of rounding to 16 bits, so that digital silence is no further away
WINDOW = 10  # frames: shorter sounds, such as clicks, count little
LEAST = FLOOR + 5.0  # of a level, 22 dB above that rounding: silence is not made loud
FORGOTTEN = 0.0023  # of a level, at every frame: a decibel a second
SAME = 0.5  # nats: as quiet as the quietest
LOCAL = 4.6  # a part of a recording is at most 20 dB quieter than the whole


def floored(frames: Array) -> Array:
    """Frames whose bands are not quieter than the rounding of a file."""
    return np.maximum(frames, np.float32(FLOOR))


def loudness(frames: Array) -> NDArray[np.float64]:
    """The log energy of every frame ``(T, M)``, averaged over the bands, ``(T,)``."""
    return np.asarray(np.log(np.exp(frames).astype(np.float64).mean(1)))


def levelled(frames: NDArray[np.floating], causal: bool, least: float = LEAST) -> Array:
    """Frames ``(T, M)`` relative to the level of the speech in them, none of them far below the level's least.

    Args:
        causal: take the level of the frames so far, as `RunningLevel` does.
        least: of the level.
    """
    heard = floored(frames.astype(np.float32))
    if not len(heard):
        return heard
    levels = _recent(loudness(heard))
    if causal:
        forgotten = FORGOTTEN * np.arange(len(levels))
        levels = np.maximum.accumulate(levels + forgotten) - forgotten
        return np.asarray(heard - np.maximum(levels, least)[:, None], np.float32)
    return np.asarray(heard - max(levels.max(), least), np.float32)


def level_of(frames: NDArray[np.floating]) -> float:
    """The level of a whole recording ``(T, M)``."""
    return float(_recent(loudness(floored(frames.astype(np.float32)))).max(initial=LEAST))


def _recent(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the last `WINDOW` values at each; of fewer at the beginning, of which the others are `FLOOR`."""
    sums = np.cumsum(np.concatenate([np.full(WINDOW, FLOOR), values]))
    return np.asarray((sums[WINDOW:] - sums[:-WINDOW]) / WINDOW)


class RunningLevel:
    """`levelled` for a recording that is still coming in."""

    moves: ClassVar[tuple[str, ...]] = ("recent", "level")

    def __init__(self) -> None:
        self.recent = deque([FLOOR] * WINDOW, WINDOW)
        self.level = LEAST

    def push(self, frames: Array) -> Array:
        """Frames ``(T, M)``, each relative to the level so far."""
        heard = floored(frames)
        levels = []
        for loud in loudness(heard).tolist():
            self.recent.append(loud)
            self.level = max(self.level - FORGOTTEN, sum(self.recent) / WINDOW)
            levels.append(max(self.level, LEAST))
        return np.asarray(heard - np.array(levels).reshape(-1, 1), np.float32)


def cut_at_pauses(frames: Array, most: int) -> Sequence[slice]:
    """The parts of a long recording ``(T, M)``, none longer than ``most`` frames, cut where it is quietest."""
    quiet = np.convolve(loudness(floored(frames)), np.ones(2 * WINDOW) / (2 * WINDOW), "same")
    parts, begin = [], 0
    while len(frames) - begin > most:
        first = begin + most // 3
        here = quiet[first : begin + most]
        least = int(here.argmin())
        louder = np.flatnonzero(here[least:] > here[least] + SAME)
        end = first + least + (int(louder[0]) if len(louder) else len(here) - least) // 2  # the middle of the pause
        parts.append(slice(begin, end))
        begin = end
    return [*parts, slice(begin, len(frames))]


def parted(frames: NDArray[np.floating], most: int) -> list[tuple[slice, float]]:
    """The parts of a recording as `cut_at_pauses` has them, each with the least of its level: of a long recording's
    parts, `LOCAL` below the level of the whole."""
    cuts = cut_at_pauses(frames.astype(np.float32), most)
    least = max(level_of(frames) - LOCAL, LEAST) if len(cuts) > 1 else LEAST
    return [(cut, least) for cut in cuts]
