"""The network: a picture through Sequencer blocks at three resolutions to its boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.nn import LSTM, Sequencer
from memfold.tasks.detect.choices import MULTIPLE, Head

__all__ = [
    "CELL",
    "LENGTH",
    "STRIDE",
    "BoxDecoder",
    "DetectorNetwork",
    "DetectorSize",
    "grid_of",
    "padded",
]

STRIDE = 4  # pixels of a cell of the maps
CELL = 16  # pixels of a cell that has a sequence of boxes
LENGTH = 3  # of that
WIDER = 4  # times as many units as another LSTM's direction has the decoder's, and numbers that it reads of a cell
PRIOR = 0.1  # a cell's probability of a centre at first (Lin et al. 2017, sec. 4.1)


@dataclass(frozen=True)
class DetectorSize:
    """What fixes the shapes; ``channels`` at the finest resolution, twice and three times as many at the others."""

    classes: int
    channels: int
    blocks: int
    hidden_size: int
    head: Head = "centres"


class DetectorNetwork(nn.Module):
    """Sequencer stages, their maps added up at the finest resolution, and two heads."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: DetectorSize) -> None:
        super().__init__()
        self.size = size
        c = size.channels
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("deviation", torch.ones(3))
        # Three stages, each at half the resolution of the one before.
        self.fine = Sequencer(3, [(c, 1)], size.hidden_size, stem_stride=STRIDE)
        self.middle = Sequencer(c, [(2 * c, size.blocks)], size.hidden_size, stem_stride=2)
        self.coarse = Sequencer(2 * c, [(3 * c, size.blocks)], size.hidden_size, stem_stride=2)
        # What brings the stages' maps to one width, and smooths their sums.
        self.lateral = nn.ModuleList(nn.Conv2d(n * c, c, 1) for n in (1, 2, 3))
        self.neck = nn.ModuleList(_convolution(c) for _ in range(2))
        if size.head == "sequence":
            self.decoder = BoxDecoder(c, size.classes, WIDER * size.hidden_size)
        else:
            self.heat = nn.Sequential(_convolution(c), nn.Conv2d(c, size.classes, 1))
            self.box = nn.Sequential(_convolution(c), nn.Conv2d(c, 4, 1))
            nn.init.constant_(self.heat[1].bias, -log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def normalise_by(self, pixels: Sequence[Tensor]) -> None:
        """Take the means and deviations of the colours of pictures ``(3, H, W)`` of 0 to 255."""
        count = sum(picture[0].numel() for picture in pixels)
        mean = torch.stack([picture.sum((1, 2)) for picture in pixels]).double().sum(0) / count / 255
        off = [(picture.double() / 255 - mean[:, None, None]).square().sum((1, 2)) for picture in pixels]
        self.mean.copy_(mean)
        self.deviation.copy_((torch.stack(off).sum(0) / count).sqrt().clamp(min=1 / 255))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of a centre ``(B, K, h, w)``, and the cells' boxes ``(B, 4, h, w)``; or the decoder's two outputs.

        Args:
            pixels: 0 to 1, (B, 3, H, W), H and W multiples of 16.
        """
        # Bottom up: features at a quarter, an eighth and a sixteenth of the pixels.
        x = (pixels - self.mean[:, None, None]) / self.deviation[:, None, None]
        fine = self.fine(x)  # (B, c, h, w)
        middle = self.middle(fine)  # (B, 2c, h/2, w/2)
        coarse = self.coarse(middle)  # (B, 3c, h/4, w/4)
        # Top down: each coarser map is enlarged and added to the finer one.
        y = self.lateral[2](coarse)
        for lateral, neck, finer in ((self.lateral[1], self.neck[0], middle), (self.lateral[0], self.neck[1], fine)):
            y = neck(lateral(finer) + F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False))
        if self.size.head == "sequence":
            boxes: tuple[Tensor, Tensor] = self.decoder(y)
            return boxes
        return self.heat(y), self.box(y)


class BoxDecoder(nn.Module):
    """An LSTM that looks at a cell of the map and predicts its boxes, one a step (Stewart, Andriluka & Ng 2016).

    Args:
        channels: of the map.
        classes: K.
        hidden_size: units of the LSTM, and numbers that it reads of a cell.
    """

    def __init__(self, channels: int, classes: int, hidden_size: int) -> None:
        super().__init__()
        self.classes = classes
        side = CELL // STRIDE
        # One vector for each cell of the grid.
        self.look = nn.Sequential(nn.Conv2d(channels, hidden_size, side, side), nn.GELU())
        # It reads the same vector at every step, and each step writes one box.
        self.lstm = LSTM(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, classes + 1 + 4)
        with torch.no_grad():
            self.output.bias[classes] += log(classes * (1 - PRIOR) / PRIOR)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the classes and of none ``(C, L, K + 1)``, and the boxes ``(C, L, 4)``, of all images' cells.

        Args:
            maps: (B, c, h, w), whose last cells need not be whole.
        """
        # Fill the last row and column of cells up, then take a vector of every cell.
        missing = [-side % (CELL // STRIDE) for side in maps.shape[:1:-1]]
        cells = self.look(F.pad(maps, (0, missing[0], 0, missing[1]))).permute(0, 2, 3, 1).flatten(0, 2)  # (C, D)
        outputs = self.output(self.decode(cells)).transpose(0, 1)  # (C, L, K + 1 + 4)
        return outputs[..., : self.classes + 1], outputs[..., self.classes + 1 :]

    def decode(self, cells: Tensor) -> Tensor:
        """What the LSTM makes of cells ``(C, D)``, which it sees anew at every step, (L, C, H)."""
        hidden: Tensor = self.lstm(cells.expand(LENGTH, -1, -1))[0]
        return hidden


def grid_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the cells of a picture that have sequences."""
    return -(-height // CELL), -(-width // CELL)


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
