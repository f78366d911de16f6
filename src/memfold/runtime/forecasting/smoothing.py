"""Exponential smoothing of many series at once: what a level and a trend that follow a series, and a season, forecast.

Holt's method, the trend lasting, damped or left out (Hyndman, Koehler, Ord & Snyder 2008, ch. 3), of series whose
season was taken out by running means, added or multiplied (classical decomposition, but with nothing of the future).
Several factors are tried at once; of each kind those are taken that had the least squared error of one step, as far as
the series is known.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.forecasting.means import RunningMeans

__all__ = ["DAMPED", "KINDS", "TRENDS", "Smoothed", "smoothed"]

Floats = NDArray[np.float32]
Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

# Factors of the level, of the trend, and by how much a trend is less after each step.
FLAT = ((0.1, 0.0, 0.0), (0.3, 0.0, 0.0), (0.6, 0.0, 0.0), (0.98, 0.0, 0.0))
FADING_TRENDS = tuple((alpha, beta, 0.95) for alpha in (0.3, 0.7, 0.98) for beta in (0.1, 0.4))
LASTING_TRENDS = tuple((alpha, beta, 1.0) for alpha in (0.2, 0.6, 0.98) for beta in (0.03, 0.15, 0.5))
TRENDS = (FLAT, FADING_TRENDS, LASTING_TRENDS)
DAMPED = 1  # the kind with a damped trend and a season that is added
KINDS = 2 * len(TRENDS)  # with a season that is added, and with one that is multiplied
CYCLES = 8  # seasons back whose mean is the season
FADING_SEASON = 0.85  # weight of a season beside the one after it
FADING = 0.99  # of an error beside that of the next step
BOUND = 20.0  # deviations
LEAST = 1e-3  # deviations that a value is above 0, for a season to be multiplied


@dataclass(frozen=True)
class Smoothed:
    """Forecasts at the end of each patch.

    Attributes:
        values: of each step, what each kind forecasts for the step a patch later, float32, (N, KINDS, L).
        errors: root mean square of each kind's errors of one step up to the end of each patch; NaN where nothing was
            forecast yet, float32, (N, KINDS, L / patch).
    """

    values: Floats
    errors: Floats


def smoothed(z: Floats, seen: Booleans, season: Integers, zero: Array, patch: int) -> Smoothed:
    """Smooth series, and forecast the patch after each patch.

    Args:
        z: series of deviation near 1, (N, L), L a multiple of ``patch``.
        seen: which values are known, (N, L).
        season: steps of each series' season, 1 where there is none, (N, 1).
        zero: where 0 is in the units of ``z``; seasons are multiplied in series that lie above it, (N, 1).
        patch: steps.
    """
    above = np.where(seen, z - zero, 1.0)
    positive: Booleans = np.all(above > LEAST, 1, keepdims=True)
    apart, added = _without_season(z, seen, season, patch)
    logs, multiplied = _without_season(np.log(np.where(positive, above, 1.0)), seen, season, patch)
    # Without a season that is multiplied a series is what it is without one that is added, where it is not above 0.
    both = np.stack([apart, np.where(positive, np.exp(logs) + zero, apart)], 1)
    levels = _levels(both.astype(np.float32), seen, patch)
    plain = levels.values.reshape(len(z), 2, len(TRENDS), -1)
    sums = plain[:, 0] + added[:, None]
    products = (plain[:, 1] - zero[..., None]) * np.exp(multiplied)[:, None] + zero[..., None]
    values = np.concatenate([sums, np.where(positive[..., None], products, sums)], 1)
    return Smoothed(values.clip(-BOUND, BOUND).astype(np.float32), levels.errors)


def _without_season(z: Floats | Array, seen: Booleans, season: Integers, patch: int) -> tuple[Array, Array]:
    """Series without their season as it was known before each value, and the season of the step a patch later.

    Returns:
        Both (N, L); the season is that which is known at the end of each step's patch.
    """
    if not (season > 1).any():
        return z.astype(np.float64), np.zeros(z.shape)
    place = np.broadcast_to(np.arange(z.shape[1]), z.shape)
    means = RunningMeans.of(z, seen)
    half = season // 2
    # A season of an even number of steps is as many steps and a half at either end.
    around = (
        means.between(place - half, place - half + season) + means.between(place + half - season + 1, place + half + 1)
    ) / 2
    first = seen.argmax(1)[:, None]
    whole = seen & (place - half >= first) & (season > 1)
    away = np.where(whole, z - around, 0.0)
    end = place - place % patch + patch - 1
    before = _seasons(away, whole, place - season, season)
    later = place + patch
    past = (later - (end - half)) // season + ((later - (end - half)) % season > 0)
    ahead = _seasons(away, whole, later - season * np.maximum(past, 1), season)
    return z - before, ahead


def _seasons(away: Array, whole: Booleans, place: Integers, season: Integers) -> Array:
    """The mean of what a phase was above the level, at these places and whole seasons before them, (N, L)."""
    rows = np.arange(len(away))[:, None]
    total, weights, weight = np.zeros(away.shape), np.full(away.shape, 1e-9), 1.0
    for _ in range(CYCLES):
        index = place.clip(0)
        there = (place >= 0) & whole[rows, index]
        total += weight * there * away[rows, index]
        weights += weight * there
        weight *= FADING_SEASON
        place = place - season
    mean: Array = total / weights
    return mean


def _levels(y: Floats, seen: Booleans, patch: int) -> Smoothed:
    """Smooth series without a season, (N, 2, L)."""
    count, _, steps = y.shape
    alpha, beta, damping = np.array([factors for trend in TRENDS for factors in trend], np.float32).T  # (G,) each
    number = np.cumsum(seen, 1)
    slow = (1 / number.clip(1)).T[..., None, None].astype(np.float32)  # (L, N, 1, 1)
    there, follows, judged = (
        row.T[..., None, None].astype(np.float32) for row in (seen, seen & (number > 1), seen & (number > 2))
    )
    has_trend = (beta > 0).astype(np.float32)
    across = np.ascontiguousarray(y.transpose(2, 0, 1))[..., None]  # (L, N, 2, 1)
    level, trend, error = (np.zeros((count, 2, len(alpha)), np.float32) for _ in range(3))
    weight = np.zeros((count, 1, 1), np.float32)
    ahead = np.cumsum(damping[:, None] ** np.arange(patch), 1)  # (G, P)
    values = np.zeros((count, 2, len(TRENDS), steps), np.float32)
    errors = np.full((count, 2, len(TRENDS), steps // patch), np.nan, np.float32)
    starts = np.cumsum([0, *map(len, TRENDS)])
    for step in range(steps):
        level += trend
        surprise = across[step] - level
        surprise *= there[step]
        rate = np.maximum(alpha, slow[step])
        rated = rate * surprise
        level += rated
        rated *= np.maximum(beta, slow[step] * has_trend) * follows[step]
        trend += rated
        trend *= damping
        surprise *= surprise
        surprise *= judged[step]
        error *= FADING
        error += surprise
        weight = FADING * weight + judged[step]
        if (step + 1) % patch == 0:
            for kind, (start, stop) in enumerate(pairwise(starts)):
                best = start + error[..., start:stop].argmin(-1)[..., None]
                path = np.take_along_axis(trend, best, -1) * ahead[best[..., 0]]  # the trend is that of the next step
                values[:, :, kind, step + 1 - patch : step + 1] = np.take_along_axis(level, best, -1) + path
                mean = np.take_along_axis(error, best, -1)[..., 0] / weight[..., 0].clip(1e-9)
                errors[:, :, kind, step // patch] = np.where(weight[..., 0] > 0, np.sqrt(mean), np.nan)
    return Smoothed(values.reshape(count, KINDS, steps), errors.reshape(count, KINDS, -1))
