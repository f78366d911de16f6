"""Which classes are taken for which."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from memfold.words import said

__all__ = ["ConfusionTable", "confused_examples", "confusion", "confusion_table", "mistake_table"]

PAIRS, OF_A_PAIR = 5, 3  # pairs of classes of which mistakes are listed, and how many of each
LONGEST = 160  # characters of a text in a table


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


def confused_examples(truth: NDArray[np.int64], probabilities: NDArray[Any]) -> list[int]:
    """Some mistakes of the commonest confusions: of each pair of classes, those that were answered most surely.

    Args:
        truth: by number, (S,).
        probabilities: of every class, (S, K).

    Returns:
        Their rows, the commonest pair first.

    >>> confused_examples(np.array([0, 0, 1]), np.array([[0.4, 0.6], [0.1, 0.9], [0.7, 0.3]]))
    [1, 0, 2]
    """
    answers = probabilities.argmax(1)
    wrong = np.flatnonzero(answers != truth)
    pairs = Counter(zip(truth[wrong].tolist(), answers[wrong].tolist(), strict=True))
    rows: list[int] = []
    for true, answer in [pair for pair, _ in pairs.most_common(PAIRS)]:
        its = wrong[(truth[wrong] == true) & (answers[wrong] == answer)]
        rows += its[np.argsort(-probabilities[its, answer], kind="stable")][:OF_A_PAIR].tolist()
    return rows


def mistake_table(
    what: str,
    examples: Sequence[str],
    truth: NDArray[np.int64],
    probabilities: NDArray[Any],
    classes: Sequence[str],
    answered: Sequence[str] | None = None,
) -> Table | None:
    """The mistakes that `confused_examples` chooses, as a terminal shows them; None where there is none.

    Args:
        what: an example is, as the column is called.
        examples: their names or texts, S.
        classes, answered: the true classes, and those that may be answered, where they are others.
    """
    rows = confused_examples(truth, probabilities)
    if not rows:
        return None
    table = Table(what, "actual", "predicted", "probability", title=said("confused"), title_justify="left")
    for row in rows:
        place = int(probabilities[row].argmax())
        text = " ".join(examples[row].split())
        shown = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
        labels = Text(classes[int(truth[row])]), Text((answered or classes)[place])
        table.add_row(Text(shown), *labels, f"{probabilities[row, place]:.3f}")
    return table
