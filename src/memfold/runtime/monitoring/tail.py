"""How unusual a number is among those before it."""

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

__all__ = ["Tail", "joint"]

KEPT_NUMBERS = 20_000  # numbers
LEAST_NUMBERS = 40  # before anything is called unusual
TOP = 0.02  # share of the numbers that either tail is fitted to
FINEST = 1e-9  # of a number's magnitude: closer numbers count as equal


class Tail:
    """The probability that a number comes as far out on either side, by the last numbers.

    Among them it is their share; beyond the outermost fiftieth of a side it falls exponentially with the mean excess of
    that part, as in peaks over threshold (Siffer et al. 2017, sec. 3, with a shape of 0).
    """

    moves: ClassVar[tuple[str, ...]] = ("numbers",)

    def __init__(self) -> None:
        self.order: deque[float] = deque()
        self.sorted: list[float] = []

    @property
    def numbers(self) -> list[float]:
        """The numbers in the order in which they were added, for a state."""
        return list(self.order)

    @numbers.setter
    def numbers(self, numbers: list[float]) -> None:
        if len(numbers) > KEPT_NUMBERS:
            raise ValueError(f"{len(numbers)} numbers, {KEPT_NUMBERS} at most")
        self.order, self.sorted = deque(numbers), sorted(numbers)

    def probability(self, number: float) -> float:
        """Of one at least as far out, both sides taken together; 1 as long as too few are known."""
        known = self.sorted
        count = len(known)
        if count < LEAST_NUMBERS:
            return 1.0
        top = max(int(TOP * count), 8)
        upper, lower = known[-top], known[top - 1]
        if number > upper:
            least = _beyond(number - upper, sum(known[-top:]) / top - upper, upper, top / count)
        elif number < lower:
            least = _beyond(lower - number, lower - sum(known[:top]) / top, lower, top / count)
        else:
            above = count - bisect_left(known, number)
            below = bisect_right(known, number)
            least = (min(above, below) + 1) / (count + 1)
        return min(1.0, 2 * least)

    def judge(self, number: float) -> float:
        """The probability of a number, which is then taken into account."""
        chance = self.probability(number)
        self.add(number)
        return chance

    def add(self, number: float) -> None:
        """Take a number into account, and the oldest one out when there are enough."""
        if len(self.order) == KEPT_NUMBERS:
            del self.sorted[bisect_left(self.sorted, self.order.popleft())]
        self.order.append(number)
        insort(self.sorted, number)


def _beyond(distance: float, excess: float, edge: float, share: float) -> float:
    return share * math.exp(-distance / max(excess, FINEST * abs(edge), 1e-12))


def joint(chances: Sequence[float], independent: float) -> float:
    """The probability that the product of several probabilities is as small as theirs.

    Fisher's method (1932), with Brown's correction (1975) for probabilities that depend on each other: they count as
    ``independent`` ones, a multiple of a half.
    """
    x = -sum(math.log(max(chance, 1e-300)) for chance in chances) * independent / len(chances)
    # The upper tail of a gamma distribution: Q(a + 1, x) = Q(a, x) + x^a e^-x / Gamma(a + 1).
    whole = float(independent).is_integer()
    shape = 1.0 if whole else 0.5
    tail = math.exp(-x) if whole else math.erfc(math.sqrt(x))
    while shape < independent:
        tail += x**shape * math.exp(-x) / math.gamma(shape + 1)
        shape += 1
    return tail
