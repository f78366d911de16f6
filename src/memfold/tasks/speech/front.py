"""The front ends: log-mel frames, normalised and thinned out, for networks that hear.

Frames are either put beside one another, or go through strided convolutions, each of which looks at two of its inputs
to either side: features depend on a few frames ahead and no more.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from memfold.runtime.hearing.live import KERNEL, SIDE, STRIDE

__all__ = ["Front", "Scaling", "Stacked", "thinned"]


def thinned(lengths: Tensor, convolutions: int) -> Tensor:
    """How many steps remain of so many frames."""
    for _ in range(convolutions):
        lengths = (lengths + STRIDE - 1) // STRIDE
    return lengths


class Scaling(nn.Module):
    """Brings every band of frames ``(..., M)`` to mean 0 and deviation 1."""

    mean: Tensor  # of a band, (M,)
    scale: Tensor  # one over its standard deviation

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(bins))
        self.register_buffer("scale", torch.ones(bins))

    @torch.no_grad()
    def normalise_by(self, frames: Sequence[NDArray[np.floating]]) -> None:
        """Take mean and deviation of every band from recordings ``(T, M)``."""
        count = sum(len(recording) for recording in frames)
        mean = sum(recording.sum(0, dtype=np.float64) for recording in frames) / count
        square = sum(np.square(recording - mean, dtype=np.float64).sum(0) for recording in frames) / count
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(1 / np.sqrt(np.maximum(square, 1e-8))))

    def normalised(self, frames: Tensor) -> Tensor:
        """Frames ``(..., M)`` with mean 0 and deviation 1 in every band."""
        return (frames - self.mean) * self.scale


class Stacked(Scaling):
    """Frames ``(B, T, M)`` to features ``(B, ceil(T / K), K*M)``: K frames beside one another, 0 where none is left.

    With the input matrix of the layer above, that is a convolution whose kernel and stride are K.

    Args:
        bins: mel bands, M.
        frames: K.
    """

    def __init__(self, bins: int, frames: int) -> None:
        super().__init__(bins)
        self.frames = frames

    def steps(self, lengths: Tensor) -> Tensor:
        """How many features so many frames make."""
        return (lengths + self.frames - 1) // self.frames

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features of normalised frames, and the lengths of their rows; as `Front`."""
        batch, length, bins = x.shape
        x = torch.where(_inside(lengths, length)[..., None], x, 0.0)
        x = F.pad(x, (0, 0, 0, -length % self.frames))
        return x.reshape(batch, -1, self.frames * bins), self.steps(lengths)


class Front(Scaling):
    """Frames ``(B, T, M)`` to features ``(B, ceil(T / 2**K), C)`` by K convolutions over time with a ReLU each.

    Each step's features are brought to one scale at the end (layer normalisation, Ba et al. 2016, eq. 3).

    Args:
        bins: mel bands, M.
        channels: of every convolution, C.
        convolutions: K; each halves the rate.
    """

    def __init__(self, bins: int, channels: int, convolutions: int) -> None:
        super().__init__(bins)
        inputs = [bins] + [channels] * (convolutions - 1)
        self.convolutions = nn.ModuleList(nn.Conv1d(i, channels, KERNEL, STRIDE, padding=SIDE) for i in inputs)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features of normalised frames.

        Args:
            x: ``(B, T, M)``; what stands in the padding changes nothing.
            lengths: frames of each row, ``(B,)``.

        Returns:
            Features and the lengths of their rows.
        """
        x = x.transpose(1, 2)  # (B, M, T)
        for convolution in self.convolutions:
            x = torch.where(_inside(lengths, x.shape[2])[:, None], x, 0.0)
            x = torch.relu(convolution(x))
            lengths = thinned(lengths, 1)
        return self.norm(x.transpose(1, 2)), lengths


def _inside(lengths: Tensor, steps: int) -> Tensor:
    return torch.arange(steps)[None, :] < lengths[:, None]
