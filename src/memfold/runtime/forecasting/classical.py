"""Forecasts by formulas, of many histories at once and in NumPy alone: parts of the answer beside the network.

Histories are the rows of an array ``(B, T)`` that end at the origin; what lies before a series began is NaN.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.forecasting.decomposition import is_seasonal, seasonal_indices, seasonal_naive_name

__all__ = ["THETA", "classical_forecasts", "classical_names", "seasonal_mean", "seasonal_unit", "theta"]

Array = NDArray[np.float64]
THETA = "Theta"
SMOOTHING = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9, 0.99])  # factors that theta tries
CYCLES, FLAT_CYCLES = 4, 16  # seasons that a seasonal mean takes, and steps where there is no season


def classical_names(seasons: Sequence[int]) -> list[str]:
    """The formulas' names: a seasonal naive and a seasonal mean a season, and theta.

    >>> classical_names((12,))
    ['SeasonalNaive', 'SeasonalMean', 'Theta']
    """
    naive = [seasonal_naive_name(season, seasons) for season in seasons]
    return [*naive, *(name.replace("Naive", "Mean") for name in naive), THETA]


def classical_forecasts(history: Array, horizon: int, seasons: Sequence[int]) -> dict[str, Array]:
    """Every formula's forecast of the next steps by name, ``(B, K)`` each."""
    naive = [seasonal_mean(history, horizon, season, 1) for season in seasons]
    means = [seasonal_mean(history, horizon, season, CYCLES if season > 1 else FLAT_CYCLES) for season in seasons]
    every = [*naive, *means, theta(history, horizon, seasons[0])]
    return dict(zip(classical_names(seasons), every, strict=True))


def seasonal_mean(history: Array, horizon: int, season: int, cycles: int) -> Array:
    """The mean of the values whole seasons before each step ahead, ``(B, K)``; of one cycle the seasonal naive.

    What is not there, as in a history shorter than a season, gives way to the last value.
    """
    steps = history.shape[1]
    ahead = np.arange(horizon)
    before = np.full((cycles, len(history), horizon), np.nan)
    for cycle in range(cycles):
        place = steps + ahead % season - season * (cycle + 1)
        inside = place >= 0
        before[cycle][:, inside] = history[:, place[inside]]
    count = np.isfinite(before).sum(0)
    mean = np.nansum(before, 0) / np.maximum(count, 1)
    return np.where(count > 0, mean, history[:, -1:])


def theta(history: Array, horizon: int, season: int) -> Array:
    """The theta method, ``(B, K)``: exponential smoothing with half of the linear trend as its drift.

    Assimakopoulos & Nikolopoulos 2000, in the form of Hyndman & Billah 2003, eq. 7; the season is taken out before by
    M4's test and decomposition, of series that touch 0 as differences.
    """
    adjusted, shift, factor = _without_season(history, horizon, season)
    there = np.isfinite(adjusted)
    count = there.sum(1)
    filled = np.where(there, adjusted, 0.0)
    time = np.where(there, np.cumsum(there, 1) - 1.0, 0.0)
    # The slope of the least squares line through each row.
    middle = time.sum(1) / count
    mean = filled.sum(1) / count
    away = np.where(there, time - middle[:, None], 0.0)
    slope = (away * (filled - mean[:, None])).sum(1) / np.maximum((away**2).sum(1), 1e-12)
    # Smooth by every factor at once, and keep the one with the least squared error of one step.
    level = np.repeat(_first(adjusted)[:, None], len(SMOOTHING), 1)  # (B, A)
    error = np.zeros_like(level)
    for step in range(adjusted.shape[1]):
        surprise = np.where(there[:, step, None], filled[:, step, None] - level, 0.0)
        error += surprise**2
        level += SMOOTHING * surprise
    best = error.argmin(1)
    alpha = SMOOTHING[best][:, None]
    last = np.take_along_axis(level, best[:, None], 1)
    drift = slope[:, None] / 2 * (np.arange(horizon) + (1 - (1 - alpha) ** count[:, None]) / alpha)
    forecast: Array = (last + drift) * factor + shift
    return forecast


def seasonal_unit(history: Array, season: int) -> Array:
    """The mean absolute seasonal difference of each row, by which MASE is scaled, ``(B,)``.

    Where it is 0, or a row is shorter than a season, the mean absolute difference from step to step, then the mean
    absolute value, then 1.
    """
    units = [_mean_change(history, season), _mean_change(history, 1), _mean_of(np.abs(history)), np.ones(len(history))]
    result = units[0]
    for unit in units[1:]:
        result = np.where(result > 0, result, unit)
    return result


def _mean_change(history: Array, lag: int) -> Array:
    if lag >= history.shape[1]:
        return np.zeros(len(history))
    return _mean_of(np.abs(history[:, lag:] - history[:, :-lag]))


def _mean_of(values: Array) -> Array:
    mean: Array = np.nansum(values, 1) / np.maximum(np.isfinite(values).sum(1), 1)
    return mean


def _first(rows: Array) -> Array:
    """Each row's first value that is there, ``(B,)``."""
    first: Array = rows[np.arange(len(rows)), np.isfinite(rows).argmax(1)]
    return first


def _without_season(history: Array, horizon: int, season: int) -> tuple[Array, Array, Array]:
    """Rows without their season, and what it adds to and multiplies each step ahead with, ``(B, K)`` each."""
    adjusted, shift, factor = history.copy(), np.zeros((len(history), horizon)), np.ones((len(history), horizon))
    for row, values in enumerate(history):
        y = values[np.isfinite(values)]
        if not is_seasonal(y, season):
            continue
        phase = np.arange(len(y) + horizon) % season
        if y.min() > 0:
            indices = seasonal_indices(y, season)[phase]
            if indices.min() > 0:
                adjusted[row, -len(y) :] = y / indices[: len(y)]
                factor[row] = indices[len(y) :]
        else:
            indices = _seasonal_differences(y, season)[phase]
            adjusted[row, -len(y) :] = y - indices[: len(y)]
            shift[row] = indices[len(y) :]
    return adjusted, shift, factor


def _seasonal_differences(y: Array, season: int) -> Array:
    """What each phase adds, with mean 0; phase 0 is that of ``y[0]``."""
    weights = np.full(season, 1 / season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5] / season
    begin = len(weights) // 2
    away = np.full(-(-len(y) // season) * season, np.nan)
    away[begin : begin + len(y) - len(weights) + 1] = y[begin : len(y) - len(weights) + begin + 1] - np.convolve(
        y, weights, mode="valid"
    )
    indices = np.nanmean(away.reshape(-1, season), axis=0)
    result: Array = indices - indices.mean()
    return result
