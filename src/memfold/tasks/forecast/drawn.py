"""Series with their forecasts, drawn."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from memfold.data.tables import ID, TARGET, TIME
from memfold.drawing import SERIES, Chart
from memfold.page import ACTUAL

if TYPE_CHECKING:
    from memfold.tasks.forecast.task import Forecaster

__all__ = ["drawn"]

HISTORY = 6  # horizons before the forecast


def drawn(model: "Forecaster", inputs: Sequence[str], answers: pl.DataFrame) -> Iterator[tuple[str, bytes]]:
    """An SVG of every series: its name, and what it holds."""
    table = model.read(model.given(inputs))
    forecast = model.forecast_table(table, answers.height // len(table.ids))
    for name in table.ids:
        ahead = forecast.filter(pl.col(ID) == name)
        before = table.known.filter(pl.col(ID) == name).tail(HISTORY * ahead.height)
        chart = Chart(zero=False)
        chart.band(ahead[TIME].to_list(), ahead["lo80"].to_list(), ahead["hi80"].to_list(), "80 % interval")
        chart.line(before[TIME].to_list(), before[TARGET].to_list(), "actual", ACTUAL)
        chart.line(ahead[TIME].to_list(), ahead["forecast"].to_list(), "forecast", SERIES[0])
        yield name, chart.svg(name).encode()
