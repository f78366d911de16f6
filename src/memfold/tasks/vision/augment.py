"""Images made different at every epoch: moved, turned, scaled, bent, lit otherwise, partly hidden."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Augmentation", "augmented"]

KNOTS = 5  # of the field that bends an image, along each side


@dataclass(frozen=True)
class Augmentation:
    """How far images are changed, at most unless said otherwise.

    Attributes:
        shift: of the side.
        rotate: in degrees.
        scale, stretch: logarithm of the size, and of that of one side by the other.
        elastic: deviation of the field that bends, of half the side.
        light: deviation of brightness, and of the logarithm of contrast, in deviations of the pixels.
        cutout: side of a hidden rectangle, of the side; half of the images have one.
        flip: whether left and right are exchanged, for half of the images.
    """

    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    stretch: float = 0.0
    elastic: float = 0.0
    light: float = 0.0
    cutout: float = 0.0
    flip: bool = False


def augmented(images: Tensor, by: Augmentation) -> Tensor:
    """Every image changed in its own way; the numbers are drawn from torch's global generator.

    Args:
        images: ``(B, C, S, S)``, with the mean 0 and the deviation 1. What comes in from outside repeats their edge.
    """
    count, _, height, width = images.shape

    def uniform(most: float, *shape: int) -> Tensor:
        return most * (2 * torch.rand(count, *shape) - 1)

    angle = uniform(math.radians(by.rotate))
    scale = uniform(by.scale)
    stretch = uniform(by.stretch)
    flip = torch.where(torch.rand(count) < 0.5, -1.0, 1.0) if by.flip else torch.ones(count)
    across = (scale + stretch).exp()
    down = (scale - stretch).exp()
    rows = [
        torch.stack([flip * across * angle.cos(), -down * angle.sin()], 1),
        torch.stack([flip * across * angle.sin(), down * angle.cos()], 1),
    ]
    theta = torch.cat([torch.stack(rows, 1), 2 * uniform(by.shift, 2, 1)], 2)  # (B, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)  # (B, S, S, 2)
    if by.elastic:
        knots = by.elastic * torch.randn(count, 2, KNOTS, KNOTS)
        field = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
        grid = grid + field.permute(0, 2, 3, 1)
    images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    if by.light:
        light = by.light * torch.randn(count, 1, 1, 1)
        contrast = (by.light * torch.randn(count, 1, 1, 1)).exp()
        images = contrast * images + light
    if by.cutout:
        images = images * ~_rectangles(count, height, width, by.cutout)
    return images


def _rectangles(count: int, height: int, width: int, most: float) -> Tensor:
    """Where half of the images are hidden (DeVries & Taylor 2017), ``(B, 1, H, W)``."""
    places = torch.arange(height)[:, None], torch.arange(width)[None, :]
    inside = torch.rand(count, 1, 1) < 0.5
    for place, side in zip(places, (height, width), strict=True):
        middle = side * torch.rand(count, 1, 1)
        half = most * side / 2 * torch.rand(count, 1, 1)
        inside = inside & ((place - middle).abs() < half)
    return inside[:, None]
