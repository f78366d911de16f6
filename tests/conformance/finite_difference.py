"""Numerical derivatives: the oracle of gradients for what no other library has."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def finite_difference(loss: Callable[[], float], array: NDArray[Any], step: float = 1e-6) -> NDArray[Any]:
    """The central difference of ``loss()`` by every element of an array it reads."""
    result = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = loss()
        array[index] = value - step
        below = loss()
        array[index] = value
        result[index] = (above - below) / (2 * step)
    return result
