"""The joint distance of several variables from what is usual, learnt point by point."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reference"]

Array = NDArray[np.float64]

DEGREES = 4.0  # of freedom: how little an unusual point changes what is usual
SETTLED = 60  # points before a distance is given
FORGET = 20_000  # points after which what is usual has mostly been forgotten
SHRINK = 0.01  # of the correlations, towards 0: few points do not fix many of them
RENEWED = 8  # points after which the inverse is computed anew
FLOOR = 1e-6  # a deviation, of the mean's magnitude


class Reference:
    """Mean and covariance of several groups of numbers, of which a fault changes little.

    A point with squared Mahalanobis distance ``d`` weighs ``(4 + V) / (4 + d)``, as in the maximum likelihood of a t
    distribution with 4 degrees of freedom (Lange et al. 1989, eq. 5); the groups' least weight holds for all of them. A
    fault of hundreds of points therefore stays one, and what stays for thousands becomes usual.

    Args:
        groups, variables: K and V.
    """

    moves: ClassVar[tuple[str, ...]] = ("points", "weight", "mean", "covariance", "inverse")

    def __init__(self, groups: int, variables: int) -> None:
        self.points, self.weight = 0, 0.0
        self.mean = np.zeros((groups, variables))  # (K, V)
        self.covariance = np.zeros((groups, variables, variables))  # (K, V, V)
        self.inverse = self.covariance
        self._diagonal = np.eye(variables)

    @property
    def is_settled(self) -> bool:
        """Whether the last point that was added was given a distance; before it was 0 whatever the point."""
        return self.points > SETTLED

    def add(self, groups: Sequence[Sequence[float]]) -> Array:
        """Take a point's numbers (K, V) into account; those of a variable count as missing where the first is NaN.

        In the place of a missing number stands what the others let expect, so that the distance is that of the others.

        Returns:
            Its squared distance from the points before it over the variables that are there, of every group (K,): about
            1 for a usual one.
        """
        away = np.asarray(groups) - self.mean  # (K, V)
        there = ~np.isnan(away[0])
        variables = int(there.sum())
        distance, weight = np.zeros(len(away)), 1.0
        settled = self.points >= SETTLED
        if settled and (self.points - SETTLED) % RENEWED == 0:
            self.inverse = self._inverse()
        if variables < len(there):
            away = self._expected(away, there, settled)
        if settled:
            squares = np.maximum((away * (self.inverse @ away[..., None])[..., 0]).sum(1), 0.0)
            distance = squares / variables
            weight = min(1.0, (DEGREES + variables) / (DEGREES + float(squares.max())))
        self.points += 1
        self.weight = min(self.weight + weight, FORGET)
        rate = weight / self.weight
        self.mean += rate * away
        self.covariance += rate * away[..., None] * away[..., None, :]
        self.covariance *= 1 - rate
        return distance

    def _expected(self, away: Array, there: NDArray[np.bool_], settled: bool) -> Array:
        """Distances from the mean, with those in place of missing numbers that the others let expect: the conditional
        mean of a Gaussian."""
        filled = np.where(there, away, 0.0)
        if settled:
            among = self.inverse[:, ~there][:, :, ~there]  # (K, M, M)
            others = self.inverse[:, ~there][:, :, there] @ filled[:, there, None]  # (K, M, 1)
            filled[:, ~there] = -np.linalg.solve(among, others)[..., 0]
        return filled

    def _inverse(self) -> Array:
        variances = np.diagonal(self.covariance, axis1=1, axis2=2)
        unit = np.sqrt(variances + (FLOOR * self.mean) ** 2 + 1e-30)  # (K, V)
        units = unit[..., None] * unit[..., None, :]
        correlation = (1 - SHRINK) * self.covariance / units
        inverse: Array = np.linalg.inv(correlation + SHRINK * self._diagonal) / units
        return inverse
