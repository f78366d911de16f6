"""Watching one series: predict the next values, compare, score, and, if asked to, keep learning."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError
from memfold.runtime.monitoring.cold import ColdStream
from memfold.runtime.monitoring.features import Features, FeatureSize
from memfold.runtime.monitoring.lasting import Lasting
from memfold.runtime.monitoring.news import News
from memfold.runtime.monitoring.runs import Gaps
from memfold.runtime.monitoring.tail import Tail
from memfold.runtime.monitoring.variable import Variable
from memfold.stream import Row, Stream

__all__ = ["Judgement", "Monitor", "score_of"]

GREATEST = 1e100  # value
MOST_DIGITS = 20.0  # -log10 of a probability that scores 1
BAND = 1.533  # of a t distribution with 4 degrees of freedom: 80 % lie within so many sigmas
LEAST_LOG_SIGMA, MOST_LOG_SIGMA = -5.0, 4.0


@dataclass(frozen=True)
class Judgement:
    """What a monitor says of one point.

    Attributes:
        score: 0 to 1, the higher the more anomalous: a twentieth of the decimal digits of the probability.
        news: the score, and 0 within the rest after one as high.
        fault: 0 to 1, how far the last points are from what is usual; it stays up while a fault lasts.
        score_alone, fault_alone: the score and the fault by the errors of the network alone.
        probability: that a point as unusual comes by chance, by those before it.
        reason: what is least usual: ``spike`` (the error), ``shift`` (the mean error), ``level`` (the value), ``shape``
            (the course of the last blocks), ``stuck``, ``gap`` (in the times) or ``joint`` (all variables together).
        variable: the least probable one; -1 where no value is there.
        sigmas: how far it is from what was expected.
        expected, low, high: of every variable, and the band in which 80 % should lie.
    """

    score: float
    news: float
    fault: float
    score_alone: float
    fault_alone: float
    probability: float
    reason: str
    variable: int
    sigmas: float
    expected: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Monitor:
    """Takes a series' points one after another and says how anomalous each is. It never looks ahead.

    Args:
        size, day: of the features.
        stream: the network, step by step, whose state becomes the monitor's, or a row of one that steps many monitors;
            None for the bundled forecaster.
        span: points over which errors are averaged: one that lasts weighs more than one that does not.
        rest: points after a score during which only a higher one is news.
        block: points of a block of the coarse shape.
        learner: is given every point's features and targets, and returns the network's new stream after training.
    """

    moves: ClassVar[tuple[str, ...]] = ("features", "stream", "variables", "lasting", "joint_tail", "gaps", "news")

    def __init__(
        self,
        size: FeatureSize,
        day: int,
        stream: Stream | Row | None,
        span: int,
        rest: int,
        block: int,
        learner: Callable[[Sequence[float], Sequence[float]], Stream | None] | None = None,
    ) -> None:
        self.features = Features(size, day)
        self.stream: Stream | Row | ColdStream = ColdStream(self.features) if stream is None else stream
        self.learner = learner
        self.variables = [Variable(span, block) for _ in range(size.variables)]
        self.lasting, self.joint_tail, self.gaps = Lasting(size.variables), Tail(), Gaps()
        self.news = News(rest)
        self._x = np.zeros(size.count, np.float32)
        self._row: Sequence[float] = ()

    def step(self, time: float, values: Sequence[float]) -> Judgement:
        """Judge the values at a time (seconds, or any number that rises), then take them into account."""
        return self.judge(time, values, self.stream.step(self.features_at(time)))

    def features_at(self, time: float) -> NDArray[np.float32]:
        """What the network takes before the values at a time are known, ``(F,)``; the next time overwrites it."""
        self._row = self.features.next(time)
        self._x[:] = self._row
        return self._x

    def judge(self, time: float, values: Sequence[float], outputs: NDArray[np.float32]) -> Judgement:
        """Judge the values at a time by what the network made of `features_at` of it, ``(2V,)``.

        A value that is missing is NaN: the point is judged by the others, of which each is then one of fewer.

        Raises:
            InputError: a value whose square no float holds; nothing is changed then.
        """
        if any(abs(value) > GREATEST for value in values):
            raise InputError(f"{max(values, key=abs):g} is too great to be judged; expected {GREATEST:g} at most")
        features, out = self.features, outputs.tolist()
        count = features.variables
        # Every variable alone: what was expected of it, and how unusual its value is.
        expected: list[float] = []
        low: list[float] = []
        high: list[float] = []
        least, reason, furthest, variable, alone = 1.0, "", 0.0, -1, 1.0
        there = [value == value for value in values]
        for v, scale in enumerate(features.scales):
            centre = out[v]
            sigma = math.exp(min(max(out[count + v], LEAST_LOG_SIGMA), MOST_LOG_SIGMA))
            for bounds, place in ((expected, centre), (low, centre - BAND * sigma), (high, centre + BAND * sigma)):
                bounds.append(scale.outwards(place))
            if not there[v]:
                continue
            probability, why = self.variables[v].judge(values[v], values[v] - expected[v])
            alone = min(alone, self.variables[v].error_chance)
            if probability < least or variable < 0:
                least, reason, variable = probability, why, v
                furthest = abs(scale.inwards(values[v]) - centre) / sigma
        # All of them together, and the time.
        chances: dict[str, float] = {}
        known = sum(there)
        if known:
            chances[reason] = min(1.0, least * known)
            distance = self.lasting.add(values, [one.mean_error for one in self.variables])
            if self.lasting.reference.is_settled:  # of zeros before it any distance would be unheard of
                chances["joint"] = self.joint_tail.judge(distance)
        chances["gap"] = self.gaps.judge(time)
        reason = min(chances, key=chances.__getitem__)
        probability = chances[reason]
        seen = features.add(values)
        if self.learner is not None and (renewed := self.learner(self._row, seen)) is not None:
            assert isinstance(self.stream, Stream)
            renewed.state = self.stream.state
            self.stream = renewed
        score = score_of(probability)
        return Judgement(
            score,
            self.news(score),
            self.lasting.fault,
            score_of(min(1.0, alone * max(known, 1))),
            self.lasting.fault_alone,
            probability,
            reason,
            variable,
            furthest,
            tuple(expected),
            tuple(low),
            tuple(high),
        )


def score_of(probability: float) -> float:
    """0 to 1: a twentieth of the decimal digits of a probability."""
    return min((0.0 - math.log10(max(probability, 1e-300))) / MOST_DIGITS, 1.0)
