"""From files to what the network and the baseline take of them, read once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import kaldi_native_fbank as knf
import numpy as np
from numpy.typing import NDArray

from memfold.data.commands import Excerpt, Recordings
from memfold.data.features import LogMel
from memfold.data.recording_copies import frame_keys
from memfold.tasks.speech.level import floored
from memfold.tasks.speech.recordings import read_sounds

__all__ = ["STATISTICS", "Heard", "hear", "hear_background", "hear_elsewhere", "mfcc_statistics"]

Array = NDArray[np.float32]
COEFFICIENTS = 13
LEVEL, WHISPER = 0.1, 40.0  # of the loudest tenth of a second, full scale being 1; decibels below it
SPOKEN, BESIDE = 0.2, 3  # of the way from the quiet to the loudest frame; frames
AROUND, LOUDER = 0.5, 20.0  # seconds of silence before and after; decibels of speech above noise
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


def hear(
    recordings: Recordings,
    features: LogMel,
    show: bool = False,
    fitting: bool = False,
    changed: Callable[[Array], Array] | None = None,
) -> Heard:
    """Read the files; those that cannot be read are left out, and named on standard error.

    Args:
        show: whether to show a progress bar.
        fitting: whether they are to train on.
        changed: what is made of the samples before they are heard; then nothing is said of the files.

    Raises:
        InputError: none of them can be read.
    """
    places, frames, statistics = [], [], []
    for place, samples in read_sounds(recordings.paths, features.rate, show, fitting=fitting, noted=changed is None):
        places.append(place)
        samples = samples if changed is None else changed(samples)
        frames.append(floored(features.of(samples)).astype(np.float16))
        statistics.append(mfcc_statistics(samples, features.rate))
    kept = recordings.take(places)
    known = (kept.name, kept.paths, kept.labels, kept.speakers, kept.background, kept.given)
    return Heard(*known, frames, np.stack(statistics), features.rate, held=kept.held)


def hear_elsewhere(recordings: Recordings, features: LogMel, seed: int) -> Heard:
    """As `hear`, with half a second of silence around each, and noise 20 dB below it."""
    rng = np.random.default_rng(seed)
    quiet = np.zeros(round(AROUND * features.rate), np.float32)

    def changed(samples: Array) -> Array:
        longer = np.concatenate([quiet, samples, quiet])
        noise = np.sqrt(np.square(samples).mean()) * 10 ** (-LOUDER / 20) * rng.standard_normal(len(longer))
        return np.asarray(longer + noise, np.float32)

    return hear(recordings, features, changed=changed)


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
    """Mean, deviation and quantiles of a recording's cepstra and of their differences while something is said, (Q,).

    The loudest tenth of a second is brought to one level, and a whisper of white noise is added, so that loudness,
    silence around, digital silence and missing bands change little: without them, a second of silence before and after
    a spoken digit left 10 of 100 right, with them 94.
    """
    options = knf.MfccOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0.0
    options.num_ceps = COEFFICIENTS
    online = knf.OnlineMfcc(options)
    online.accept_waveform(rate, 32768 * _over_noise(samples, rate))
    online.input_finished()
    frames = np.stack([online.get_frame(k) for k in range(online.num_frames_ready)])  # (T, 13)
    spoken = _spoken(frames[:, 0])
    parts = []
    for values in (frames, np.diff(frames, axis=0, prepend=frames[:1])):
        said = values[spoken]
        parts += [said.mean(0), said.std(0), *np.quantile(said, QUANTILES, axis=0)]
    return np.concatenate(parts).astype(np.float32)


def _over_noise(samples: Array, rate: int) -> Array:
    """Samples at one level, over noise `WHISPER` below it, the same in every recording."""
    span = rate // 10
    sums = np.cumsum(np.concatenate([np.zeros(span), np.square(samples, dtype=np.float64)]))
    power = float((sums[span:] - sums[:-span]).max()) / span
    noise = 10 ** (-WHISPER / 20) * np.random.default_rng(0).standard_normal(len(samples))
    return np.asarray(LEVEL * (samples / np.sqrt(power + 1e-12) + noise), np.float32)


def _spoken(energy: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """The frames of log energies ``(T,)`` that are far above the quiet ones, and a few beside them."""
    low, high = np.quantile(energy, 0.05), energy.max()
    loud = energy >= low + SPOKEN * (high - low)
    near = np.convolve(loud, np.ones(2 * BESIDE + 1))[BESIDE:-BESIDE]
    return np.asarray(near > 0)
