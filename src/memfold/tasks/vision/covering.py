"""What covering a part of a picture does to a score."""

from collections.abc import Callable
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Occlusion", "occlusion_map"]

PATCHES = 5  # that cover the shorter side; from one to the next is a third of a patch
COVERED_AT_ONCE = 32  # covered pictures


class Occlusion:
    """What covering each patch of a picture does.

    Attributes:
        side: of a patch, in pixels.
        rows, columns: where patches begin, (R,) and (C,).
        losses: what the score loses under each, (R, C).
    """

    def __init__(self, side: int, rows: list[int], columns: list[int], losses: NDArray[np.float32]) -> None:
        self.side, self.rows, self.columns, self.losses = side, rows, columns, losses

    @property
    def most_telling(self) -> tuple[int, int]:
        """The middle of the patch whose cover costs most, in pixels from above and from the left."""
        row, column = divmod(int(self.losses.argmax()), len(self.columns))
        return self.rows[row] + self.side // 2, self.columns[column] + self.side // 2


@torch.no_grad()
def occlusion_map(score: Callable[[Tensor], Tensor], pixels: Tensor) -> Occlusion:
    """What a score loses when patches of a picture get its mean colour (Zeiler & Fergus 2014, sec. 4.2).

    Args:
        score: of pictures (N, C, H, W), (N,).
        pixels: (1, C, H, W).
    """
    height, width = pixels.shape[2:]
    side = max(1, round(min(height, width) / PATCHES))
    rows, columns = _begins(height, side), _begins(width, side)
    mean = pixels.float().mean((0, 2, 3))
    colour = (mean if pixels.is_floating_point() else mean.round()).to(pixels.dtype)[:, None, None]
    places = [(row, column) for row in rows for column in columns]
    scores = []
    for start in range(0, len(places), COVERED_AT_ONCE):
        block = places[start : start + COVERED_AT_ONCE]
        covered = pixels.repeat(len(block), 1, 1, 1)
        for picture, (row, column) in zip(covered, block, strict=True):
            picture[:, row : row + side, column : column + side] = colour
        scores.append(score(covered))
    losses = (score(pixels) - torch.cat(scores)).reshape(len(rows), len(columns))
    return Occlusion(side, rows, columns, losses.numpy())


def _begins(extent: int, side: int) -> list[int]:
    """Of patches from one end to the other, a third of a side apart or a little less."""
    count = ceil((extent - side) / max(1, side // 3)) + 1
    return [round(begin) for begin in np.linspace(0, extent - side, count).tolist()]
