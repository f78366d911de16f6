"""What a terminal shows below the scores: which commands are taken for which."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from memfold.tasks import confusion

__all__ = ["confusion_table"]


def confusion_table(
    truth: NDArray[np.int64], answers: NDArray[np.int64], commands: Sequence[str], classes: Sequence[str]
) -> Table:
    """How many recordings of every command (a row) were answered with which class (a column)."""
    return confusion.confusion_table("command", truth, answers, commands, classes)
