"""Labels as numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError

__all__ = ["numbers_of"]


def numbers_of(labels: Sequence[str], classes: Sequence[str], name: str, what: str = "class") -> NDArray[np.int64]:
    """The place of each label among the classes, ``(N,)``.

    Args:
        name: of the data, for errors.
        what: a label is, for errors.

    Raises:
        InputError: a label that is none of the classes.

    >>> numbers_of(["b", "a", "b"], ["a", "b"], "texts.csv").tolist()
    [1, 0, 1]
    """
    places = {label: place for place, label in enumerate(classes)}
    if unknown := sorted(set(labels) - places.keys()):
        raise InputError(f"{name}: the {what} {unknown[0]!r} was not trained on; the model knows {', '.join(classes)}")
    return np.array([places[label] for label in labels], np.int64)
