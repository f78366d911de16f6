"""Boxes as short sequences, one of each cell of a grid, and sequences as boxes (Stewart, Andriluka & Ng 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._higher_order_ops import while_loop

__all__ = ["CellTargets", "cells_of", "matched", "sequence_loss", "stitched", "suppressed"]

BOX_WEIGHT = 3.0
CANDIDATES = 300  # boxes of a picture that are looked at
SAME = 0.5  # overlap from which on two boxes of a class are one


@dataclass(frozen=True)
class CellTargets:
    """What the cells of a batch should predict, those without a box apart.

    Attributes:
        cells: by number, image after image and row after row, (N,).
        boxes: how far the box's centre is from the cell's, to the right and down, in cells, and the logarithms of width
            and height in cells, (N, M, 4).
        labels: their classes by number, (N, M).
        there: whether a cell has so many boxes, (N, M).
    """

    cells: Tensor
    boxes: Tensor
    labels: Tensor
    there: Tensor


def cells_of(
    boxes: Sequence[Tensor], labels: Sequence[Tensor], shape: tuple[int, int], cell: int, length: int
) -> CellTargets:
    """What the cells of a batch should predict: the boxes whose centres are in them.

    Args:
        boxes: of each image left, top, width and height in its pixels, (N, 4).
        labels: their classes by number, (N,).
        shape: rows and columns of an image's cells.
        cell: pixels of its side.
        length: boxes of a cell at most; more are left out.
    """
    rows, columns = shape
    image = torch.repeat_interleave(torch.arange(len(boxes)), torch.tensor(list(map(len, boxes))))
    scaled = torch.cat(list(boxes)) / cell
    kind = torch.cat(list(labels))
    centres = scaled[:, :2] + scaled[:, 2:] / 2
    at = centres.floor().long()
    column = at[:, 0].clamp(0, columns - 1)
    row = at[:, 1].clamp(0, rows - 1)
    off = centres - torch.stack([column, row], 1) - 0.5
    offsets = torch.cat([off, scaled[:, 2:].log()], 1)
    number, order = ((image * rows + row) * columns + column).sort(stable=True)
    counts = number.bincount()
    cells = counts.nonzero()[:, 0]
    inverse = (counts > 0).cumsum(0)[number] - 1
    place = torch.arange(len(number)) - (counts.cumsum(0) - counts)[number]  # among its cell's
    most = min(length, int(counts.max())) if len(counts) else 1
    kept = place < most
    targets = CellTargets(
        cells,
        torch.zeros(len(cells), most, 4),
        torch.zeros(len(cells), most, dtype=torch.long),
        torch.zeros(len(cells), most, dtype=torch.bool),
    )
    where = inverse[kept], place[kept]
    targets.boxes[where], targets.labels[where], targets.there[where] = offsets[order[kept]], kind[order[kept]], True
    return targets


def matched(offsets: Tensor, targets: CellTargets) -> Tensor:
    """Which step predicts which true box, (N, M): the assignment of the least cost, as Stewart et al. 2016 have it.

    Costs are compared number by number: first how many of the true boxes do not hold the middle of the box that is to
    predict them, then the sum of the steps, then the distance.

    Args:
        offsets: of the targets' cells, (N, L, 4).
    """
    steps, most = offsets.shape[1], targets.boxes.shape[1]
    one = offsets[:, :, None].double()
    two = targets.boxes[:, None].double()
    distance = (one - two).abs().sum(3)  # (N, L, M)
    outside = ((one[..., :2] - two[..., :2]).abs() > two[..., 2:].exp() / 2).any(3)
    rank = torch.arange(steps)[:, None]
    unit = distance.sum() + 1  # of a step: more than all distances together
    cost = (outside * (1 + steps * most) + rank) * unit + distance
    ways = torch.tensor(list(permutations(range(steps), most)), dtype=torch.long).reshape(-1, most)  # (P, M)
    total = (cost * targets.there[:, None])[:, ways, torch.arange(most)].sum(2)  # (N, P)
    return ways[total.argmin(1)]


def sequence_loss(logits: Tensor, offsets: Tensor, targets: CellTargets) -> Tensor:
    """The Hungarian loss, a true box (Stewart et al. 2016), with classes and none for their confidence.

    Args:
        logits: of the classes and of none, (C, L, K + 1).
        offsets: as in the targets, (C, L, 4).
    """
    steps = matched(offsets[targets.cells].detach(), targets)[targets.there]
    cells = targets.cells[:, None].expand_as(targets.there)[targets.there]
    kinds = torch.full(logits.shape[:2], logits.shape[2] - 1)
    kinds[cells, steps] = targets.labels[targets.there]
    lost = F.cross_entropy(logits.flatten(0, 1), kinds.flatten(), reduction="sum")
    off = (offsets[cells, steps] - targets.boxes[targets.there]).abs().sum()
    return (lost + BOX_WEIGHT * off) / max(1, len(steps))


def stitched(
    logits: Tensor, offsets: Tensor, shape: tuple[int, int], cell: int, most: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The boxes of all cells together, without those that another cell or step predicts with a higher score.

    Stewart et al. match the boxes of neighbouring cells once more; this is the simpler non-maximum suppression.

    Args:
        logits: of the classes and of none, (C, L, K + 1), the cells of all images.
        offsets: as in `CellTargets`, (C, L, 4).
        shape: rows and columns of an image's cells.
        cell: pixels of its side.
        most: boxes of an image.

    Returns:
        Left, top, width and height in pixels ``(B, M, 4)``, classes and scores ``(B, M)``, the highest scores first.
        Scores of boxes that were left out are 0.
    """
    rows, columns = shape
    classes = logits.shape[2] - 1
    steps = logits.shape[1]
    number = torch.arange(rows * columns)
    middles = torch.stack([number % columns, number // columns], 1) + 0.5  # (C/B, 2)
    by_cell = offsets.reshape(-1, rows * columns, steps, 4)
    sizes = by_cell[..., 2:].exp()
    boxes = (torch.cat([middles[:, None] + by_cell[..., :2] - sizes / 2, sizes], 3) * cell).flatten(
        1, 2
    )  # (B, C/B*L, 4)
    chances = logits.softmax(2)[..., :classes].reshape(by_cell.shape[0], -1)
    scores, index = chances.topk(min(CANDIDATES, chances.shape[1]))
    labels = index % classes
    boxes = boxes.gather(1, (index // classes)[..., None].expand(-1, -1, 4))
    scores = torch.where(suppressed(boxes, labels), 0.0, scores)
    scores, order = scores.topk(min(most, scores.shape[1]))
    return boxes.gather(1, order[..., None].expand(-1, -1, 4)), labels.gather(1, order), scores


def suppressed(boxes: Tensor, labels: Tensor) -> Tensor:
    """Whether a box overlaps one before it that is not suppressed, of its class, by a half or more, (B, M).

    Args:
        boxes: the highest scores first, (B, M, 4).
        labels: (B, M).
    """
    low = boxes[..., :2]
    high = boxes[..., :2] + boxes[..., 2:]
    shared = torch.minimum(high[:, :, None], high[:, None]) - torch.maximum(low[:, :, None], low[:, None])
    both = shared.clamp(min=0).prod(3)  # (B, M, M)
    area = boxes[..., 2:].prod(2)
    earlier = torch.ones_like(both[0], dtype=torch.bool).triu(1)
    clash = (
        (both >= SAME * (area[:, :, None] + area[:, None] - both)) & (labels[:, :, None] == labels[:, None]) & earlier
    )

    def again(out: Tensor) -> Tensor:
        """Whether a box clashes with one before it that is not out."""
        return (clash & ~out[:, :, None]).any(1)

    # From round to round one more of every chain of boxes is settled; a graph that is exported has the same loop.
    before = torch.zeros_like(labels, dtype=torch.bool)
    out = again(before)
    if torch.compiler.is_exporting():
        loop: tuple[Tensor, Tensor] = while_loop(  # type: ignore[no-untyped-call]
            lambda before, out: (before != out).any(), lambda _, out: (out.clone(), again(out)), (before, out)
        )
        return loop[1]
    while not torch.equal(before, out):
        before, out = out, again(out)
    return out
