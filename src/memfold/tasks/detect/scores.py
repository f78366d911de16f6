"""Average precision, as COCO defines it, by faster-coco-eval; and which found boxes are right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_OVERLAP", "Boxes", "Precision", "best_thresholds", "judged", "overlaps", "precision_of", "right"]

MOST_BOXES = 100  # boxes of an image that count
LARGEST_AREA = 1e10  # of a box
LEAST_OVERLAP = 0.5  # of which average precision asks


@dataclass(frozen=True)
class Boxes:
    """Boxes of an image, true or found.

    Attributes:
        boxes: left, top, width and height in pixels, (N, 4).
        labels: classes by number, (N,).
        scores: 0 to 1, (N,); of true ones 1.
        ignored: whether a true one counts neither as right nor as wrong, (N,); None where all count.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    ignored: NDArray[np.bool_] | None = None

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Whether a true one counts, (N,)."""
        return np.ones(len(self.labels), bool) if self.ignored is None else ~self.ignored

    def at_least(self, thresholds: NDArray[np.float64]) -> "Boxes":
        """Those with the score of their class, (K,), or a higher one."""
        kept = self.scores >= thresholds[self.labels]
        return Boxes(self.boxes[kept], self.labels[kept], self.scores[kept])


@dataclass(frozen=True)
class Precision:
    """Average precision in per one; NaN for a class of which there is no true box.

    Attributes:
        map50: mean over the classes at an intersection over union of 0.5.
        map: at 0.5 to 0.95, averaged.
        by_class50, by_class: of every class, (K,).
        curves: precision at 0.5 for recalls of 0, 0.01 ... 1, (K, 101).
    """

    map50: float
    map: float
    by_class50: NDArray[np.float64]
    by_class: NDArray[np.float64]
    curves: NDArray[np.float64]


def precision_of(truth: Sequence[Boxes], predicted: Sequence[Boxes], classes: int) -> Precision:
    """Average precision of what was found in images (Lin et al. 2014; the first 100 boxes of each).

    In one of them at least there must be a true box that counts. A box that is found where one is ignored is itself not
    counted, as Pascal VOC scores what is difficult.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    true = COCO(_as_coco(truth, predicted, classes))
    rows = []
    for image, boxes in enumerate(predicted, start=1):
        for box, label, score in zip(boxes.boxes, boxes.labels, boxes.scores, strict=True):
            rows.append({"image_id": image, "category_id": int(label), "bbox": box.tolist(), "score": float(score)})
    if not rows:  # faster-coco-eval takes no empty list; a box of no area at the corner is found in no image
        rows = [{"image_id": 1, "category_id": 0, "bbox": [0.0, 0.0, 0.0, 0.0], "score": 0.0}]
    evaluation = COCOeval_faster(true, true.loadRes(rows), "bbox", print_function=_nothing)
    evaluation.params.maxDets = [MOST_BOXES]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, LARGEST_AREA]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])[..., 0, 0].transpose(2, 0, 1)  # (K, IoU, recall)
    by_class = np.where((precision > -1).all((1, 2)), precision.mean((1, 2)), np.nan)
    by_class50 = np.where((precision > -1).all((1, 2)), precision[:, 0].mean(1), np.nan)
    return Precision(float(np.nanmean(by_class50)), float(np.nanmean(by_class)), by_class50, by_class, precision[:, 0])


def _as_coco(truth: Sequence[Boxes], predicted: Sequence[Boxes], classes: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for image, (boxes, answers) in enumerate(zip(truth, predicted, strict=True), start=1):
        for box, label, counted in zip(boxes.boxes, boxes.labels, boxes.counted, strict=True):
            row = {"image_id": image, "category_id": int(label), "bbox": box.tolist(), "area": float(box[2] * box[3])}
            if counted:
                rows.append(row)
                continue
            # Beyond the areas that are looked at it is ignored; once for each box that may be found there.
            near = overlaps(answers.boxes, box[None])[:, 0] >= LEAST_OVERLAP
            rows += [{**row, "area": 2 * LARGEST_AREA}] * int((near & (answers.labels == label)).sum())
    return {
        "images": [{"id": image} for image in range(1, len(truth) + 1)],
        "categories": [{"id": number, "name": str(number)} for number in range(classes)],
        "annotations": [{"id": number, "iscrowd": 0, **row} for number, row in enumerate(rows, start=1)],
    }


def _nothing(*_: object) -> None:
    """What faster-coco-eval says."""


def overlaps(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersections over unions of boxes ``(N, 4)`` and ``(M, 4)``, (N, M)."""
    a = one[:, None].astype(np.float64)
    b = two[None].astype(np.float64)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def right(truth: Boxes, predicted: Boxes, least: float = LEAST_OVERLAP) -> NDArray[np.int64]:
    """Of every found box the true one of its class that it is, or -1, (N,).

    The highest score chooses first, among the true boxes that are still free the one that overlaps most.
    """
    matrix = overlaps(predicted.boxes, truth.boxes)
    matrix[predicted.labels[:, None] != truth.labels[None]] = 0
    answers = np.full(len(predicted.labels), -1)
    for row in np.argsort(-predicted.scores, kind="stable"):
        if matrix.shape[1] and (place := int(matrix[row].argmax())) >= 0 and matrix[row, place] >= least:
            answers[row] = place
            matrix[:, place] = 0
    return answers


def judged(truth: Sequence[Boxes], predicted: Sequence[Boxes]) -> tuple[list[Boxes], list[Boxes]]:
    """True boxes without those that are ignored, and found ones without those that are right only there."""
    kept_truth, kept = [], []
    for true, boxes in zip(truth, predicted, strict=True):
        counted = true.counted
        easy = Boxes(true.boxes[counted], true.labels[counted], true.scores[counted])
        near = overlaps(boxes.boxes, true.boxes[~counted]) >= LEAST_OVERLAP
        near &= boxes.labels[:, None] == true.labels[~counted][None]
        rows = ~(near.any(1) & (right(easy, boxes) < 0))
        kept_truth.append(easy)
        kept.append(Boxes(boxes.boxes[rows], boxes.labels[rows], boxes.scores[rows]))
    return kept_truth, kept


def best_thresholds(truth: Sequence[Boxes], predicted: Sequence[Boxes], classes: int) -> NDArray[np.float64]:
    """Of every class the score from which on its boxes are predicted for the highest F1, (K,).

    A class of which no box is right has the mean of the others', and where there is none, a half.
    """
    scores, labels = (np.concatenate([getattr(boxes, name) for boxes in predicted]) for name in ("scores", "labels"))
    hits = np.concatenate([right(true, guess) >= 0 for true, guess in zip(truth, predicted, strict=True)])
    wanted = np.bincount(np.concatenate([boxes.labels for boxes in truth]), minlength=classes)
    best = np.full(classes, np.nan)
    for label in range(classes):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        if hits[rows].any():
            f1 = 2 * hits[rows].cumsum() / (np.arange(1, len(rows) + 1) + wanted[label])
            best[label] = scores[rows[f1.argmax()]]
    known = best[~np.isnan(best)]
    return np.where(np.isnan(best), known.mean() if len(known) else 0.5, best)
