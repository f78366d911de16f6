"""One offline HTML page: tables and pictures that need nothing from elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from memfold.files import write_file

__all__ = ["ACTUAL", "BAND", "INK", "OTHERS", "Section", "scores_table", "styled", "write_page"]

INK, BAND, ACTUAL = "#1f5fa8", "rgba(31,95,168,0.18)", "#222222"
OTHERS = ("#c2571a", "#4d8b31", "#8250a0", "#8a8a8a", "#b03060")
Section = tuple[str, str, go.Figure]  # heading, text, picture

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


def write_page(
    path: Path,
    title: str,
    tables: Sequence[str],
    sections: Sequence[Section],
    footer: str,
    *,
    language: str = "en",
    closing: str = "",
) -> Path:
    """Write a page: its title, tables in HTML, sections, what closes it in HTML, and a footer; returns the path."""
    body = [f"<h1>{escape(title)}</h1>", *tables]
    for heading, text, figure in sections:
        html = _literal(figure).to_html(
            full_html=False, include_plotlyjs=False, config={"responsive": True, "displaylogo": False}
        )
        body.append(f'<h2>{escape(heading)}</h2><p>{escape(text)}</p><div class="figure">{html}</div>')
    body.append(closing)
    body.append(f"<footer>{escape(footer)}</footer>")
    page = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head>"
        f"<body>{''.join(body)}</body></html>"
    )

    def write(aside: Path) -> None:
        aside.write_text(page, encoding="utf-8")

    write_file(path, write)
    return path


def _literal(figure: go.Figure) -> go.Figure:
    """The figure with names and texts as they are: plotly takes ``<b>`` and ``<a href>`` in them for markup.

    What to show where the pointer is, ``hovertemplate``, is ours; the values that are put into it are not.
    """
    return go.Figure(_shown_as_it_is(figure.to_dict()))


def _shown_as_it_is(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _shown_as_it_is(entry, key) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_shown_as_it_is(entry) for entry in value]
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        return [_shown_as_it_is(entry) for entry in value.tolist()]
    return value.replace("<", "&lt;") if isinstance(value, str) and name != "hovertemplate" else value


def styled(figure: go.Figure, y_title: str, x_title: str) -> go.Figure:
    """The figure in the style that all share."""
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


def scores_table(heading: str, scores: Mapping[str, Mapping[str, float]]) -> str:
    """Scores by model and flat name, a row a model, as HTML; the first model is the one that the page is about."""
    first = next(iter(scores))
    names = list(dict.fromkeys(name for row in scores.values() for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = []
    for model, row in scores.items():
        cells = "".join(f"<td>{row[name]:.3f}</td>" if name in row else "<td></td>" for name in names)
        rows.append(f"<tr{' class=model' if model == first else ''}><td>{escape(model)}</td>{cells}</tr>")
    table = f'<div class="scroll"><table><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'
    return f"<h2>{escape(heading)}</h2>{table}"
