"""Watching one series: predict the next values, compare, score, and, if asked to, keep learning."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from memfold.stream import Stream
from memfold.tasks.anomaly.features import Features, FeatureSize
from memfold.tasks.anomaly.tail import Tail, joint

__all__ = ["Judgement", "Monitor"]

MOST_DIGITS = 20.0  # -log10 of a probability that scores 1
BAND = 1.533  # of a t distribution with 4 degrees of freedom: 80 % lie within so many sigmas
LEAST_LOG_SIGMA, MOST_LOG_SIGMA = -5.0, 4.0


@dataclass(frozen=True)
class Judgement:
    """What a monitor says of one point.

    Attributes:
        score: 0 to 1, the higher the more anomalous: a twentieth of the decimal digits of the probability.
        news: the score, and 0 within the rest after one as high.
        probability: that a point as unusual comes by chance, by those before it.
        variable: the least probable one.
        sigmas: how far it is from what was expected.
        expected, low, high: of every variable, and the band in which 80 % should lie.
    """

    score: float
    news: float
    probability: float
    variable: int
    sigmas: float
    expected: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class _Variable:
    """What is usual for one variable: its values, and how they err from what was expected."""

    def __init__(self, span: int) -> None:
        self.values, self.errors = Tail(), Tail()
        self.last: deque[float] = deque(maxlen=span)

    def probability(self, value: float, error: float) -> float:
        """That both are as far out by chance; then they are taken into account.

        A prediction that follows whatever happens errs only once where a level shifts; the tail of the values
        themselves still counts. Errors are in the variable's unit: measured in the predicted sigma, a busy hour would
        excuse them.
        """
        self.last.append(error)
        mean = sum(self.last) / len(self.last)
        chance = joint(self.values.probability(value), self.errors.probability(mean))
        self.values.add(value)
        self.errors.add(mean)
        return chance


class Monitor:
    """Takes a series' points one after another and says how anomalous each is. It never looks ahead.

    Args:
        size, day: of the features.
        stream: the network, step by step; its state becomes the monitor's.
        span: points over which errors are averaged: one that lasts weighs more than one that does not.
        rest: points after a score during which only a higher one is news.
        learner: is given every point's features and targets, and returns the network's new stream after training.
    """

    def __init__(
        self,
        size: FeatureSize,
        day: int,
        stream: Stream,
        span: int,
        rest: int,
        learner: Callable[[Sequence[float], Sequence[float]], Stream | None] | None = None,
    ) -> None:
        self.features = Features(size, day)
        self.stream, self.learner = stream, learner
        self.variables = [_Variable(span) for _ in range(size.variables)]
        self.rest = rest
        self.peaks: deque[tuple[int, float]] = deque()  # falling scores of the last points, the highest first
        self.points = 0
        self._x = np.zeros(size.count, np.float32)

    def step(self, time: float, values: Sequence[float]) -> Judgement:
        """Judge the values at a time (seconds, or any number that rises), then take them into account."""
        features = self.features
        row = features.next(time)
        self._x[:] = row
        out = self.stream.step(self._x).tolist()
        count = features.variables
        expected: list[float] = []
        low: list[float] = []
        high: list[float] = []
        least, furthest, variable = 1.0, -1.0, 0
        for v, scale in enumerate(features.scales):
            centre = out[v]
            sigma = math.exp(min(max(out[count + v], LEAST_LOG_SIGMA), MOST_LOG_SIGMA))
            for bounds, place in ((expected, centre), (low, centre - BAND * sigma), (high, centre + BAND * sigma)):
                bounds.append(scale.outwards(place))
            probability = self.variables[v].probability(values[v], values[v] - expected[v])
            away = abs(scale.inwards(values[v]) - centre) / sigma
            if probability < least or v == 0:
                least, furthest, variable = probability, away, v
        seen = features.add(values)
        if self.learner is not None and (renewed := self.learner(row, seen)) is not None:
            renewed.state = self.stream.state
            self.stream = renewed
        probability = min(1.0, least * count)
        score = min(-math.log10(max(probability, 1e-300)) / MOST_DIGITS, 1.0)
        news = score if self._is_news(score) else 0.0
        return Judgement(score, news, probability, variable, furthest, tuple(expected), tuple(low), tuple(high))

    def _is_news(self, score: float) -> bool:
        """Whether none of the last points scored as high."""
        self.points += 1
        peaks = self.peaks
        while peaks and peaks[0][0] < self.points - self.rest:
            peaks.popleft()
        news = not peaks or score > peaks[0][1]
        while peaks and peaks[-1][1] <= score:
            peaks.pop()
        peaks.append((self.points, score))
        return news
