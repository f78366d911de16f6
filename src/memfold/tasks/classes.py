"""What the classification tasks share: columns of a table, scores, which classes are taken for which."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.display import say
from memfold.errors import InputError
from memfold.tasks.calibration import expected_calibration_error
from memfold.tasks.report import Metric

__all__ = ["CLASS_METRICS", "class_columns", "class_scores", "numbers_in", "with_none"]

NONE = "none of these"  # the label of an answer that is not sure enough, where that is asked for
CLASS_METRICS = (Metric("accuracy", "higher"), Metric("macro_f1", "higher"), Metric("ece", "lower"))


def numbers_in(answers: NDArray[Any]) -> NDArray[np.int64]:
    """Classes by number, ``(N,)``, from themselves or from the probabilities of every class, ``(N, K)``."""
    return np.asarray(answers if answers.ndim == 1 else answers.argmax(1), np.int64)


def class_columns(classes: Sequence[str], probabilities: NDArray[Any]) -> dict[str, Any]:
    """Columns of a table: ``label`` and, for every class, ``p_`` and its name."""
    labels = [classes[place] for place in probabilities.argmax(1)]
    return {"label": labels} | {f"p_{label}": probabilities[:, place] for place, label in enumerate(classes)}


def with_none(table: pl.DataFrame, classes: Sequence[str], least: float | None) -> pl.DataFrame:
    """Answers as `class_columns` gives them, with the label `NONE` where no class has so high a probability.

    How many that are is said on standard error.

    Raises:
        InputError: a probability that none is, or one that every answer reaches.

    >>> answers = pl.DataFrame({"label": ["a", "b"], "p_a": [0.9, 0.4], "p_b": [0.1, 0.6]})
    >>> with_none(answers, ["a", "b"], 0.7)["label"].to_list()
    ['a', 'none of these']
    """
    if least is None:
        return table
    if not 1 / len(classes) < least < 1:
        chance = f"that of chance, {1 / len(classes):.2g}"
        raise InputError(f"none must be a probability above {chance}, and below 1, got {least:g}")
    if NONE in classes:
        raise InputError(f"a class is called {NONE!r} already; rename it to set none")
    best = table.select(pl.max_horizontal(f"p_{label}" for label in classes)).to_series()
    unsure = (best < least).fill_null(value=False)
    say(f"{int(unsure.sum()):,} of {table.height:,} answers are less probable than {least:g}: {NONE}")
    return table.with_columns(pl.when(unsure).then(pl.lit(NONE)).otherwise(pl.col("label")).alias("label"))


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
