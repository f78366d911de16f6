"""Made-up faces: each person has a pattern of soft blobs, each picture moves it a little and adds noise."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 16


def pattern(person: int) -> np.ndarray:
    """What is a person's own, (S + 4, S + 4)."""
    rng = np.random.default_rng((7, person))
    y, x = np.mgrid[: SIZE + 4, : SIZE + 4]
    result = np.zeros((SIZE + 4, SIZE + 4))
    for _ in range(5):
        down, across = rng.uniform(3, SIZE + 1, 2)
        result += rng.choice([-1, 1]) * np.exp(-((y - down) ** 2 + (x - across) ** 2) / 8)
    return result


def picture(person: int, rng: np.random.Generator) -> Image.Image:
    down, across = rng.integers(0, 5, 2)
    own = pattern(person)[down : down + SIZE, across : across + SIZE]
    light, contrast = rng.uniform(110, 140), rng.uniform(45, 75)
    return Image.fromarray((light + contrast * own + rng.normal(0, 6, own.shape)).clip(0, 255).astype(np.uint8))


def write_people(folder: Path, people: range, count: int, seed: int = 0) -> Path:
    """A folder for each person, ``p0`` and on, with so many pictures."""
    for person in people:
        rng = np.random.default_rng((seed, person))
        (folder / f"p{person}").mkdir(parents=True)
        for number in range(count):
            picture(person, rng).save(folder / f"p{person}" / f"{number}.png")
    return folder
