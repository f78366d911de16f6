"""The page of an experiment: its table, what was found, and its curves."""

from html import escape
from pathlib import Path

from memfold.drawing import SERIES, Chart, Look
from memfold.lab.record import Record, shown
from memfold.page import page_text, write_page

__all__ = ["write_record"]


def write_record(path: Path, record: Record) -> Path:
    """Write the page of what an experiment found; returns the path."""
    names = list(dict.fromkeys(name for row in record.rows for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(shown(row.get(name)))}</td>' for name in names)}</tr>" for row in record.rows
    )
    table = f'<p>{escape(record.what)}</p><div class="scroll"><table class="scores"><tr>{head}</tr>{body}</table></div>'
    findings = "".join(f"<li>{escape(finding)}</li>" for finding in record.findings)
    sections = [(title, "", _chart(record, title)) for title in record.curves]
    settings = ", ".join(f"{name} {value}" for name, value in record.settings.items() if value is not None)
    page = page_text(f"memfold lab {record.name}", [table, f"<ul>{findings}</ul>"], sections, settings)
    return write_page(path, page)


def _chart(record: Record, title: str) -> Chart:
    x_title, y_title, logarithmic = record.axes
    chart = Chart(y_title, x_title, log=logarithmic)
    for place, (name, (x, y)) in enumerate(record.curves[title].items()):
        look = SERIES[place % len(SERIES)]
        again = place // len(SERIES)  # the same colours, thinner
        chart.line(x, y, name, Look(look.colour, look.dash, look.width / (1 + again)))
    return chart
