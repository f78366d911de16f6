"""The page of an experiment: its table, what was found, and its curves."""

from html import escape
from pathlib import Path

import plotly.graph_objects as go

from memfold.lab.record import Record, shown
from memfold.page import INK, OTHERS, styled, write_page

__all__ = ["write_record"]

LINES = (INK, *OTHERS)


def write_record(path: Path, record: Record) -> Path:
    """Write the page of what an experiment found; returns the path."""
    names = list(dict.fromkeys(name for row in record.rows for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(shown(row.get(name)))}</td>' for name in names)}</tr>" for row in record.rows
    )
    table = f'<p>{escape(record.what)}</p><div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
    findings = "".join(f"<li>{escape(finding)}</li>" for finding in record.findings)
    sections = [(title, "", _figure(record, title)) for title in record.curves]
    settings = ", ".join(f"{name} {value}" for name, value in record.settings.items() if value is not None)
    return write_page(path, f"memfold lab {record.name}", [table, f"<ul>{findings}</ul>"], sections, settings)


def _figure(record: Record, title: str) -> go.Figure:
    figure = go.Figure()
    x_title, y_title, logarithmic = record.axes
    for place, (name, (x, y)) in enumerate(record.curves[title].items()):
        line = {"color": LINES[place % len(LINES)], "dash": "solid" if place < len(LINES) else "dot"}
        figure.add_scatter(x=x, y=y, name=name, mode="lines", line=line)
    styled(figure, y_title, x_title)
    figure.update_layout(hovermode="closest")
    if logarithmic:
        figure.update_yaxes(type="log", rangemode="normal", exponentformat="power")
    return figure
