"""A forecaster for other programs: the whole model, from the values of a series to the quantiles of the horizon."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.runtime.forecasting.blend import LINEAR, PRETRAINED, Blend
from memfold.runtime.forecasting.classical import THETA
from memfold.runtime.forecasting.demand import TSB
from memfold.runtime.forecasting.forecasting import QUANTILES
from memfold.runtime.forecasting.parts import HISTORY
from memfold.runtime.forecasting.size import NetworkSize
from memfold.runtime.recipe import ALONE, Part, Recipe
from memfold.tasks.forecast.formulas import Formulas, History, smoothing_rate, tsb_of
from memfold.tasks.forecast.network import Ensemble, Window, level_and_scale, standardised

if TYPE_CHECKING:
    from memfold.tasks.forecast.task import Forecaster

__all__ = ["OUTPUTS", "recipe"]

OUTPUTS = ("quantiles", "mean", "forecast")


class Forecasts(nn.Module):
    """The network, the formulas and the linear model in one answer.

    Args:
        calendar: features of the calendar.
        names: of the arguments, as they come.
    """

    spread: Tensor
    stretch: Tensor

    def __init__(self, network: Ensemble, blend: Blend, calendar: int, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.blend, self.calendar, self.names = network, blend, calendar, list(names)
        self.register_buffer("spread", torch.from_numpy(blend.spread))
        self.register_buffer("stretch", torch.from_numpy(blend.stretch))
        self.formulas = Formulas(network.size.horizon, network.size.lags)
        self.rate = smoothing_rate()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The quantiles ``(B, K, Q)``, the mean and the number to go by, ``(B, K)`` each, in the units of the series.

        The inputs are, as far as the model reads them: the last values ``(B, T)``, as many as the formulas see at most,
        NaN before a series began; covariates known up to now ``(B, C, ·)``; the calendar and covariates known ahead
        ``(B, C + K, ·)``; what is the same throughout a series ``(B, ·)``.
        """
        given = dict(zip(self.names, inputs, strict=True))
        size = self.network.size
        history = History.of(given["y"])
        window = self._window(history, given)
        network = self.network.quantiles(window)
        others = self.formulas(history)
        demand = history.intermittent()[:, None]
        others[TSB] = torch.where(demand, tsb_of(history, size.horizon, self.rate), others[THETA])
        if self.network.linear_weights.numel():
            others[LINEAR] = self._linear(window)
        weights = torch.ones(network.shape[2], dtype=network.dtype)
        weights[[0, -1]] = 1.5
        median, network_mean = network[..., network.shape[2] // 2], network @ (weights / weights.sum())
        return self._blended(history, network, others, median, network_mean)

    def _blended(
        self, history: History, network: Tensor, others: dict[str, Tensor], median: Tensor, network_mean: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `memfold.runtime.forecasting.blend.Blend.answer`."""
        share = self.blend.shares[ALONE]
        middle = self._mixed(self.blend.shares, others, median)
        mean = self._mixed(self.blend.mean_shares, others, network_mean)
        spread = (1 - share) * history.unit(self.network.size.lags[0])[:, None, None] * self.spread
        if share:
            spread = spread + share * (network - median[..., None])
        demand, counts = history.intermittent()[:, None], history.whole_counts()[:, None]
        quantiles = torch.where(demand[..., None], network, middle[..., None] + self.stretch * spread).sort(-1).values
        point = torch.where(demand, mean, middle)
        least = torch.where(counts, 0.0, -torch.inf).double()
        return torch.maximum(quantiles, least[..., None]), torch.maximum(mean, least), torch.maximum(point, least)

    def _mixed(self, shares: Any, others: dict[str, Tensor], network: Tensor) -> Tensor:
        result = shares[ALONE] * network if shares[ALONE] else torch.zeros_like(network)
        for name, share in shares.items():
            if name != ALONE:
                result = result + share * others[name]
        return result

    def _window(self, history: History, given: dict[str, Tensor]) -> Window:
        """What the network reads: the last values, and what stands beside them."""
        size, batch = self.network.size, history.y.shape[0]
        y, seen = (F.pad(each, (size.context, 0))[:, -size.context :] for each in (history.y, history.there))
        shapes = {"past": (size.context, size.past), "known": (size.context + size.horizon, size.known), "static": (0,)}
        beside = [given.get(name, torch.zeros(batch, *shape)) for name, shape in shapes.items()]
        return Window(y, seen, *beside)

    def _linear(self, window: Window) -> Tensor:
        """The linear model's forecast, as `memfold.runtime.forecasting.linear` makes it."""
        size, weights, batch = self.network.size, self.network.linear_weights, window.y.shape[0]
        level, scale = level_and_scale(window.y, window.seen)
        z = torch.where(window.seen, standardised(window.y, level, scale), 0.0)
        within = window.known[:, : size.context, self.calendar :].double()
        shared = [z, window.past.double().reshape(batch, -1), within.reshape(batch, -1), torch.ones_like(level)]
        rows = torch.cat(shared, 1)
        width = size.context * (1 + size.past + size.known - self.calendar) + 1
        forecast = rows @ weights[:, :width].T
        if weights.shape[1] > width:
            ahead = window.known[:, size.context :].double()
            forecast = forecast + (ahead * weights[:, width:]).sum(2)
        return forecast * scale + level


def recipe(task: "Forecaster") -> Recipe:
    """All of it but the bundled forecaster; the calendar, and how covariates are scaled, are left to the caller."""
    size, covariates = task.size_, task.covariates_
    widths = {"past": size.past, "known": size.known, "static": size.static}
    names = ["y", *(name for name, width in widths.items() if width)]
    axes: dict[str, dict[int, str]] = {name: {0: "batch"} for name in names}
    axes["y"][1] = "time"
    whole = size.context + 3 * size.lags[0] + 5
    lengths = ([whole, whole - 4, 3 * size.lags[0]], [whole + 7, 1], [2])
    example, *others = (_example(size, names, rows) for rows in lengths)
    pipeline: Any = task.pipeline
    blend: Blend = pipeline.blend
    left_out = []
    if share := blend.shares.get(PRETRAINED, 0.0):
        left_out.append(f"the {PRETRAINED}, which has {100 * share:.0f} % of the answer; the others take its place")
    module = Forecasts(task.network_, blend.without(PRETRAINED), covariates.calendar.size, names).eval()
    part = Part("model", module, example, axes, OUTPUTS, others=others)
    calendar = covariates.calendar
    around: dict[str, Any] = {
        "window": {"context": size.context, "horizon": size.horizon, "step": task.step_, "quantiles": list(QUANTILES)},
        "history": {"most": HISTORY},
        "calendar": {
            "day": calendar.day,
            "week": calendar.week,
            "year": calendar.year,
            "holidays": list(calendar.holidays),
        },
        "covariates": {
            "past": list(covariates.past),
            "future": list(covariates.future),
            "scaling": {name: list(pair) for name, pair in covariates.scaling.items()},
            "categories": {name: list(words) for name, words in covariates.categories.items()},
        },
        "static": [
            {"name": one.name, "mean": one.mean, "deviation": one.deviation, "categories": one.categories}
            for one in covariates.static
        ],
    }
    no_steps = "it reads a whole window to forecast from"
    return Recipe(task.name, [part], around, no_steps=no_steps, left_out=left_out)


def _example(size: NetworkSize, names: Sequence[str], lengths: Sequence[int]) -> dict[str, Any]:
    """Series with a season and with a trend, demand that comes now and then, of these lengths."""
    rng, steps = np.random.default_rng(0), max(lengths)
    time = np.arange(steps)
    kinds = [
        50 + 10 * np.sin(2 * np.pi * time / size.lags[0]) + rng.normal(size=steps),
        -3 + 0.1 * time + np.cos(2 * np.pi * time / size.lags[0]) + 0.1 * rng.normal(size=steps),
        np.where(rng.random(steps) < 0.3, rng.integers(1, 5, steps), 0.0),
    ]
    y = np.stack([kinds[row % len(kinds)] for row in range(len(lengths))])
    for row, length in enumerate(lengths):
        y[row, : steps - length] = np.nan
    batch = len(lengths)
    every = {
        "y": torch.from_numpy(y),
        "past": torch.randn(batch, size.context, size.past),
        "known": torch.randn(batch, size.context + size.horizon, size.known),
        "static": torch.randn(batch, size.static),
    }
    return {name: every[name] for name in names}
