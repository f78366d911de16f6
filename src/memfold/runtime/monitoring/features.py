"""What the network reads of a series: values in running units, the same values a day before, and the calendar.

Everything is taken point by point and looks back only, so that training, replay and live streams read the same numbers.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

__all__ = ["FeatureSize", "Features", "Scale"]

DAY = 86_400.0  # seconds
WEEK = 7 * DAY
FORGET = 2000  # points after which a scale has mostly forgotten
OUTLIER = 6.0  # scales: what is further out moves the scale no more than this
OUTLIER_AFTER = 20  # points of which none is one
FLOOR = 1e-3  # a scale, of the level's magnitude
LEAST = 1e-9  # a scale
REACH = 50.0  # inwards: what is further out is taken for as far


@dataclass(frozen=True)
class FeatureSize:
    """What fixes the features.

    Attributes:
        variables: values a point, V.
        calendar: whether the times are dates.
    """

    variables: int
    calendar: bool

    @property
    def count(self) -> int:
        """The number of features, F."""
        return self.variables + (self.variables + 7 if self.calendar else 0)


class Scale:
    """The running level and mean absolute deviation of one variable."""

    moves: ClassVar[tuple[str, ...]] = ("points", "level", "deviation")

    def __init__(self) -> None:
        self.points, self.level, self.deviation = 0, 0.0, 0.0

    @property
    def unit(self) -> float:
        """What counts as one: the deviation, and never quite 0."""
        return max(self.deviation, FLOOR * abs(self.level), LEAST)

    def inwards(self, value: float) -> float:
        """A value as the network sees it: in units from the level, far ones drawn in."""
        return math.asinh((value - self.level) / self.unit)

    def outwards(self, value: float) -> float:
        """The reverse of `inwards`."""
        return self.level + self.unit * math.sinh(min(max(value, -REACH), REACH))

    def add(self, value: float) -> None:
        """Take a value into account."""
        self.points += 1
        weight = 1 / min(self.points, FORGET)
        away = value - self.level
        if self.points > OUTLIER_AFTER:
            bound = OUTLIER * self.unit
            away = min(max(away, -bound), bound)
        self.level += weight * away
        self.deviation += weight * (abs(away) - self.deviation)


class Features:
    """The features of one series, point by point: `next` before a point's values are known, `add` with them.

    Args:
        day: points a day, 0 where the times are no dates or too far apart for it to matter.
    """

    moves: ClassVar[tuple[str, ...]] = ("scales", "last", "day")

    def __init__(self, size: FeatureSize, day: int) -> None:
        self.variables, self.calendar = size.variables, size.calendar
        self.scales = [Scale() for _ in range(size.variables)]
        self.last = [0.0] * size.variables  # inwards
        self.cycle = day
        self.day: deque[list[float]] = deque(maxlen=max(day, 1))

    def next(self, time: float) -> list[float]:
        """The features to predict the values at a time from, F of them."""
        row = list(self.last)
        if self.calendar:
            if self.cycle and len(self.day) == self.cycle:
                row += [scale.inwards(value) for scale, value in zip(self.scales, self.day[0], strict=True)]
                row.append(1.0)
            else:
                row += [0.0] * (self.variables + 1)
            day = 2 * math.pi * (time % DAY) / DAY
            week = 2 * math.pi * (time % WEEK) / WEEK
            row += [math.sin(day), math.cos(day), math.sin(2 * day), math.cos(2 * day), math.sin(week), math.cos(week)]
        return row

    def add(self, values: Sequence[float]) -> list[float]:
        """Take a point's values, NaN where one is missing; returns them inwards, in the scales that held before them.

        In the place of a missing value the last one goes on, and tomorrow the one of a day before.
        """
        seen = [scale.inwards(value) for scale, value in zip(self.scales, values, strict=True)]
        before = self.last
        for scale, value in zip(self.scales, values, strict=True):
            if value == value:
                scale.add(value)
        self.last = [
            scale.inwards(value) if value == value else last
            for scale, value, last in zip(self.scales, values, before, strict=True)
        ]
        if self.cycle:
            full = len(self.day) == self.cycle
            usual = self.day[0] if full else [scale.level for scale in self.scales]
            self.day.append([value if value == value else at for value, at in zip(values, usual, strict=True)])
        return seen
