"""What never lasted so long: a value that does not move, a time without a reading."""

import math
from typing import ClassVar

__all__ = ["Gaps", "Stuck"]

LEAST_LENGTHS = 20  # before anything is called unusual
LEAST = 1e-8  # probability: longer is not more unusual
STUCK, STUCK_BELOW = 1e-6, 1e-5  # the probability of every stuck point, so that a stretch that goes on is one alarm
FORGIVEN = 2  # lengths that are as unusual as a fault and do not yet make another one usual


class _Lengths:
    """The probability that something lasts as long as it does, by how long it lasted before.

    Up to the longest of ``n`` lengths, but for the two that may have been faults, it is 1. Beyond that, the chance to
    be a new longest one, ``1 / (n + 1)``, falls exponentially with the excess.
    """

    moves: ClassVar[tuple[str, ...]] = ("count", "mean", "longest")

    def __init__(self) -> None:
        self.count, self.mean = 0, 0.0
        self.longest = [0.0] * (FORGIVEN + 1)  # falling

    @property
    def usual(self) -> float:
        """Up to where a length is nothing new."""
        return self.longest[-1]

    def probability(self, length: float, unit: float) -> float:
        """Of a length; ``unit`` is the excess that is e times less likely."""
        if self.count < LEAST_LENGTHS or length <= self.usual:
            return 1.0
        return max(math.exp(-(length - self.usual) / unit) / (self.count + 1), LEAST)

    def add(self, length: float) -> None:
        self.count += 1
        self.mean += (length - self.mean) / self.count
        if length > self.usual:
            self.longest = sorted([*self.longest, length], reverse=True)[:-1]


class Stuck:
    """How unusual it is that a variable has kept one value for so many points."""

    moves: ClassVar[tuple[str, ...]] = ("runs", "length", "value")

    def __init__(self) -> None:
        self.runs, self.length, self.value = _Lengths(), 0, math.nan

    def judge(self, value: float) -> float:
        """The probability with this value, which is then taken into account: one of two, far off or 1."""
        if value == self.value:
            self.length += 1
        else:
            if self.length:
                self.runs.add(self.length)
            self.length, self.value = 1, value
        # Machines that rest for long rest for very different times, so a third of the longest counts as one unit.
        chance = self.runs.probability(self.length, max(self.runs.mean, self.runs.usual / 3))
        return STUCK if chance < STUCK_BELOW else 1.0


class Gaps:
    """How unusual the time since the last reading is."""

    moves: ClassVar[tuple[str, ...]] = ("steps", "last", "spread")

    def __init__(self) -> None:
        self.steps, self.last, self.spread = _Lengths(), math.nan, 0.0

    def judge(self, time: float) -> float:
        """The probability at this time, which is then taken into account."""
        step, self.last = time - self.last, time
        if math.isnan(step):
            return 1.0
        steps = self.steps
        unit = max(self.spread, steps.usual / 8)  # of regular steps, one that is missing is eight units
        chance = steps.probability(step, max(unit, 1e-12))
        steps.add(step)
        self.spread += (abs(step - steps.mean) - self.spread) / steps.count
        return chance
