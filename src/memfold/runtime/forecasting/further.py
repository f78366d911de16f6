"""Beyond what a forecaster was fitted to: more steps than its horizon, and other quantiles than its nine."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError
from memfold.runtime.forecasting.blend import Answer, Parts
from memfold.runtime.forecasting.size import LEVELS
from memfold.runtime.forecasting.windows import SeriesArrays

__all__ = ["MOST_HORIZON", "checked_levels", "checked_steps", "further", "quantile_names", "quantiles_at"]

Array = NDArray[np.float64]
MOST_HORIZON = 100_000  # steps
MOST_NUMBERS = 100_000_000  # quantiles of a table
Forecasts = Callable[[SeriesArrays], tuple[Answer, Parts]]


def further(once: Forecasts, data: SeriesArrays, horizon: int, fitted: int) -> tuple[Answer, Parts]:
    """Forecast more or fewer steps than the horizon of a fit.

    Of more, its own forecasts are taken for values and it goes on from them, a horizon at a time. What is uncertain of
    those is added to what is uncertain after them, as variances add up, so that an interval never gets narrower from
    one horizon to the next but by what the model itself says.

    Args:
        once: the forecast of one horizon.
        data: with rows for whole horizons after every series.
        horizon, fitted: steps that are wanted, and those of a fit.

    Returns:
        The answer, (B, horizon, ...), and the parts of the first horizon.
    """
    first: Parts | None = None
    blocks: list[Answer] = []
    carried: Array | None = None  # squares, (B, 1, Q)
    while sum(block.point.shape[1] for block in blocks) < horizon:
        answer, parts = once(data)
        first = parts if first is None else first
        middle = answer.quantiles.shape[-1] // 2
        away = answer.quantiles - answer.quantiles[..., middle, None]
        squares = away**2 if carried is None else away**2 + carried
        side = np.sign(np.arange(away.shape[-1]) - middle)
        least = np.where(first.counts, 0.0, -np.inf)[:, None]
        wider = answer.quantiles if carried is None else answer.quantiles[..., middle, None] + side * np.sqrt(squares)
        answer = Answer(
            np.maximum(wider, least[..., None]), np.maximum(answer.mean, least), np.maximum(answer.point, least)
        )
        blocks.append(answer)
        carried = squares.mean(1, keepdims=True)
        data = _gone_on(data, answer.point)
    assert first is not None
    quantiles, mean, point = (
        np.concatenate([getattr(block, name) for block in blocks], 1)[:, :horizon]
        for name in ("quantiles", "mean", "point")
    )
    return Answer(quantiles, mean, point), first


def _gone_on(data: SeriesArrays, values: Array) -> SeriesArrays:
    """The series with values that were forecast after their last ones, (B, K)."""
    y = data.y.copy()
    rows = (data.starts + data.lengths)[:, None] + np.arange(values.shape[1])
    inside = rows < np.append(data.starts[1:], len(y))[:, None]
    y[rows[inside]] = values[inside]
    return replace(data, y=y, lengths=data.lengths + values.shape[1])


def checked_steps(horizon: int | None, fitted: int, series: int) -> int:
    """The steps that are wanted; those of a fit where None.

    Raises:
        InputError: fewer than one, or too many.
    """
    if horizon is None:
        return fitted
    if not 1 <= horizon <= MOST_HORIZON:
        raise InputError(f"a horizon of {horizon:,}, expected 1 to {MOST_HORIZON:,}")
    if horizon * series * len(LEVELS) > MOST_NUMBERS:
        raise InputError(
            f"{series:,} series by {horizon:,} steps are too many at once; forecast fewer series at a time"
        )
    return horizon


def checked_levels(levels: Sequence[float] | None) -> tuple[float, ...]:
    """The levels of quantiles that are wanted, rising, each once; those of a fit where None.

    Raises:
        InputError: one is no level.
    """
    if levels is None:
        return LEVELS
    if not levels or not all(0 < level < 1 for level in levels):
        raise InputError(f"quantiles {', '.join(map(str, levels)) or 'none'}: expected levels between 0 and 1, as 0.05")
    return tuple(sorted(set(levels)))


def quantile_names(levels: Sequence[float]) -> list[str]:
    """The columns of quantiles.

    >>> quantile_names([0.025, 0.5])
    ['q2.5', 'q50']
    """
    return [f"q{100 * level:.10g}" for level in levels]


def quantiles_at(quantiles: Array, levels: Sequence[float], counts: NDArray[np.bool_]) -> Array:
    """The quantiles at other levels, (..., K, L), of those that a model gives, (B, K, Q).

    Between those of the model they lie on straight lines; beyond the outer ones they are as far from the median as a
    normal distribution through the outer one has them.

    Args:
        counts: whether a series holds whole numbers from 0 on alone, and is never below 0, (B,).

    >>> given = np.arange(1.0, 10.0)[None, None]
    >>> quantiles_at(given, [0.1, 0.25, 0.05], np.array([False])).round(2).tolist()
    [[[1.0, 2.5, -0.13]]]
    """
    known = list(LEVELS)
    middle = len(known) // 2
    columns = []
    for level in levels:
        if known[0] <= level <= known[-1]:
            right = min(max(int(np.searchsorted(known, level)), 1), len(known) - 1)
            share = (level - known[right - 1]) / (known[right] - known[right - 1])
            columns.append((1 - share) * quantiles[..., right - 1] + share * quantiles[..., right])
            continue
        edge = 0 if level < known[0] else len(known) - 1
        times = NormalDist().inv_cdf(level) / NormalDist().inv_cdf(known[edge])
        columns.append(quantiles[..., middle] + times * (quantiles[..., edge] - quantiles[..., middle]))
    least = np.where(counts, 0.0, -np.inf)[:, None, None]
    result: Array = np.maximum(np.stack(columns, -1), least)
    return result
