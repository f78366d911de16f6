"""Answers and models of an earlier fit, with classes that it does not know."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["with_columns"]


def with_columns(probabilities: NDArray[Any], count: int) -> NDArray[Any]:
    """Probabilities ``(N, K)`` with columns of 0 up to ``count`` classes, which stand after the known ones.

    >>> with_columns(np.array([[0.25, 0.75]]), 3)
    array([[0.25, 0.75, 0.  ]])
    """
    missing = count - probabilities.shape[1]
    return np.pad(probabilities, ((0, 0), (0, missing))) if missing > 0 else probabilities
