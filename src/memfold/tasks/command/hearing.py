"""From files to what the network and the baseline take of them, read once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from memfold.data.audio import MEAN
from memfold.data.commands import Excerpt, Recordings
from memfold.data.features import LogMel
from memfold.data.recording_copies import frame_keys
from memfold.runtime.hearing.cepstra import STATISTICS, cepstral_statistics
from memfold.runtime.hearing.level import floored
from memfold.tasks.speech.recordings import read_sounds

__all__ = ["Heard", "hear", "hear_background", "hear_elsewhere"]

Array = NDArray[np.float32]
AROUND, LOUDER = 0.5, 20.0  # seconds of silence before and after; decibels of speech above noise


@dataclass(frozen=True)
class Heard(Recordings):
    """Recordings with their features.

    Attributes:
        frames: log-mel frames of each, (T, M).
        statistics: of each recording's cepstra, for the baseline, (S, Q).
        rate: samples a second of the sound that the frames are of.
    """

    frames: list[NDArray[np.float16]] = field(default_factory=list)
    statistics: Array = field(default_factory=lambda: np.zeros((0, STATISTICS), np.float32))
    rate: int = 0

    @property
    def keys(self) -> list[str]:
        """Equal where the sound is."""
        return frame_keys(self.frames)

    def take(self, rows: Sequence[int]) -> Self:
        kept = super().take(rows)
        return replace(kept, frames=[self.frames[row] for row in rows], statistics=self.statistics[list(rows)])


def hear(
    recordings: Recordings,
    features: LogMel,
    show: bool = False,
    fitting: bool = False,
    changed: Callable[[Array], Array] | None = None,
    channel: str = MEAN,
) -> Heard:
    """Read the files; those that cannot be read are left out, and named on standard error.

    Args:
        show: whether to show a progress bar.
        fitting: whether they are to train on.
        changed: what is made of the samples before they are heard; then nothing is said of the files.
        channel: that is taken of several.

    Raises:
        InputError: none of them can be read.
    """
    places, frames, statistics = [], [], []
    noted = changed is None
    sounds = read_sounds(recordings.paths, features.rate, show, fitting=fitting, noted=noted, channel=channel)
    for place, samples in sounds:
        places.append(place)
        samples = samples if changed is None else changed(samples)
        frames.append(floored(features.of(samples)).astype(np.float16))
        statistics.append(cepstral_statistics(samples, features.rate))
    kept = recordings.take(places)
    known = (kept.name, kept.paths, kept.labels, kept.speakers, kept.background, kept.given)
    return Heard(*known, frames, np.stack(statistics), features.rate, held=kept.held)


def hear_elsewhere(recordings: Recordings, features: LogMel, seed: int, channel: str = MEAN) -> Heard:
    """As `hear`, with half a second of silence around each, and noise 20 dB below it."""
    rng = np.random.default_rng(seed)
    quiet = np.zeros(round(AROUND * features.rate), np.float32)

    def changed(samples: Array) -> Array:
        longer = np.concatenate([quiet, samples, quiet])
        noise = np.sqrt(np.square(samples).mean()) * 10 ** (-LOUDER / 20) * rng.standard_normal(len(longer))
        return np.asarray(longer + noise, np.float32)

    return hear(recordings, features, changed=changed, channel=channel)


def hear_background(excerpts: Sequence[Excerpt], features: LogMel, noted: bool = False) -> NDArray[np.float16]:
    """The frames ``(T, M)`` of all excerpts, one after another; as `hear` reads them.

    Args:
        noted: whether to say what is worth knowing of the files.
    """
    blocks = [np.zeros((0, features.bins), np.float16)]
    for place, samples in read_sounds([excerpt.path for excerpt in excerpts], features.rate, noted=noted):
        excerpt = excerpts[place]
        part = samples[round(excerpt.begin * len(samples)) : round(excerpt.end * len(samples))]
        blocks.append(floored(features.of(part)).astype(np.float16))
    return np.concatenate(blocks)
