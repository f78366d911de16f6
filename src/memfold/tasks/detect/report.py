"""What a terminal shows below the scores: how well each class is found."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from memfold.tasks.detect.scores import Boxes, Precision, right
from memfold.words import said

__all__ = ["class_table"]


def class_table(
    precision: Precision,
    truth: Sequence[Boxes],
    predicted: Sequence[Boxes],
    classes: Sequence[str],
    thresholds: Sequence[float],
) -> Table:
    """Of every class, its true boxes, its average precision, and precision and recall of the predicted boxes."""
    hits = np.zeros(len(classes), np.int64)
    for true, boxes in zip(truth, predicted, strict=True):
        np.add.at(hits, boxes.labels[right(true, boxes) >= 0], 1)
    true_counts = _counts(truth, len(classes))
    predicted_counts = _counts(predicted, len(classes))
    table = Table(title=said("by class"), title_justify="left")
    for name in ("", "boxes", "map50", "map", "FROM", "precision", "recall"):
        table.add_column(name, justify="right" if name else "left")
    for k, label in enumerate(classes):
        averages = (_share(value) for value in (precision.by_class50[k], precision.by_class[k]))
        shares = (_share(hits[k] / count if count else np.nan) for count in (predicted_counts[k], true_counts[k]))
        table.add_row(Text(label), str(true_counts[k]), *averages, f"{thresholds[k]:.2f}", *shares)
    return table


def _counts(images: Sequence[Boxes], classes: int) -> NDArray[np.int64]:
    """How many boxes of every class there are, (K,)."""
    return np.bincount(np.concatenate([boxes.labels for boxes in images]), minlength=classes)


def _share(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"
