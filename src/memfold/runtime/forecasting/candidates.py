"""What the bundled forecaster reads: series brought to one scale, and simple forecasts of each patch that follows.

An LSTM is poor at copying a value of 168 steps before out of its memory; so it is handed the values whole seasons
before, and decides how much to trust them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.forecasting.means import RunningMeans
from memfold.runtime.forecasting.smoothing import DAMPED, KINDS, smoothed

__all__ = ["CANDIDATES", "FACTS", "PATCH", "READ", "RECORD", "Candidates", "Scale", "candidates", "facts", "unit"]

Floats = NDArray[np.float32]
Array = NDArray[np.float64]
Integers = NDArray[np.int64]

PATCH = 16  # steps that are read, and forecast, at once
SEASONS = 2
CANDIDATES = 2 * SEASONS + 3 + KINDS + 2  # two a season, three of both, smoothed, the last value, the mean of all
CYCLES = 8  # seasons back that are looked at
FADING = 0.75  # weight of a season beside the one after it, in a mean over seasons
LEAST_LEVEL = 4  # steps whose mean is a level
BOUND = 20.0  # of what the network reads, in deviations
FACTS = 6
LEAST_UNIT = 1e-4  # deviations
RECORD = CANDIDATES + KINDS
FORGETTING = 0.8  # weight of what a candidate missed a patch by, beside that of the next patch
LEAST_MISS = 1e-3  # deviations
# What the network reads of a patch: values, which are seen, all candidates but the mean, which seasons are known, and
# how far off every candidate was before.
READ = PATCH * (1 + CANDIDATES + SEASONS) + RECORD + FACTS


@dataclass(frozen=True)
class Scale:
    """The mean and the deviation of what is seen of each series, (N, 1) each."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, values: Array, seen: NDArray[np.bool_]) -> "Scale":
        """That of series, (N, L), by their values that are seen; a constant series has deviation 0."""
        count = seen.sum(1, keepdims=True).clip(1)
        mean = np.where(seen, values, 0.0).sum(1, keepdims=True) / count
        away = np.where(seen, values - mean, 0.0)
        deviation = np.sqrt((away**2).sum(1, keepdims=True) / count)
        return cls(mean, np.where(deviation > 1e-9 * np.abs(mean), deviation, 0.0))

    @property
    def zero(self) -> Array:
        """Where 0 is in deviations from the mean, (N, 1)."""
        result: Array = -self.mean / np.where(self.deviation > 0, self.deviation, np.inf)
        return result

    def apply(self, values: Array, seen: NDArray[np.bool_]) -> Floats:
        """The series in deviations from their means, 0 where nothing is seen, (N, L)."""
        z = (values - self.mean) / np.where(self.deviation > 0, self.deviation, 1.0)
        result: Floats = np.where(seen, z, 0.0).clip(-BOUND, BOUND).astype(np.float32)
        return result

    def undo(self, z: Array) -> Array:
        """Back to the series' own units, (N, …)."""
        shape = (-1,) + (1,) * (z.ndim - 1)
        return z * self.deviation.reshape(shape) + self.mean.reshape(shape)


@dataclass(frozen=True)
class Candidates:
    """Simple forecasts of the patch after each patch.

    Attributes:
        values: of each step of series, what is forecast for the step a patch later, float32, (N, C, L).
        known: whether a season reaches back to a value that was seen, float32, (N, S, L).
        record: by how much each candidate, and each way of smoothing a step ahead, missed what followed so far: a third
            of the logarithm, in deviations, 0 where that is not known, float32, (N, RECORD, L / PATCH).
    """

    values: Floats
    known: Floats
    record: Floats

    @property
    def damped(self) -> Floats:
        """The forecast by a damped trend and a season that is added, (N, L)."""
        result: Floats = self.values[:, 2 * SEASONS + 3 + DAMPED]
        return result


