"""A detector of anomalies for other programs: the network that predicts the next values, its state going in and out."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from memfold.errors import InputError
from memfold.runtime.monitoring.features import FLOOR, FORGET, LEAST, OUTLIER, OUTLIER_AFTER, REACH
from memfold.runtime.monitoring.monitor import LEAST_LOG_SIGMA, MOST_LOG_SIGMA
from memfold.runtime.recipe import Part, Recipe
from memfold.tasks.anomaly.network import Predictor

if TYPE_CHECKING:
    from memfold.tasks.anomaly.task import AnomalyDetector

__all__ = ["recipe"]


class Watched(nn.Module):
    """Centres and log-scales of the next values, and the state after them."""

    def __init__(self, network: Predictor) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        """Centres and log-scales ``(T, B, V)`` from features ``(T, B, F)`` and a state ``(1, B, H)``, and the state
        after them."""
        y, (h, c) = self.network.lstm(x, (h, c))
        centre, log_sigma = self.network.head(y).chunk(2, -1)
        return centre, log_sigma.clamp(LEAST_LOG_SIGMA, MOST_LOG_SIGMA), h, c


def recipe(task: "AnomalyDetector") -> Recipe:
    """The network; the features of a reading and what is made of its error are left to the caller.

    Raises:
        InputError: the bundled forecaster stands in the network's place.
    """
    if task.cold_:
        raise InputError(
            "this model watches by the forecaster that comes with memfold, as it had little to train on: there is no "
            "network to export; memfold.runtime runs it"
        )
    network = task.network_
    hidden = task.hidden_size

    def given(steps: int, batch: int) -> dict[str, Any]:
        state = torch.randn(2, 1, batch, hidden).tanh()
        return {"x": torch.randn(steps, batch, network.features), "h": state[0], "c": state[1]}

    free = {"x": {0: "time", 1: "batch"}, "h": {1: "batch"}, "c": {1: "batch"}}
    outputs, state = ("centre", "log_sigma", "h_next", "c_next"), {"h_next": "h", "c_next": "c"}
    module = Watched(network)
    whole = Part("model", module, given(5, 3), free, outputs, state, [given(8, 2), given(1, 1)])
    once = {**free, "x": {1: "batch"}}
    step = Part("model", module, given(1, 3), once, outputs, state, [given(1, 1)])
    size = task.pipeline.settings.size
    around = {
        "features": {"variables": list(task.variables_), "calendar": size.calendar, "count": size.count},
        "scale": {
            "forget": FORGET,
            "outlier": OUTLIER,
            "outlier_after": OUTLIER_AFTER,
            "floor": FLOOR,
            "least": LEAST,
            "reach": REACH,
        },
        "error": {"kind": "t", "degrees": 4, "band80": 1.533, "alarm_below": task.false_alarms / 1000},
    }
    left = ["the running scales of the variables, the day before and the calendar, of which features are made"]
    left += ["how unusual an error is among those before it: the tail, the shape, the level and what lasts"]
    if task.online:
        left.append("learning on while watching")
    return Recipe(task.name, [whole], around, steps=[step], left_out=left)
