"""Small pictures of simple shapes, to learn from in seconds."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 16
SHAPES = ("bar", "disc", "post")


def drawn(shape: str, rng: np.random.Generator) -> np.ndarray:
    """A bright shape somewhere on dark noise, (S, S) of bytes."""
    pixels = rng.normal(60, 8, (SIZE, SIZE))
    across, down = rng.integers(5, SIZE - 5, 2)
    radius = rng.integers(2, 4)
    y, x = np.mgrid[:SIZE, :SIZE]
    inside = {
        "disc": (x - across) ** 2 + (y - down) ** 2 <= radius**2,
        "bar": (abs(y - down) < 1) & (abs(x - across) <= radius + 2),
        "post": (abs(x - across) < 1) & (abs(y - down) <= radius + 2),
    }[shape]
    return (pixels + 120 * inside).clip(0, 255).astype(np.uint8)


def write_shapes(folder: Path, count: int, seed: int = 0, colour: bool = False) -> Path:
    """A folder for each shape, with so many pictures."""
    rng = np.random.default_rng(seed)
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(drawn(shape, rng))
            (image.convert("RGB") if colour else image).save(folder / shape / f"{number}.png")
    return folder