def candidates(z: Floats, seen: NDArray[np.bool_], seasons: Integers, zero: Array) -> Candidates:
    """The forecasts that seasonal naives, seasonal means and exponential smoothing would give at the end of each patch.

    Args:
        z: scaled series, (N, L), L a multiple of `PATCH`.
        seen: which values are known, (N, L).
        seasons: steps of each series' seasons, (N, S).
        zero: where 0 is in the units of ``z``, (N, 1).
    """
    count, steps = z.shape
    place = np.arange(steps)
    latest = np.maximum.accumulate(np.where(seen, place, -1), axis=1)[:, PATCH - 1 :: PATCH]
    end = np.repeat(latest, PATCH, axis=1)  # the last value seen by the end of each step's own patch, (N, L)
    rows = np.arange(count)[:, None]
    last = np.where(end >= 0, z[rows, end], 0.0)
    means = RunningMeans.of(z, seen)
    target = place + PATCH
    values = np.zeros((count, CANDIDATES, steps), np.float32)
    known = np.zeros((count, SEASONS, steps), np.float32)
    for index in range(SEASONS):
        season = seasons[:, index, None]
        naive, mean, there = _seasonal(means, season, target, end)
        values[:, 2 * index] = np.where(there, naive, last)
        values[:, 2 * index + 1] = mean
        known[:, index] = there
    change, path = _of_both(means, seasons[:, :1], seasons[:, 1:], target, end)
    values[:, 2 * SEASONS] = values[:, 0] + change
    values[:, 2 * SEASONS + 1] = path
    values[:, 2 * SEASONS + 2] = np.median(values[:, [0, 2 * SEASONS, 2 * SEASONS + 1]], 1)
    smooth = smoothed(z, seen, seasons[:, :1], zero, PATCH)
    values[:, 2 * SEASONS + 3 : -2] = smooth.values
    values[:, -2] = last
    misses = np.concatenate([_misses(z, seen, values), smooth.errors], 1)
    record = np.where(np.isfinite(misses), np.log(np.nan_to_num(misses) + LEAST_MISS) / 3, 0.0)
    return Candidates(values, known, record.astype(np.float32))


def _misses(z: Floats, seen: NDArray[np.bool_], values: Floats) -> Array:
    """How far off candidates were up to each patch, the latest counting most, (N, C, L / PATCH); NaN at first."""
    count, number, steps = values.shape
    off = np.zeros((count, number, steps))
    off[..., PATCH:] = np.abs(z[:, None, PATCH:] - values[..., :-PATCH]) * seen[:, None, PATCH:]
    judged = seen & (np.arange(steps) >= PATCH) & (np.cumsum(seen, 1) > PATCH)
    totals = (off * judged[:, None]).reshape(count, number, -1, PATCH).sum(-1)
    counts = judged.reshape(count, 1, -1, PATCH).sum(-1).astype(np.float64)
    for patch in range(1, totals.shape[-1]):
        totals[..., patch] += FORGETTING * totals[..., patch - 1]
        counts[..., patch] += FORGETTING * counts[..., patch - 1]
    result: Array = np.where(counts > 0, totals / np.maximum(counts, 1e-9), np.nan)
    return result


