"""The plan of a classifier: how large its images are, how many make a step, whether they may be mirrored."""

from dataclasses import dataclass

import numpy as np

from memfold.tasks.planning import Plan

__all__ = ["Facts", "folds_of", "plan"]

SIZES = (160, 128, 96, 64, 48, 32)  # pixels, of larger images
STRIDES = (2, 4, 8)
PLACE_SECONDS, PIXEL_SECONDS = 1.7e-5, 2.6e-7  # of training an image at speed 1; of 28 pixels and 49 places 1 ms
EPOCHS = 40.0  # that a thousand images should be seen for
FEWEST_EPOCHS, MOST_EPOCHS = 12.0, 70.0
FEWEST_PLACES = 36
STEPS = 1500
SMALLEST_BATCH, LARGEST_BATCH = 16, 128
VALIDATED = 100  # images to validate on, where there are enough


@dataclass(frozen=True)
class Facts:
    """What is seen in labelled images.

    Attributes:
        side: pixels of the square that they were read at, their own where they are small.
        images: to train on.
        classes: how many.
        fewest, most: images of a class.
        mirrored: whether they are taken for the same classes when left and right are exchanged.
    """

    side: int
    images: int
    classes: int
    fewest: int
    most: int
    mirrored: bool

    def __str__(self) -> str:
        each = f"{self.fewest:,}" if self.fewest == self.most else f"{self.fewest:,} to {self.most:,}"
        alike = "alike" if self.mirrored else "not alike"
        return (
            f"{self.images:,} images of {self.side} pixels, {self.classes:,} classes of {each}, {alike} when mirrored"
        )


def plan(facts: Facts, seconds: float, speed: float, size: int | None = None, stride: int | None = None) -> Plan:
    """The largest images, and the most places in them, for which enough epochs fit into the budget.

    Args:
        size, stride: what was set by hand.
    """
    # Few images are seen more often; of MNIST a tenth has enough with 15 epochs.
    wanted = np.clip(EPOCHS * (1000 / facts.images) ** 0.5, FEWEST_EPOCHS, MOST_EPOCHS)
    sizes = [size] if size else [side for side in SIZES if side < facts.side] + [min(facts.side, SIZES[0])]
    passes = {
        (side, step): seconds * speed / (places * PLACE_SECONDS + side**2 * PIXEL_SECONDS)
        for side in sizes
        for step in ([stride] if stride else STRIDES)
        if (places := (-(-side // step)) ** 2) >= FEWEST_PLACES or step == STRIDES[0] or stride
    }
    fitting = [choice for choice, count in passes.items() if count / facts.images >= wanted]
    # The largest image, with the most places: of ants and bees 96 pixels with a stride of 8 gave 78 %, 64 pixels with
    # one of 4 gave 68 % in the same time. Where nothing fits, what is seen most often.
    side, step = best = max(fitting, key=lambda c: (c[0], -c[1])) if fitting else max(passes, key=passes.__getitem__)
    batch = 2 ** int(np.log2(max(1.0, passes[best] / STEPS)))
    values = {
        "size": int(side),
        "stem_stride": int(step),
        "batch_size": int(np.clip(batch, SMALLEST_BATCH, LARGEST_BATCH)),
        "flip": facts.mirrored,
    }
    return Plan(values, str(facts), passes[best] / facts.images)


def folds_of(images: int) -> int:
    """Of how many folds one is held out to validate on: a twentieth, of few images more, at most a fifth."""
    return int(np.clip(images // VALIDATED, 5, 20))
