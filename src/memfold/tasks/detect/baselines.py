"""What to beat: the same boxes in every image, without a look at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from memfold.data.boxes import BoxedImages
from memfold.tasks.detect.scores import Boxes

__all__ = ["MEAN_BOX", "MeanBoxes", "mean_boxes"]

MEAN_BOX = "mean box"


@dataclass(frozen=True)
class MeanBoxes:
    """Of every class as many boxes as an image has on average, of the mean size, at the means of its k-means clusters.

    Attributes:
        boxes: left, top, width and height in shares of the image's width and height.
        labels: the boxes' classes by number.
        scores: how many boxes of an image are in the cluster on average, at most 1.
    """

    boxes: list[list[float]]
    labels: list[int]
    scores: list[float]

    def of(self, size: tuple[int, int]) -> Boxes:
        """The boxes in an image of such a width and height."""
        boxes: NDArray[np.float32] = np.array(self.boxes, np.float32) * np.array([*size, *size], np.float32)
        return Boxes(boxes, np.array(self.labels), np.array(self.scores, np.float32))


def mean_boxes(images: BoxedImages, classes: Sequence[str]) -> MeanBoxes:
    """The mean boxes of some images."""
    from sklearn.cluster import KMeans

    means = MeanBoxes([], [], [])
    shares = [boxes / [*size, *size] for boxes, size in zip(images.boxes, images.sizes, strict=True)]
    rows = np.concatenate(shares)  # (N, 4)
    labels = np.array(list(chain.from_iterable(images.labels)))  # (N,)
    for number, label in enumerate(classes):
        boxes = rows[labels == label]
        size = boxes[:, 2:].mean(0)
        middles = boxes[:, :2] + boxes[:, 2:] / 2
        count = max(1, round(len(boxes) / len(images)))
        clusters = KMeans(min(count, len(np.unique(middles, axis=0))), n_init=1, random_state=0).fit(middles)
        for middle, members in zip(clusters.cluster_centers_, np.bincount(clusters.labels_), strict=True):
            means.boxes.append([*(middle - size / 2).tolist(), *size.tolist()])
            means.labels.append(number)
            means.scores.append(min(1.0, float(members) / len(images)))
    return means
