"""The network: a picture through Sequencer blocks at three resolutions to maps of centres and boxes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.nn import Sequencer

__all__ = ["MULTIPLE", "STRIDE", "DetectorNetwork", "NetworkSize", "padded"]

STRIDE = 4  # pixels of a cell of the maps
MULTIPLE = 16  # of which height and width must be
PRIOR = 0.1  # a cell's probability of a centre at first (Lin et al. 2017, sec. 4.1)


@dataclass(frozen=True)
class NetworkSize:
    """What fixes the shapes; ``channels`` at the finest resolution, twice and three times as many at the others."""

    classes: int
    channels: int
    blocks: int
    hidden_size: int

    def as_json(self) -> dict[str, Any]:
        """Plain values for a configuration file."""
        return asdict(self)


class DetectorNetwork(nn.Module):
    """Sequencer stages, their maps added up at the finest resolution, and two heads."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.size = size
        c = size.channels
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("deviation", torch.ones(3))
        self.fine = Sequencer(3, [(c, 1)], size.hidden_size, stem_stride=STRIDE)
        self.middle = Sequencer(c, [(2 * c, size.blocks)], size.hidden_size, stem_stride=2)
        self.coarse = Sequencer(2 * c, [(3 * c, size.blocks)], size.hidden_size, stem_stride=2)
        self.lateral = nn.ModuleList(nn.Conv2d(n * c, c, 1) for n in (1, 2, 3))
        self.neck = nn.ModuleList(_convolution(c) for _ in range(2))
        self.heat = nn.Sequential(_convolution(c), nn.Conv2d(c, size.classes, 1))
        self.box = nn.Sequential(_convolution(c), nn.Conv2d(c, 4, 1))
        nn.init.constant_(self.heat[1].bias, -log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def normalise_by(self, pixels: Sequence[Tensor]) -> None:
        """Take the means and deviations of the colours of pictures ``(3, H, W)`` of 0 to 255."""
        count = sum(own[0].numel() for own in pixels)
        mean = torch.stack([own.sum((1, 2)) for own in pixels]).double().sum(0) / count / 255
        off = [(own.double() / 255 - mean[:, None, None]).square().sum((1, 2)) for own in pixels]
        self.mean.copy_(mean)
        self.deviation.copy_((torch.stack(off).sum(0) / count).sqrt().clamp(min=1 / 255))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of a centre ``(B, K, h, w)``, and what cells tell of their boxes ``(B, 4, h, w)``.

        Args:
            pixels: 0 to 1, (B, 3, H, W), H and W multiples of 16.
        """
        x = (pixels - self.mean[:, None, None]) / self.deviation[:, None, None]
        fine = self.fine(x)  # (B, c, h, w)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        y = self.lateral[2](coarse)
        for lateral, neck, own in ((self.lateral[1], self.neck[0], middle), (self.lateral[0], self.neck[1], fine)):
            y = neck(lateral(own) + F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False))
        return self.heat(y), self.box(y)


def _convolution(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.GELU())


def padded(pixels: Sequence[Tensor], mean: Tensor) -> Tensor:
    """Pictures ``(3, H, W)`` of 0 to 255, all of one size, as a batch of 0 to 1.

    To the next multiples of 16 they have the mean colour at the right and below.
    """
    height, width = pixels[0].shape[1:]
    full = (-(-side // MULTIPLE) * MULTIPLE for side in (height, width))
    batch = mean[:, None, None].repeat(len(pixels), 1, 1, 1).expand(-1, -1, *full).clone()
    batch[:, :, :height, :width] = torch.stack(list(pixels)) / 255
    return batch
