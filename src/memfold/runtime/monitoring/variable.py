"""How unusual the values of one variable are: each alone, several together, and how they err from what was expected."""

from collections import deque
from typing import ClassVar

from memfold.runtime.monitoring.runs import Stuck
from memfold.runtime.monitoring.shape import Shape
from memfold.runtime.monitoring.tail import Tail, joint

__all__ = ["Variable"]

LASTING = 16  # points of the longer mean of values
INDEPENDENT = 2.0  # as many as the four probabilities count for: fewer miss the second of two equal spikes
INDEPENDENT_ERRORS = 1.5  # the same of the two of the errors alone
ERROR_ALONE = 10.0  # factor to the probability of an error where nothing else is unusual: a burst within the range
SHAPE_ALONE = 1e5  # the same of a shape, whose distances have heavier tails than the Gaussian of their logarithms
OUTSIDE = 0.05  # of the range so far: a value that much outside it is new
NEW = 1e-2  # the probability of a point is multiplied with where its value is
LEAST_RANGE = 40  # points before there is a range


class Variable:
    """What is usual for one variable.

    A prediction that follows whatever happens errs only once where a level shifts, so the tail of the values themselves
    counts too. Errors are in the variable's unit: measured in the predicted sigma, a busy hour would excuse them.

    Args:
        span: points over which errors are averaged.
        block: points of a block of the coarse shape.

    Attributes:
        mean_error: over the last ``span`` points, after `judge`.
        error_chance: the probability by the error and the mean error alone, after `judge`.
    """

    moves: ClassVar[tuple[str, ...]] = (
        "value_tail",
        "mean_tail",
        "error_tail",
        "mean_error_tail",
        "shape",
        "stuck",
        "values",
        "errors",
        "mean_error",
        "error_chance",
        "points",
        "low",
        "high",
    )

    def __init__(self, span: int, block: int) -> None:
        self.value_tail, self.mean_tail, self.error_tail, self.mean_error_tail = (Tail() for _ in range(4))
        self.shape, self.stuck = Shape(block), Stuck()
        self.values: deque[float] = deque(maxlen=LASTING)
        self.errors: deque[float] = deque(maxlen=span)
        self.mean_error, self.error_chance = 0.0, 1.0
        self.points, self.low, self.high = 0, 0.0, 0.0

    def judge(self, value: float, error: float) -> tuple[float, str]:
        """The probability that a point as unusual comes by chance, and what is least usual about it.

        The point is then taken into account.
        """
        self.values.append(value)
        self.errors.append(error)
        self.mean_error = sum(self.errors) / len(self.errors)
        mean = sum(self.values) / len(self.values)
        chances = (
            ("spike", self.error_tail.judge(error)),
            ("shift", self.mean_error_tail.judge(self.mean_error)),
            ("level", self.value_tail.judge(value)),
            ("level", self.mean_tail.judge(mean)),
        )
        self.error_chance = joint([chances[0][1], chances[1][1]], INDEPENDENT_ERRORS)
        together = joint([chance for _, chance in chances], INDEPENDENT)
        if self._outside(value):
            together *= NEW
        return min(
            (together, min(chances, key=lambda pair: pair[1])[0]),
            (ERROR_ALONE * chances[0][1], "spike"),
            (SHAPE_ALONE * self.shape.judge(value), "shape"),
            (self.stuck.judge(value), "stuck"),
        )

    def _outside(self, value: float) -> bool:
        """Whether a value is well outside all before it, which it then belongs to."""
        self.points += 1
        if self.points == 1:
            self.low = self.high = value
            return False
        slack = OUTSIDE * (self.high - self.low)
        outside = self.points > LEAST_RANGE and not self.low - slack <= value <= self.high + slack
        self.low, self.high = min(self.low, value), max(self.high, value)
        return outside
