"""One offline HTML page about forecasts: scores, intervals and actual values, errors by origin and by step ahead."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Protocol

import polars as pl

from memfold.data.tables import ID, TARGET, TIME, SeriesTable
from memfold.drawing import SERIES, Chart, Choice, Look
from memfold.page import ACTUAL, Section, page_text, scores_table, write_page
from memfold.runtime.forecasting.size import NetworkSize
from memfold.tasks.forecast.scores import MODEL, scaled_errors
from memfold.tasks.page import plan_table
from memfold.tasks.report import Report
from memfold.training import Result

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
    def parameter_count(self) -> int: ...


def write_report(
    path: Path,
    title: str,
    model: Forecasting,
    table: SeriesTable,
    forecasts: pl.DataFrame,
    reports: Mapping[str, Report],
    more: Sequence[Section] = (),
    lead: str = "",
) -> Path:
    """Write the page.

    Args:
        table: the series, what was forecast included.
        forecasts: what `Forecaster.backtest` returned for it.
        reports: the scores to show, by any name.
        more: sections to add at the end.
        lead: a paragraph above the scores.

    Returns:
        The path.
    """
    first = next(iter(reports.values()))
    models = [MODEL, *first.baselines]
    errors = scaled_errors(forecasts, table.known, model.seasons_[0], models)
    origins = int(forecasts.group_by(ID).agg(pl.col("cutoff").n_unique())["cutoff"].max())  # type: ignore[arg-type]
    shown = _shown_series(forecasts, errors)
    sections: list[Section] = [
        ("The forecasts", _forecast_text(origins, len(shown)), _forecast_charts(model, table, forecasts, models, shown))
    ]
    if origins > 1:
        text = "Mean absolute scaled error over the horizon after each origin, averaged over the series."
        sections.append(("Error by origin", text, _origin_chart(errors, models)))
    text = "Mean absolute scaled error by the number of steps ahead, averaged over the series and origins."
    sections.append(("Error by step ahead", text, _step_chart(errors, models)))
    if model.training_.curve:  # a loaded model has none
        sections.append(("Learning curve", _curve_text(model), _curve_chart(model)))
    tables = [
        scores_table(scored.heading, {"memfold": scored.metrics, **scored.baselines}) for scored in reports.values()
    ]
    tables.append(plan_table(first))
    if lead:
        tables.insert(0, f"<p>{escape(lead)}</p>")
    footer = f"{model.parameter_count:,} parameters; {model!r}"
    return write_page(path, page_text(title, tables, [*sections, *more], footer))


def _shown_series(forecasts: pl.DataFrame, errors: pl.DataFrame) -> dict[str, str]:
    """Names of series to show and what to call them, the model's worst first."""
    means = errors.group_by(ID).agg(pl.col(MODEL).mean()).sort(MODEL, ID, descending=[True, False]).rows()
    if not means:  # nothing to scale by
        return dict.fromkeys(forecasts[ID].head(1), "")
    if len(means) <= MOST_SHOWN:
        places = dict.fromkeys(range(len(means)), "")
    else:
        places = {0: "worst: ", len(means) // 2: "median: ", len(means) - 1: "best: "}
    return {
        means[place][0]: f"{kind}{_short(means[place][0])}, MASE {means[place][1]:.2f}"
        for place, kind in places.items()
    }


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _forecast_text(origins: int, series: int) -> str:
    return (
        f"{origins} forecast{'s' if origins > 1 else ''}, each made from the values before it. The band should hold "
        f"four of five values. {'Choose a series above the picture. ' if series > 1 else ''}Tap a name below the "
        "picture to show or hide it."
    )


def _forecast_charts(
    model: Forecasting, table: SeriesTable, forecasts: pl.DataFrame, models: list[str], shown: Mapping[str, str]
) -> Choice:
    """A chart a series."""
    charts = {
        label or _short(name): _series_chart(model, table, forecasts.filter(pl.col(ID) == name), models)
        for name, label in shown.items()
    }
    return Choice(charts, "Series")


def _series_chart(model: Forecasting, table: SeriesTable, forecasts: pl.DataFrame, models: list[str]) -> Chart:
    """The actual values, and the forecasts from every origin with the model's band; gaps between origins."""
    series = table.known.filter(pl.col(ID) == forecasts[ID][0])
    begin = series.filter(pl.col(TIME) < forecasts[TIME].min()).tail(HISTORY * model.size_.horizon)[TIME].min()
    series = series.filter(pl.col(TIME) >= begin)
    parts = [part.sort(TIME) for _, part in forecasts.sort("cutoff").group_by("cutoff", maintain_order=True)]
    columns = [TIME, "lo80", "hi80", *models]
    joined = {name: [value for part in parts for value in (*part[name], None)] for name in columns}
    chart = Chart(_short(forecasts[ID][0]))
    chart.band(joined[TIME], joined["lo80"], joined["hi80"], "80 % interval")
    chart.line(series[TIME].to_list(), series[TARGET].to_list(), "actual", ACTUAL)
    for column, look in zip(models, SERIES, strict=False):
        chart.line(joined[TIME], joined[column], _name(column), look, hidden=column != MODEL)
    return chart


def _name(column: str) -> str:
    return "memfold" if column == MODEL else column


def _origin_chart(errors: pl.DataFrame, models: list[str]) -> Chart:
    """Over the origins, at their times where all series share them."""
    numbered = errors.with_columns(
        (1 - pl.col("cutoff").rank("dense", descending=True).cast(pl.Int64)).over(ID).alias("origin")
    )
    cutoff = pl.col("cutoff")
    means = numbered.group_by("origin").agg(pl.col(models).mean(), cutoff.first(), cutoff.n_unique().alias("times"))
    means = means.sort("origin")
    if (means["times"] == 1).all():
        return _error_chart(means, "cutoff", models, "last value seen")
    return _error_chart(means, "origin", models, "origins, the last one being 0")


def _step_chart(errors: pl.DataFrame, models: list[str]) -> Chart:
    means = errors.group_by("ahead").agg(pl.col(models).mean()).sort("ahead")
    return _error_chart(means, "ahead", models, "steps ahead")


def _error_chart(means: pl.DataFrame, x: str, models: list[str], x_title: str) -> Chart:
    chart = Chart("MASE", x_title)
    for column, look in zip(models, SERIES, strict=False):
        chart.line(means[x].to_list(), means[column].to_list(), _name(column), look)
    return chart


def _curve_text(model: Forecasting) -> str:
    result = model.training_
    return (
        f"{result.steps} steps in {result.seconds:.0f} s. The weights kept are those of step {result.best_step}, the "
        "best on the validation part, which is the end of the training part."
    )


def _curve_chart(model: Forecasting) -> Chart:
    curve = model.training_.curve
    steps = [row.step for row in curve]
    chart = Chart("CRPS, in window scales", "step")
    chart.line(steps, [row.train_loss for row in curve], "training", Look("soft", "5 3"))
    return chart.line(steps, [row.score for row in curve], "validation", SERIES[0])
