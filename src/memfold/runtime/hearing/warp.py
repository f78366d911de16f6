"""Log-mel frames as another vocal tract would have them (Jaitly & Hinton 2013)."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["WARP", "warp_matrix", "warped"]

Array = NDArray[np.float32]
WARP = 0.14  # of the logarithm of the frequencies, at most: 0.87 to 1.15 times


def warped(frames: Array, factor: float) -> Array:
    """Frames ``(T, M)`` whose bands have moved to ``factor`` times their places on the mel scale.

    Between two bands each, not by `warp_matrix`: the threads of NumPy's product keep a core for a while after it, and
    a training that warps as it goes took twice as long.
    """
    below, share = _places(frames.shape[1], round(factor, 2))
    return frames[:, below] * (1 - share) + frames[:, below + 1] * share


@cache
def _places(bins: int, factor: float) -> tuple[NDArray[np.intp], Array]:
    """Where each band is taken from: the band below, and the share of the one above it."""
    places = np.minimum(np.arange(bins) / factor, bins - 1)
    below = np.minimum(places.astype(np.intp), bins - 2)
    return below, (places - below).astype(np.float32)


@cache
def warp_matrix(bins: int, factor: float) -> Array:
    """The matrix (M, M) of `warped`, by which frames are multiplied from the right."""
    below, share = _places(bins, factor)
    matrix = np.zeros((bins, bins), np.float32)
    matrix[below, np.arange(bins)] = 1 - share
    matrix[below + 1, np.arange(bins)] += share
    return matrix
