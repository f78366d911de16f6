"""What a detector makes of the end of a file's first series: the band that it expected, and what left it."""

from pathlib import Path

import torch
from torch import Tensor

from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture, Shares, flow_of, shares_of_inputs
from memfold.explain.trace import traced
from memfold.runtime.monitoring.features import Features
from memfold.tasks.anomaly import AnomalyDetector
from memfold.tasks.anomaly.network import Predictor
from memfold.tasks.anomaly.report import watched_chart
from memfold.words import Words

__all__ = ["view"]

SHOWN_POINTS = 300  # last points of a watched series


def view(model: AnomalyDetector, source: str, words: Words) -> Explanation:
    """The end of a file's first series, as it is watched; the gates are those of the fitted weights.

    Raises:
        InputError: the model watches without them, or a series of one point.
    """
    if model.cold_:
        raise InputError(
            "this model watches by the forecaster that comes with memfold, as it had little to train on: the gates of "
            "its own network say nothing of its answers"
        )
    series = (model.parts([source]).test if model.known_set([source]) else model.read_files([source]))[0]
    if len(series.times) < 2:
        raise InputError(f"{source}: two points are the least")
    judged = model.predict([series]).tail(SHOWN_POINTS)
    features = Features(model.size_, series.day)
    network: Predictor = model.network_
    rows = []
    for time, values in zip(series.times.tolist(), series.values.tolist(), strict=True):
        rows.append(features.next(time))
        features.add(values)
    x = torch.tensor(rows)[:, None]  # (N, 1, F)
    before, shown = x[:-SHOWN_POINTS], x[-SHOWN_POINTS:]
    with torch.no_grad():
        state = network.lstm(before)[1] if len(before) else None

    def run() -> Tensor:
        out: Tensor = network.head(network.lstm(shown, state)[0])  # (T, 1, 2V)
        return out[-1, 0, 0]

    labels = [str(time) for time in judged["ds"]]
    trace = traced(network, run, lambda _, steps: labels[:steps])
    variable = model.variables_[0]
    alarms = int(judged["alarm"].sum())
    text = words("anomaly text", points=judged.height, variable=variable, alarms=alarms)
    names = (words("interval"), words("actual"), words("anomaly score"), words("alarm"))
    chart = watched_chart(judged, series.values[-SHOWN_POINTS:, 0].tolist(), variable, names)
    return Explanation(
        model.name,
        f"{source}: {series.name}" if series.name else Path(source).name,
        text.split("。")[0].split(". ")[0],
        trace,
        next(iter(trace.layers)),
        None,
        [Picture(words("anomaly"), text, chart)],
        Shares(words("score anomaly"), labels, shares_of_inputs([network.lstm], run)),
        flow_of(network, run),
    )
