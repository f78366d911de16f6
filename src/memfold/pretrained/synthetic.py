"""Synthetic series, from which the bundled forecaster learns what series do.

Every function makes N series of L steps at once, ``(N, L)``; a per-series number is ``(N, 1)`` or ``(N,)``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch", "series"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
LONGEST_SEASON = 800
SHORTEST = 16  # steps
SMOOTHED = 0.3  # of all series follow a model of exponential smoothing

# Seasons by what they are in life, as (steps of the short one, of the long one, how often).
SEASONS = (
    (24, 168, 6),  # hours of a day and of a week
    (48, 336, 2),
    (96, 672, 2),
    (144, 1, 1),
    (288, 1, 1),
    (7, 28, 1),
    (7, 365, 2),
    (7, 1, 2),
    (5, 1, 1),
    (52, 1, 2),
    (12, 1, 4),
    (12, 144, 1),
    (4, 1, 2),
    (6, 1, 1),
    (24, 1, 3),
    (30, 365, 1),
    (60, 1, 1),
    (60, 720, 1),
)


@dataclass(frozen=True)
class Batch:
    """Series, and the seasons that a caller would name for them.

    Attributes:
        values: float32, (N, L).
        seasons: steps of a short and a long season, 1 where there is none; wrong for some series, as in life, (N, 2).
        span: steps over which a series' level does what it does, (N,): a trend is as strong over thirty years as over
            thousand hours.
    """

    values: NDArray[np.float32]
    seasons: Integers
    span: Integers


def series(rng: np.random.Generator, count: int, steps: int) -> Batch:
    """So many series of so many steps, each of its own kind."""
    short, long = _seasons(rng, count)
    span = np.where(rng.random(count) < 0.5, _between(rng, count, SHORTEST, steps), steps)
    values, has_short, has_long = _composed(rng, short, long, steps, span)
    smoothed = np.flatnonzero(rng.random(count) < SMOOTHED)
    values[smoothed], has_short[smoothed] = _innovations(rng, short[smoothed], steps, span[smoothed])
    has_long[smoothed] = False
    values = _kinds(rng, _events(rng, values))
    named = _named(rng, short, long, has_short, has_short & has_long)
    return Batch(values.astype(np.float32), named, span.astype(np.int64))


def _composed(
    rng: np.random.Generator, short: Integers, long: Integers, steps: int, span: Array
) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Sums of a level, of seasons and of noise, (N, L), and whether they have a short and a long season, (N,)."""
    count = len(short)
    seasonal, weekly = _one(rng, count, 0.75), _one(rng, count, 0.6) * (long[:, None] > 1)
    size = np.exp(rng.normal(0, 1, (count, 1)))
    first = size * seasonal * _season(rng, count, steps, short)
    second = size * rng.uniform(0.1, 1, (count, 1)) * seasonal * weekly * _season(rng, count, steps, long)
    nested = seasonal * ((long % short == 0) & (long > short))[:, None]
    days, other = nested * _one(rng, count, 0.5), nested * _one(rng, count, 0.4)
    first = np.where((other > 0) & _odd_days(rng, short, long, steps), size * _season(rng, count, steps, short), first)
    season = np.where(days > 0, first * _day_sizes(rng, short, long, steps), first) + second
    level = _level(rng, count, steps, span) * np.where(
        _one(rng, count, 0.35) > 0, np.exp(rng.uniform(-3, 0, (count, 1))), 1
    )
    grows = _one(rng, count, 0.35)
    noise = _noise(rng, count, steps) * (1 + _one(rng, count, 0.2) * np.abs(season))
    # Normals, positions, sums of much: nothing but what is smooth.
    smooth = _one(rng, count, 0.1)
    curve = np.exp(rng.normal(0, 1, (count, 1))) * _smooth(rng, count, steps, span * _between(rng, count, 0.2, 3) + 2)
    level = np.where(smooth > 0, curve, level)
    noise *= np.where(smooth > 0, _between(rng, count, 1e-4, 0.3)[:, None], 1.0)
    values = level + np.where(grows > 0, 1 + 0.3 * np.abs(level), 1.0) * season + noise
    return values, seasonal[:, 0] > 0, (weekly + days + other)[:, 0] > 0


