"""A look inside a forecaster: one unit of its LSTM that keeps what no single step shows, drawn beside the series."""

from dataclasses import dataclass, replace

import numpy as np
import plotly.graph_objects as go
import polars as pl
import torch

from memfold.data.tables import ID, TARGET, TIME, SeriesTable
from memfold.explain.ledger import half_life
from memfold.explain.trace import Array, LayerTrace, traced
from memfold.explain.units import Follower, find_units
from memfold.page import ACTUAL, INK, styled
from memfold.tasks.forecast.task import Forecaster

__all__ = ["Memory", "find_memory"]

FEATURE = "mean of the season before"


@dataclass(frozen=True)
class Memory:
    """A unit that follows the mean of the last season's values, which it can only do by remembering them.

    Attributes:
        layer: its path in the network.
        follower: the unit, and how well it follows, on the half of the steps where it was chosen and on the other.
        half_life: steps after which half of what it holds is gone.
        steps: times, values and means of the season before, and the unit's cell, at the end of each step.
        season: steps of the series.
    """

    layer: str
    follower: Follower
    half_life: float
    steps: pl.DataFrame
    season: int

    def sentence(self, value: str, step: str) -> str:
        """What the unit does, in one sentence.

        Args:
            value: what the values are, such as "births".
            step: what a step of the series is, such as "day".
        """
        unit, follows = self.follower.unit, self.follower.score
        return (
            f"Of all units of the LSTM, number {unit} keeps the mean of the last {self.season} {step}s best: it reads "
            f"the {value} of one {step} at a time, and its cell follows that mean with a correlation of {follows:.2f} "
            f"on the {_half(self.steps)} {step}s that it was not chosen on; half of what it holds is gone after "
            f"{self.half_life:.1f} {step}s."
        )

    def figure(self, value: str) -> go.Figure:
        """The series, the mean it follows, and the unit's cell on an axis of its own."""
        times = self.steps[TIME].to_list()
        figure = go.Figure()
        figure.add_scatter(
            x=times, y=self.steps[TARGET].to_list(), name=value, line={"color": ACTUAL, "width": 1}, mode="lines"
        )
        mean = {"color": ACTUAL, "width": 2, "dash": "dot"}
        figure.add_scatter(x=times, y=self.steps["mean"].to_list(), name=f"mean of the last {self.season}", line=mean)
        cell = {"color": INK, "width": 2}
        sign = self.follower.sign
        name = f"cell of unit {self.follower.unit}, right axis{'' if sign > 0 else ', upside down'}"
        figure.add_scatter(x=times, y=self.steps["cell"].to_list(), name=name, yaxis="y2", line=cell)
        styled(figure, value, "").update_yaxes(rangemode="normal")
        axis = {"overlaying": "y", "side": "right", "showgrid": False, "zeroline": False}
        return figure.update_layout(yaxis2=axis | ({} if sign > 0 else {"autorange": "reversed"}))


def find_memory(model: Forecaster, table: SeriesTable) -> Memory:
    """The unit that best keeps the mean of the last season, over the last window of a table's first series.

    It is chosen on the first half of the window's steps and scored on the second.

    Raises:
        ValueError: the LSTM reads several rows at a step, so that a mean of some may be no memory.
    """
    size, season, name = model.size_, model.seasons_[0], table.ids[0]
    if size.patch != 1:
        raise ValueError(f"the LSTM reads {size.patch} rows at a step")
    table = replace(table, frame=table.known.filter(pl.col(ID) == name))
    network = model.network_.eval()
    tensors = model.tensors(table)
    origin = tensors.lengths - size.horizon  # what is known of the last horizon stands for what is ahead
    window = tensors.windows(torch.tensor([0]), origin, size, target=False)
    rows = table.frame.head(int(origin[0])).with_columns(mean=pl.col(TARGET).rolling_mean(season, min_samples=1))
    ends = rows.tail(size.context).select(TIME, TARGET, "mean")
    trace = traced(network, lambda: network(window))
    means = ends["mean"].to_numpy()
    best: tuple[str, Follower, LayerTrace] | None = None
    for layer, found in trace.layers.items():
        for follower in find_units(found.values["c"], {FEATURE: means}):
            if best is None or abs(follower.found) > abs(best[1].found):
                best = layer, follower, found
    assert best is not None
    layer, follower, found = best
    cell: Array = found.values["c"][:, follower.unit]
    steps = ends.with_columns(pl.Series("cell", cell.astype(np.float64)))
    return Memory(layer, follower, float(half_life(found)[follower.unit]), steps, season)


def _half(steps: pl.DataFrame) -> int:
    """Steps of the half that the unit was not chosen on."""
    return steps.height - steps.height // 2
