"""Predictions for a series that is too short to train on, by the bundled forecaster."""

from collections import deque
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.forecasting.instant import InstantForecaster
from memfold.runtime.monitoring.features import Features

__all__ = ["ColdStream"]

SEEN = 256  # last values that are read
DAY_AND_WEEK = 7
INTERVAL = 2 * 1.533  # sigmas between the 10 % and the 90 % quantile of a t distribution with 4 degrees of freedom
LEAST = 1e-3  # of a scale, between these quantiles


class ColdStream:
    """Steps as a detector's network does: from features to centres and logarithms of scales.

    Args:
        features: of the series, whose scales it answers in and whose last values it takes.
    """

    moves: ClassVar[tuple[str, ...]] = ("pasts",)

    def __init__(self, features: Features) -> None:
        self.features = features
        self.pasts = [_Past() for _ in range(features.variables)]

    def step(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Centres and logarithms of scales of the next values, ``(2V,)``, by all values so far.

        Args:
            x: the features, which say nothing that is not in the values.
        """
        features, count = self.features, len(self.pasts)
        out = np.zeros(2 * count, np.float32)
        begun = [v for v, scale in enumerate(features.scales) if scale.points]
        if not begun:
            return out
        for v in begun:
            self.pasts[v].values.append(features.scales[v].outwards(features.last[v]))
        day = features.cycle if 1 < features.cycle <= SEEN else 1
        week = day * DAY_AND_WEEK if 1 < day <= SEEN // DAY_AND_WEEK else 1
        series = [np.array(self.pasts[v].values) for v in begun]
        quantiles = InstantForecaster.bundled().quantiles(series, 1, [(day, week)] * len(begun))[:, 0]  # (V, Q)
        for v, its in zip(begun, quantiles, strict=True):
            scale = features.scales[v]
            low, centre, high = (scale.inwards(float(its[q])) for q in (0, len(its) // 2, -1))
            out[v], out[count + v] = centre, np.log(max(high - low, LEAST) / INTERVAL)
        return out


class _Past:
    """The last values of a variable."""

    moves: ClassVar[tuple[str, ...]] = ("values",)

    def __init__(self) -> None:
        self.values: deque[float] = deque(maxlen=SEEN)
