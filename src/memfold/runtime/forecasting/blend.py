"""The answer as a blend of the network with classical forecasts: shares, and intervals by all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.recipe import ALONE

__all__ = ["LINEAR", "PRETRAINED", "Answer", "Blend", "Parts", "mean_of", "mixed"]

Array = NDArray[np.float64]
LINEAR = "linear model"
PRETRAINED = "bundled forecaster"  # what `memfold forecast` answers


@dataclass(frozen=True)
class Parts:
    """What every part makes of B windows.

    Attributes:
        network: the quantiles of the network alone, (B, K, Q); NaN for windows that it may not be judged by.
        others: forecasts by name, (B, K); those of the linear model and the bundled forecaster are NaN there too.
        pretrained: the quantiles of the bundled forecaster, (B, K, Q), whose median is among the others; None without.
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
    pretrained: Array | None = None

    def at(self, rows: NDArray[np.bool_]) -> "Parts":
        """Those of some windows."""
        return Parts(
            self.network[rows],
            {name: values[rows] for name, values in self.others.items()},
            self.unit[rows],
            self.demand[rows],
            self.counts[rows],
            None if self.actual is None else self.actual[rows],
            None if self.pretrained is None else self.pretrained[rows],
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
        """The mean of the network's distribution, (B, K)."""
        return mean_of(self.network)

    @property
    def means(self) -> Mapping[str, Array]:
        """The others as they stand in a mean, (B, K): of the bundled forecaster the mean of its distribution."""
        return self.others if self.pretrained is None else {**self.others, PRETRAINED: mean_of(self.pretrained)}

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
        middle = mixed(self.shares, parts.others, parts.median)
        mean = mixed(self.mean_shares, parts.means, parts.network_mean)
        quantiles = middle[..., None] + self.stretch * self.spread_of(parts)
        # Demand that comes now and then is 0 at most steps: its median says nothing, and it has no symmetric spread.
        if parts.demand.any():
            quantiles = np.where(parts.demand[:, None, None], self._of_demand(parts), quantiles)
        point = np.where(parts.demand[:, None], mean, middle)
        least = np.where(parts.counts, 0.0, -np.inf)[:, None]
        ordered = np.sort(quantiles, -1)  # rearranged where they cross (Chernozhukov et al. 2010)
        return Answer(np.maximum(ordered, least[..., None]), np.maximum(mean, least), np.maximum(point, least))

    def without(self, name: str) -> "Blend":
        """The same with the others alone, by their shares among themselves; of none the network."""

        def others(shares: Mapping[str, float]) -> dict[str, float]:
            kept = {ALONE: 0.0} | {other: share for other, share in shares.items() if other != name}
            total = sum(kept.values())
            return {other: share / total for other, share in kept.items()} if total else {ALONE: 1.0}

        return replace(self, shares=others(self.shares), mean_shares=others(self.mean_shares))

    def spread_of(self, parts: Parts) -> Array:
        """The quantiles less the median, not stretched, (B, K, Q)."""
        with_quantiles = {ALONE: parts.network, PRETRAINED: parts.pretrained}
        spread = np.broadcast_to(parts.unit[:, None, None] * self.spread, parts.network.shape)
        spread = spread * (1 - sum(self.shares.get(name, 0.0) for name in with_quantiles))
        for name, quantiles in with_quantiles.items():
            if share := self.shares.get(name, 0.0):
                assert quantiles is not None
                spread = spread + share * (quantiles - quantiles[..., quantiles.shape[-1] // 2, None])
        return spread

    def _of_demand(self, parts: Parts) -> Array:
        """The quantiles of demand that comes now and then: those of the network and of the bundled forecaster."""
        mine, other = self.shares[ALONE], self.shares.get(PRETRAINED, 0.0)
        if not other or parts.pretrained is None:
            return parts.network
        if not mine:
            return parts.pretrained
        return (mine * parts.network + other * parts.pretrained) / (mine + other)


def mean_of(quantiles: Array) -> Array:
    """The mean of a distribution by its quantiles, (..., Q): each for an equal share, the outer ones for more."""
    weights = np.ones(quantiles.shape[-1])
    weights[[0, -1]] = 1.5
    # Not a product of matrices, whose last bits depend with some libraries on where in memory the numbers lie.
    result: Array = (quantiles * (weights / weights.sum())).sum(-1)
    return result


def mixed(shares: Mapping[str, float], others: Mapping[str, Array], network: Array) -> Array:
    """What the parts give by their shares, with what is to stand for the network, (B, K)."""
    result = shares[ALONE] * network if shares[ALONE] else np.zeros_like(network)
    for name, share in shares.items():
        if name != ALONE:
            result = result + share * others[name]
    return result
