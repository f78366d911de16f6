"""Pictures with boxes as a network takes them: at its size, and augmented at every epoch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memfold.data.boxes import BoxedImages
from memfold.tasks.detect.choices import Flips

__all__ = ["Picture", "augmented_picture", "canvas_of", "pictures_of"]

SCALES = (0.7, 1.5)  # of a picture
STRETCH = 0.15  # of one side against the other, in logarithms, at most
SLIDE = 0.1  # of the canvas beyond the picture, at most
CUT = 0.5  # of the pictures, that end at a line behind which another one begins
SEEN = 0.3  # of a box: where less remains it is dropped
GAIN, SHADE, TINT = 0.25, 0.15, 0.08  # of contrast in logarithms, brightness, and that of each colour, at most


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        pixels: red, green and blue, 0 to 255, (3, H, W).
        boxes: left, top, width and height in these pixels, (N, 4).
        labels: the boxes' classes by number, (N,).
        scale: pixels of the file for one here.
        ignored: whether a box counts neither as right nor as wrong, (N,); None where all count.
    """

    pixels: Tensor
    boxes: Tensor
    labels: Tensor
    scale: float
    ignored: Tensor | None = None


def pictures_of(images: BoxedImages, classes: Sequence[str]) -> list[Picture]:
    """Images, whose pixels have been read, with their boxes at the same size.

    Raises:
        InputError: naming an image with a class that is not among these.
    """
    pictures = []
    numbers = images.numbers(classes)
    marks = images.ignored()
    for pixels, full, boxes, labels, ignored in zip(
        images.pixels, images.sizes, images.boxes, numbers, marks, strict=True
    ):
        scale = max(full) / max(pixels.shape)
        at_size = torch.from_numpy(boxes / np.float32(scale))
        picture = Picture(torch.from_numpy(pixels), at_size, torch.from_numpy(labels), scale)
        pictures.append(replace(picture, ignored=torch.from_numpy(ignored)) if ignored.any() else picture)
    return pictures


def canvas_of(pictures: Sequence[Picture], multiple: int) -> tuple[int, int]:
    """Height and width of what is trained on: the pictures' medians, rounded up to a multiple."""
    medians = np.median([picture.pixels.shape[1:] for picture in pictures], axis=0)
    height, width = (int(-(-side // multiple) * multiple) for side in medians)
    return height, width


def augmented_picture(
    pictures: Sequence[Picture], canvas: tuple[int, int], flips: Flips, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A picture, or two side by side, moved, scaled, turned and tinted at random.

    Args:
        pictures: the second is used by chance.
        canvas: height and width.
        flips: whether left and right, or also up and down and the two sides, may be exchanged.

    Returns:
        Pixels ``(3, H, W)``, 0 to 1, boxes ``(N, 4)`` and labels ``(N,)``.
    """
    first, second = pictures
    height, width = canvas
    frame = np.array([0.0, 0.0, width, height])
    if rng.random() >= CUT:
        return _moved(first, frame, canvas, flips, rng)
    axis = int(rng.integers(2))  # 0 cuts the width
    line = round(float(rng.uniform(0.2, 0.8)) * (width, height)[axis])
    before, after = frame.copy(), frame.copy()
    before[2 + axis] = after[axis] = line
    one, two = (_moved(picture, part, canvas, flips, rng) for picture, part in ((first, before), (second, after)))
    halves = one[0].tensor_split([line], 2 - axis)[0], two[0].tensor_split([line], 2 - axis)[1]
    return torch.cat(halves, 2 - axis), torch.cat([one[1], two[1]]), torch.cat([one[2], two[2]])


def _moved(
    picture: Picture, frame: np.ndarray, canvas: tuple[int, int], flips: Flips, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """The picture on the canvas; boxes that are seen in a frame of left, top, right and bottom."""
    size, out = np.array(picture.pixels.shape[:0:-1], float), np.array(canvas[::-1], float)  # width, height
    signs = 1 - 2 * rng.integers(2, size=2)
    turn = np.diag(signs * 1.0 if flips == "all" else [signs[0], 1.0] if flips == "horizontal" else [1.0, 1.0])
    if flips == "all" and rng.random() < 0.5:
        turn = turn[::-1]
    scale = np.exp(rng.uniform(*np.log(SCALES)) + np.array([0.5, -0.5]) * rng.uniform(-STRETCH, STRETCH))
    matrix = turn / scale  # from the canvas to the picture, around their middles
    seen = np.abs(matrix) @ out
    middle = size / 2 + rng.uniform(-1, 1, 2) * (np.abs(size - seen) / 2 + SLIDE * seen)
    pixels = _sampled(picture.pixels, matrix, middle, size, out)
    pixels = _tinted(pixels, rng)
    boxes = picture.boxes.numpy().astype(float)
    corners = np.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)  # (N, 2, 2)
    moved = (corners - middle) @ np.linalg.inv(matrix).T + out / 2
    low, high = moved.min(1), moved.max(1)
    clipped_low = np.maximum(low, frame[:2])
    clipped_high = np.minimum(high, frame[2:])
    area = np.clip(clipped_high - clipped_low, 0, None).prod(1)
    kept = area > SEEN * (high - low).prod(1)
    new = np.concatenate([clipped_low, clipped_high - clipped_low], 1)[kept]
    return pixels, torch.from_numpy(new.astype(np.float32)), picture.labels[torch.from_numpy(kept)]


def _sampled(pixels: Tensor, matrix: np.ndarray, middle: np.ndarray, size: np.ndarray, out: np.ndarray) -> Tensor:
    """What the canvas shows, 0 to 1; beyond the picture its mean colour."""
    floats = pixels.float() / 255
    mean = floats.mean((1, 2), keepdim=True)
    linear = matrix * out / size[:, None]  # in units of half the canvas and half the picture
    shift = 2 * middle / size - 1
    theta = torch.from_numpy(np.column_stack([linear, shift])).float()
    grid = F.affine_grid(theta[None], [1, 3, int(out[1]), int(out[0])], align_corners=False)
    return F.grid_sample((floats - mean)[None], grid, align_corners=False)[0] + mean


def _tinted(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    gain = np.exp(rng.uniform(-GAIN, GAIN))
    shade = rng.uniform(-SHADE, SHADE) + rng.uniform(-TINT, TINT, 3)
    mean = pixels.mean()
    return (pixels - mean) * float(gain) + mean + torch.from_numpy(shade.astype(np.float32))[:, None, None]
