"""Whether somebody speaks in a stretch of sound, roughly: from how its energy moves, without a model."""

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.hearing.level import floored, loudness

__all__ = ["speech_share"]

SECOND = 100  # frames
SMOOTH = 5  # frames, over which the energy is averaged
MOVES = 1.0  # least standard deviation of a second's log energy: steady noise has 0.06, speech 3
SYLLABLES = slice(2, 9)  # times a second that speech grows louder and softer
RHYTHM = 0.4  # least share of the movement that is as fast as syllables
LOUD = (0.1, 0.9)  # shares of a second that are loud: clicks are shorter, hums go through
FORMANTS = 1.0  # least deviation of the loud frames over the bands: of clicks and hiss it is a slope


def speech_share(frames: NDArray[np.floating]) -> float:
    """The share of the seconds of log-mel frames ``(T, M)`` that sound like speech, 0 to 1.

    Of read speech some 0.4, of noise, hum and music 0 to 0.1.
    """
    heard = floored(frames.astype(np.float32))
    levels = np.convolve(loudness(heard), np.ones(SMOOTH) / SMOOTH, "same") if len(heard) else np.zeros(0)
    starts = range(0, len(heard) - SECOND + 1, SECOND)
    spoken = [_is_speech(heard[start : start + SECOND], levels[start : start + SECOND]) for start in starts]
    return float(np.mean(spoken)) if spoken else 0.0


def _is_speech(frames: NDArray[np.float32], levels: NDArray[np.float64]) -> bool:
    if levels.std() < MOVES:
        return False
    movement = np.square(np.abs(np.fft.rfft(_without_slope(levels) * np.hanning(SECOND))))
    loud = levels > (levels.min() + levels.max()) / 2
    return bool(
        movement[SYLLABLES].sum() >= RHYTHM * movement.sum()
        and LOUD[0] <= loud.mean() <= LOUD[1]
        and _without_slope(frames[loud].T).std(0).mean() >= FORMANTS
    )


def _without_slope(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """What a straight line along the first axis leaves of values, ``(N,)`` or ``(N, K)``."""
    line = np.vander(np.linspace(-1, 1, len(values)), 2)
    return np.asarray(values - line @ np.linalg.lstsq(line, values, rcond=None)[0])
