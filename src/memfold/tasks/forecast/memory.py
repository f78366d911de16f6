"""A look inside a forecaster: one unit of its LSTM that keeps what no single step shows, drawn beside the series."""

import functools
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from memfold.data.tables import ID, TARGET, TIME, SeriesTable
from memfold.drawing import Chart, Look
from memfold.explain.ledger import half_life
from memfold.explain.trace import Array, LayerTrace, traced
from memfold.explain.units import Follower, find_units
from memfold.page import ACTUAL
from memfold.runtime.forecasting.windows import Places
from memfold.tasks.forecast.network import Window
from memfold.tasks.forecast.task import Forecaster
from memfold.words import Said, Words, said

__all__ = ["Memory", "find_memory"]

FEATURE = "mean of the season before"
WINDOWS = 26  # that a unit is chosen and scored on, one after another; a few weeks alone would choose by chance


@dataclass(frozen=True)
class Memory:
    """A unit that follows the mean of the last season's values, which it can only do by remembering them.

    Attributes:
        layer: its path in the network.
        follower: the unit, and how well it follows, on the steps where it was chosen and on the later ones.
        scored: how many these later steps are.
        half_life: steps after which half of what it holds is gone.
        steps: of the last window: times, values, means of the season before, and the unit's cell, at each step's end.
        season: steps of the series.
    """

    layer: str
    follower: Follower
    scored: int
    half_life: float
    steps: pl.DataFrame
    season: int

    def sentence(self) -> Said:
        """What the unit does, in one sentence, of the births of each day."""
        return said(
            "memory",
            unit=self.follower.unit,
            season=self.season,
            follows=self.follower.score,
            scored=self.scored,
            half_life=self.half_life,
        )

    def chart(self, words: Words) -> Chart:
        """The births, the mean that the unit follows, and its cell on an axis of its own."""
        times = self.steps[TIME].to_list()
        cell, sign = self.steps["cell"].to_numpy(), self.follower.sign
        name = words("memory cell" if sign > 0 else "memory cell upside down", unit=self.follower.unit)
        value, mean = words("births"), words("memory mean", season=self.season)
        extent = (float(cell.min()), float(cell.max()))
        chart = Chart(value, zero=False, right_extent=extent if sign > 0 else extent[::-1])
        chart.line(times, self.steps[TARGET].to_list(), value, ACTUAL)
        chart.line(times, self.steps["mean"].to_list(), mean, Look("ink", "2 3", 2.2))
        return chart.line(times, cell, name, right=True)


def find_memory(model: Forecaster, table: SeriesTable) -> Memory:
    """The unit that best keeps the mean of the last season, over the last windows of a table's first series.

    It is chosen on the earlier half of the windows' steps and scored on the later one.

    Raises:
        ValueError: the LSTM reads several rows at a step, so that a mean of some may be no memory.
    """
    size, season, name = model.size_, model.seasons_[0], table.ids[0]
    if size.patch != 1:
        raise ValueError(f"the LSTM reads {size.patch} rows at a step")
    table = replace(table, frame=table.known.filter(pl.col(ID) == name))
    network = model.network_.eval()
    arrays = model.arrays(table)
    last = int(arrays.lengths[0]) - size.horizon  # what is known of the last horizon stands for what is ahead
    rows = table.frame.head(last).with_columns(mean=pl.col(TARGET).rolling_mean(season, min_samples=1))
    traces = []
    for origin in range(last - (min(WINDOWS, last // size.context) - 1) * size.context, last + 1, size.context):
        place = Places(np.array([0]), np.array([origin]))
        window = Window.of(arrays.windows(place, size, target=False))
        traces.append(traced(network, functools.partial(network, window)))
    means = rows["mean"].tail(len(traces) * size.context).to_numpy()
    best: tuple[str, Follower, LayerTrace] | None = None
    for layer, found in traces[-1].layers.items():
        cells = np.concatenate([trace.layers[layer].values["c"] for trace in traces])
        for follower in find_units(cells, {FEATURE: means}):
            if best is None or abs(follower.found) > abs(best[1].found):
                best = layer, follower, found
    assert best is not None
    layer, follower, found = best
    cell: Array = found.values["c"][:, follower.unit]
    ends = rows.tail(size.context).select(TIME, TARGET, "mean")
    steps = ends.with_columns(pl.Series("cell", cell.astype(np.float64)))
    scored = len(means) - len(means) // 2
    return Memory(layer, follower, scored, float(half_life(found)[follower.unit]), steps, season)
