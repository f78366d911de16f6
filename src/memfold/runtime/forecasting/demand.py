"""Demand that comes now and then, and counts: how to know them by their values, and a forecast of their mean.

Histories are the rows of an array ``(B, T)``; what is not there is NaN.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["TSB", "intermittent", "tsb", "whole_counts"]

Array = NDArray[np.float64]
TSB = "TSB"
RATE = 0.1  # factor of TSB's two averages (Teunter et al. 2011 find 0.1 to 0.3 alike)
REGULAR = 1.32  # mean steps between two demands, above which demand is intermittent (Syntetos et al. 2005)


def tsb(history: Array, horizon: int) -> Array:
    """The mean demand a step by Teunter, Syntetos & Babai 2011, the same for every step, ``(B, K)``."""
    there = np.isfinite(history)
    demand = np.where(there, history, 0.0)
    sold = demand > 0
    rate = sold.sum(1) / np.maximum(there.sum(1), 1)
    size = demand.sum(1) / np.maximum(sold.sum(1), 1)
    for step in range(history.shape[1]):
        seen, now = there[:, step], sold[:, step]
        rate = rate + RATE * np.where(seen, now - rate, 0.0)
        size = size + RATE * np.where(now, demand[:, step] - size, 0.0)
    return np.repeat((rate * size)[:, None], horizon, 1)


def intermittent(history: Array) -> NDArray[np.bool_]:
    """Which rows are demand that comes now and then: never below 0, and 0 so often that it counts, ``(B,)``."""
    there = np.isfinite(history)
    sold = (there & (history > 0)).sum(1)
    negative = (there & (history < 0)).any(1)
    result: NDArray[np.bool_] = ~negative & (there.sum(1) > REGULAR * sold) & (sold > 0)
    return result


def whole_counts(history: Array) -> NDArray[np.bool_]:
    """Which rows hold whole numbers from 0 on alone, ``(B,)``."""
    missing = np.isnan(history)
    whole = missing | ((history >= 0) & (history == np.round(history)))
    result: NDArray[np.bool_] = whole.all(1)
    return result
