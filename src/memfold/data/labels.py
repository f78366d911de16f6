"""Labels as numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError

__all__ = ["counted", "listed", "not_trained_on", "numbers_of", "plural_of"]

NAMED = 20  # the first ones
PLURALS = {"class": "classes", "person": "people"}


def numbers_of(labels: Sequence[str], classes: Sequence[str], name: str, what: str = "class") -> NDArray[np.int64]:
    """The place of each label among the classes, ``(N,)``.

    Args:
        name: of the data, for errors.
        what: a label is, for errors.

    Raises:
        InputError: naming all labels that are none of the classes.

    >>> numbers_of(["b", "a", "b"], ["a", "b"], "texts.csv").tolist()
    [1, 0, 1]
    """
    places = {label: place for place, label in enumerate(classes)}
    if unknown := sorted(set(labels) - places.keys()):
        raise InputError(f"{name}: {not_trained_on(unknown, what)}; the model knows {listed(classes)}")
    return np.array([places[label] for label in labels], np.int64)


def not_trained_on(unknown: Sequence[str], what: str = "class") -> str:
    """Which labels a model does not know, in words.

    >>> not_trained_on(["a"]), not_trained_on(["a", "b"])
    ("the class 'a' was not trained on", "the classes 'a', 'b' were not trained on")
    """
    if len(unknown) == 1:
        return f"the {what} {unknown[0]!r} was not trained on"
    return f"the {plural_of(what)} {listed(map(repr, unknown))} were not trained on"


def plural_of(what: str) -> str:
    """Of what a label is, such as a class or a person."""
    return PLURALS.get(what, f"{what}s")


def listed(names: Iterable[str]) -> str:
    """Names one after another, the first `NAMED` and how many more there are."""
    every = list(names)
    more = len(every) - NAMED
    return ", ".join(every[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


_COUNTED = 12  # labels that are counted one by one


def counted(labels: Iterable[str], what: str = "classes") -> str:
    """How many there are of each label, those of the most first.

    >>> counted(["b", "a", "b"])
    '2 classes: b 2, a 1'
    """
    counts = Counter(labels).most_common()
    named = ", ".join(f"{label} {count:,}" for label, count in counts[:_COUNTED])
    rest = sum(count for _, count in counts[_COUNTED:])
    return f"{len(counts):,} {what}: {named}" + (f", others {rest:,}" if rest else "")
