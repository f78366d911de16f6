"""The page of an experiment: its table, what was found, and its curves."""

from html import escape
from pathlib import Path
from typing import Any

from memfold.drawing import SERIES, Chart, Look
from memfold.lab.record import Record, shown
from memfold.page import page_text, write_page
from memfold.words import Words

__all__ = ["write_record"]


def write_record(path: Path, record: Record, language: str = "en") -> Path:
    """Write the page of what an experiment found; returns the path.

    Raises:
        InputError: another language than ``en`` and ``zh``.
    """
    words = Words(language)
    names = list(dict.fromkeys(name for row in record.rows for name in row))
    head = "".join(f'<th scope="col">{escape(words.name(words.of(name)))}</th>' for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_cell(row.get(name), words))}</td>' for name in names)}</tr>"
        for row in record.rows
    )
    what = escape(words.of(record.what))
    table = f'<table class="scores"><tr>{head}</tr>{body}</table>'
    scrolled = f'<p>{what}</p><div class="scroll" tabindex="0" role="group" aria-label="{what}">{table}</div>'
    findings = "".join(f"<li>{escape(words.of(finding))}</li>" for finding in record.findings)
    sections = [(words.of(title), "", _chart(record, title, words)) for title in record.curves]
    settings = ", ".join(f"{name} {value}" for name, value in record.settings.items() if value is not None)
    title = words("title lab", name=record.name)
    page = page_text(title, [scrolled, f"<ul>{findings}</ul>"], sections, settings, language=language)
    return write_page(path, page)


def _cell(value: Any, words: Words) -> str:
    return words.name(words.of(value)) if isinstance(value, str) else shown(value)


def _chart(record: Record, title: str, words: Words) -> Chart:
    x_title, y_title, logarithmic = record.axes
    chart = Chart(words.name(y_title), words.name(x_title), log=logarithmic)
    for place, (name, (x, y)) in enumerate(record.curves[title].items()):
        look = SERIES[place % len(SERIES)]
        again = place // len(SERIES)  # the same colours, thinner
        chart.line(x, y, words.of(name), Look(look.colour, look.dash, look.width / (1 + again)))
    return chart