def _latest(target: Integers, season: Integers, end: Integers) -> Integers:
    """The latest place whole seasons before each target that is not after ``end``."""
    return target - season * -((end - target) // season)


def _seasonal(
    means: RunningMeans, season: Integers, target: Integers, end: Integers
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """The last value seen whole seasons before each target, and the last level with the mean of seasons upon it.

    Returns:
        Both forecasts, and whether there was such a value, (N, L) each.
    """
    source = _latest(target, season, end)
    width = np.maximum(season, LEAST_LEVEL)
    level = means.between(end + 1 - width, end + 1)
    begin = np.arange(means.values.shape[1]) - width // 2
    away = np.where(means.seen, means.values - means.between(begin, begin + width), 0.0)
    rows = np.arange(len(away))[:, None]
    naive = np.zeros(source.shape)
    reached = np.zeros(source.shape, bool)
    upon, weights = np.zeros(source.shape), np.full(source.shape, 1e-9)
    weight = 1.0
    for cycle in range(CYCLES):
        value, there = means.at(source)
        naive = np.where(there & ~reached, value, naive)
        reached |= there
        # The newest season has no values after it: its level is the last one.
        upon += weight * there * (value - level if cycle == 0 else away[rows, source.clip(0)])
        weights += weight * there
        weight *= FADING
        source = source - season
    return naive, level + upon / weights, reached


def _of_both(
    means: RunningMeans, short: Integers, long: Integers, target: Integers, end: Integers
) -> tuple[Array, Array]:
    """What a season in a season says: a Monday after a Sunday is as other Mondays are after their Sundays.

    Returns:
        How much values changed in earlier long seasons between the places where the seasonal naive takes its value and
        the target, as double seasonal differences have it (Box & Jenkins 1970, ch. 9); and the last level with the path
        upon it that was taken from the same phase of the long season on, (N, L) each.
    """
    apart = target - _latest(target, short, end)
    width = np.maximum(short, LEAST_LEVEL)
    level = means.between(end + 1 - width, end + 1)
    place = _latest(target, long, end)
    change, changes = np.zeros(place.shape), np.full(place.shape, 1e-9)
    upon, weights = np.zeros(place.shape), np.full(place.shape, 1e-9)
    weight = 1.0
    for _ in range(CYCLES):
        value, there = means.at(place)
        before, known = means.at(place - apart)
        change += weight * (there & known) * (value - before)
        changes += weight * (there & known)
        then = end - (target - place)  # the end of what was known, as many long seasons earlier
        whole = there & (then + 1 >= width)
        upon += weight * whole * (value - means.between(then + 1 - width, then + 1))
        weights += weight * whole
        weight *= FADING
        place = place - long
    return change / changes, level + upon / weights


def unit(z: Floats, seen: NDArray[np.bool_], seasons: Integers) -> Floats:
    """How much a series changes from step to step, or from season to season where that is less, (N, 1).

    What the network adds to the candidates is in this unit, so that a smooth series is forecast as finely as a rough
    one.
    """
    changes = [_change(z, seen, season) for season in (np.ones_like(seasons[:, :1]), *np.split(seasons, SEASONS, 1))]
    least = np.min(np.where(np.isnan(changes), np.inf, changes), 0)
    return np.where(np.isfinite(least), least, 1.0).clip(LEAST_UNIT, 1.0).astype(np.float32)


def _change(z: Floats, seen: NDArray[np.bool_], lag: Integers) -> Array:
    """The mean absolute change over so many steps, NaN where no two values are so far apart, (N, 1)."""
    rows = np.arange(len(z))[:, None]
    before = np.arange(z.shape[1]) - lag
    pair = seen & (before >= 0) & seen[rows, before.clip(0)]
    count = pair.sum(1, keepdims=True)
    total = np.where(pair, np.abs(z - z[rows, before.clip(0)]), 0.0).sum(1, keepdims=True, dtype=np.float64)
    return np.where(count > 0, total / count.clip(1), np.nan)


def facts(z: Floats, seen: NDArray[np.bool_], seasons: Integers) -> Floats:
    """What is the same throughout a series, (N, FACTS): its seasons, how much of it is seen, how rough it is."""
    one = np.ones_like(seasons[:, :1])
    step, season = _change(z, seen, one), _change(z, seen, seasons[:, :1])
    turn = _change(np.diff(z, axis=1, prepend=z[:, :1]).astype(np.float32), seen, one)  # of the change itself
    rough = [np.log(np.nan_to_num(value[:, 0], nan=1.0) + 1e-3) / 3 for value in (step, season, turn)]
    columns = [np.log(seasons[:, 0]) / 5, np.log(seasons[:, 1]) / 5, np.log(seen.sum(1) + 1) / 6, *rough]
    return np.stack(columns, 1).astype(np.float32)
