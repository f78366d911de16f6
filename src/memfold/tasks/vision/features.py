"""What an image is by its edges, its colours and its light, without any learning: numbers for a plain classifier."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["GROUPS", "features_of"]

Values = NDArray[np.float32]

GROUPS = ("edges", "colours", "light")  # of the features, in their order
DIRECTIONS = 9  # of edges, over half a turn (Dalal & Triggs 2005, sec. 6.3)
SHADES = 4  # of each of the three colours
COLOUR_GRIDS = (1, 2)
LIGHT_SIDE = 16  # cells
COLOUR_SIDE = 64  # pixels along a side whose colours count, at most
AT_ONCE = 100  # images


def features_of(pixels: NDArray[np.uint8]) -> list[Values]:
    """The groups of features of images ``(N, C, S, S)``, each ``(N, D)``; grey images have no colours, D = 0."""
    side = pixels.shape[2]
    # Cells of some 8 pixels, and of twice as many; at most 8 of them along a side, where details stop to matter.
    cells = int(np.clip(round(side / 8), 2, 8)) if side >= 40 else int(np.clip(side // 4, 2, 7))
    blocks = [pixels[start : start + AT_ONCE] for start in range(0, len(pixels), AT_ONCE)]
    parts = [[_edges(block, (cells, -(-cells // 2))), _colours(block), _light(block)] for block in blocks]
    return [np.concatenate(group) for group in zip(*parts, strict=True)]


def _edges(pixels: NDArray[np.uint8], grids: tuple[int, ...]) -> Values:
    """Histograms of oriented gradients (Dalal & Triggs 2005) on some grids, ``(N, D)``.

    A place counts by the colour that changes most there. A cell is divided by the energy of the nine around it, and its
    square root taken, as theirs is.
    """
    values = np.sqrt(pixels.astype(np.float32) / np.float32(255))
    across, down = np.zeros_like(values), np.zeros_like(values)
    across[..., 1:-1] = values[..., 2:] - values[..., :-2]
    down[..., 1:-1, :] = values[..., 2:, :] - values[..., :-2, :]
    steepest = np.hypot(across, down).argmax(1)[:, None]
    across, down = (np.take_along_axis(slopes, steepest, 1)[:, 0] for slopes in (across, down))
    strength = np.hypot(across, down)
    turn = (np.arctan2(down, across) % np.pi) / np.pi * DIRECTIONS
    low = np.floor(turn).astype(int) % DIRECTIONS
    beyond = turn - np.floor(turn)  # what goes to the next direction
    planes = np.empty((len(pixels), DIRECTIONS, *strength.shape[1:]), np.float32)
    for direction in range(DIRECTIONS):
        here, before = low == direction, (low + 1) % DIRECTIONS == direction
        planes[:, direction] = strength * (here * (1 - beyond) + before * beyond)
    return np.concatenate([_normalised(_pooled(planes, grid)) for grid in grids], 1)


def _normalised(cells: Values) -> Values:
    """Histograms ``(N, D, G, G)`` by the energy of the cells around, ``(N, D * G * G)``."""
    grid = cells.shape[2]
    energy = np.pad((cells**2).sum(1), ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = sum(energy[:, row : row + grid, column : column + grid] for row in range(3) for column in range(3)) / 9
    floor = 1e-4 * energy.mean((1, 2))[:, None, None] + 1e-8  # so that what is nearly even stays so
    result: Values = np.sqrt(cells / np.sqrt(around + floor)[:, None]).reshape(len(cells), -1)
    return result


def _colours(pixels: NDArray[np.uint8]) -> Values:
    """The square roots of shares of 64 colours in the whole image and in its quarters, ``(N, D)``.

    A colour counts for the eight around it, in proportion. Distances of the roots are Hellinger's.
    """
    count, colours = pixels.shape[:2]
    if colours == 1:
        return np.zeros((count, 0), np.float32)
    step = -(-pixels.shape[2] // COLOUR_SIDE)
    pixels = pixels[:, :, step // 2 :: step, step // 2 :: step]
    height, width = pixels.shape[2:]
    shades = np.clip(pixels.astype(np.float32) / 256 * SHADES - 0.5, 0, SHADES - 1 - 1e-4)
    low = np.floor(shades).astype(int)
    beyond = shades - low
    planes = np.zeros((count, SHADES**3, height, width), np.float32)
    image, row, column = np.ogrid[:count, :height, :width]
    for corner in np.ndindex(2, 2, 2):
        index = [low[:, colour] + step for colour, step in enumerate(corner)]
        parts = [beyond[:, colour] if step else 1 - beyond[:, colour] for colour, step in enumerate(corner)]
        planes[image, (index[0] * SHADES + index[1]) * SHADES + index[2], row, column] += parts[0] * parts[1] * parts[2]
    grids = [np.sqrt(_pooled(planes, grid)).reshape(count, -1) / grid for grid in COLOUR_GRIDS]
    return np.concatenate(grids, 1)


def _light(pixels: NDArray[np.uint8]) -> Values:
    """The image itself, made small, ``(N, D)``."""
    small = _pooled(pixels.astype(np.float32) / np.float32(255), min(LIGHT_SIDE, pixels.shape[2]))
    return small.reshape(len(pixels), -1)


def _pooled(planes: Values, grid: int) -> Values:
    """Means of planes ``(N, K, H, W)`` over the cells of a grid, ``(N, K, G, G)``, by how much of a pixel is in one."""
    down, across = (_weights(side, grid) for side in planes.shape[2:])
    return np.asarray(down @ planes @ across.T, np.float32)


def _weights(side: int, grid: int) -> Values:
    """How much of each pixel of a line is in each cell, ``(G, S)``; 1 a cell in all."""
    edges, pixel = np.linspace(0, side, grid + 1), np.arange(side)
    shared = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    inside = np.clip(shared, 0, None)
    return np.asarray(inside / inside.sum(1, keepdims=True), np.float32)
