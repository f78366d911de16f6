"""A model's answers about recordings, and the table that a terminal shows: which commands are taken for which."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from memfold.tasks import confusion

__all__ = ["Answers", "Streamed", "confusion_table"]


@dataclass(frozen=True)
class Streamed:
    """Scores of the same sound in a stream.

    Attributes:
        missed: per cent of the recordings, whose command was not heard.
        alarms: commands heard in the background.
        hours: of background; 0 where there is none.
    """

    missed: float
    alarms: int
    hours: float

    def scores(self) -> dict[str, float]:
        """By the metrics' names; false alarms where there was background."""
        alarms = {"false_alarms_per_hour": self.alarms / self.hours} if self.hours else {}
        return {**alarms, "miss_rate": self.missed}


@dataclass(frozen=True)
class Answers:
    """The model's or the baseline's, of recordings.

    Attributes:
        classes: by number, (S,), or the probabilities of all, (S, K).
        stream: of the model, where it is known what is said.
        alone: of the model, the probabilities that the network gives without the baseline's, (S, K).
    """

    classes: NDArray[Any]
    stream: Streamed | None = None
    alone: NDArray[Any] | None = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The classes, for scikit-learn."""
        return np.array(self.classes, dtype)


def confusion_table(
    truth: NDArray[np.int64], answers: NDArray[np.int64], commands: Sequence[str], classes: Sequence[str]
) -> Table:
    """How many recordings of every command (a row) were answered with which class (a column)."""
    return confusion.confusion_table("confusion command", truth, answers, commands, classes)
