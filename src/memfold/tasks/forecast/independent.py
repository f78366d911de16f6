"""How many windows of many series count as independent.

Series of one table often go together: where a holiday or a crisis favours one forecast, it does so in all of them. A
hundred windows of one month then say little more than one.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["independent_windows", "intraclass_correlation"]

Array = NDArray[np.float64]
UNKNOWN = 0.3  # of windows of one time alone


def independent_windows(turns: NDArray[np.int64], correlation: float) -> float:
    """The effective size of a sample in clusters (Kish 1965, sec. 5.4).

    Args:
        turns: the time of each window by a number, (B,).
        correlation: of windows of one time, 0 to 1.

    >>> independent_windows(np.array([0, 0, 0, 1, 1, 1]), 0.0), independent_windows(np.array([0, 0, 0, 1, 1, 1]), 1.0)
    (6.0, 2.0)
    """
    sizes = np.unique(turns, return_counts=True)[1]
    return float((sizes / (1 + (sizes - 1) * correlation)).sum())


def intraclass_correlation(errors: Mapping[str, Array], turns: NDArray[np.int64]) -> float:
    """How far the same forecasts are ahead in all windows of one time, 0 to 1.

    By analysis of variance (Fisher 1925, sec. 38) of how much each forecast's error is above the mean of all.

    Args:
        errors: of each forecast by name, (B,).
        turns: the time of each window by a number, (B,).
    """
    stacked = np.stack(list(errors.values()))
    there = np.isfinite(stacked).all(0)
    ahead = (stacked - stacked.mean(0))[:, there]  # (P, B)
    _, group, sizes = np.unique(turns[there], return_inverse=True, return_counts=True)
    groups, count = len(sizes), len(group)
    if groups < 2 or groups == count:
        return UNKNOWN
    means = np.stack([np.bincount(group, row) / sizes for row in ahead])  # (P, G)
    overall = ahead.mean(1, keepdims=True)
    between = (sizes * (means - overall) ** 2).sum() / (groups - 1)
    within = ((ahead - means[:, group]) ** 2).sum() / (count - groups)
    size = (count - (sizes**2).sum() / count) / (groups - 1)
    whole = between + (size - 1) * within
    rounding = 1e-20 * count * (stacked[:, there] ** 2).sum()  # what is left of forecasts that are the same
    return float(np.clip((between - within) / whole, 0, 1)) if whole > rounding else UNKNOWN
