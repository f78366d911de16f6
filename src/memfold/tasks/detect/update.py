"""What an update must know of a detector of objects."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from memfold.data.boxes import BoxedImages, joined
from memfold.data.row_keys import file_keys
from memfold.tasks.detect.baselines import FixedBoxes

if TYPE_CHECKING:
    from memfold.tasks.detect.task import ObjectDetector

__all__ = ["SCALING", "answers", "carried", "joined", "keys", "places", "take"]

SCALING = (".mean", ".deviation", "mean", "deviation")


def keys(examples: BoxedImages) -> list[str]:
    """What tells the images apart: the file's content, of an array its pixels."""
    return file_keys(examples.paths, lambda place: examples.prints[place].hex())


def take(examples: BoxedImages, rows: Sequence[int]) -> BoxedImages:
    """Some of the images."""
    return examples.take(rows)


def places(task: "ObjectDetector") -> Mapping[str, Sequence[int]]:
    """Where the rows of the box decoder's output go: new classes stand between the old ones and that of no thing."""
    assert task.begun is not None
    old, new = len(task.begun.model.classes_), len(task.classes_)
    rows = [*range(old), *range(new, new + 5)]
    return {"decoder.output.weight": rows, "decoder.output.bias": rows} if task.head == "sequence" else {}


def answers(task: "ObjectDetector", before: "ObjectDetector", examples: BoxedImages) -> Any:
    """The earlier model's boxes; its classes have the same numbers, and the new ones it does not know."""
    unlabelled = replace(
        examples,
        boxes=[np.zeros((0, 4), np.float32) for _ in examples.paths],
        labels=[[] for _ in examples.paths],
        difficult=[np.zeros(0, bool) for _ in examples.paths],
    )
    return before.answer(unlabelled)


def carried(fresh: FixedBoxes, old: FixedBoxes, present: Sequence[int]) -> FixedBoxes:
    """The fixed boxes of the classes that the new images have, ``present``, and the earlier ones of the others."""
    boxes, labels, scores = [], [], []
    for one, wanted in ((fresh, True), (old, False)):
        for box, label, score in zip(one.boxes, one.labels, one.scores, strict=True):
            if (label in present) == wanted:
                boxes.append(box)
                labels.append(label)
                scores.append(score)
    return FixedBoxes(boxes, labels, scores)