def _innovations(
    rng: np.random.Generator, season: Integers, steps: int, span: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """What exponential smoothing is right for: one error moves a level, a damped trend and a season.

    Hyndman, Koehler, Ord & Snyder 2008, "Forecasting with exponential smoothing", ch. 2. A season is 1 large; errors
    are a hundredth of it to three times it.

    Returns:
        Series, (N, L), and whether they have a season, (N,).
    """
    count = len(season)
    seasonal = rng.random(count) < 0.75
    error = _between(rng, count, 0.01, 3) * rng.normal(size=(steps, count))
    of_level = rng.uniform(0, 1, count) ** rng.choice([1, 3], count)
    of_trend = of_level * rng.uniform(0, 0.4, count) ** 2 * (rng.random(count) < 0.7)
    of_season = (1 - of_level) * rng.uniform(0, 0.5, count) ** 2 * (rng.random(count) < 0.5)
    damped = np.where(rng.random(count) < 0.3, 1.0, rng.uniform(0.8, 0.998, count))
    drift = rng.normal(size=count) * np.exp(rng.normal(0, 1, count)) / span * (rng.random(count) < 0.6)
    places = np.arange(int(season.max()))
    table = _profile(rng, count, len(places), season) * seasonal[:, None]
    rows = np.arange(count)
    level, trend = np.zeros(count), drift + np.abs(drift) * rng.normal(size=count)
    values = np.empty((count, steps))
    for step in range(steps):
        place = step % season
        trend = drift + damped * (trend - drift)
        level = level + trend
        values[:, step] = level + table[rows, place] + error[step]
        level = level + of_level * error[step]
        trend = trend + of_trend * error[step]
        table[rows, place] += of_season * error[step] * seasonal
    return values, seasonal


def _one(rng: np.random.Generator, count: int, chance: float) -> Array:
    """1 with this chance, else 0, ``(N, 1)``."""
    return (rng.random((count, 1)) < chance).astype(float)


def _between(rng: np.random.Generator, count: int, low: float, high: float) -> Array:
    """Numbers whose logarithms are spread evenly, ``(N,)``."""
    result: Array = np.exp(rng.uniform(np.log(low), np.log(high), count))
    return result


def _seasons(rng: np.random.Generator, count: int) -> tuple[Integers, Integers]:
    """The true short and long season of each series; 1 for none in the long one."""
    table = np.array(SEASONS)
    picked = table[rng.choice(len(table), count, p=table[:, 2] / table[:, 2].sum())]
    short, long = picked[:, 0].copy(), picked[:, 1].copy()
    other = rng.random(count) < 0.25
    short[other] = _between(rng, other.sum(), 3, 300).round()
    long[other] = np.where(rng.random(other.sum()) < 0.5, 1, short[other] * rng.integers(2, 13, other.sum()))
    return short, np.where(long > LONGEST_SEASON, 1, long)


def _named(
    rng: np.random.Generator, short: Integers, long: Integers, has_short: NDArray[np.bool_], has_long: NDArray[np.bool_]
) -> Integers:
    """What a caller names: mostly what is there, at times nothing, or what is there no more than by the calendar."""
    count = len(short)
    named = np.stack([short, long], 1)
    named[~has_long & (rng.random(count) < 0.5), 1] = 1
    named[~has_short & (rng.random(count) < 0.5)] = 1
    wrong = rng.random(count) < 0.08
    named[wrong, 0] = rng.integers(2, 60, wrong.sum())
    named[rng.random(count) < 0.08] = 1  # nothing is known of it
    swapped = (rng.random(count) < 0.06) & (named[:, 1] > 1)
    named[swapped, 0] = named[swapped, 1]
    return named


def _smooth(rng: np.random.Generator, count: int, steps: int, scale: Array) -> Array:
    """Smooth random curves, sums of random cosines that vary over these numbers of steps: a Gaussian process.

    Rahimi & Recht 2007, "Random features for large-scale kernel machines".
    """
    waves = 8
    frequency = rng.normal(size=(count, waves)) / scale[:, None]
    phase = rng.uniform(0, 2 * np.pi, (count, waves))
    height = rng.normal(size=(count, waves)) / np.sqrt(waves / 2)
    time = np.arange(steps)
    curve = np.zeros((count, steps))
    for wave in range(waves):
        curve += height[:, wave, None] * np.cos(frequency[:, wave, None] * time + phase[:, wave, None])
    return curve


def _profile(rng: np.random.Generator, count: int, steps: int, season: Integers) -> Array:
    """Curves that repeat after a season, of some harmonics, smooth or sharp, ``(N, L)``, of deviation 1."""
    harmonics = np.arange(1, 9)
    decay = rng.uniform(0.2, 2.5, (count, 1))
    height = rng.normal(size=(count, 8)) * harmonics**-decay * (harmonics * 2 <= season[:, None])
    phase = rng.uniform(0, 2 * np.pi, (count, 8))
    angle = 2 * np.pi * np.arange(steps) / season[:, None]
    curve = np.zeros((count, steps))
    for k in range(8):
        curve += height[:, k, None] * np.cos((k + 1) * angle + phase[:, k, None])
    curve /= curve.std(1, keepdims=True) + 1e-9
    shape = rng.random((count, 1))
    curve = np.where(shape < 0.2, np.sign(curve) * np.abs(curve) ** rng.uniform(0.4, 2, (count, 1)), curve)
    curve = np.where((shape > 0.85), np.maximum(curve - rng.uniform(-1, 1, (count, 1)), 0), curve)  # as the sun's light
    rough = (shape > 0.2) & (shape < 0.4) & (season < 60)[:, None]  # each phase for itself
    table = rng.normal(size=(count, 60))
    places = np.arange(steps) % np.minimum(season, 60)[:, None]
    return np.where(rough, np.take_along_axis(table, places, 1), curve)


def _season(rng: np.random.Generator, count: int, steps: int, season: Integers) -> Array:
    """Seasons whose strength and shape may change slowly."""
    curve = _profile(rng, count, steps, season)
    changes = rng.random((count, 1)) < 0.4
    other = _profile(rng, count, steps, season)
    turn = 0.5 + 0.5 * np.tanh(_smooth(rng, count, steps, _between(rng, count, 100, 3000)))
    curve = np.where(changes, curve * (1 - turn) + other * turn, curve)
    grows = _one(rng, count, 0.5) * rng.uniform(0, 0.4, (count, 1))
    return curve * (1 + grows * _smooth(rng, count, steps, _between(rng, count, 60, 1000)))


def _day_sizes(rng: np.random.Generator, short: Integers, long: Integers, steps: int) -> Array:
    """A factor for each short season: of a place in the long one, as of weekends, and of chance."""
    count = len(short)
    day = np.arange(steps) // short[:, None]
    cycle = np.maximum(long // short, 1)[:, None]
    table = 1 + rng.normal(0, 0.4, (count, 12)) * (rng.random((count, 12)) < 0.5)
    of_week = np.take_along_axis(table, day % np.minimum(cycle, 12), 1)
    chance = np.exp(rng.normal(0, 1, (count, day.max() + 1)) * rng.uniform(0, 0.35, (count, 1)) * _one(rng, count, 0.5))
    result: Array = of_week * np.take_along_axis(chance, day, 1)
    return result


def _odd_days(rng: np.random.Generator, short: Integers, long: Integers, steps: int) -> NDArray[np.bool_]:
    """Which short seasons are of another shape, by their place in the long one, as weekends are."""
    count = len(short)
    day = np.arange(steps) // short[:, None] % np.minimum(np.maximum(long // short, 1), 12)[:, None]
    odd = rng.random((count, 12)) < rng.uniform(0.1, 0.5, (count, 1))
    return np.take_along_axis(odd, day, 1)


def _level(rng: np.random.Generator, count: int, steps: int, span: Array) -> Array:
    """Trends, bends, growth, smooth curves, random walks and what returns to its mean, as large over each span."""
    time = (np.arange(steps) - (steps - 1)) / span[:, None]  # of the last span from -1 to 0
    level = 2 * _one(rng, count, 0.5) * rng.normal(0, 2, (count, 1)) * time
    knot = -rng.uniform(0.05, 0.9, (count, 1))
    level += _one(rng, count, 0.3) * rng.normal(0, 3, (count, 1)) * np.maximum(time - knot, 0)
    growth = np.exp((rng.uniform(-4, 3, (count, 1)) * (time + 1)).clip(-8, 8)) - 1
    level += _one(rng, count, 0.12) * rng.normal(0, 0.5, (count, 1)) * growth
    bound = np.tanh((time + rng.uniform(0, 1, (count, 1))) * rng.uniform(2, 20, (count, 1)))
    level += _one(rng, count, 0.08) * rng.normal(0, 1.5, (count, 1)) * bound
    height = np.exp(rng.normal(-0.3, 0.9, (count, 1)))
    level += _one(rng, count, 0.5) * height * _smooth(rng, count, steps, span * _between(rng, count, 0.02, 0.6) + 2)
    walk = np.cumsum(rng.normal(size=(count, steps)), 1) / np.sqrt(span)[:, None]
    level += _one(rng, count, 0.5) * np.exp(rng.normal(0.2, 1, (count, 1))) * walk
    slopes = np.cumsum(np.cumsum(rng.normal(size=(count, steps)), 1), 1) / span[:, None] ** 1.5
    level += _one(rng, count, 0.2) * np.exp(rng.normal(0, 1, (count, 1))) * slopes
    level += _one(rng, count, 0.4) * np.exp(rng.normal(-1, 0.8, (count, 1))) * _autoregressive(rng, count, steps)
    held = np.take_along_axis(rng.normal(size=(count, 40)), _pieces(rng, count, steps, span), 1)
    return level + _one(rng, count, 0.08) * np.exp(rng.normal(0, 0.7, (count, 1))) * held


def _autoregressive(rng: np.random.Generator, count: int, steps: int) -> Array:
    """First and second order autoregressions of deviation near 1; some of them swing."""
    radius = 1 - _between(rng, count, 0.002, 0.7)
    angle = np.where(rng.random(count) < 0.3, 2 * np.pi / _between(rng, count, 4, 200), 0.0)
    one, two = 2 * radius * np.cos(angle), np.where(angle > 0, -(radius**2), 0.0)
    one = np.where(angle > 0, one, radius)
    shocks = rng.normal(size=(steps, count))
    values = np.zeros((steps + 2, count))
    for step in range(steps):
        values[step + 2] = one * values[step + 1] + two * values[step] + shocks[step]
    result: Array = values[2:].T / (values[2:].std(0)[:, None] + 1e-9)
    return result


def _pieces(rng: np.random.Generator, count: int, steps: int, span: Array) -> Integers:
    """The number of the piece that a step lies in, below 40, ``(N, L)``."""
    cuts = rng.random((count, steps)) < rng.uniform(1, 30, (count, 1)) / span[:, None]
    result: Integers = np.cumsum(cuts, 1) % 40
    return result


def _noise(rng: np.random.Generator, count: int, steps: int) -> Array:
    """White noise, of heavy tails for some, and for some louder at times."""
    noise = np.where(
        _one(rng, count, 0.25) > 0, rng.standard_t(3, (count, steps)) / np.sqrt(3), rng.normal(size=(count, steps))
    )
    louder = np.exp(_one(rng, count, 0.2) * _smooth(rng, count, steps, _between(rng, count, 20, 400)))
    return np.exp(rng.normal(-2.5, 1.5, (count, 1))) * noise * louder


def _events(rng: np.random.Generator, values: Array) -> Array:
    """Shifts that stay, and single outliers."""
    count, steps = values.shape
    spread = values.std(1, keepdims=True)
    at = rng.uniform(0.1, 1.2, (count, 1))
    after = np.linspace(0, 1, steps) > at
    values = values + _one(rng, count, 0.12) * rng.normal(0, 1.5, (count, 1)) * spread * after
    rare = rng.random((count, steps)) < 10 ** rng.uniform(-3.5, -1.7, (count, 1))
    jumps = rare * rng.normal(0, 4, (count, 1)) * rng.random((count, steps))
    result: Array = values + _one(rng, count, 0.15) * spread * jumps
    return result


def _kinds(rng: np.random.Generator, values: Array) -> Array:
    """Turn some into positive ones, shares, counts, demand that comes now and then, and rounded readings."""
    count, steps = values.shape
    z = (values - values.mean(1, keepdims=True)) / (values.std(1, keepdims=True) + 1e-9)
    kind = rng.random(count)

    def between(low: float, high: float) -> Integers:
        return np.flatnonzero((kind >= low) & (kind < high))

    positive = between(0, 0.35)
    values[positive] = np.exp(rng.uniform(0.1, 0.9, (len(positive), 1)) * z[positive])
    counts = between(0.35, 0.41)
    mean = np.exp(rng.uniform(-1.5, 5, (len(counts), 1)) + rng.uniform(0.1, 0.8, (len(counts), 1)) * z[counts])
    values[counts] = rng.poisson(mean.clip(0, 1e6))
    rare = between(0.41, 0.44)
    often = 1 / (1 + np.exp(rng.uniform(0, 3, (len(rare), 1)) - 0.5 * z[rare]))
    lumps = 1 + rng.poisson(np.exp(rng.uniform(-2, 3, (len(rare), 1))), (len(rare), steps))
    values[rare] = (rng.random((len(rare), steps)) < often) * lumps
    floor = between(0.44, 0.47)
    values[floor] = np.maximum(z[floor] + rng.uniform(-0.5, 1, (len(floor), 1)), 0)
    ceiling = between(0.47, 0.49)
    values[ceiling] = 1 / (1 + np.exp(-2 * z[ceiling]))
    rounded = np.flatnonzero(rng.random(count) < 0.1)
    unit = values[rounded].std(1, keepdims=True) / _between(rng, len(rounded), 2, 30)[:, None] + 1e-9
    values[rounded] = np.round(values[rounded] / unit) * unit
    return values
