"""What an image is by its edges, its colours and its light, without any learning: numbers for a plain classifier.

They are written in operations of torch that a graph of ONNX can hold.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["GROUPS", "blocks_of", "features_of", "groups_of"]

Values = NDArray[np.float32]

GROUPS = ("edges", "colours", "light")  # of the features, in their order
DIRECTIONS = 9  # of edges, over half a turn (Dalal & Triggs 2005, sec. 6.3)
SHADES = 4  # of each of the three colours
COLOUR_GRIDS = (1, 2)
LIGHT_SIDE = 16  # cells
COLOUR_SIDE = 64  # pixels along a side whose colours count, at most
PLACES_AT_ONCE = 1 << 17  # pixels of images that are worked on together, over all of them


@torch.no_grad()
def features_of(pixels: NDArray[np.uint8]) -> list[Values]:
    """The groups of features of images ``(N, C, S, S)``, each ``(N, D)``; grey images have no colours, D = 0."""
    parts = [groups_of(block) for block in blocks_of(pixels)]
    return [torch.cat(group).numpy() for group in zip(*parts, strict=True)]


def blocks_of(pixels: NDArray[np.uint8]) -> Sequence[Tensor]:
    """Images ``(N, C, S, S)`` in blocks that caches hold; in smaller ones threads would wait for each other."""
    return torch.split(torch.from_numpy(pixels), max(1, PLACES_AT_ONCE // pixels.shape[2] ** 2))


def groups_of(pixels: Tensor) -> list[Tensor]:
    """The same of a batch of bytes ``(B, C, S, S)``, of which S is fixed."""
    side = pixels.shape[2]
    # Cells of some 8 pixels, and of twice as many; at most 8 of them along a side, where details stop to matter.
    cells = int(np.clip(round(side / 8), 2, 8)) if side >= 40 else int(np.clip(side // 4, 2, 7))
    return [_edges(pixels, (cells, -(-cells // 2))), _colours(pixels), _light(pixels)]


def _edges(pixels: Tensor, grids: tuple[int, ...]) -> Tensor:
    """Histograms of oriented gradients (Dalal & Triggs 2005) on some grids, ``(B, D)``.

    A place counts by the colour that changes most there. A cell is divided by the energy of the nine around it, and its
    square root taken, as theirs is.
    """
    values = (pixels.float() / 255).sqrt()
    across = F.pad(values[..., 2:] - values[..., :-2], (1, 1))
    down = F.pad(values[..., 2:, :] - values[..., :-2, :], (0, 0, 1, 1))
    across, down = _steepest(across, down)
    strength = (across * across + down * down).sqrt()
    turn = torch.atan2(down, across) * (DIRECTIONS / math.pi)
    turn = torch.where(turn < 0, turn + DIRECTIONS, turn)  # (B, 1, S, S)
    planes = strength * _shares(turn, DIRECTIONS + 1)  # after half a turn the first direction comes again
    return torch.cat([_normalised(_around(_pooled(planes, grid))) for grid in grids], 1)


def _steepest(across: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """The slopes ``(B, 1, H, W)`` of the colour that changes most, the first one of equals, of ``(B, C, H, W)``."""
    slopes = [(across[:, colour : colour + 1], down[:, colour : colour + 1]) for colour in range(across.shape[1])]
    best, *others = [(a * a + d * d, a, d) for a, d in slopes]
    for square, a, d in others:
        more = square > best[0]
        best = torch.maximum(square, best[0]), torch.where(more, a, best[1]), torch.where(more, d, best[2])
    return best[1], best[2]


def _shares(values: Tensor, count: int) -> Tensor:
    """What of values ``(B, 1, ...)`` goes to the whole numbers 0 to ``count`` - 1 next to them, ``(B, count, ...)``."""
    numbers = torch.arange(count, dtype=torch.float32).view(-1, *[1] * (values.dim() - 2))
    return (1 - (values - numbers).abs()).clamp(min=0)


def _around(cells: Tensor) -> Tensor:
    """Histograms ``(B, D + 1, G, G)`` whose last direction is their first one, ``(B, D, G, G)``."""
    return torch.cat([cells[:, :1] + cells[:, -1:], cells[:, 1:-1]], 1)


def _normalised(cells: Tensor) -> Tensor:
    """Histograms ``(B, D, G, G)`` by the energy of the cells around, ``(B, D * G * G)``."""
    energy = F.pad((cells * cells).sum(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    around = F.avg_pool2d(energy, 3, 1)
    floor = 1e-4 * energy.mean((2, 3), keepdim=True) + 1e-8  # so that what is nearly even stays so
    return (cells / (around + floor).sqrt()).sqrt().flatten(1)


def _colours(pixels: Tensor) -> Tensor:
    """The square roots of shares of 64 colours in the whole image and in its quarters, ``(B, D)``.

    A colour counts for the eight around it, in proportion. Distances of the roots are Hellinger's.
    """
    if pixels.shape[1] == 1:
        return torch.zeros(pixels.shape[0], 0)
    step = -(-pixels.shape[2] // COLOUR_SIDE)
    pixels = pixels[:, :, step // 2 :: step, step // 2 :: step]
    height, width = pixels.shape[2:]
    shades = (pixels.float() / 256 * SHADES - 0.5).clamp(0.0, SHADES - 1 - 1e-4).flatten(2)  # (B, 3, P)
    red, green, blue = (_shares(shades[:, colour : colour + 1], SHADES) for colour in range(3))  # (B, SHADES, P)
    both = (red[:, :, None] * green[:, None]).flatten(1, 2)  # (B, SHADES², P)
    parts = []
    for grid in COLOUR_GRIDS:
        cells = torch.einsum("gh,kw->gkhw", _weights(height, grid), _weights(width, grid)).reshape(grid**2, -1)
        within = (blue[:, :, None] * cells).flatten(1, 2)  # (B, SHADES * G², P)
        shares = both @ within.transpose(1, 2)  # (B, SHADES², SHADES * G²)
        parts.append(shares.sqrt().flatten(1) / grid)
    return torch.cat(parts, 1)


def _light(pixels: Tensor) -> Tensor:
    """The image itself, made small, ``(B, D)``."""
    return _pooled(pixels.float() / 255, min(LIGHT_SIDE, pixels.shape[2])).flatten(1)


def _pooled(planes: Tensor, grid: int) -> Tensor:
    """Means of planes ``(B, K, H, W)`` over the cells of a grid, ``(B, K, G, G)``, by how much of a pixel is in one."""
    height, width = planes.shape[2:]
    return _weights(height, grid) @ planes @ _weights(width, grid).T


def _weights(side: int, grid: int) -> Tensor:
    """How much of each pixel of a line is in each cell, ``(G, S)``; 1 a cell in all."""
    edges, pixel = np.linspace(0, side, grid + 1), np.arange(side)
    shared = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    inside = np.clip(shared, 0, None)
    return torch.from_numpy(np.asarray(inside / inside.sum(1, keepdims=True), np.float32))
