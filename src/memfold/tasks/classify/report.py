"""What is shown of the answers: which classes are taken for which, and the worst mistakes as pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from memfold.data.images import Images
from memfold.page import Section, page_text, write_page
from memfold.tasks.confusion import confusion
from memfold.tasks.page import confusion_section, plan_table, report_scores
from memfold.tasks.report import Report
from memfold.tasks.vision.pictures import gallery
from memfold.words import Words

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


def write_report(
    path: Path, report: Report, answers: Judged, curve: Sequence[Section], footer: str, words: Words
) -> Path:
    """Write the page: scores, the worst mistakes, the confusion matrix, the learning curve; returns the path."""
    worst = answers.worst()
    pictures = []
    for row in worst[:SHOWN_MISTAKES]:
        place = int(answers.answers[row])
        named = {"truth": answers.classes[int(answers.truth[row])], "answer": answers.classes[place]}
        caption = words("taken for", **named, sure=100 * answers.probabilities[row, place])
        pictures.append((answers.images.pixels[row], caption))
    text = words("worst mistakes text" if worst else "no mistakes", wrong=len(worst), all=len(answers.truth))
    tables = [report_scores(report, words), plan_table(report, words)]
    tables.append(gallery(words("worst mistakes"), text, pictures))
    matrix = confusion_section(answers.confusion(), answers.classes, answers.classes, words)
    data = words.of(report.data) or words.name(report.task)
    title = words("so many classes", data=data, count=len(answers.classes))
    return write_page(path, page_text(title, tables, [matrix, *curve], footer, language=words.language))
