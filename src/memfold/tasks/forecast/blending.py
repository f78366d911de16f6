"""After the training: the linear model, the shares of all parts, and who won on the validation part."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.forecasting.blend import LINEAR, PRETRAINED, Blend, Parts
from memfold.runtime.forecasting.classical import THETA
from memfold.runtime.forecasting.decomposition import seasonal_naive_name
from memfold.runtime.forecasting.demand import TSB
from memfold.runtime.forecasting.parts import joined, parts_at
from memfold.runtime.forecasting.windows import Places, SeriesArrays, level_and_scale
from memfold.runtime.recipe import ALONE
from memfold.tasks.contest import ANSWER, Contest
from memfold.tasks.forecast.linear_fit import fit_linear, refitted
from memfold.tasks.forecast.shares import fitted_blend
from memfold.tasks.forecast.windows import ForecastProblem, quantiles_of

__all__ = ["Blended", "blended"]

MOST_EARLIER = 600  # windows before the validation part that the formulas are judged by
MOST_JUDGED = 1000
LEAST_HISTORY = 1  # seasons before an earlier window


@dataclass(frozen=True)
class Blended:
    """What `blended` finds.

    Attributes:
        weights: of the linear model, which is fitted to the validation part too; None without one.
    """

    blend: Blend
    weights: NDArray[np.float64] | None
    contest: Contest


def blended(problem: ForecastProblem, calendar: int, pretrained: bool) -> Blended:
    """Fit what the network is blended with, and compare.

    Args:
        calendar: features of the calendar.
        pretrained: whether the bundled forecaster is one of the parts.
    """
    data, size = problem.data, problem.model.size
    network = partial(quantiles_of, problem.model)
    valid = problem.valid_data
    judged = _thinned(problem.judged, MOST_JUDGED)
    linear = fit_linear(data, problem.learnt.lengths - size.horizon, valid, judged, size, calendar)
    weights = None if linear is None else linear.weights
    parts = parts_at(network, valid, judged, size, weights, calendar, target=True, pretrained=pretrained)
    everything, turns = parts, _turns(valid, judged, size.horizon)
    earlier = _thinned(_earlier(problem), MOST_EARLIER)
    if len(earlier.series):
        before = parts_at(
            network, data, earlier, size, weights, calendar, target=True, judged=False, pretrained=pretrained
        )
        everything = joined([before, parts])
        turns = np.concatenate([_turns(data, earlier, size.horizon) + turns.max() + 1, turns])
    naive = seasonal_naive_name(size.lags[0], size.lags)
    blend = fitted_blend(everything, size.quantiles, {naive: 1.0, THETA: 1.0, TSB: 2.0}, turns)
    windows = valid.windows(judged, size, target=False)
    _, scale = level_and_scale(windows.y, windows.seen)
    contest = _contest(parts, blend, [seasonal_naive_name(season, size.lags) for season in size.lags], scale)
    if linear is None or not {*blend.shares, *blend.mean_shares} & {LINEAR}:
        return Blended(blend, None, contest)
    return Blended(blend, refitted(data, data.lengths - size.horizon, linear, size, calendar), contest)


def _earlier(problem: ForecastProblem) -> Places:
    """Windows a horizon apart that end before the validation part."""
    size = problem.model.size
    series, origins = [], []
    for index, last in enumerate(problem.last.tolist()):
        first = max(LEAST_HISTORY * size.lags[0], size.horizon, 4)
        ends = np.arange(max(last, first - 1), first - 1, -size.horizon)
        series.append(np.full_like(ends, index))
        origins.append(ends)
    return Places(np.concatenate(series), np.concatenate(origins))


def _turns(data: SeriesArrays, places: Places, horizon: int) -> NDArray[np.int64]:
    """The time of each window: how many horizons it lies before the end of its series, as most end together."""
    result: NDArray[np.int64] = (data.lengths[places.series] - places.origins) // horizon
    return result


def _thinned(places: Places, most: int) -> Places:
    """At most so many of them, evenly."""
    count = len(places.series)
    if count <= most:
        return places
    kept = np.arange(most) * count // most
    return Places(places.series[kept], places.origins[kept])


def _contest(parts: Parts, blend: Blend, naives: list[str], scale: NDArray[np.float64]) -> Contest:
    """Who was best on windows whose scales are (B, 1)."""
    demand = bool(parts.demand.all())
    answer = blend.answer(parts)
    candidates = {ANSWER: answer.point, ALONE: parts.network_point}
    beside = [name for name in (LINEAR, PRETRAINED) if name in parts.others]
    others = [*naives, THETA, *beside, *([TSB] if demand else [])]
    candidates |= {name: parts.others[name] for name in others}
    candidates = {name: values for name, values in candidates.items() if np.isfinite(values).all()}
    unit = parts.unit[:, None]
    scores = {name: _error(values, parts, unit, demand) for name, values in candidates.items()}
    shares = blend.mean_shares if demand else blend.shares
    scale = np.where(scale > 0, scale, 1.0)
    # The CRPS of a single number is its absolute error.
    on_curve = {name: _error(candidates[name], parts, scale, squared=False) for name in others if name in candidates}
    return Contest("rmsse" if demand else "mase", "lower", scores, shares, on_curve)


def _error(values: np.ndarray, parts: Parts, unit: np.ndarray, squared: bool) -> float:
    error = (values - parts.true) / unit
    return float(np.sqrt(np.nanmean(error**2, 1)).mean() if squared else np.nanmean(np.abs(error)))
