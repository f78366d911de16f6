"""One offline HTML page about forecasts that were made at once: each series, and what is to be expected of it."""

from pathlib import Path

import polars as pl

from memfold.data.tables import ID, TARGET, TIME
from memfold.drawing import SERIES, Chart, Choice
from memfold.page import ACTUAL, page_text, write_page
from memfold.pretrained.answering import Forecasts
from memfold.words import Words

__all__ = ["write_report"]

HISTORY = 6  # horizons of history before the forecast
LEAST_HISTORY = 60
MOST_SHOWN = 30
LONGEST_NAME = 40


def write_report(path: Path, forecasts: Forecasts, lang: str = "en") -> Path:
    """Write the page in a language, ``en`` or ``zh``; returns its path.

    Raises:
        InputError: another language.
    """
    words = Words(lang)
    names = forecasts.table.ids[:MOST_SHOWN]
    more = len(forecasts.table.ids) - len(names)
    text = words.joined(
        words("instant band"),
        words("instant choose") if len(names) > 1 else "",
        words("instant more", more=more) if more else "",
    )
    title = words("title instant", data=Path(forecasts.table.name).name or words("instant series"))
    stop, end = ("。", "。") if lang == "zh" else (". ", ".")
    footer = stop.join([words("instant made"), *map(words.of, forecasts.notes)]) + end
    sections = [(words("instant heading"), text, _choice(forecasts, names, words))]
    return write_page(path, page_text(title, [], sections, footer, language=lang))


def _choice(forecasts: Forecasts, names: list[str], words: Words) -> Choice:
    """A chart a series."""
    charts = {}
    for place, name in enumerate(names):
        short = _short(name)
        charts[short if short not in charts else f"{short} ({place + 1})"] = _chart(forecasts, name, words)
    return Choice(charts, words("instant choice"))


def _chart(forecasts: Forecasts, name: str, words: Words) -> Chart:
    ahead = forecasts.frame.filter(pl.col(ID) == name)
    before = forecasts.table.known.filter(pl.col(ID) == name).tail(max(HISTORY * ahead.height, LEAST_HISTORY))
    chart = Chart(_short(name))
    chart.band(ahead[TIME].to_list(), ahead["lo80"].to_list(), ahead["hi80"].to_list(), words("interval"))
    chart.line(before[TIME].to_list(), before[TARGET].fill_nan(None).to_list(), words("actual"), ACTUAL)
    return chart.line(ahead[TIME].to_list(), ahead["forecast"].to_list(), words("median"), SERIES[0])


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
