"""One offline HTML page about forecasts: scores, intervals and actual values, errors by origin and by step ahead."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Protocol

import plotly.graph_objects as go
import polars as pl

from memfold.data.tables import ID, TARGET, TIME, SeriesTable
from memfold.page import ACTUAL, BAND, INK, OTHERS, Section, scores_table, styled, write_page
from memfold.runtime.forecasting.size import NetworkSize
from memfold.tasks.forecast.scores import MODEL, scaled_errors
from memfold.tasks.report import Report
from memfold.training import Result

__all__ = ["write_report"]

HISTORY = 4  # horizons of history before the first forecast
MOST_SHOWN = 5  # series; of more than these the worst, the median and the best are shown
LONGEST_NAME = 40
FEW = 12  # places on an axis
Points = tuple[list[Any], list[Any]]  # x, y


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
    sections = [
        ("The forecasts", _forecast_text(origins, len(shown)), _forecast_figure(model, table, forecasts, models, shown))
    ]
    if origins > 1:
        text = "Mean absolute scaled error over the horizon after each origin, averaged over the series."
        sections.append(("Error by origin", text, _origin_figure(errors, models)))
    text = "Mean absolute scaled error by the number of steps ahead, averaged over the series and origins."
    sections.append(("Error by step ahead", text, _step_figure(errors, models)))
    if model.training_.curve:  # a loaded model has none
        sections.append(("Learning curve", _curve_text(model), _curve_figure(model)))
    tables = [scores_table(scored.data, {"memfold": scored.metrics, **scored.baselines}) for scored in reports.values()]
    if lead:
        tables.insert(0, f"<p>{escape(lead)}</p>")
    footer = f"{model.parameter_count:,} parameters; {model!r}"
    return write_page(path, title, tables, [*sections, *more], footer)


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
        "picture to show or hide it; drag to look closer."
    )


def _forecast_figure(
    model: Forecasting, table: SeriesTable, forecasts: pl.DataFrame, models: list[str], shown: Mapping[str, str]
) -> go.Figure:
    """One series, and a menu to choose where there are several."""
    figure, first = go.Figure(), next(iter(shown))
    owners: list[str] = []  # of the traces
    for name in shown:
        _draw_series(figure, model, table, forecasts.filter(pl.col(ID) == name), models)
        owners += [name] * (len(figure.data) - len(owners))
    states = [trace.visible or True for trace in figure.data]

    def visible(name: str) -> list[Any]:
        return [state if owner == name else False for state, owner in zip(states, owners, strict=True)]

    for trace, state in zip(figure.data, visible(first), strict=True):
        trace.visible = state
    styled(figure, _short(first), "")
    if len(shown) > 1:
        buttons = [
            {
                "label": label,
                "method": "update",
                "args": [{"visible": visible(name)}, {"yaxis.title.text": _short(name)}],
            }
            for name, label in shown.items()
        ]
        menu = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
        figure.update_layout(updatemenus=[menu], margin_t=56)
    return figure


def _draw_series(
    figure: go.Figure, model: Forecasting, table: SeriesTable, forecasts: pl.DataFrame, models: list[str]
) -> None:
    """The actual values, and the forecasts from every origin with the model's band."""
    series = table.known.filter(pl.col(ID) == forecasts[ID][0])
    begin = series.filter(pl.col(TIME) < forecasts[TIME].min()).tail(HISTORY * model.size_.horizon)[TIME].min()
    series = series.filter(pl.col(TIME) >= begin)
    parts = [part.sort(TIME) for _, part in forecasts.sort("cutoff").group_by("cutoff", maintain_order=True)]
    x, y = _joined(
        ([*part[TIME], *part[TIME].reverse()], [*part["hi80"], *part["lo80"].reverse()]) for part in parts
    )  # outlines
    band = {"fill": "toself", "fillcolor": BAND, "line_width": 0, "mode": "lines", "hoverinfo": "skip"}
    figure.add_scatter(x=x, y=y, name="80 % interval", **band)
    figure.add_scatter(
        x=series[TIME].to_list(), y=series[TARGET].to_list(), name="actual", mode="lines", line_color=ACTUAL
    )
    for column, color in zip(models, (INK, *OTHERS), strict=False):
        is_model = column == MODEL
        x, y = _joined((part[TIME].to_list(), part[column].to_list()) for part in parts)
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            name="memfold" if is_model else column,
            line={"color": color, "width": 2 if is_model else 1},
            visible=True if is_model else "legendonly",
        )


def _joined(lines: Iterable[Points]) -> Points:
    """Several lines as one, with gaps between."""
    x: list[Any] = []
    y: list[Any] = []
    for x_of, y_of in lines:
        x += [*x_of, None]
        y += [*y_of, None]
    return x[:-1], y[:-1]


def _origin_figure(errors: pl.DataFrame, models: list[str]) -> go.Figure:
    """Over the origins, at their times where all series share them."""
    numbered = errors.with_columns(
        (1 - pl.col("cutoff").rank("dense", descending=True).cast(pl.Int64)).over(ID).alias("origin")
    )
    cutoff = pl.col("cutoff")
    means = numbered.group_by("origin").agg(pl.col(models).mean(), cutoff.first(), cutoff.n_unique().alias("times"))
    means = means.sort("origin")
    if (means["times"] == 1).all():
        return _error_figure(means, "cutoff", models, "last value seen")
    return _error_figure(means, "origin", models, "origins, the last one being 0")


def _step_figure(errors: pl.DataFrame, models: list[str]) -> go.Figure:
    means = errors.group_by("ahead").agg(pl.col(models).mean()).sort("ahead")
    return _error_figure(means, "ahead", models, "steps ahead")


def _error_figure(means: pl.DataFrame, x: str, models: list[str], x_title: str) -> go.Figure:
    figure = go.Figure()
    for column, color in zip(models, (INK, *OTHERS), strict=False):
        is_model = column == MODEL
        line = {"color": color, "width": 3 if is_model else 1.5}
        name = "memfold" if is_model else column
        figure.add_scatter(x=means[x].to_list(), y=means[column].to_list(), name=name, line=line)
    if means.height <= FEW and means.schema[x].is_integer():
        figure.update_xaxes(dtick=1)  # no halves
    return styled(figure, "MASE", x_title)


def _curve_text(model: Forecasting) -> str:
    result = model.training_
    return (
        f"{result.steps} steps in {result.seconds:.0f} s. The weights kept are those of step {result.best_step}, the "
        "best on the validation part, which is the end of the training part."
    )


def _curve_figure(model: Forecasting) -> go.Figure:
    curve = model.training_.curve
    steps = [row.step for row in curve]
    figure = go.Figure()
    figure.add_scatter(x=steps, y=[row.train_loss for row in curve], name="training", line_color=OTHERS[3])
    figure.add_scatter(x=steps, y=[row.score for row in curve], name="validation", line_color=INK, mode="lines+markers")
    return styled(figure, "CRPS, in window scales", "step")
