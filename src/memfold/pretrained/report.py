"""One offline HTML page about forecasts that were made at once: each series, and what is to be expected of it."""

from pathlib import Path

import polars as pl

from memfold.data.tables import ID, TARGET, TIME
from memfold.drawing import SERIES, Chart, Choice
from memfold.page import ACTUAL, page_text, write_page
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
    sections = [("The forecasts", text, _choice(forecasts, names))]
    return write_page(path, page_text(title, [], sections, f"{footer}."))


def _choice(forecasts: Forecasts, names: list[str]) -> Choice:
    """A chart a series."""
    charts = {}
    for place, name in enumerate(names):
        short = _short(name)
        charts[short if short not in charts else f"{short} ({place + 1})"] = _chart(forecasts, name)
    return Choice(charts, "Series")


def _chart(forecasts: Forecasts, name: str) -> Chart:
    ahead = forecasts.frame.filter(pl.col(ID) == name)
    before = forecasts.table.known.filter(pl.col(ID) == name).tail(max(HISTORY * ahead.height, LEAST_HISTORY))
    chart = Chart(_short(name))
    chart.band(ahead[TIME].to_list(), ahead["lo80"].to_list(), ahead["hi80"].to_list(), "80 % interval")
    chart.line(before[TIME].to_list(), before[TARGET].fill_nan(None).to_list(), "actual", ACTUAL)
    return chart.line(ahead[TIME].to_list(), ahead["forecast"].to_list(), "forecast", SERIES[0])


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
