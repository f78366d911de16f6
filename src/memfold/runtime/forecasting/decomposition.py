"""Whether a series has a season, and what each phase of it multiplies the series with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_seasonal", "seasonal_indices", "seasonal_naive_name"]


def is_seasonal(y: NDArray[np.float64], season: int) -> bool:
    """M4's test: is the autocorrelation at lag ``season`` beyond the 90 % limits, given the shorter lags?

    Bartlett's formula, as in the competition's benchmark code (Makridakis, Spiliotis & Assimakopoulos 2020, sec. 2.4).
    """
    if season <= 1 or len(y) < 3 * season:
        return False
    centred = y - y.mean()
    variance = np.dot(centred, centred)
    if variance == 0:
        return False
    acf = np.array([np.dot(centred[lag:], centred[:-lag]) for lag in range(1, season + 1)]) / variance
    limit = 1.645 * np.sqrt((1 + 2 * np.sum(acf[:-1] ** 2)) / len(y))
    return bool(abs(acf[-1]) > limit)


def seasonal_indices(y: NDArray[np.float64], season: int) -> NDArray[np.float64]:
    """Multiplicative indices by classical decomposition, one a phase, with mean 1; phase 0 is that of ``y[0]``.

    The trend is a centred moving average over one season (Hyndman & Athanasopoulos, Forecasting, sec. 3.4).
    """
    if season % 2:
        weights = np.full(season, 1 / season)
    else:
        weights = np.concatenate([[0.5], np.ones(season - 1), [0.5]]) / season
    trend = np.convolve(y, weights, mode="valid")
    begin = len(weights) // 2
    ratio = np.full(len(y), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio[begin : begin + len(trend)] = y[begin : begin + len(trend)] / trend
    ratio[~np.isfinite(ratio)] = np.nan
    padded = np.concatenate([ratio, np.full(-len(y) % season, np.nan)]).reshape(-1, season)
    indices = np.nanmean(padded, axis=0)
    result: NDArray[np.float64] = indices / indices.mean()
    return result


def seasonal_naive_name(season: int, seasons: Sequence[int]) -> str:
    """``SeasonalNaive``, with its period in brackets where there are several.

    >>> seasonal_naive_name(48, (48, 336)), seasonal_naive_name(12, (12,))
    ('SeasonalNaive(48)', 'SeasonalNaive')
    """
    return "SeasonalNaive" if len(seasons) == 1 else f"SeasonalNaive({season})"
