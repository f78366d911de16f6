"""Log-mel frames as another vocal tract would have them (Jaitly & Hinton 2013)."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["WARP", "warp_matrix", "warped"]

Array = NDArray[np.float32]
WARP = 0.14  # of the logarithm of the frequencies, at most: 0.87 to 1.15 times


def warped(frames: Array, factor: float) -> Array:
    """Frames whose bands have moved to ``factor`` times their places on the mel scale."""
    return frames @ warp_matrix(frames.shape[1], round(factor, 2))


@cache
def warp_matrix(bins: int, factor: float) -> Array:
    """The matrix (M, M) that interpolates between bands, for `warped`."""
    places = np.minimum(np.arange(bins) / factor, bins - 1)
    below = np.minimum(places.astype(int), bins - 2)
    share = places - below
    matrix = np.zeros((bins, bins), np.float32)
    matrix[below, np.arange(bins)] = 1 - share
    matrix[below + 1, np.arange(bins)] += share
    return matrix
