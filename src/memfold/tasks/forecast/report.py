"""One offline HTML page about forecasts: scores, intervals and actual values, errors by origin and by step ahead."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Protocol

import polars as pl

from memfold.data.tables import ID, TARGET, TIME, SeriesTable
from memfold.drawing import SERIES, Chart, Choice
from memfold.page import ACTUAL, Section, page_text, write_page
from memfold.runtime.forecasting.size import NetworkSize
from memfold.tasks.contest import Contest
from memfold.tasks.forecast.scores import MODEL, scaled_errors
from memfold.tasks.page import learning_curve, plan_table, report_scores
from memfold.tasks.report import Report
from memfold.trained import Result
from memfold.words import Words

__all__ = ["write_report"]

HISTORY = 4  # horizons of history before the first forecast
MOST_SHOWN = 5  # series; of more than these the worst, the median and the best are shown
LONGEST_NAME = 40


class Forecasting(Protocol):
    """What the page says of a forecaster."""

    @property
    def seasons_(self) -> Sequence[int]: ...
    @property
    def size_(self) -> NetworkSize: ...
    @property
    def training_(self) -> Result: ...
    @property
    def contest_(self) -> Contest | None: ...
    @property
    def parameter_count(self) -> int: ...


def write_report(
    path: Path,
    title: str,
    model: Forecasting,
    table: SeriesTable,
    forecasts: pl.DataFrame,
    reports: Mapping[str, Report],
    words: Words,
    more: Sequence[Section] = (),
    lead: str = "",
) -> Path:
    """Write the page.

    Args:
        table: the series, what was forecast included.
        forecasts: what `Forecaster.backtest` returned for it.
        reports: the scores to show, by what stands above them, "" for no more than that they are scores.
        more: sections to add at the end.
        lead: a paragraph above the scores.

    Returns:
        The path.
    """
    first = next(iter(reports.values()))
    models = [MODEL, *first.baselines]
    errors = scaled_errors(forecasts, table.known, model.seasons_[0], models)
    origins = int(forecasts.group_by(ID).agg(pl.col("cutoff").n_unique())["cutoff"].max())  # type: ignore[arg-type]
    shown = _shown_series(forecasts, errors, words)
    sections: list[Section] = [
        (
            words("forecasts"),
            _forecast_text(origins, len(shown), words),
            _forecast_charts(model, table, forecasts, models, shown, words),
        )
    ]
    if origins > 1:
        sections.append((words("by origin"), words("by origin text"), _origin_chart(errors, models, words)))
    sections.append((words("by step"), words("by step text"), _step_chart(errors, models, words)))
    sections += learning_curve(model.training_, model.contest_, words)
    tables = [report_scores(scored, words, name) for name, scored in reports.items()]
    tables.append(plan_table(first, words))
    if lead:
        tables.insert(0, f"<p>{escape(lead)}</p>")
    footer = words("footer evaluation", count=model.parameter_count, model=repr(model))
    return write_page(path, page_text(title, tables, [*sections, *more], footer, language=words.language))


def _shown_series(forecasts: pl.DataFrame, errors: pl.DataFrame, words: Words) -> dict[str, str]:
    """Names of series to show and what to call them, the model's worst first."""
    means = errors.group_by(ID).agg(pl.col(MODEL).mean()).sort(MODEL, ID, descending=[True, False]).rows()
    if not means:  # nothing to scale by
        return dict.fromkeys(forecasts[ID].head(1), "")
    if len(means) <= MOST_SHOWN:
        places = dict.fromkeys(range(len(means)), "any")
    else:
        places = {0: "worst", len(means) // 2: "median", len(means) - 1: "best"}
    return {
        means[place][0]: words(f"series {kind}", name=_short(means[place][0]), error=means[place][1])
        for place, kind in places.items()
    }


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _forecast_text(origins: int, series: int, words: Words) -> str:
    made = words("forecasts many", origins=origins) if origins > 1 else words("forecasts one")
    return words.joined(made, words("forecasts choose") if series > 1 else "", words("tap a name"))


def _forecast_charts(
    model: Forecasting,
    table: SeriesTable,
    forecasts: pl.DataFrame,
    models: list[str],
    shown: Mapping[str, str],
    words: Words,
) -> Choice:
    """A chart a series."""
    charts = {
        label or _short(name): _series_chart(model, table, forecasts.filter(pl.col(ID) == name), models, words)
        for name, label in shown.items()
    }
    return Choice(charts, words("choose series"))


def _series_chart(
    model: Forecasting, table: SeriesTable, forecasts: pl.DataFrame, models: list[str], words: Words
) -> Chart:
    """The actual values, and the forecasts from every origin with the model's band; gaps between origins."""
    series = table.known.filter(pl.col(ID) == forecasts[ID][0])
    begin = series.filter(pl.col(TIME) < forecasts[TIME].min()).tail(HISTORY * model.size_.horizon)[TIME].min()
    series = series.filter(pl.col(TIME) >= begin)
    parts = [part.sort(TIME) for _, part in forecasts.sort("cutoff").group_by("cutoff", maintain_order=True)]
    columns = [TIME, "lo80", "hi80", *models]
    joined = {name: [value for part in parts for value in (*part[name], None)] for name in columns}
    chart = Chart(_short(forecasts[ID][0]))
    chart.band(joined[TIME], joined["lo80"], joined["hi80"], words("interval"))
    chart.line(series[TIME].to_list(), series[TARGET].to_list(), words("actual"), ACTUAL)
    for column, look in zip(models, SERIES, strict=False):
        chart.line(joined[TIME], joined[column], _name(column, words), look, hidden=column != MODEL)
    return chart


def _name(column: str, words: Words) -> str:
    return "memfold" if column == MODEL else words.name(column)


def _origin_chart(errors: pl.DataFrame, models: list[str], words: Words) -> Chart:
    """Over the origins, at their times where all series share them."""
    numbered = errors.with_columns(
        (1 - pl.col("cutoff").rank("dense", descending=True).cast(pl.Int64)).over(ID).alias("origin")
    )
    cutoff = pl.col("cutoff")
    means = numbered.group_by("origin").agg(pl.col(models).mean(), cutoff.first(), cutoff.n_unique().alias("times"))
    means = means.sort("origin")
    if (means["times"] == 1).all():
        return _error_chart(means, "cutoff", models, words("last seen"), words)
    return _error_chart(means, "origin", models, words("origins"), words)


def _step_chart(errors: pl.DataFrame, models: list[str], words: Words) -> Chart:
    means = errors.group_by("ahead").agg(pl.col(models).mean()).sort("ahead")
    return _error_chart(means, "ahead", models, words("steps ahead"), words)


def _error_chart(means: pl.DataFrame, x: str, models: list[str], x_title: str, words: Words) -> Chart:
    chart = Chart("MASE", x_title)
    for column, look in zip(models, SERIES, strict=False):
        chart.line(means[x].to_list(), means[column].to_list(), _name(column, words), look)
    return chart
