"""The plan of a detector: how large its images are, and how they may be mirrored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.data.boxes import BoxedImages
from memfold.tasks.detect.choices import Flips
from memfold.tasks.planning import Plan

__all__ = ["Facts", "facts_of", "flips_of", "plan", "share_held_out"]

PIXEL_SECONDS = 7e-7  # of training a pixel of an image at speed 1
LEAST_PIXELS = 16  # of the side of a small thing
SMALLEST, LARGEST, STEP = 128, 320, 16  # pixels of the longer side
EPOCHS = 25.0  # that should fit
RARE = 10  # boxes of a class from which on its sizes count
VALIDATED = 60  # images to validate on, where there are enough
CROP = 32  # pixels of what is cut out to look at
CROPS = 600
BOXES_EACH = 3  # boxes of an image that are cut out


@dataclass(frozen=True)
class Facts:
    """What is seen in images with boxes.

    Attributes:
        side: pixels of the longer side that the images were read at.
        aspect: of the shorter side, as a share of the longer one.
        images, boxes, classes: how many.
        small: the side of a box than which a quarter of a class's are smaller, as a share of an image's longer side; of
            the class with the smallest.
        flips: that leave the things what they are.
    """

    side: int
    aspect: float
    images: int
    boxes: int
    classes: int
    small: float
    flips: Flips

    def __str__(self) -> str:
        return (
            f"{self.images:,} images with {self.boxes:,} boxes of {self.classes:,} classes, small ones "
            f"{100 * self.small:.0f} % of the longer side, flips {self.flips}"
        )


def facts_of(images: BoxedImages, flips: Flips) -> Facts:
    """What is seen in images whose pixels have been read."""
    sizes = [np.sqrt(boxes[:, 2:].prod(1)) / max(full) for boxes, full in zip(images.boxes, images.sizes, strict=True)]
    sides, labels = np.concatenate(sizes), np.concatenate([np.array(names, object) for names in images.labels])
    counts = {label: int((labels == label).sum()) for label in images.classes}
    usual = [label for label, count in counts.items() if count >= RARE] or images.classes
    small = min(float(np.quantile(sides[labels == label], 0.25)) for label in usual)
    aspect = float(np.median([min(size) / max(size) for size in images.sizes]))
    side = int(np.median([max(pixels.shape) for pixels in images.pixels]))
    return Facts(side, aspect, len(images), len(labels), len(counts), small, flips)


def plan(facts: Facts, seconds: float, speed: float, size: int | None = None) -> Plan:
    """The size at which small things have 16 pixels, and less where too few epochs would fit into the budget.

    Args:
        size: what was set by hand.
    """

    def epochs(side: int) -> float:
        return seconds * speed / (side**2 * facts.aspect * PIXEL_SECONDS * facts.images)

    wanted = min(max(SMALLEST, STEP * round(LEAST_PIXELS / facts.small / STEP)), LARGEST, facts.side)
    sides = [*range(SMALLEST, wanted, STEP), wanted]
    fitting = [side for side in sides if epochs(side) >= EPOCHS]
    # Of things that would be smaller than 10 pixels more is lost than epochs win.
    least = min(wanted, STEP * round(0.6 * LEAST_PIXELS / facts.small / STEP))
    side = size or max([least, *fitting]) if fitting or size else max(least, sides[0])
    return Plan({"size": int(side), "flips": facts.flips}, str(facts), epochs(side))


def share_held_out(images: int) -> float:
    """What share of so many images is validated on: a tenth, of few more, a quarter at most."""
    return float(np.clip(VALIDATED / images, 0.1, 0.25))


def flips_of(images: BoxedImages, seed: int = 0) -> Flips:
    """How images, whose pixels have been read, may be mirrored.

    A plain classifier of edges must know things, and what is none, when what is cut out is mirrored or turned.
    """
    from memfold.tasks.vision.mirrored import left_to_right, quarter_turned, unchanged_by, upside_down

    pixels, labels = _crops(images, np.random.default_rng(seed))
    classes = len(images.classes) + 1
    changes = left_to_right, upside_down, quarter_turned
    mirrored, *others = unchanged_by(changes, pixels, labels, classes)
    return ("all" if all(others) else "horizontal") if mirrored else "none"


def _crops(images: BoxedImages, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Things cut out of images, each with a place of its size beside it; and their classes, the last of them none."""
    from PIL import Image

    numbers = images.numbers(images.classes)
    crops, labels = [], []
    for row in rng.permutation(len(images)).tolist():
        picture = Image.fromarray(images.pixels[row].transpose(1, 2, 0))
        scale = max(picture.size) / max(images.sizes[row])
        boxes = images.boxes[row] * scale
        for box, number in list(zip(boxes.tolist(), numbers[row].tolist(), strict=True))[:BOXES_EACH]:
            size, extent = np.maximum(box[2:], 1.0), np.array(picture.size, float)
            elsewhere = rng.uniform(0, 1, 2) * np.maximum(extent - size, 0)
            for corner, label in ((box[:2], number), (elsewhere, len(images.classes))):
                low = np.clip(corner, 0, extent - 1)
                frame = (*low.tolist(), *np.minimum(low + size, extent).tolist())
                crop = picture.resize((CROP, CROP), Image.Resampling.BILINEAR, frame)
                crops.append(np.asarray(crop).transpose(2, 0, 1))
                labels.append(label)
        if len(crops) >= CROPS:
            break
    return np.stack(crops), np.array(labels)
