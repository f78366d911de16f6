"""The answer as a blend of the network with classical forecasts: shares, and intervals by all of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.recipe import ALONE

__all__ = ["LINEAR", "Answer", "Blend", "Parts", "mixed"]

Array = NDArray[np.float64]
LINEAR = "linear model"


@dataclass(frozen=True)
class Parts:
    """What every part makes of B windows.

    Attributes:
        network: the quantiles of the network alone, (B, K, Q); NaN for windows that it may not be judged by.
        others: forecasts by name, (B, K); the linear model's is NaN there too.
        unit: of errors, such as the mean absolute seasonal difference, (B,).
        demand: whether a window is of intermittent demand, (B,).
        counts: whether all values before are whole numbers from 0 on, (B,).
        actual: the values, (B, K), NaN after a series' end; None when they are to be forecast.
    """

    network: Array
    others: Mapping[str, Array]
    unit: Array
    demand: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    actual: Array | None = None

    def at(self, rows: NDArray[np.bool_]) -> "Parts":
        """Those of some windows."""
        return Parts(
            self.network[rows],
            {name: values[rows] for name, values in self.others.items()},
            self.unit[rows],
            self.demand[rows],
            self.counts[rows],
            None if self.actual is None else self.actual[rows],
        )

    @property
    def true(self) -> Array:
        """The values of windows that have them."""
        assert self.actual is not None
        return self.actual

    @property
    def median(self) -> Array:
        """The network's, (B, K)."""
        return self.network[..., self.network.shape[-1] // 2]

    @property
    def network_mean(self) -> Array:
        """The mean of the network's distribution, (B, K): each quantile for an equal share, the outer ones for more."""
        weights = np.ones(self.network.shape[-1])
        weights[[0, -1]] = 1.5
        result: Array = self.network @ (weights / weights.sum())
        return result

    @property
    def network_point(self) -> Array:
        """The one number to go by: the median, of demand that comes now and then the mean, (B, K)."""
        result: Array = np.where(self.demand[:, None], self.network_mean, self.median)
        return result

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Windows that the network and the linear model were not fitted to, (B,)."""
        return np.asarray(np.isfinite(self.network).all((1, 2)))


@dataclass(frozen=True)
class Answer:
    """Of B windows: the quantiles, (B, K, Q), the mean and the one number to go by, (B, K) each."""

    quantiles: Array
    mean: Array
    point: Array


@dataclass(frozen=True)
class Blend:
    """How the parts make the answer.

    Attributes:
        shares, mean_shares: of the parts by name, in the median and in the mean.
        spread: quantiles of the formulas' errors less their median, in units of the series, (K, Q).
        stretch: of the intervals, by level, (Q,).
    """

    shares: Mapping[str, float]
    mean_shares: Mapping[str, float]
    spread: Array
    stretch: Array

    def answer(self, parts: Parts) -> Answer:
        """The answer to windows."""
        middle = mixed(self.shares, parts, parts.median)
        mean = mixed(self.mean_shares, parts, parts.network_mean)
        quantiles = middle[..., None] + self.stretch * self.spread_of(parts)
        # Demand that comes now and then is 0 at most steps: its median says nothing, and it has no symmetric spread.
        quantiles = np.where(parts.demand[:, None, None], parts.network, quantiles)
        point = np.where(parts.demand[:, None], mean, middle)
        least = np.where(parts.counts, 0.0, -np.inf)[:, None]
        ordered = np.sort(quantiles, -1)  # rearranged where they cross (Chernozhukov et al. 2010)
        return Answer(np.maximum(ordered, least[..., None]), np.maximum(mean, least), np.maximum(point, least))

    def spread_of(self, parts: Parts) -> Array:
        """The quantiles less the median, not stretched, (B, K, Q)."""
        share = self.shares[ALONE]
        spread = (1 - share) * parts.unit[:, None, None] * self.spread
        return spread + share * (parts.network - parts.median[..., None]) if share else spread


def mixed(shares: Mapping[str, float], parts: Parts, network: Array) -> Array:
    """What the parts give by their shares, with what is to stand for the network, (B, K)."""
    result = shares[ALONE] * network if shares[ALONE] else np.zeros_like(network)
    for name, share in shares.items():
        if name != ALONE:
            result = result + share * parts.others[name]
    return result
