"""How well the bundled forecaster predicts series that there is little of, in the measure of the network's training."""

import math
from collections.abc import Sequence

import numpy as np

from memfold.data.readings import Readings
from memfold.runtime.monitoring.cold import ColdStream
from memfold.runtime.monitoring.features import Features, FeatureSize
from memfold.runtime.monitoring.monitor import LEAST_LOG_SIGMA, MOST_LOG_SIGMA
from memfold.tasks.anomaly.network import DEGREES

__all__ = ["cold_nats"]


def cold_nats(size: FeatureSize, train: Sequence[Readings], valid: Sequence[Readings] | None) -> float:
    """Nats a point and variable, as `memfold.tasks.anomaly.network.error_loss` has them: what is validated on, or else
    the last fifth of every series.
    """
    nats: list[float] = []
    for one in train if valid is None else valid:
        first = len(one.times) - len(one.times) // 5 if valid is None else 0
        features = Features(size, one.day)
        stream = ColdStream(features)
        x = np.zeros(size.count, np.float32)
        for place, (time, values) in enumerate(zip(one.times.tolist(), one.values.tolist(), strict=True)):
            features.next(time)
            out = stream.step(x).tolist()
            actual = features.add(values)
            if place >= first and place:
                nats += [
                    _nats(actual[v] - out[v], out[size.variables + v])
                    for v in range(size.variables)
                    if actual[v] == actual[v]
                ]
    return float(np.mean(nats)) if nats else math.inf


def _nats(error: float, log_sigma: float) -> float:
    """Of a t distribution, but for a constant."""
    log_sigma = min(max(log_sigma, LEAST_LOG_SIGMA), MOST_LOG_SIGMA)
    return log_sigma + (DEGREES + 1) / 2 * math.log1p((error * math.exp(-log_sigma)) ** 2 / DEGREES)
