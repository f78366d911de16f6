"""From files to what the network and the baseline take of them, read once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import kaldi_native_fbank as knf
import numpy as np
from numpy.typing import NDArray

from memfold.data.commands import Excerpt, Recordings
from memfold.data.features import LogMel
from memfold.data.recording_copies import frame_keys
from memfold.tasks.speech.level import floored
from memfold.tasks.speech.recordings import read_sounds

__all__ = ["STATISTICS", "Heard", "hear", "hear_background", "mfcc_statistics"]

Array = NDArray[np.float32]
COEFFICIENTS = 13
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
STATISTICS = 2 * COEFFICIENTS * (2 + len(QUANTILES))  # Q, of a recording


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


def hear(recordings: Recordings, features: LogMel, show: bool = False, fitting: bool = False) -> Heard:
    """Read the files; those that cannot be read are left out, and named on standard error.

    Args:
        show: whether to show a progress bar.
        fitting: whether they are to train on.

    Raises:
        InputError: none of them can be read.
    """
    places, frames, statistics = [], [], []
    for place, samples in read_sounds(recordings.paths, features.rate, show, fitting=fitting):
        places.append(place)
        frames.append(floored(features.of(samples)).astype(np.float16))
        statistics.append(mfcc_statistics(samples, features.rate))
    kept = recordings.take(places)
    known = (kept.name, kept.paths, kept.labels, kept.speakers, kept.background, kept.given)
    return Heard(*known, frames, np.stack(statistics), features.rate, held=kept.held)


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
    parts = []
    for values in (frames, np.diff(frames, axis=0, prepend=frames[:1])):
        parts += [values.mean(0), values.std(0), *np.quantile(values, QUANTILES, axis=0)]
    return np.concatenate(parts).astype(np.float32)
