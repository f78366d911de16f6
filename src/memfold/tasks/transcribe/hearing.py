"""From files to the frames that the acoustic model takes, and what comes of them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from memfold.data.audio import MEAN
from memfold.data.features import LogMel
from memfold.data.recording_copies import frame_keys
from memfold.data.speech import Utterances
from memfold.tasks.speech.recordings import read_sounds

__all__ = ["Heard", "Written", "hear"]


@dataclass(frozen=True)
class Heard(Utterances):
    """Recordings with their frames.

    Attributes:
        frames: log-mel frames of each, (T, M).
        seconds: that reading them took.
        rate: samples a second of the sound that the frames are of.
    """

    frames: list[NDArray[np.float16]] = field(default_factory=list)
    seconds: float = 0.0
    rate: int = 0

    @property
    def keys(self) -> list[str]:
        """Equal where the sound is."""
        return frame_keys(self.frames)

    def take(self, rows: Sequence[int]) -> Self:
        return replace(super().take(rows), frames=[self.frames[row] for row in rows])


@dataclass(frozen=True)
class Written:
    """What a model, or a baseline, writes of recordings.

    Attributes:
        texts: of each.
        log_p: of the model: every step's log-probabilities of the characters, (S, 1 + V) of each recording.
        real_time_factor: of the model: seconds to read, hear and write a second of sound.
    """

    texts: list[str]
    log_p: Sequence[NDArray[np.float32]] = ()
    real_time_factor: float | None = None


def hear(
    utterances: Utterances, features: LogMel, show: bool = False, fitting: bool = False, channel: str = MEAN
) -> Heard:
    """Read the files; those that cannot be read are left out, and named on standard error.

    Args:
        show: whether to show a progress bar.
        fitting: whether they are to train on.
        channel: that is taken of several.

    Raises:
        InputError: none of them can be read.
    """
    started = time.perf_counter()
    places, frames = [], []
    for place, samples in read_sounds(utterances.audio, features.rate, show, fitting=fitting, channel=channel):
        places.append(place)
        frames.append(features.of(samples).astype(np.float16))
    kept = utterances.take(places)
    known = (kept.name, kept.audio, kept.texts, kept.speakers, kept.given)
    return Heard(*known, frames, time.perf_counter() - started, features.rate)
