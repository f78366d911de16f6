"""What is shown of the answers: which classes are taken for which, and the worst mistakes as pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from memfold.data.images import Images
from memfold.page import page_text, scores_table, write_page
from memfold.tasks.confusion import confusion
from memfold.tasks.page import confusion_section, plan_table
from memfold.tasks.report import Report
from memfold.tasks.vision.pictures import gallery

__all__ = ["Judged", "taken_most", "write_report"]

SHOWN_MISTAKES = 40  # mistakes
NAMED = 5  # pairs of classes


@dataclass(frozen=True)
class Judged:
    """A model's answers to images whose class is known.

    Attributes:
        truth: by number, ``(N,)``.
        probabilities: of every class, ``(N, K)``.
    """

    images: Images
    classes: Sequence[str]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @property
    def answers(self) -> NDArray[np.int64]:
        """The likeliest class of every image, ``(N,)``."""
        likeliest: NDArray[np.int64] = self.probabilities.argmax(1)
        return likeliest

    def confusion(self) -> NDArray[np.int64]:
        """How many images of a class, the row, were taken for one, the column, ``(K, K)``."""
        return confusion(self.truth, self.answers, len(self.classes), len(self.classes))

    def confused(self) -> list[tuple[int, str, str]]:
        """The pairs of classes taken for each other most often: how often, the true one, the answer."""
        counts = self.confusion()
        np.fill_diagonal(counts, 0)
        pairs = [
            (int(counts[row, column]), self.classes[row], self.classes[column]) for row, column in np.argwhere(counts)
        ]
        return sorted(pairs, key=lambda pair: -pair[0])[:NAMED]

    def worst(self) -> list[int]:
        """The wrong answers, those first that give the true class the least."""
        given = self.probabilities[np.arange(len(self.truth)), self.truth]
        return [int(row) for row in np.argsort(given, kind="stable") if self.answers[row] != self.truth[row]]


def taken_most(answers: Judged) -> list[Text]:
    """The pairs of classes that are taken for each other most often, in a line; nothing where there is no mistake."""
    pairs = ", ".join(f"{label} for {other} ({count})" for count, label, other in answers.confused())
    return [Text(f"most often taken: {pairs}")] if pairs else []


def write_report(path: Path, report: Report, answers: Judged, footer: str) -> Path:
    """Write the page: scores, the worst mistakes, the confusion matrix; returns the path."""
    worst = answers.worst()
    pictures = []
    for row in worst[:SHOWN_MISTAKES]:
        place = int(answers.answers[row])
        sure = f"{100 * answers.probabilities[row, place]:.0f} %"
        truth = answers.classes[int(answers.truth[row])]
        pictures.append((answers.images.pixels[row], f"{truth} taken for {answers.classes[place]} ({sure})"))
    text = (
        f"{len(worst)} of {len(answers.truth)} answers are wrong; those come first that give the true class the least."
    )
    tables = [scores_table(report.heading, {"memfold": report.metrics, **report.baselines})]
    tables.append(plan_table(report))
    tables.append(gallery("The worst mistakes", text, pictures))
    matrix = confusion_section(answers.confusion(), answers.classes, answers.classes)
    title = f"{report.heading}: {len(answers.classes)} classes"
    return write_page(path, page_text(title, tables, [matrix], footer))
