"""The answer as a blend of the network with classical forecasts, in NumPy: shares, and intervals that hold.

Shares are convex weights found on the validation part; the fewer windows there are, the more they stay where they
started (the equal weights that the M competitions found hard to beat, Makridakis et al. 2020, sec. 4). Intervals are
those of the network and those of the formulas' own errors, by the same shares, stretched level by level until they
hold what they say on the validation part (split conformal prediction, as Lei et al. 2018, sec. 5.2, scale it).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from memfold.tasks.contest import ALONE
from memfold.tasks.forecast.demand import TSB

__all__ = ["LINEAR", "Answer", "Blend", "Parts"]

Array = NDArray[np.float64]
LINEAR = "linear model"
STEPS = 400  # of the search for shares
RATE = 0.3  # its step size
# Windows at which the start, where every share is divided by the part's error, counts as much as what was found. On
# 220 short series the formulas blended so scored a MASE of 0.93 by month, 0.87 by week, 1.11 by day and 1.02 by hour;
# the seasonal naive 0.96, 1.00, 1.29 and 1.05, AutoTheta 1.05, 0.90, 1.12 and 3.43.
FEW_CLASSICAL, FEW = 10, 6
OUTER = {ALONE: 0.3, LINEAR: 0.3, "": 0.7}  # where the network, the linear model and the formulas start
MOST_GROWTH = 1.0  # of the formulas' errors with the steps ahead, as an exponent
STRETCHES = (0.4, 4.0)


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

    @classmethod
    def fit(cls, parts: Parts, levels: Sequence[float], start: Mapping[str, float]) -> "Blend":
        """Find shares and stretches.

        Args:
            start: shares to begin with among the formulas, which stand where there is little to go by.
        """
        judged = parts.at(parts.judged)
        formulas = [name for name in parts.others if name not in (LINEAR, TSB)]
        # First among the formulas, which every window can judge; then what they give together beside the others.
        first = _shares({name: parts.others[name] for name in formulas}, parts, start, FEW_CLASSICAL)
        of_mean = {name: parts.others[name] for name in [*formulas, *([TSB] if parts.demand.any() else [])]}
        first_mean = _shares(of_mean, parts, start, FEW_CLASSICAL, squared=True)
        spread, plain = _spread(parts, first, levels), np.ones(len(levels))
        if not parts.judged.any():  # the network diverged
            return cls({ALONE: 0.0, **first}, {ALONE: 0.0, **first_mean}, spread, plain)
        shares = _two_levels(judged, first, judged.median, squared=False)
        mean_shares = _two_levels(judged, first_mean, judged.network_mean, squared=True)
        blend = cls(shares, mean_shares, spread, plain)
        return replace(blend, stretch=_stretch(judged, blend, levels))

    def answer(self, parts: Parts) -> Answer:
        """The answer to windows."""
        middle = _mixed(self.shares, parts, parts.median)
        mean = _mixed(self.mean_shares, parts, parts.network_mean)
        quantiles = middle[..., None] + self.stretch * self._spread_of(parts)
        # Demand that comes now and then is 0 at most steps: its median says nothing, and it has no symmetric spread.
        quantiles = np.where(parts.demand[:, None, None], parts.network, quantiles)
        point = np.where(parts.demand[:, None], mean, middle)
        least = np.where(parts.counts, 0.0, -np.inf)[:, None]
        ordered = np.sort(quantiles, -1)  # rearranged where they cross (Chernozhukov et al. 2010)
        return Answer(np.maximum(ordered, least[..., None]), np.maximum(mean, least), np.maximum(point, least))

    def _spread_of(self, parts: Parts) -> Array:
        """The quantiles less the median, not stretched, (B, K, Q)."""
        share = self.shares[ALONE]
        spread = (1 - share) * parts.unit[:, None, None] * self.spread
        return spread + share * (parts.network - parts.median[..., None]) if share else spread


def _mixed(shares: Mapping[str, float], parts: Parts, network: Array) -> Array:
    mixed = shares[ALONE] * network if shares[ALONE] else np.zeros_like(network)
    for name, share in shares.items():
        if name != ALONE:
            mixed = mixed + share * parts.others[name]
    return mixed


def _two_levels(judged: Parts, first: Mapping[str, float], network: Array, *, squared: bool) -> dict[str, float]:
    """Shares of the network, the linear model and the formulas, which keep their shares among themselves."""
    together = sum(share * judged.others[name] for name, share in first.items())
    assert isinstance(together, np.ndarray)
    candidates = {ALONE: network, "": together}
    if LINEAR in judged.others:
        candidates[LINEAR] = judged.others[LINEAR]
    outer = _shares(candidates, judged, OUTER, FEW, squared=squared, sharply=2)
    rest = outer.pop("")
    shares = outer | {name: rest * share for name, share in first.items()}
    kept = {name: share for name, share in shares.items() if share >= 0.01 or name == ALONE}
    total = sum(kept.values())
    return {name: share / total for name, share in kept.items()}


def _shares(
    candidates: Mapping[str, Array],
    parts: Parts,
    start: Mapping[str, float],
    few: int,
    *,
    squared: bool = False,
    sharply: int = 1,
) -> dict[str, float]:
    """Convex weights with the least error, by exponentiated gradient (Kivinen & Warmuth 1997), drawn to a start.

    Args:
        few: windows at which the start counts for half.
        squared: whether the error is the squared one.
        sharply: power of each candidate's error by which its start is divided.
    """
    names = list(candidates)
    unit = parts.unit[:, None]
    stacked = np.stack([candidates[name] / unit for name in names])  # (P, B, K)
    actual = parts.true / unit
    there = np.isfinite(actual)
    errors = np.nanmean(np.abs(stacked - actual), (1, 2))
    prior = np.array([start.get(name, 0.0) for name in names])
    prior = prior / np.maximum(errors, 1e-3 * errors.max() + 1e-12) ** sharply
    prior = prior / prior.sum()
    weights = np.full(len(names), 1 / len(names))
    total = np.zeros(len(names))
    for step in range(STEPS):
        error = np.where(there, np.tensordot(weights, stacked, 1) - actual, 0.0)
        slope = 2 * error if squared else np.sign(error)
        gradient = (stacked * slope).mean((1, 2))
        gradient -= gradient @ weights
        weights = weights * np.exp(-RATE * gradient / (np.abs(gradient).max() + 1e-12) / np.sqrt(1 + step / 10))
        weights /= weights.sum()
        total += weights * (step >= STEPS // 2)
    best = total / total.sum()
    trust = len(actual) / (len(actual) + few)
    mixed = trust * best + (1 - trust) * prior
    return {name: float(share) for name, share in zip(names, mixed, strict=True)}


def _spread(parts: Parts, first: Mapping[str, float], levels: Sequence[float]) -> Array:
    """Quantiles of the formulas' errors, which grow with a power of the steps ahead, less their median, (K, Q)."""
    mixed = sum(share * parts.others[name] for name, share in first.items())
    error = (parts.true - mixed) / parts.unit[:, None]  # (B, K)
    steps = np.log(np.arange(1, error.shape[1] + 1))
    there = np.isfinite(error).any(0)  # of short series no window may reach the last steps
    size = np.log(np.nanmean(np.abs(error[:, there]), 0) + 1e-9)
    away = steps[there] - steps[there].mean()
    growth = float(np.clip((away @ size) / max(away @ away, 1e-9), 0, MOST_GROWTH))
    profile = np.exp(growth * steps)
    outline = np.nanquantile(error / profile, levels)
    wider = 1 + 1 / len(error)  # of few windows the errors are too small; 10 points of coverage for single short series
    result: Array = wider * profile[:, None] * (outline - np.nanmedian(error / profile))
    return result


def _stretch(judged: Parts, blend: Blend, levels: Sequence[float]) -> Array:
    """By level, what its distance from the median must be multiplied with to hold on the judged windows, (Q,)."""
    error = judged.true - _mixed(blend.shares, judged, judged.median)
    spread = blend._spread_of(judged)
    stretch = np.ones(len(levels))
    trust = len(error) / (len(error) + FEW)
    for index, level in enumerate(levels):
        side = spread[..., index]
        usable = np.isfinite(error) & (side > 1e-12 if level > 0.5 else side < -1e-12)
        if level == 0.5 or not usable.any():
            continue
        needed = np.quantile(error[usable] / side[usable], max(level, 1 - level))
        stretch[index] = np.clip(needed, *STRETCHES) ** trust
    return stretch
