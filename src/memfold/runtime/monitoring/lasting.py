"""How far the last points are from what is usual, for as long as they are: the score that stays up during a fault."""

import math
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from memfold.runtime.monitoring.reference import Reference

__all__ = ["Lasting"]

AVERAGED = 8  # points of a fault's score
MOVED = 24  # points over which the changes from point to point are averaged
STILL = 1e-3  # of the usual squared change: less counts as none


class _Movement:
    """The logarithm of how much a variable changes from point to point, as a share of all its changes so far."""

    moves: ClassVar[tuple[str, ...]] = ("squares", "last", "points", "usual")

    def __init__(self) -> None:
        self.squares: deque[float] = deque(maxlen=MOVED)
        self.last, self.points, self.usual = math.nan, 0, 0.0

    def add(self, value: float) -> float:
        change = 0.0 if math.isnan(self.last) else (value - self.last) ** 2
        self.last = value
        self.squares.append(change)
        self.points += 1
        self.usual += (change - self.usual) / self.points
        if self.usual == 0:
            return 0.0
        return math.log(sum(self.squares) / len(self.squares) / self.usual + STILL)


class Lasting:
    """The joint distance of the values, of their mean errors and of their movement from what is usual of each.

    The values catch a level that is new and variables that no longer go together, the errors what is usual elsewhere
    but not here, the movement noise and a sensor that is stuck.

    Attributes:
        fault: 0 to 1: 1 less the geometric mean of ``1 / (1 + d)`` over the three and the last points, where ``d`` is a
            squared distance over the number of variables; usual points have about 0.4.
        fault_alone: the same of the errors alone.
    """

    moves: ClassVar[tuple[str, ...]] = ("reference", "movements", "nats", "fault", "fault_alone")

    def __init__(self, variables: int) -> None:
        self.reference = Reference(3, variables)
        self.movements = [_Movement() for _ in range(variables)]
        self.nats: deque[tuple[float, float]] = deque(maxlen=AVERAGED)  # of all three, and of the errors alone
        self.fault = self.fault_alone = 0.0

    def add(self, values: Sequence[float], errors: Sequence[float]) -> float:
        """Take a point into account; its own distance, the sum of the three logarithms.

        Args:
            values: of which one at least is there; NaN where one is missing.
        """
        moved = [
            movement.add(value) if value == value else math.nan
            for movement, value in zip(self.movements, values, strict=True)
        ]
        nats = [math.log1p(d) for d in self.reference.add([values, errors, moved]).tolist()]
        self.nats.append((sum(nats), nats[1]))
        mean, alone = (sum(column) / len(self.nats) for column in zip(*self.nats, strict=True))
        self.fault, self.fault_alone = 1 - math.exp(-mean / 3), 1 - math.exp(-alone)
        return sum(nats)
