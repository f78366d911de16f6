"""What to beat: the same boxes in every image, without a look at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from memfold.data.boxes import BoxedImages
from memfold.tasks.detect.scores import LEAST_OVERLAP, Boxes, overlaps

__all__ = ["COMMON_BOX", "MEAN_BOX", "FixedBoxes", "common_boxes", "mean_boxes"]

MEAN_BOX, COMMON_BOX = "mean box", "commonest boxes"
CANDIDATES = 400  # boxes of a class that are tried
MOST_COMMON = 5  # boxes of a class
LEAST_SHARE = 0.04  # of the images, in which a common box must be right


@dataclass(frozen=True)
class FixedBoxes:
    """Boxes for every image.

    Attributes:
        boxes: left, top, width and height in shares of the image's width and height.
        labels: the boxes' classes by number.
        scores: 0 to 1.
    """

    boxes: list[list[float]]
    labels: list[int]
    scores: list[float]

    def of(self, size: tuple[int, int]) -> Boxes:
        """The boxes in an image of such a width and height."""
        boxes: NDArray[np.float32] = np.array(self.boxes, np.float32) * np.array([*size, *size], np.float32)
        return Boxes(boxes, np.array(self.labels), np.array(self.scores, np.float32))


def mean_boxes(images: BoxedImages, classes: Sequence[str]) -> FixedBoxes:
    """Of every class as many boxes as an image has on average, of the mean size, at the means of its k-means clusters.

    A score is how many boxes of an image are in the cluster on average, at most 1.
    """
    from sklearn.cluster import KMeans

    means = FixedBoxes([], [], [])
    rows, labels = _in_shares(images), np.array(list(chain.from_iterable(images.labels)))  # (N, 4), (N,)
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


def common_boxes(images: BoxedImages, classes: Sequence[str]) -> FixedBoxes:
    """Of every class the few boxes that are right in most images, each where those before it are not.

    They are true boxes of some images. A score is the share of images in which it is right; that overlaps do not change
    with the shape of an image lets boxes of different ones be compared.
    """
    common = FixedBoxes([], [], [])
    rows, labels = _in_shares(images).astype(np.float32), np.array(list(chain.from_iterable(images.labels)))
    places = np.repeat(np.arange(len(images)), [len(boxes) for boxes in images.boxes])
    rng = np.random.default_rng(0)
    for number, label in enumerate(classes):
        of_class = np.flatnonzero(labels == label)
        candidates = rows[np.sort(rng.permutation(of_class)[:CANDIDATES])]
        left = of_class
        for _ in range(MOST_COMMON):
            near = overlaps(candidates, rows[left]) >= LEAST_OVERLAP  # (C, N)
            best = int(near.sum(1).argmax()) if len(left) else 0
            share = len(np.unique(places[left[near[best]]])) / len(images) if len(left) else 0.0
            if share < LEAST_SHARE and number in common.labels:
                break
            common.boxes.append(candidates[best].tolist())
            common.labels.append(number)
            common.scores.append(share)
            left = left[~near[best]]
    return common


def _in_shares(images: BoxedImages) -> NDArray[np.float64]:
    """All boxes in shares of their images' widths and heights, (N, 4)."""
    return np.concatenate([boxes / [*size, *size] for boxes, size in zip(images.boxes, images.sizes, strict=True)])
