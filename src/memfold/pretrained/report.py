"""One offline HTML page about forecasts that were made at once: each series, and what is to be expected of it."""

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import polars as pl

from memfold.data.tables import ID, TARGET, TIME
from memfold.page import ACTUAL, BAND, INK, styled, write_page
from memfold.pretrained.answering import Forecasts

__all__ = ["write_report"]

HISTORY = 6  # horizons of history before the forecast
LEAST_HISTORY = 60
MOST_SHOWN = 30
LONGEST_NAME = 40


def write_report(path: Path, forecasts: Forecasts) -> Path:
    """Write the page; returns its path."""
    names = forecasts.table.ids[:MOST_SHOWN]
    more = len(forecasts.table.ids) - len(names)
    text = "The band should hold four of five values."
    text += " Choose a series above the picture." if len(names) > 1 else ""
    text += f" {more:,} more series are in the table of forecasts." if more else ""
    title = f"Forecasts of {forecasts.table.name or 'the series'}"
    footer = ". ".join(["Made at once by the forecaster that comes with memfold, without a fit", *forecasts.notes])
    return write_page(path, title, [], [("The forecasts", text, _figure(forecasts, names))], f"{footer}.")


def _figure(forecasts: Forecasts, names: list[str]) -> go.Figure:
    """One series, and a menu to choose where there are several."""
    figure = go.Figure()
    per = 0
    for place, name in enumerate(names):
        for trace in _traces(forecasts, name):
            trace.visible = place == 0
            figure.add_trace(trace)
        per = per or len(figure.data)
    styled(figure, _short(names[0]), "")
    if len(names) > 1:
        buttons = [
            {
                "label": _short(name),
                "method": "update",
                "args": [
                    {"visible": [k // per == place for k in range(per * len(names))]},
                    {"yaxis.title.text": _short(name)},
                ],
            }
            for place, name in enumerate(names)
        ]
        figure.update_layout(
            updatemenus=[{"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}]
        )
        figure.update_layout(margin_t=56)
    return figure


def _traces(forecasts: Forecasts, name: str) -> list[Any]:
    ahead = forecasts.frame.filter(pl.col(ID) == name)
    before = forecasts.table.known.filter(pl.col(ID) == name).tail(max(HISTORY * ahead.height, LEAST_HISTORY))
    times, values = before[TIME].to_list(), before[TARGET].fill_nan(None).to_list()
    outline = [*ahead["hi80"], *ahead["lo80"].reverse()]
    around = [*ahead[TIME], *ahead[TIME].reverse()]
    band = go.Scatter(x=around, y=outline, name="80 % interval", fill="toself", fillcolor=BAND, line_width=0)
    band.update(mode="lines", hoverinfo="skip")
    actual = go.Scatter(x=times, y=values, name="actual", mode="lines", line_color=ACTUAL)
    middle = go.Scatter(x=ahead[TIME].to_list(), y=ahead["forecast"].to_list(), name="forecast", line_color=INK)
    return [band, actual, middle.update(mode="lines")]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
