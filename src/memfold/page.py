"""One offline HTML page: tables and pictures that need nothing from elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from memfold.drawing import SCRIPT, STYLE, Drawing, Look
from memfold.files import write_file

__all__ = ["ACTUAL", "Section", "framed", "page_text", "scores_table", "write_page"]

ACTUAL = Look("ink", "", 1.2)  # of values that were measured
Section = tuple[str, str, Drawing]  # heading, text, picture
# A page runs its own script and style, and opens no connection of any kind.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)

PAGE_STYLE = """
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1080px; padding: 16px 20px 48px; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei",
    sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2rem 0 0.25rem; }
p { margin: 0.25rem 0 0.75rem; max-width: 72ch; }
[hidden] { display: none !important; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
table.scores, table.plain { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.scores th, .scores td, .plain th, .plain td { padding: 4px 12px; border-bottom: 1px solid var(--line); }
.scores th, .scores td { text-align: right; }
.scores th, .scores td { white-space: nowrap; }
.scores th:first-child, .scores td:first-child, .plain th, .plain td { text-align: left; }
.scores th:first-child, .scores td:first-child { padding-left: 0; }
.plain th, .plain td { overflow-wrap: break-word; min-width: 7ch; }
tr.model { font-weight: 600; }
footer { margin: 2rem 0; color: var(--soft); font-size: 0.85rem; }
"""


def write_page(path: Path, page: str) -> Path:
    """Write a page, as `page_text` makes it, whole or not at all; returns the path."""

    def write(aside: Path) -> None:
        aside.write_text(page, encoding="utf-8")

    write_file(path, write)
    return path


def page_text(
    title: str,
    tables: Sequence[str],
    sections: Sequence[Section],
    footer: str,
    *,
    language: str = "en",
    closing: str = "",
) -> str:
    """A page: its title, tables in HTML, sections, what closes it in HTML, and a footer."""
    body = [f"<h1>{escape(title)}</h1>", *tables]
    for heading, text, drawing in sections:
        body.append(f"<section><h2>{escape(heading)}</h2><p>{escape(text)}</p>{drawing.html()}</section>")
    body.append(closing)
    return (
        f'<!doctype html><html lang="{"zh-CN" if language == "zh" else language}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{PAGE_STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main><footer>{escape(footer)}</footer><script>{SCRIPT}</script></body></html>"
    )


def framed(page: str, height: int = 640) -> str:
    """A page inside another one, as a notebook shows it: in a frame, so that no style or script meets another."""
    return (
        f'<iframe srcdoc="{escape(page)}" sandbox="allow-scripts" style="width:100%;height:{height}px;border:0" '
        'title="memfold"></iframe>'
    )


def scores_table(heading: str, scores: Mapping[str, Mapping[str, float]]) -> str:
    """Scores by model and flat name, a row a model, as HTML; the first model is the one that the page is about."""
    first = next(iter(scores))
    names = list(dict.fromkeys(name for row in scores.values() for name in row))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = []
    for model, row in scores.items():
        cells = "".join(f"<td>{row[name]:.3f}</td>" if name in row else "<td></td>" for name in names)
        kind = " class=model" if model == first else ""
        rows.append(f'<tr{kind}><th scope="row">{escape(model)}</th>{cells}</tr>')
    table = f'<table class="scores"><tr><td></td>{head}</tr>{"".join(rows)}</table>'
    scrolled = f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(heading)}">{table}</div>'
    return f"<h2>{escape(heading)}</h2>{scrolled}"
