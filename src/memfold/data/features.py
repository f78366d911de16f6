"""Log-mel frames and cepstra, the same bits whether a recording is whole or still coming in.

They are those of Kaldi (Povey et al. 2011; its ``compute-fbank-feats`` and ``compute-mfcc-feats``, without dither), by
NumPy's Fourier transform; a frame's bits do not depend on what is computed beside it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from memfold.engine import Product

__all__ = [
    "CEPSTRA",
    "CEPSTRAL_BINS",
    "FLOOR",
    "FULL",
    "FrameStream",
    "LogMel",
    "cepstra",
    "cepstral_transform",
    "windows_of",
]

Frames = NDArray[np.float32]
Array = NDArray[np.float64]
SHIFT_MS, LENGTH_MS = 10, 25  # milliseconds between two frames, and that a frame looks at
SHIFT, LENGTH = SHIFT_MS / 1000, LENGTH_MS / 1000  # the same in seconds
FULL = 32768  # Kaldi's scale of samples, for which its floor is made
PREEMPHASIS, LOWEST = 0.97, 20.0  # of a sample in the next; Hz
POVEY = 0.85  # the power of its window
FLOOR = float(np.finfo(np.float32).eps)
CEPSTRA, CEPSTRAL_BINS, LIFTER = 13, 23, 22
AT_ONCE = 32  # frames: what they take stays in the cache
WINDOWS = 8 * AT_ONCE  # of a recording, whose samples are laid out for them


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
        return np.concatenate([self.frames(windows) for windows in self.windows(samples)])

    def count(self, samples: int) -> int:
        """How many frames so many samples make."""
        return max(0, 1 + (samples - self.length) // self.shift)

    def follow(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[Frames]:
        """Each frame ``(M,)`` as soon as the sound for it has come."""
        stream = FrameStream(self)
        for block in blocks:
            yield from stream.push(block)

    @property
    def is_fine_enough(self) -> bool:
        """Whether each band has one of a frame's frequencies in it."""
        return bool(self._bands.any(1).all())

    @property
    def length(self) -> int:
        """Samples that a frame looks at."""
        return LENGTH_MS * self.rate // 1000

    @property
    def shift(self) -> int:
        """Samples from one frame to the next."""
        return SHIFT_MS * self.rate // 1000

    def windows(self, samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """What the frames of samples ``(N,)`` look at, ``(T, length)``, some after the others: a frame's is longer than
        the step to the next, so that those of an hour at once would take gigabytes."""
        for first in range(0, max(self.count(len(samples)), 1), WINDOWS):
            begin = first * self.shift
            some = samples[begin : begin + (WINDOWS - 1) * self.shift + self.length]
            yield windows_of([some], self.length, self.shift)[0]

    def frames(self, windows: NDArray[np.float32]) -> Frames:
        """The frames ``(T, M)`` of windows ``(T, length)``, which may be of different recordings: each by itself, so
        that its bits do not depend on the others."""
        result = np.empty((len(windows), self.bins), np.float32)
        for first in range(0, len(windows), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            result[some] = self._of_centred(_centred(windows[some]))
        return result

    def matrices(self) -> tuple[Array, Array]:
        """`frame` as two products, for whoever has no Fourier transform.

        Returns:
            Of samples, ``(2*F, length)``: the real parts of F frequencies, then the imaginary ones, of what is left of
            samples without their mean, after the pre-emphasis and under the window. Of powers, ``(M, F)``: a band's
            frame is the logarithm of its product with the sums of their squares, of `FLOOR` at least.
        """
        centre = np.eye(self.length) - 1 / self.length
        emphasis = np.eye(self.length) - PREEMPHASIS * np.eye(self.length, k=-1)
        emphasis[0, 0] -= PREEMPHASIS
        angles = 2 * np.pi / self._size * np.outer(np.arange(self._size // 2), np.arange(self.length))
        fourier = np.concatenate([np.cos(angles), np.sin(angles)])
        return FULL * (fourier * self._window) @ emphasis @ centre, self._bands

    def _of_centred(self, x: Array) -> Array:
        """Log energies ``(T, M)`` of windows ``(T, length)`` without their mean."""
        emphasised = x.copy()
        emphasised[:, 1:] -= PREEMPHASIS * x[:, :-1]
        emphasised[:, 0] -= PREEMPHASIS * x[:, 0]
        emphasised *= self._window
        spectrum = np.fft.rfft(emphasised, self._size, axis=1)[:, :-1]
        power = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        return np.log(np.maximum(self._energies(power), FLOOR))

    @property
    def _size(self) -> int:
        """Points of the Fourier transform."""
        return int(1 << (self.length - 1).bit_length())

    @cached_property
    def _window(self) -> Array:
        places = np.arange(self.length) / max(self.length - 1, 1)
        window: Array = (0.5 - 0.5 * np.cos(2 * np.pi * places)) ** POVEY
        return window

    @cached_property
    def _energies(self) -> Product:
        """From powers ``(T, points / 2)`` to those of the bands."""
        return Product(self._bands)

    @cached_property
    def _bands(self) -> Array:
        """Triangles of equal width on the mel scale, (M, points / 2)."""
        low, high = _mel(np.array([LOWEST, self.rate / 2]))
        width = (high - low) / (self.bins + 1)
        at = _mel(np.arange(self._size // 2) * self.rate / self._size)
        centres = low + width * np.arange(1, self.bins + 1)
        bands: Array = np.maximum(1 - np.abs(at - centres[:, None]) / width, 0.0)
        return bands


class FrameStream:
    """The frames of sound that still comes in.

    Attributes:
        held: samples that wait for others.
    """

    moves: ClassVar[tuple[str, ...]] = ("as_list",)

    def __init__(self, features: LogMel) -> None:
        self.features = features
        self.held = np.zeros(0, np.float32)

    @property
    def as_list(self) -> list[float]:
        """The samples that are held, for a state."""
        return [float(sample) for sample in self.held]

    @as_list.setter
    def as_list(self, samples: list[float]) -> None:
        if len(samples) >= self.features.length:
            raise ValueError(f"{len(samples)} samples are held, which are a frame")
        if any(not abs(sample) <= FULL for sample in samples):
            raise ValueError("a sample is none of a sound")
        self.held = np.array(samples, np.float32)

    def push(self, block: NDArray[np.float32]) -> Frames:
        """The frames ``(T, M)`` that some more samples complete."""
        return self.features.of(self.take(block))

    def take(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples ``(N,)`` that these frames look at, with those after them, which are held."""
        sound = np.concatenate([self.held, block], dtype=np.float32)
        self.held = sound[self.features.count(len(sound)) * self.features.shift :]
        return sound


def windows_of(rows: Sequence[NDArray[Any]], length: int, shift: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Windows over the rows of several arrays, none over two of them.

    Args:
        rows: of each ``(N, ...)``.
        length, shift: rows of a window, and from the beginning of one to that of the next.

    Returns:
        The windows ``(T, length, ...)``, one array's after another's, and how many are of each.

    >>> windows_of([np.arange(5), np.arange(2), np.arange(10, 14)], 3, 1)[0].tolist()
    [[0, 1, 2], [1, 2, 3], [2, 3, 4], [10, 11, 12], [11, 12, 13]]
    """
    sizes = np.array([len(some) for some in rows])
    counts = np.maximum((sizes - length) // shift + 1, 0)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    first = np.repeat(np.cumsum(sizes) - sizes, counts) + within * shift
    return np.concatenate(rows)[first[:, None] + np.arange(length)], counts


def cepstra(samples: NDArray[np.float32], rate: int) -> Frames:
    """The first 13 cepstral coefficients of every frame, (T, 13), lifted; in place of the first, the log energy."""
    features, transformed = LogMel(rate, CEPSTRAL_BINS), Product(cepstral_transform())
    result = []
    for windows in features.windows(samples):
        x = _centred(windows)
        result.append(transformed(features._of_centred(x)))
        result[-1][:, 0] = np.log(np.maximum(np.square(x).sum(1), FLOOR))
    return np.concatenate(result).astype(np.float32)


def cepstral_transform() -> Array:
    """The cosine transform of log-mel frames to cepstra, lifted, (13, 23)."""
    places = np.arange(CEPSTRA)
    angles = np.pi / CEPSTRAL_BINS * (np.arange(CEPSTRAL_BINS) + 0.5) * places[:, None]
    transform: Array = np.sqrt(np.where(places == 0, 1, 2) / CEPSTRAL_BINS)[:, None] * np.cos(angles)
    return transform * (1 + LIFTER / 2 * np.sin(np.pi * places / LIFTER))[:, None]


def _centred(samples: NDArray[np.float32]) -> Array:
    x = np.multiply(samples, FULL, dtype=np.float64)
    x -= x.mean(1, keepdims=True)
    return x


def _mel(frequency: Array) -> Array:
    return np.asarray(1127.0 * np.log(1.0 + frequency / 700.0))
