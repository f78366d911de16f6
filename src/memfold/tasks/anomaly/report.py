"""The section of a report that shows a watched series: expected values, actual values and alarms."""

from collections.abc import Mapping
from datetime import datetime

import plotly.graph_objects as go
import polars as pl

from memfold.page import ACTUAL, BAND, INK, OTHERS, Section, styled

__all__ = ["watched_section"]


def watched_section(
    heading: str,
    text: str,
    judged: pl.DataFrame,
    values: list[float],
    variable: str,
    events: Mapping[str, tuple[datetime, datetime]],
) -> Section:
    """A series with its expected band and its alarms.

    Args:
        judged: what `AnomalyDetector.predict` returned for one series, or some rows of it.
        values: the actual values, one a row.
        events: what is known to have happened, from when to when.
    """
    times = judged["ds"].to_list()
    figure = go.Figure()
    figure.add_scatter(
        x=times, y=judged[f"hi80_{variable}"].to_list(), line_width=0, showlegend=False, hoverinfo="skip"
    )
    band = {"fill": "tonexty", "fillcolor": BAND, "line_width": 0, "hoverinfo": "skip"}
    figure.add_scatter(x=times, y=judged[f"lo80_{variable}"].to_list(), name="expected, 80 %", **band)
    figure.add_scatter(x=times, y=values, name="actual", line={"color": ACTUAL, "width": 1})
    scores = judged["score"].to_list()
    figure.add_scatter(x=times, y=scores, name="score, right axis", yaxis="y2", line={"color": INK, "width": 1})
    alarms = [row for row, alarm in enumerate(judged["alarm"].to_list()) if alarm]
    figure.add_scatter(
        x=[times[row] for row in alarms],
        y=[values[row] for row in alarms],
        name="alarm",
        mode="markers",
        marker={"color": OTHERS[4], "size": 9, "symbol": "diamond"},
    )
    for name, (first, last) in events.items():
        label = {"text": name, "textangle": -90, "font": {"size": 11}}
        figure.add_vrect(x0=first, x1=last, fillcolor=OTHERS[3], opacity=0.25, line_width=0, annotation=label)
    styled(figure, variable, "")
    figure.update_layout(
        yaxis2={"overlaying": "y", "side": "right", "range": [0, 2], "tickvals": [0, 0.5, 1], "showgrid": False}
    )
    return heading, text, figure
