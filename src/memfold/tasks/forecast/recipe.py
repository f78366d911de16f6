"""A forecaster for other programs: its networks, from a window of a series to the quantiles of the horizon."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memfold.runtime.forecasting.forecasting import QUANTILES
from memfold.runtime.forecasting.parts import Quantiles
from memfold.runtime.forecasting.size import NetworkSize
from memfold.runtime.forecasting.windows import Windows
from memfold.runtime.recipe import ALONE, Part, Recipe, Run
from memfold.tasks.forecast.network import Ensemble, Window

if TYPE_CHECKING:
    from memfold.tasks.forecast.task import Forecaster

__all__ = ["quantiles_through", "recipe"]


class Windowed(nn.Module):
    """Quantiles in the units of the series from the parts of a window that a model reads.

    Args:
        names: of these parts, as the arguments come.
    """

    def __init__(self, network: Ensemble, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, list(names)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The quantiles ``(B, K, Q)``, rising, from values ``(B, C)`` and what stands beside them."""
        size, given = self.network.size, dict(zip(self.names, inputs, strict=True))
        batch = given["y"].shape[0]
        shapes = {"past": (size.context, size.past), "known": (size.context + size.horizon, size.known), "static": (0,)}
        for name, shape in shapes.items():
            if name not in given:
                given[name] = given["y"].new_zeros(batch, *shape, dtype=torch.float32)
        return self.network.quantiles(Window(**given))


def recipe(task: "Forecaster") -> Recipe:
    """The networks; the calendar, and what the answer is blended with, are left to the caller."""
    size, covariates = task.size_, task.covariates_
    widths = {"past": size.past, "known": size.known, "static": size.static}
    names = ["y", "seen", *(name for name, width in widths.items() if width)]
    axes = {name: {0: "batch"} for name in names}
    others = [_example(size, names, batch) for batch in (2, 1)]
    part = Part("model", Windowed(task.network_, names), _example(size, names, 3), axes, ("quantiles",), {}, others)
    calendar = covariates.calendar
    around: dict[str, Any] = {
        "window": {"context": size.context, "horizon": size.horizon, "step": task.step_, "quantiles": list(QUANTILES)},
        "calendar": {"day": calendar.day, "week": calendar.week, "year": calendar.year},
        "covariates": {
            "past": list(covariates.past),
            "future": list(covariates.future),
            "scaling": {name: list(pair) for name, pair in covariates.scaling.items()},
        },
    }
    shares = {name: share for name, share in task.shares_.items() if name != ALONE and share}
    blended = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
    left = [f"what the network is blended with: {blended}"] if blended else []
    reason = "it reads a whole window to forecast from"
    return Recipe(task.name, [part], around, no_steps=reason, left_out=left)


def _example(size: NetworkSize, names: Sequence[str], batch: int) -> dict[str, Any]:
    seen = torch.arange(size.context) >= torch.arange(batch)[:, None] * size.context // (2 * batch)
    every = {
        "y": 50 + 10 * torch.randn(batch, size.context, dtype=torch.float64),
        "seen": seen,
        "past": torch.randn(batch, size.context, size.past),
        "known": torch.randn(batch, size.context + size.horizon, size.known),
        "static": torch.randn(batch, size.static),
    }
    return {name: every[name] for name in names}


def quantiles_through(run: Run) -> Quantiles:
    """The quantiles of windows by the exported part."""

    def quantiles(windows: Windows) -> NDArray[np.float64]:
        arrays = {name: getattr(windows, name) for name in ("y", "seen", "past", "known", "static")}
        return np.asarray(run(**{name: array for name, array in arrays.items() if array.shape[-1]})["quantiles"])

    return quantiles
