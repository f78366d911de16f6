"""Log-mel frames, the same whether a recording is whole or still coming in: both are kaldi-native-fbank's."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import kaldi_native_fbank as knf
import numpy as np
from numpy.typing import NDArray

__all__ = ["LogMel"]

Frames = NDArray[np.float32]
SHIFT, LENGTH = 0.010, 0.025  # seconds between two frames, and that a frame looks at


@dataclass(frozen=True)
class LogMel:
    """Logarithms of the energy in mel bands, a frame every 10 ms over 25 ms of sound.

    Attributes:
        rate: samples a second.
        bins: mel bands, M, from 20 Hz to half the rate.

    >>> second = np.zeros(16000, np.float32)
    >>> LogMel(16000, 80).of(second).shape
    (98, 80)
    """

    rate: int
    bins: int

    def of(self, samples: NDArray[np.float32]) -> Frames:
        """The frames ``(T, M)`` of a whole recording ``(N,)``."""
        frames = list(self.follow([samples]))
        return np.stack(frames) if frames else np.zeros((0, self.bins), np.float32)

    def count(self, samples: int) -> int:
        """How many frames so many samples make."""
        length = round(LENGTH * self.rate)
        shift = round(SHIFT * self.rate)
        return max(0, 1 + (samples - length) // shift)

    def follow(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[Frames]:
        """Each frame ``(M,)`` as soon as the sound for it has come."""
        online = knf.OnlineFbank(self._options())
        done = 0
        for block in blocks:
            online.accept_waveform(self.rate, 32768 * block)  # Kaldi's scale, for which its floor is made
            ready = online.num_frames_ready
            for index in range(done, ready):
                yield online.get_frame(index).copy()  # a view of memory that pop gives back
            online.pop(ready - done)
            done = ready

    def _options(self) -> knf.FbankOptions:
        options = knf.FbankOptions()
        options.frame_opts.samp_freq = self.rate
        options.frame_opts.dither = 0.0
        options.mel_opts.num_bins = self.bins
        return options
