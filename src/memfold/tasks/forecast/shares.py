"""How much each part has in a forecast, and how far its intervals must be stretched to hold.

Shares are convex weights found on the validation part; the fewer independent windows there are, the more they stay
where they started (the equal weights that the M competitions found hard to beat, Makridakis et al. 2020, sec. 4).
Intervals are those of the network and those of the formulas' own errors, by the same shares, stretched level by level
until they hold what they say on the validation part (split conformal prediction, as Lei et al. 2018, sec. 5.2, scale
it).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.forecasting.blend import LINEAR, PRETRAINED, Blend, Parts, mixed
from memfold.runtime.forecasting.demand import TSB
from memfold.runtime.recipe import ALONE
from memfold.tasks.forecast.independent import independent_windows, intraclass_correlation

__all__ = ["fitted_blend"]

Array = NDArray[np.float64]
STEPS = 400  # of the search for shares
RATE = 0.3  # its step size
# Independent windows at which the start, where every share is divided by the part's error, counts as much as what was
# found. On 220 short series the formulas blended so scored a MASE of 0.93 by month, 0.87 by week, 1.11 by day and 1.02
# by hour; the seasonal naive 0.96, 1.00, 1.29 and 1.05, AutoTheta 1.05, 0.90, 1.12 and 3.43.
FEW_CLASSICAL, FEW = 10, 6
# Where the network, the linear model, the bundled forecaster and the formulas start.
OUTER = {ALONE: 0.3, LINEAR: 0.3, PRETRAINED: 0.7, "": 0.7}
MOST_GROWTH = 1.0  # of the formulas' errors with the steps ahead, as an exponent
STRETCHES = (0.4, 4.0)


def fitted_blend(
    parts: Parts, levels: Sequence[float], start: Mapping[str, float], turns: NDArray[np.int64] | None = None
) -> Blend:
    """Find shares and stretches.

    Args:
        start: shares to begin with among the formulas, which stand where there is little to go by.
        turns: the time of each window by a number, (B,); all are of different times when None.
    """
    turns = np.arange(len(parts.unit)) if turns is None else turns
    judged = parts.at(parts.judged)
    formulas = [name for name in parts.others if name not in (LINEAR, PRETRAINED, TSB)]
    # First among the formulas, which every window can judge; then what they give together beside the others.
    plain_formulas = {name: parts.others[name] for name in formulas}
    correlation = intraclass_correlation(
        {name: _error(values, parts) for name, values in plain_formulas.items()}, turns
    )
    count, judged_count = (independent_windows(some, correlation) for some in (turns, turns[parts.judged]))
    trust = count / (count + FEW_CLASSICAL)
    first = _shares(plain_formulas, parts, start, trust)
    of_mean = {name: parts.others[name] for name in [*formulas, *([TSB] if parts.demand.any() else [])]}
    first_mean = _shares(of_mean, parts, start, trust, squared=True)
    spread, plain = _spread(parts, first, levels), np.ones(len(levels))
    if not parts.judged.any():  # the network diverged
        return Blend({ALONE: 0.0, **first}, {ALONE: 0.0, **first_mean}, spread, plain)
    trust = judged_count / (judged_count + FEW)
    shares = _two_levels(judged, first, judged.median, trust, squared=False)
    mean_shares = _two_levels(judged, first_mean, judged.network_mean, trust, squared=True)
    blend = Blend(shares, mean_shares, spread, plain)
    return replace(blend, stretch=_stretch(judged, blend, levels, trust))


def _two_levels(
    judged: Parts, first: Mapping[str, float], network: Array, trust: float, *, squared: bool
) -> dict[str, float]:
    """Shares of the network, the linear model and the formulas, which keep their shares among themselves."""
    together = sum(share * judged.others[name] for name, share in first.items())
    assert isinstance(together, np.ndarray)
    candidates = {ALONE: network, "": together}
    if LINEAR in judged.others:
        candidates[LINEAR] = judged.others[LINEAR]
    if judged.pretrained is not None:
        candidates[PRETRAINED] = (judged.means if squared else judged.others)[PRETRAINED]
    outer = _shares(candidates, judged, OUTER, trust, squared=squared, sharply=2)
    rest = outer.pop("")
    shares = outer | {name: rest * share for name, share in first.items()}
    kept = {name: share for name, share in shares.items() if share >= 0.01 or name == ALONE}
    total = sum(kept.values())
    return {name: share / total for name, share in kept.items()}


def _shares(
    candidates: Mapping[str, Array],
    parts: Parts,
    start: Mapping[str, float],
    trust: float,
    *,
    squared: bool = False,
    sharply: int = 1,
) -> dict[str, float]:
    """Convex weights with the least error, by exponentiated gradient (Kivinen & Warmuth 1997), drawn to a start.

    Args:
        trust: in what is found, the rest being in the start.
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
    mixed = trust * best + (1 - trust) * prior
    return {name: float(share) for name, share in zip(names, mixed, strict=True)}


def _error(forecast: Array, parts: Parts) -> Array:
    """The mean absolute error of each window, in units of the series, (B,)."""
    error = np.abs(forecast - parts.true) / parts.unit[:, None]
    there = np.isfinite(error)
    with np.errstate(invalid="ignore"):
        result: Array = np.where(there, error, 0).sum(1) / there.sum(1)
    return result


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


def _stretch(judged: Parts, blend: Blend, levels: Sequence[float], trust: float) -> Array:
    """By level, what its distance from the median must be multiplied with to hold on the judged windows, (Q,)."""
    error = judged.true - mixed(blend.shares, judged.others, judged.median)
    spread = blend.spread_of(judged)
    stretch = np.ones(len(levels))
    for index, level in enumerate(levels):
        side = spread[..., index]
        usable = np.isfinite(error) & (side > 1e-12 if level > 0.5 else side < -1e-12)
        if level == 0.5 or not usable.any():
            continue
        needed = np.quantile(error[usable] / side[usable], max(level, 1 - level))
        stretch[index] = np.clip(needed, *STRETCHES) ** trust
    return stretch
