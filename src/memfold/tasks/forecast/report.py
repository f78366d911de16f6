"""One offline HTML page about a forecast: intervals against what came, error by horizon, learning curve, scores."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import plotly.graph_objects as go
import polars as pl

from memfold.data.tables import ID, TARGET, TIME, SeriesTable
from memfold.page import ACTUAL, BAND, INK, OTHERS, Section, styled, write_page
from memfold.tasks.base import Report
from memfold.tasks.forecast.forecaster import MODEL, Forecaster

__all__ = ["write_report"]

HISTORY = 4  # horizons of history before the first forecast


def write_report(
    path: Path,
    title: str,
    model: Forecaster,
    table: SeriesTable,
    forecasts: pl.DataFrame,
    reports: Mapping[str, Report],
    more: Sequence[Section] = (),
) -> Path:
    """Write the page.

    Args:
        table: the series, what was forecast included.
        forecasts: what `Forecaster.backtest` returned for it.
        reports: the scores to show, by any name.
        more: sections to add at the end.

    Returns:
        The path.
    """
    first = next(iter(reports.values()))
    models = [MODEL, *first.baselines]
    sections = [
        ("The forecasts", _forecast_text(forecasts), _forecast_figure(model, table, forecasts, models)),
        ("Error by horizon", "Mean absolute error by the number of steps ahead.", _horizon_figure(forecasts, models)),
        ("Learning curve", _curve_text(model), _curve_figure(model)),
    ]
    tables = [_table(report) for report in reports.values()]
    footer = f"{model.parameter_count:,} parameters; {model!r}"
    return write_page(path, title, tables, [*sections, *more], footer)


def _table(report: Report) -> str:
    names = list(report.metrics)
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = []
    for name, scores in {"memfold": report.metrics, **report.baselines}.items():
        cells = "".join(f"<td>{scores[n]:.3f}</td>" if n in scores else "<td></td>" for n in names)
        rows.append(f"<tr{' class=model' if name == 'memfold' else ''}><td>{escape(name)}</td>{cells}</tr>")
    return (
        f"<h2>{escape(report.data)}</h2>"
        f'<div class="scroll"><table><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'
    )


def _forecast_text(forecasts: pl.DataFrame) -> str:
    count = forecasts["cutoff"].n_unique()
    return (
        f"{count} forecast{'s' if count > 1 else ''}, each made from what came before it. The band should hold four of "
        "five values. Tap a name below the picture to show or hide it; drag to look closer."
    )


def _forecast_figure(model: Forecaster, table: SeriesTable, forecasts: pl.DataFrame, models: list[str]) -> go.Figure:
    name = forecasts[ID][0]
    shown = forecasts.filter(pl.col(ID) == name).sort("cutoff", TIME)
    series = table.known.filter(pl.col(ID) == name)
    begin = series.filter(pl.col(TIME) < shown[TIME].min()).tail(HISTORY * model.size_.horizon)[TIME].min()
    series = series.filter(pl.col(TIME) >= begin)
    figure = go.Figure()
    times = shown[TIME].to_list()
    figure.add_scatter(x=times, y=shown["hi80"].to_list(), line_width=0, showlegend=False, hoverinfo="skip")
    band = {"fill": "tonexty", "fillcolor": BAND, "line_width": 0, "hoverinfo": "skip"}
    figure.add_scatter(x=times, y=shown["lo80"].to_list(), name="80 % interval", **band)
    figure.add_scatter(x=series[TIME].to_list(), y=series[TARGET].to_list(), name="what came", line_color=ACTUAL)
    for column, color in zip(models, (INK, *OTHERS), strict=False):
        is_model = column == MODEL
        figure.add_scatter(
            x=times,
            y=shown[column].to_list(),
            name="memfold" if is_model else column,
            line={"color": color, "width": 2 if is_model else 1},
            visible=True if is_model else "legendonly",
        )
    return styled(figure, str(name), "")


def _horizon_figure(forecasts: pl.DataFrame, models: list[str]) -> go.Figure:
    errors = forecasts.sort(ID, "cutoff", TIME).with_columns(
        pl.int_range(1, pl.len() + 1).over(ID, "cutoff").alias("ahead"),
        *((pl.col(m) - pl.col(TARGET)).abs().alias(m) for m in models),
    )
    means = errors.group_by("ahead").agg(pl.col(models).mean()).sort("ahead")
    figure = go.Figure()
    for column, color in zip(models, (INK, *OTHERS), strict=False):
        is_model = column == MODEL
        line = {"color": color, "width": 3 if is_model else 1.5}
        name = "memfold" if is_model else column
        figure.add_scatter(x=means["ahead"].to_list(), y=means[column].to_list(), name=name, line=line)
    return styled(figure, "mean absolute error", "steps ahead")


def _curve_text(model: Forecaster) -> str:
    result = model.training_
    return (
        f"{result.steps} steps in {result.seconds:.0f} s. The weights kept are those of step {result.best_step}, the "
        "best on the validation part, which is the end of the training part."
    )


def _curve_figure(model: Forecaster) -> go.Figure:
    curve = model.training_.curve
    steps = [row.step for row in curve]
    figure = go.Figure()
    figure.add_scatter(x=steps, y=[row.train_loss for row in curve], name="training", line_color=OTHERS[3])
    figure.add_scatter(x=steps, y=[row.score for row in curve], name="validation", line_color=INK, mode="lines+markers")
    return styled(figure, "CRPS, in window scales", "step")
