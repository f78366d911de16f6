"""What is made of sound before a network hears it, as tensors: for models that other programs give samples.

The same numbers as `memfold.data.features.LogMel` and `memfold.runtime.hearing` compute with NumPy, but for rounding,
of batches of recordings of any length.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.data.features import CEPSTRAL_BINS, FLOOR, FULL, LogMel, cepstral_transform
from memfold.runtime.hearing.cepstra import BESIDE, LEVEL, QUANTILES, SPOKEN, WHISPER, whisper
from memfold.runtime.hearing.level import FLOOR as QUIETEST
from memfold.runtime.hearing.level import FORGOTTEN, LEAST, WINDOW

__all__ = ["CepstralStatistics", "MelFrames", "as_stored", "inside", "levelled_frames"]

DOUBLINGS = 14  # of the frames that a causal level looks back: 2**14 frames forget 37 nats, more than any level has


def inside(lengths: Tensor, steps: int) -> Tensor:
    """Which of so many steps belong to the rows, ``(B, T)``."""
    return torch.arange(steps)[None, :] < lengths[:, None]


def as_stored(frames: Tensor) -> Tensor:
    """Frames as a task keeps them: rounded to float16, by up to 0.008 in a loud band.

    It matters little: of 300 recordings of digits the probabilities are within 8e-6 of the model's with it, and within
    3e-4 without.
    """
    return frames.half().float()


class MelFrames(nn.Module):
    """Log-mel frames by two products (see `LogMel.matrices`).

    The first one is of float64: by float32 the quiet bands beside a loud one, and those above the rate that a recording
    had before, are wrong by up to 0.3.

    Args:
        step: frames of a step of the network above: as many are made as fill some steps, two at least, so that an
            exporter to ONNX can take their number to be free.
    """

    transform: Tensor  # (length, 2*F), of float64
    bands: Tensor  # (F, M), likewise

    def __init__(self, features: LogMel, step: int = 1) -> None:
        super().__init__()
        transform, bands = features.matrices()
        self.length, self.shift, self.step = features.length, features.shift, step
        self.register_buffer("transform", torch.from_numpy(transform.T.copy()))
        self.register_buffer("bands", torch.from_numpy(bands.T.copy()))

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames of recordings.

        Args:
            samples: ``(B, N)``, -1 to 1; what stands in the padding changes no frame of the recordings.
            lengths: samples of each row, ``(B,)``.

        Returns:
            Frames ``(B, T, M)``, and how many each row has ``(B,)``: none of a row that is shorter than a frame.
        """
        return self.of_cut(self.padded_cut(samples)), self.count(lengths)

    def count(self, lengths: Tensor) -> Tensor:
        """How many frames so many samples make."""
        return (lengths - self.length + self.shift).clamp(min=0) // self.shift

    def padded_cut(self, samples: Tensor) -> Tensor:
        """`cut` of samples ``(B, N)`` and of so much silence after them that T is a multiple of ``step``."""
        count = self.step * (samples.shape[1] // (self.step * self.shift) + 2)
        longer = F.pad(samples, (0, (count - 1) * self.shift + self.length - samples.shape[1]))
        return self.cut(longer, count)

    def cut(self, samples: Tensor, count: int) -> Tensor:
        """The samples of so many frames ``(B, T, length)``, of float64, from ``(B, N)``."""
        places = torch.arange(count)[:, None] * self.shift + torch.arange(self.length)
        return samples[:, places].double()

    def of_cut(self, frames: Tensor, bands: Tensor | None = None) -> Tensor:
        """Log-mel frames ``(B, T, M)`` of samples ``(B, T, length)``, in other bands where these are given."""
        real, imaginary = (frames @ self.transform).square().chunk(2, -1)
        return ((real + imaginary) @ (self.bands if bands is None else bands)).clamp(min=FLOOR).log().float()


def levelled_frames(frames: Tensor, lengths: Tensor, least: Tensor | None) -> Tensor:
    """Frames ``(B, T, M)`` relative to the level of the speech in their row, as `levelled` has it.

    Args:
        least: of each row's level, ``(B,)``; none takes the level of the frames so far, of `LEAST` at least.
    """
    heard = frames.clamp(min=QUIETEST)
    loudness = heard.exp().mean(2).log()  # (B, T)
    before = F.pad(loudness, (WINDOW - 1, 0), value=QUIETEST)
    levels = F.avg_pool1d(before[:, None], WINDOW, 1)[:, 0]  # (B, T)
    if least is not None:
        whole = levels.masked_fill(~inside(lengths, levels.shape[1]), QUIETEST).amax(1)
        return heard - torch.maximum(whole, least)[:, None, None]
    for k in range(DOUBLINGS):  # the greatest of the last 2**k levels, each as far forgotten as it is back
        earlier = F.pad(levels - FORGOTTEN * 2**k, (2**k, 0), value=QUIETEST)[:, : levels.shape[1]]
        levels = torch.maximum(levels, earlier)
    return heard - levels.clamp(min=LEAST)[..., None]


class CepstralStatistics(nn.Module):
    """`cepstral_statistics` of batches.

    Args:
        rate: samples a second.
        seconds: after which the whisper of noise begins again.
    """

    noise: Tensor
    bands: Tensor  # (F, 23)
    transform: Tensor  # (23, 13)

    def __init__(self, rate: int, seconds: int) -> None:
        super().__init__()
        self.span = rate // 10
        bands = LogMel(rate, CEPSTRAL_BINS).matrices()[1]
        self.register_buffer("bands", torch.from_numpy(bands.T.copy()))
        self.register_buffer("noise", torch.from_numpy(whisper(seconds * rate)).float())
        self.register_buffer("transform", torch.from_numpy(cepstral_transform().T.copy()).float())

    def forward(self, samples: Tensor, lengths: Tensor, mel: MelFrames) -> Tensor:
        """Of samples ``(B, N)`` and their rows' lengths ``(B,)``, ``(B, Q)``; of a row without a frame 0.

        Args:
            mel: of the network, at the same rate, of whose product the bands of the cepstra are taken too.
        """
        frames, spoken = self._cepstra(samples, lengths, mel)
        parts = []
        for values in (frames, torch.cat([torch.zeros_like(frames[:, :1]), frames.diff(dim=1)], 1)):
            count = spoken.sum(1, keepdim=True).clamp(min=1)  # (B, 1)
            weights = spoken[..., None] / count[..., None]
            mean = (values * weights).sum(1)
            deviation = ((values - mean[:, None]).square() * weights).sum(1).sqrt()
            parts += [mean, deviation, _quantiles(values, spoken, QUANTILES).flatten(1)]
        return torch.where(spoken.any(1, keepdim=True), torch.cat(parts, 1), 0.0)

    def _cepstra(self, samples: Tensor, lengths: Tensor, mel: MelFrames) -> tuple[Tensor, Tensor]:
        """Cepstra ``(B, T, 13)``, and the frames in which something is said, ``(B, T)``."""
        cut = mel.padded_cut(self._over_noise(samples, lengths))
        counts = mel.count(lengths)
        # The energy of a frame without its mean.
        energy = (FULL * (cut - cut.mean(2, keepdim=True))).square().sum(2)
        energy = energy.clamp(min=FLOOR).log().float()  # (B, T)
        within = inside(counts, energy.shape[1])
        cepstra = mel.of_cut(cut, self.bands) @ self.transform
        cepstra = torch.cat([energy[..., None], cepstra[..., 1:]], 2)
        # What is far above the quiet frames, and a few beside it.
        low = _quantiles(energy[..., None], within, (0.05,))[:, 0]  # (B, 1)
        high = energy.masked_fill(~within, float("-inf")).amax(1, keepdim=True)
        far = within & (energy >= low + SPOKEN * (high - low))
        near = F.conv1d(far[:, None].float(), torch.ones(1, 1, 2 * BESIDE + 1), padding=BESIDE)[:, 0] > 0
        return cepstra, near & within

    def _over_noise(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Samples at one level, over noise `WHISPER` below it."""
        samples = torch.where(inside(lengths, samples.shape[1]), samples, 0.0)
        sums = F.pad(samples.double().square().cumsum(1), (self.span, 0))  # (B, span + N), of all samples so far
        power = (sums[:, self.span :] - sums[:, : -self.span]).amax(1, keepdim=True) / self.span
        noise = self.noise[torch.arange(samples.shape[1]) % len(self.noise)]
        return (LEVEL * (samples / (power + 1e-12).sqrt() + 10 ** (-WHISPER / 20) * noise)).float()


def _quantiles(values: Tensor, counted: Tensor, shares: tuple[float, ...]) -> Tensor:
    """Quantiles ``(B, Q, C)`` over the counted ones of values ``(B, T, C)``, between neighbours by their distance."""
    ordered = values.masked_fill(~counted[..., None], float("inf")).sort(1).values
    last = (counted.sum(1, keepdim=True) - 1).clamp(min=0)  # (B, 1)
    places = last * torch.tensor(shares)  # (B, Q)
    below = places.floor().long()
    above = torch.minimum(below + 1, last)
    first, second = (ordered.gather(1, place[..., None].expand(-1, -1, values.shape[2])) for place in (below, above))
    return first + (second - first) * (places - below)[..., None]
