"""The boxes in pictures by an exported part, without torch."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from memfold.data.boxes import BoxedImages
from memfold.runtime.recipe import Run
from memfold.tasks.detect.choices import MULTIPLE
from memfold.tasks.detect.scores import Boxes

__all__ = ["OUTPUTS", "alike", "boxes_by"]

PICTURES_AT_ONCE = 8
OUTPUTS = ("boxes", "labels", "scores")  # of the exported model


def boxes_by(run: Run, images: BoxedImages) -> list[Boxes]:
    """The boxes of the whole model, in pixels of the pictures' files, the highest scores first."""
    boxes: dict[int, Boxes] = {}
    for rows in alike([picture.shape for picture in images.pixels]):
        pixels = np.stack([images.pixels[row] for row in rows])
        height, width = pixels.shape[2:]
        full = np.pad(pixels, ((0, 0), (0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE)))
        inside = np.array([[width, height]] * len(rows))
        answer = run(pixels=full, inside=inside, sizes=np.array([images.sizes[row] for row in rows]))
        for row, places, labels, scores in zip(rows, *(answer[name] for name in OUTPUTS), strict=True):
            there = scores > 0
            boxes[row] = Boxes(places[there], labels[there], scores[there])
    return [boxes[row] for row in range(len(images.pixels))]


def alike(shapes: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """The rows of pictures of one height and width, some at a time: others' padding would be seen by the LSTMs."""
    order = sorted(range(len(shapes)), key=lambda row: shapes[row])
    for _, group in groupby(order, key=lambda row: shapes[row]):
        rows = list(group)
        for start in range(0, len(rows), PICTURES_AT_ONCE):
            yield rows[start : start + PICTURES_AT_ONCE]
