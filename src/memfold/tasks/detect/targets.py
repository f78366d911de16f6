"""Boxes as maps of their centres, and maps as boxes (Zhou, Wang & Krähenbühl 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Targets", "gaussian_radius", "peaks", "targets_of"]

OVERLAP = 0.7  # of a box that is off by the radius with the true one
NEIGHBOURS = 1  # cells around the centre's cell that predict its box as well


@dataclass(frozen=True)
class Targets:
    """What maps of ``h`` by ``w`` cells should hold.

    Attributes:
        heat: 1 at the centres of boxes, falling off around them, (B, K, h, w).
        places: image, row and column of cells that predict a box, (M, 3).
        boxes: how far the box's centre is from the cell's, to the right and down, in cells, and the logarithms of width
            and height in cells, (M, 4).
        weights: of these cells, 1 at the centre, (M,).
    """

    heat: Tensor
    places: Tensor
    boxes: Tensor
    weights: Tensor


def gaussian_radius(sizes: Tensor) -> Tensor:
    """How far the corners of a box may be off for an overlap of 0.7 (Law & Deng 2018, sec. 3.2), the least of three.

    Args:
        sizes: width and height, (N, 2).

    Returns:
        (N,), in the same unit.
    """
    total, area = sizes.sum(1), sizes.prod(1)
    shifted = total - (total**2 - 4 * area * (1 - OVERLAP) / (1 + OVERLAP)).sqrt()  # one corner out, the other in
    inside = total - (total**2 - 4 * area * (1 - OVERLAP)).sqrt()  # both in
    outside = (total**2 + 4 * area * (1 / OVERLAP - 1)).sqrt() - total  # both out
    return torch.stack([shifted / 2, inside / 4, outside / 4]).amin(0)


def targets_of(
    boxes: Sequence[Tensor], labels: Sequence[Tensor], classes: int, shape: tuple[int, int], stride: int
) -> Targets:
    """The maps of a batch.

    Args:
        boxes: of each image left, top, width and height in its pixels, (N, 4).
        labels: their classes by number, (N,).
        classes: K.
        shape: ``h, w``.
        stride: pixels of a cell.
    """
    height, width = shape
    image = torch.repeat_interleave(torch.arange(len(boxes)), torch.tensor(list(map(len, boxes))))  # (N,)
    cells = torch.cat(list(boxes)) / stride
    kind = torch.cat(list(labels))
    sizes = cells[:, 2:]
    centres = cells[:, :2] + sizes / 2
    at = centres.floor().long()
    at = torch.stack([at[:, 0].clamp(0, width - 1), at[:, 1].clamp(0, height - 1)], 1)
    deviation = (2 * gaussian_radius(sizes) + 1) / 6  # Zhou et al. 2019, sec. 3, as in their code
    across = torch.exp(-((torch.arange(width) - at[:, :1]) ** 2) / (2 * deviation[:, None] ** 2))  # (N, w)
    down = torch.exp(-((torch.arange(height) - at[:, 1:]) ** 2) / (2 * deviation[:, None] ** 2))  # (N, h)
    heat = torch.zeros(len(boxes) * classes, height, width)
    spread = down[:, :, None] * across[:, None, :]  # (N, h, w)
    index = (image * classes + kind)[:, None, None].expand_as(spread)
    heat.scatter_reduce_(0, index, spread, "amax")
    steps = torch.arange(-NEIGHBOURS, NEIGHBOURS + 1)
    around = torch.cartesian_prod(steps, steps)  # (9, 2)
    near = at[:, None] + around  # (N, 9, 2)
    inside = ((near >= 0) & (near < torch.tensor([width, height]))).all(2)
    off = centres[:, None] - (near + 0.5)
    offsets = torch.cat([off, sizes.log()[:, None].expand(-1, len(around), -1)], 2)
    weights = torch.exp(-(around**2).sum(1) / (2 * deviation[:, None] ** 2))  # (N, 9)
    places = torch.cat([image[:, None, None].expand(-1, len(around), 1), near.flip(2)], 2)
    return Targets(heat.view(len(boxes), classes, height, width), places[inside], offsets[inside], weights[inside])


def peaks(heat: Tensor, offsets: Tensor, stride: int, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The boxes at the highest peaks, cells that none of their eight neighbours exceeds.

    Args:
        heat: probabilities of a centre, (B, K, h, w).
        offsets: the boxes that the cells predict, as in `Targets.boxes`, (B, 4, h, w).
        stride: pixels of a cell.
        most: boxes of an image.

    Returns:
        Left, top, width and height in pixels ``(B, M, 4)``, classes and scores ``(B, M)``, the highest scores first.
    """
    classes, height, width = heat.shape[1:]
    kept = heat * (F.max_pool2d(heat, 3, 1, 1) == heat)
    scores, index = kept.flatten(1).topk(min(most, classes * height * width))
    labels = index // (height * width)
    cell = index % (height * width)
    chosen = offsets.flatten(2).gather(2, cell[:, None].expand(-1, 4, -1)).transpose(1, 2)  # (B, M, 4)
    sizes = chosen[..., 2:].exp()
    middle = torch.stack([cell % width, cell // width], 2) + 0.5 + chosen[..., :2]
    return torch.cat([middle - sizes / 2, sizes], 2) * stride, labels, scores
