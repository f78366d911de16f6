"""How far the coarse course of the last points is from any course before it."""

import math
from bisect import bisect_left, insort
from collections import deque
from statistics import NormalDist
from typing import ClassVar

import numpy as np

__all__ = ["Shape"]

BLOCKS = 8  # of a window
KEPT_WINDOWS = 4096  # to look for the nearest one in
LEAST_DISTANCES = 20  # before one is called unusual
TO_SIGMA = 1.4826  # from the median of absolute deviations, of a Gaussian
LEAST_SIGMA = 1e-3  # of a distance's logarithm


class Shape:
    """Compares the mean values of the last blocks of one variable with all earlier windows of as many blocks.

    The distance to the nearest earlier window that shares no block with this one (the discord of Keogh et al. 2005) is
    far out for a peak that does not come and for a flat stretch where there was never one, though each of their values
    is a usual one. Its logarithm is held against the median and the median deviation of those before: the far windows
    of an earlier fault do not move these, and there are too few windows to fit a tail to.

    Args:
        block: points of a block.
    """

    moves: ClassVar[tuple[str, ...]] = ("points", "blocks", "total", "last", "windows", "order", "sorted", "chance")

    def __init__(self, block: int) -> None:
        self.block = block
        self.points, self.blocks, self.total = 0, 0, 0.0
        self.last = np.zeros(BLOCKS)
        self.windows = np.zeros((KEPT_WINDOWS, BLOCKS))
        self.order: deque[float] = deque()  # logarithms of distances
        self.sorted: list[float] = []
        self.chance = 1.0

    def judge(self, value: float) -> float:
        """Take a value; the probability of the last complete window, 1 as long as there is none."""
        self.points += 1
        self.total += value
        if self.points % self.block == 0:
            self._close(self.total / self.block)
            self.total = 0.0
        return self.chance

    def _close(self, mean: float) -> None:
        self.blocks += 1
        self.last = np.append(self.last[1:], mean)
        complete = self.blocks - BLOCKS  # windows before this one
        if complete < 0:
            return
        apart = complete - BLOCKS + 1
        if apart > 0:
            self.chance = self._judged(apart)
        self.windows[complete % KEPT_WINDOWS] = self.last

    def _judged(self, apart: int) -> float:
        earlier = self.windows[: min(apart, KEPT_WINDOWS)]
        if apart > KEPT_WINDOWS:  # the newest ones, which share blocks, lie before this place in the ring
            shared = np.arange(apart, apart + BLOCKS - 1) % KEPT_WINDOWS
            earlier = np.delete(self.windows, shared, axis=0)
        nearest = float(np.sqrt(((earlier - self.last) ** 2).sum(1).min()))
        number = math.log(max(nearest, 1e-12))
        chance = 1.0
        if len(self.sorted) >= LEAST_DISTANCES:
            middle = self.sorted[len(self.sorted) // 2]
            sigma = max(TO_SIGMA * _median_deviation(self.sorted, middle), LEAST_SIGMA)
            chance = NormalDist().cdf(-(number - middle) / sigma)
        if len(self.order) == KEPT_WINDOWS:
            del self.sorted[bisect_left(self.sorted, self.order.popleft())]
        self.order.append(number)
        insort(self.sorted, number)
        return chance


def _median_deviation(ordered: list[float], middle: float) -> float:
    away = np.abs(np.array(ordered) - middle)
    return float(np.median(away))
