"""Every part's forecasts of windows: the network's, the linear model's, those of the formulas."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memfold.errors import InputError
from memfold.tasks.forecast.blend import LINEAR, Parts
from memfold.tasks.forecast.classical import THETA, classical_forecasts, seasonal_unit
from memfold.tasks.forecast.demand import TSB, intermittent, tsb, whole_counts
from memfold.tasks.forecast.network import Ensemble
from memfold.tasks.forecast.ridge import Rows, best_penalty, predicted, solved
from memfold.tasks.forecast.size import NetworkSize
from memfold.tasks.forecast.windows import WINDOWS_AT_ONCE, Places, SeriesTensors, quantiles_at

__all__ = ["Linear", "fit_linear", "linear_shape", "parts_at", "refitted"]

Array = NDArray[np.float64]
HISTORY = 2000  # values that a formula sees at most
MOST_ROWS = 20_000  # windows that the linear model is fitted to
FEWEST_ROWS = 30
MOST_GRAM = 10_000_000  # numbers in the normal equations of all steps ahead
PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10_000.0)  # the validation part chooses


@dataclass(frozen=True)
class Linear:
    """A ridge regression of every step ahead.

    Attributes:
        weights: (K, X + F).
        penalty: that was chosen.
    """

    weights: Tensor
    penalty: float


def linear_shape(size: NetworkSize, calendar: int) -> tuple[int, int]:
    """The shape of the linear model's weights: what is known of each step ahead is left out where it costs too much."""
    shared = size.context * (1 + size.past + size.known - calendar) + 1
    ahead = size.known if size.horizon * (shared + size.known) ** 2 <= MOST_GRAM else 0
    return size.horizon, shared + ahead


def _rows(data: SeriesTensors, places: Places, size: NetworkSize, calendar: int, target: bool = True) -> Rows:
    rows = Rows.of(data.windows(places.series, places.origins, size, target), size, calendar)
    ahead = linear_shape(size, calendar)[1] - rows.shared.shape[1]
    return rows if ahead else Rows(rows.shared, rows.ahead[..., :0], rows.target, rows.level, rows.scale)


def fit_linear(
    data: SeriesTensors, last: Tensor, valid: SeriesTensors, judged: Places, size: NetworkSize, calendar: int
) -> Linear | None:
    """A linear model fitted to windows that end at each series' row ``last`` at most; None where these are too few."""
    places = _training_places(last, size)
    shape = linear_shape(size, calendar)
    if len(places.series) < FEWEST_ROWS or shape[1] ** 2 > MOST_GRAM:
        return None
    beside = _rows(valid, judged, size, calendar)
    if not beside.actual.isfinite().all():
        return None
    penalty, weights = best_penalty(_rows(data, places, size, calendar), beside, PENALTIES)
    return Linear(weights, penalty)


def refitted(data: SeriesTensors, last: Tensor, linear: Linear, size: NetworkSize, calendar: int) -> Tensor:
    """The weights with the same penalty on more windows."""
    return solved(_rows(data, _training_places(last, size), size, calendar), linear.penalty)


def _training_places(last: Tensor, size: NetworkSize) -> Places:
    """Windows evenly from all series, whose values are all there."""
    first = size.context
    apart = max(1, -(-int((last - first + 1).clamp(min=0).sum()) // MOST_ROWS))
    ends = [torch.arange(max(int(end), first - 1), first - 1, -apart) for end in last]
    series = [torch.full_like(origins, index) for index, origins in enumerate(ends)]
    return Places(torch.cat(series), torch.cat(ends))


@torch.no_grad()
def parts_at(
    network: Ensemble,
    data: SeriesTensors,
    places: Places,
    weights: Tensor | None,
    calendar: int,
    *,
    target: bool,
    judged: bool = True,
) -> Parts:
    """What every part makes of windows.

    Args:
        weights: of the linear model, if there is one.
        judged: False for windows that only the formulas may be judged by.
    """
    if not len(places.series):
        raise InputError("no windows")
    blocks = [
        _block(network, data, block, weights, calendar, target, judged) for block in places.split(WINDOWS_AT_ONCE)
    ]
    return joined(blocks)


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
    )


def _block(
    network: Ensemble,
    data: SeriesTensors,
    places: Places,
    weights: Tensor | None,
    calendar: int,
    target: bool,
    judged: bool,
) -> Parts:
    size = network.size
    history = data.histories(places, HISTORY)
    others = classical_forecasts(history, size.horizon, size.lags)
    demand = intermittent(history)
    others[TSB] = np.where(demand[:, None], tsb(history, size.horizon), others[THETA])
    shape = (len(history), size.horizon)
    quantiles = quantiles_at(network, data, places) if judged else np.full((*shape, len(size.quantiles)), np.nan)
    if weights is not None:
        others[LINEAR] = np.full(shape, np.nan)
        if judged:
            rows = _rows(data, places, size, calendar, target=False)
            others[LINEAR] = (predicted(weights, rows) * rows.scale + rows.level).numpy()
    actual = data.targets(places, size.horizon) if target else None
    return Parts(quantiles, others, seasonal_unit(history, size.lags[0]), demand, whole_counts(history), actual)
