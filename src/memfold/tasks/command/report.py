"""What a terminal shows below the scores: which commands are taken for which."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

__all__ = ["confusion_table"]


def confusion_table(
    truth: NDArray[np.int64], answers: NDArray[np.int64], commands: Sequence[str], classes: Sequence[str]
) -> Table:
    """How many recordings of every command (a row) were answered with which class (a column)."""
    counts = np.zeros((len(commands), len(classes)), np.int64)
    np.add.at(counts, (truth, answers), 1)
    table = Table(title="Answers by true command", title_justify="left")
    table.add_column("")
    for label in classes:
        table.add_column(Text(label), justify="right")
    for label, row in zip(commands, counts, strict=True):
        table.add_row(Text(label), *(str(count) if count else "" for count in row))
    return table
