"""Which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from memfold.words import said

__all__ = ["ConfusionTable", "confusion", "confusion_table"]


class ConfusionTable(Table):
    """The counts as a terminal shows them; a page colours them.

    Attributes:
        counts: how many of each class, a row, were taken for each that may be answered, a column, (R, C).
        truths, answered: the classes' names.
    """

    counts: NDArray[np.int64]
    truths: Sequence[str]
    answered: Sequence[str]


def confusion(truth: NDArray[np.int64], answers: NDArray[np.int64], rows: int, columns: int) -> NDArray[np.int64]:
    """How many examples of a class, the row, were taken for one, the column, ``(rows, columns)``.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 2, 1]), 2, 3).tolist()
    [[1, 0, 1], [0, 1, 0]]
    """
    counts = np.zeros((rows, columns), np.int64)
    np.add.at(counts, (truth, answers), 1)
    return counts


def confusion_table(
    what: str,
    truth: NDArray[np.int64],
    answers: NDArray[np.int64],
    classes: Sequence[str],
    answered: Sequence[str] | None = None,
) -> ConfusionTable:
    """The counts as a terminal shows them; what never happened is left blank.

    Args:
        what: the title is, a key of the words' table.
        answered: the classes that may be answered, where they are others than the true ones.
    """
    columns = classes if answered is None else answered
    table = ConfusionTable(title=said(what), title_justify="left")
    table.counts = confusion(truth, answers, len(classes), len(columns))
    table.truths, table.answered = classes, columns
    table.add_column("")
    for label in columns:
        table.add_column(Text(label), justify="right")
    for label, row in zip(classes, table.counts, strict=True):
        table.add_row(Text(label), *(str(count) if count else "" for count in row))
    return table
