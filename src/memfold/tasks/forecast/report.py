"""One offline HTML page about a forecast: intervals against what came, error by horizon, learning curve, scores."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import plotly.graph_objects as go
import polars as pl
from plotly.offline import get_plotlyjs

from memfold.data.tables import ID, TARGET, TIME, SeriesTable
from memfold.formats.checkpoint import write_aside
from memfold.tasks.base import Report
from memfold.tasks.forecast.forecaster import MODEL, Forecaster

__all__ = ["write_report"]

INK, BAND, ACTUAL = "#1f5fa8", "rgba(31,95,168,0.18)", "#222222"
OTHERS = ("#c2571a", "#4d8b31", "#8250a0", "#8a8a8a", "#b03060")
HISTORY = 4  # horizons of history before the first forecast

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 16px; background: #fff; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; }
h1 { font-size: 1.5rem; margin: 0.5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.25rem; }
p { margin: 0.25rem 0 0.75rem; max-width: 70ch; }
.figure { width: 100%; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tr.model { font-weight: 600; }
footer { margin: 2rem 0; color: #666; font-size: 0.85rem; }
"""


def write_report(
    path: Path,
    title: str,
    model: Forecaster,
    table: SeriesTable,
    forecasts: pl.DataFrame,
    reports: Mapping[str, Report],
) -> Path:
    """Write the page.

    Args:
        table: the series, what was forecast included.
        forecasts: what `Forecaster.backtest` returned for it.
        reports: the scores to show, by any name.

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
    body = [f"<h1>{escape(title)}</h1>"]
    body += [_table(report) for report in reports.values()]
    for title, text, figure in sections:
        html = figure.to_html(
            full_html=False, include_plotlyjs=False, config={"responsive": True, "displaylogo": False}
        )
        body.append(f'<h2>{escape(title)}</h2><p>{escape(text)}</p><div class="figure">{html}</div>')
    body.append(f"<footer>{model.parameter_count:,} parameters; {escape(repr(model))}</footer>")
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head>"
        f"<body>{''.join(body)}</body></html>"
    )

    def write(aside: Path) -> None:
        aside.write_text(page, encoding="utf-8")

    write_aside(path, write)
    return path


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
    return _styled(figure, str(name), "")


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
    return _styled(figure, "mean absolute error", "steps ahead")


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
    return _styled(figure, "CRPS, in window scales", "step")


def _styled(figure: go.Figure, y_title: str, x_title: str) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=420,
        margin={"l": 48, "r": 8, "t": 16, "b": 40},
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "traceorder": "normal"},
        hovermode="x unified",
        font={"size": 13},
    )
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title, rangemode="tozero")
    return figure
