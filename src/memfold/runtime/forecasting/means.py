"""The means of any stretches of series, by running sums."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RunningMeans"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class RunningMeans:
    """Series, and their running sums and counts, (N, L + 1) each."""

    values: NDArray[Any]
    seen: NDArray[np.bool_]
    total: Array
    number: Array

    @classmethod
    def of(cls, values: NDArray[Any], seen: NDArray[np.bool_]) -> "RunningMeans":
        """Those of series, (N, L), 0 where nothing is seen."""
        total, number = (np.zeros((len(values), values.shape[1] + 1)) for _ in range(2))
        np.cumsum(values, 1, dtype=np.float64, out=total[:, 1:])
        np.cumsum(seen, 1, dtype=np.float64, out=number[:, 1:])
        return cls(values, seen, total, number)

    def between(self, begin: Integers, stop: Integers) -> Array:
        """The mean of what is seen of ``[begin, stop)``, 0 where that is nothing."""
        steps = self.values.shape[1]
        rows = np.arange(len(self.values))[:, None]
        begin, stop = begin.clip(0, steps), stop.clip(0, steps)
        count = np.maximum(self.number[rows, stop] - self.number[rows, begin], 1)
        return (self.total[rows, stop] - self.total[rows, begin]) / count

    def at(self, place: Integers) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The values at places, and whether these are there and seen."""
        rows = np.arange(len(self.values))[:, None]
        index = place.clip(0)
        return self.values[rows, index], (place >= 0) & self.seen[rows, index]
