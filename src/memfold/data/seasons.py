"""After how many steps series tend to repeat: what the calendar says, or, of whole numbers as times, the values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memfold.data.series_table import TIME, SeriesTable, split_interval
from memfold.data.workdays import weekdays_of

__all__ = ["calendar_seasons", "find_seasons", "periods_in"]

Array = NDArray[np.float64]
MOST_SERIES = 300  # that are looked at
MOST_STEPS = 3000  # of each
MOST_PERIOD = 750  # a month of hours
LEAST_CORRELATION = 0.25  # one period apart; of noise it is 2 / sqrt(steps)
NEARLY = 0.85  # of the highest correlation, at which the shortest period counts as the season
MULTIPLES = range(2, 13)  # of a season that may be a longer one, such as the week of a day
GAIN = 0.03  # in correlation, by which a longer season stands out among its neighbours: 0.08 for the hours of M4
SHORTER = 0.2  # share of the series that are left out as shorter than the others
USUAL = (24, 48, 52, 96, 144, 168, 288, 336)  # hours, half hours ... of a day, weeks of a year
CYCLES = 3  # a period that is found must fit in so often


def find_seasons(table: SeriesTable) -> tuple[int, ...]:
    """Periods in steps, the shortest first; (1,) where there is none.

    With dates the calendar suggests them, as far as the longest series covers them twice.
    """
    if table.frame.schema[TIME].is_integer():
        return periods_in(table.values)
    longest = int(table.lengths.max())
    return tuple(season for season in calendar_seasons(table.step) if season <= longest / 2) or (1,)


def calendar_seasons(step: str) -> tuple[int, ...]:
    """The days, weeks or years that rows so far apart have by the calendar, in steps; none of whole years and more.

    >>> calendar_seasons("30m"), calendar_seasons("1mo"), calendar_seasons("1y")
    ((48, 336), (12,), ())
    """
    if (mask := weekdays_of(step)) is not None:
        return (mask.count("1"),)
    count, unit = split_interval(step)
    seconds = {"us": 1e-6, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    if unit in seconds:
        periods = [86400, 604800] if unit not in ("d", "w") else [604800] if unit == "d" else [52 * 604800]
        steps = [period / (count * seconds[unit]) for period in periods]
    else:
        steps = [12 / count] if unit == "mo" else [1]
    return tuple(int(season) for season in steps if season == int(season) and season > 1)


def periods_in(series: Sequence[Array]) -> tuple[int, ...]:
    """Periods by the mean autocorrelation of some series without their trend.

    >>> periods_in([np.tile([1.0, 5.0, 3.0, 2.0], 20)])
    (4,)
    >>> periods_in([np.random.default_rng(0).normal(size=200)])
    (1,)
    """
    # Of most series the same lags: where shorter ones end among them, the mean would jump.
    common = int(np.quantile([len(y) for y in series], SHORTER))
    long = [y[-common:][-MOST_STEPS:] for y in series if len(y) >= common]
    chosen = long[:: -(-len(long) // MOST_SERIES)]
    correlations = [correlation for y in chosen if (correlation := autocorrelation(y)) is not None]
    if not correlations:
        return (1,)
    mean = np.mean(correlations, 0)
    peaks = [
        lag for lag in range(2, len(mean) - 1) if mean[lag] >= max(mean[lag - 1], mean[lag + 1], LEAST_CORRELATION)
    ]
    if not peaks:
        return (1,)
    highest = max(mean[lag] for lag in peaks)
    season = next(lag for lag in peaks if mean[lag] >= NEARLY * highest)
    # A trend moves the peak of a broad season: what people count by stands for its neighbours.
    near = [lag for lag in USUAL if abs(lag - season) <= season / 20 and lag < len(mean)]
    season = next((lag for lag in near if mean[lag] >= NEARLY * mean[season]), season)
    longer = [season * times for times in MULTIPLES if season * (times + 1) < len(mean)]
    above = {lag: mean[lag] - max(mean[lag - season], mean[lag + season]) for lag in longer}
    best = max(above, key=above.__getitem__, default=season)
    stands_out = best in above and above[best] > 0 and 2 * mean[best] - mean[best - season] - mean[best + season] > GAIN
    return (season, best) if stands_out else (season,)


def autocorrelation(y: Array) -> Array | None:
    """At the lags from 0 to a third of a series without its linear trend; None of one that is short or constant.

    A lag's products are averaged over the pairs that there are, so that long lags do not count as less.
    """
    most = min(len(y) // CYCLES, MOST_PERIOD) + 1
    if most < 3:
        return None
    time = np.arange(len(y)) - (len(y) - 1) / 2
    rest = y - y.mean() - time * (time @ y) / (time @ time)
    spectrum = np.abs(np.fft.rfft(rest, 2 * len(y))) ** 2
    products = np.fft.irfft(spectrum)[: most + 1] / (len(y) - np.arange(most + 1))
    if products[0] <= 1e-12 * max(1.0, float(np.abs(y).max()) ** 2):
        return None
    result: Array = products / products[0]
    return result
