"""What the classification tasks share: columns of a table, scores, which classes are taken for which."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.tasks.calibration import expected_calibration_error
from memfold.tasks.report import Metric

__all__ = ["CLASS_METRICS", "class_columns", "class_scores", "numbers_in"]

CLASS_METRICS = (Metric("accuracy", "higher"), Metric("macro_f1", "higher"), Metric("ece", "lower"))


def numbers_in(answers: NDArray[Any]) -> NDArray[np.int64]:
    """Classes by number, ``(N,)``, from themselves or from the probabilities of every class, ``(N, K)``."""
    return np.asarray(answers if answers.ndim == 1 else answers.argmax(1), np.int64)


def class_columns(classes: Sequence[str], probabilities: NDArray[Any]) -> dict[str, Any]:
    """Columns of a table: ``label`` and, for every class, ``p_`` and its name."""
    labels = [classes[place] for place in probabilities.argmax(1)]
    return {"label": labels} | {f"p_{label}": probabilities[:, place] for place, label in enumerate(classes)}


def class_scores(truth: NDArray[np.int64], answers: NDArray[Any]) -> dict[str, float]:
    """Accuracy, macro F1 and the expected calibration error in per cent.

    The mean of F1 goes over the classes that are among either. Answers without probabilities have no ``ece``.
    """
    from sklearn.metrics import accuracy_score, f1_score

    numbers = numbers_in(answers)
    f1 = f1_score(truth, numbers, average="macro", zero_division=0)
    scores = {"accuracy": 100 * float(accuracy_score(truth, numbers)), "macro_f1": 100 * float(f1)}
    if answers.ndim == 2:
        scores["ece"] = 100 * expected_calibration_error(answers, truth)
    return scores
