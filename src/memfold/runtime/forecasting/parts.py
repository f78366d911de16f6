"""Every part's forecasts of windows: the network's, the linear model's, those of the formulas."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError
from memfold.runtime.forecasting.blend import LINEAR, PRETRAINED, Parts
from memfold.runtime.forecasting.classical import THETA, classical_forecasts, seasonal_unit
from memfold.runtime.forecasting.demand import TSB, intermittent, tsb, whole_counts
from memfold.runtime.forecasting.instant import CONTEXTS, InstantForecaster
from memfold.runtime.forecasting.linear import predicted, rows_of
from memfold.runtime.forecasting.size import NetworkSize
from memfold.runtime.forecasting.windows import WINDOWS_AT_ONCE, Places, SeriesArrays, Windows

__all__ = ["HISTORY", "Quantiles", "joined", "parts_at"]

Array = NDArray[np.float64]
Quantiles = Callable[[Windows], Array]  # of the network, (B, K, Q), in the units of the series
HISTORY = 2000  # values that a formula sees at most


def parts_at(
    network: Quantiles,
    data: SeriesArrays,
    places: Places,
    size: NetworkSize,
    weights: Array | None,
    calendar: int,
    *,
    target: bool,
    judged: bool = True,
    pretrained: bool = False,
) -> Parts:
    """What every part makes of windows.

    Args:
        weights: of the linear model, if there is one.
        calendar: features of the calendar.
        judged: False for windows that only the formulas may be judged by.
        pretrained: whether the bundled forecaster is among the parts.

    Raises:
        InputError: there are no windows.
    """
    if not len(places.series):
        raise InputError("no windows")

    def block(some: Places) -> Parts:
        history = data.histories(some, HISTORY)
        others = classical_forecasts(history, size.horizon, size.lags)
        demand = intermittent(history)
        others[TSB] = np.where(demand[:, None], tsb(history, size.horizon), others[THETA])
        shape = (len(history), size.horizon)
        windows = data.windows(some, size, target=False)
        quantiles = network(windows) if judged else np.full((*shape, len(size.quantiles)), np.nan)
        if weights is not None:
            others[LINEAR] = np.full(shape, np.nan)
            if judged:
                rows = rows_of(data, some, size, calendar, target=False)
                others[LINEAR] = predicted(weights, rows) * rows.scale + rows.level
        actual = data.targets(some, size.horizon) if target else None
        bundled = None
        if pretrained:
            bundled = np.full((*shape, len(size.quantiles)), np.nan)
            if judged:
                bundled = InstantForecaster.bundled().of_histories(history, size.horizon, two_seasons(size.lags))
            others[PRETRAINED] = bundled[..., bundled.shape[-1] // 2]
        unit, counts = seasonal_unit(history, size.lags[0]), whole_counts(history)
        return Parts(quantiles, others, unit, demand, counts, actual, bundled)

    return joined([block(some) for some in places.split(WINDOWS_AT_ONCE)])


def joined(blocks: list[Parts]) -> Parts:
    """The windows of several."""
    names = list(blocks[0].others)
    return Parts(
        np.concatenate([block.network for block in blocks]),
        {name: np.concatenate([block.others[name] for block in blocks]) for name in names},
        np.concatenate([block.unit for block in blocks]),
        np.concatenate([block.demand for block in blocks]),
        np.concatenate([block.counts for block in blocks]),
        None if blocks[0].actual is None else np.concatenate([block.true for block in blocks]),
        None
        if blocks[0].pretrained is None
        else np.concatenate([b.pretrained for b in blocks if b.pretrained is not None]),
    )


def two_seasons(lags: Sequence[int]) -> tuple[int, int]:
    """A short and a long season for the bundled forecaster, 1 where there is none that it reads."""
    read = [lag for lag in sorted(lags) if 1 < lag <= CONTEXTS[-1]][:2]
    return (*read, 1, 1)[0], (*read, 1, 1)[1]
