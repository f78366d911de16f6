"""What a forecaster makes of a table's first series: the forecast, and the inputs that mattered."""

from dataclasses import replace
from functools import partial

import polars as pl
import torch
from torch import Tensor

from memfold.data.tables import ID, TARGET, TIME
from memfold.drawing import SERIES, Chart, Look
from memfold.explain.explanation import Explanation, Picture, Shares, flow_of, shares_of
from memfold.explain.trace import traced
from memfold.page import ACTUAL
from memfold.tasks.forecast import Forecaster
from memfold.tasks.forecast.network import Ensemble, Window, level_and_scale, standardised
from memfold.words import Words

__all__ = ["view"]


def view(model: Forecaster, source: str, words: Words) -> Explanation:
    """What follows a table's first series."""
    table = model.read(model.parts([source]).train if model.known_set([source]) else source)
    name, size, network = table.ids[0], model.size_, model.network_
    assert isinstance(network, Ensemble)
    table = replace(table, frame=table.frame.filter(pl.col(ID) == name))
    arrays = model.arrays(table, size.horizon)
    window = Window.of(arrays.windows(arrays.ends(), size, target=False))
    level, scale = level_and_scale(window.y, window.seen)
    z = torch.where(window.seen, standardised(window.y, level, scale), 0.0).float()  # (1, C)

    def score(values: Tensor) -> Tensor:
        members = [member(values[None], window) for member in network.members.children()]
        return torch.stack(members)[..., len(size.quantiles) // 2].mean()  # of (M, 1, K, Q)

    run = partial(score, z[0])
    known = table.known.filter(pl.col(ID) == name).tail(size.context)
    times = [None] * (size.context - known.height) + known[TIME].to_list()
    labels = ["" if time is None else str(time) for time in times]
    trace = traced(network, lambda: network(window), lambda _, steps: labels[:: size.patch][:steps])
    shares = shares_of(score, z[0])
    forecast = model.predict(table)
    chart = _forecast(times, known[TARGET].to_list(), forecast, shares["integrated gradients"].tolist(), words)
    values = ", ".join(f"{value:.4g}" for value in forecast["forecast"].head(6))
    return Explanation(
        model.name,
        f"{source}: {name}",
        f"{values}{' …' if forecast.height > 6 else ''}",
        trace,
        next(iter(trace.layers)),
        None,
        [Picture(words("forecast"), words("forecast text", series=name), chart)],
        Shares(words("score forecast"), labels, shares),
        flow_of(network, run),
    )


def _forecast(
    times: list[object], seen: list[float], forecast: pl.DataFrame, shares: list[float], words: Words
) -> Chart:
    ahead = forecast[TIME].to_list()
    most = max(map(abs, shares), default=0.0) or 1.0
    chart = Chart(words("value"), words("time"), zero=False, right_title=words("share"), right_extent=(-most, 3 * most))
    chart.bars(times, shares, words("share"), Look("minus"), right=True)
    chart.band(ahead, forecast["lo80"].to_list(), forecast["hi80"].to_list(), words("interval"))
    chart.line(times[len(times) - len(seen) :], seen, words("seen"), ACTUAL)
    return chart.line(ahead, forecast["forecast"].to_list(), words("median"), SERIES[0])
