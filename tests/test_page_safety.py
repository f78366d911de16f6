"""In a page, names and texts from anywhere are text: they add no tag, no attribute and no script."""

from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from command_line import run_here
from memfold.page import scores_table, write_page
from memfold.tasks.vision.pictures import gallery

HOSTILE = [
    "<script>document.title = 'taken'</script>",
    "</script><script>document.title = 'taken'</script>",
    "<img src=x onerror=alert(1)>",
    "<a href='https://example.org'>here</a>",
    '"><svg onload=alert(1)>',
    "'><b>bold</b>",
    "<!-- ",
    "</style>",
]


class Tags(HTMLParser):
    """The tags of a page with their attributes, without the identifiers that plotly draws."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", ()))


def page_of(name: str, folder: Path) -> str:
    """A page in which everything that may come from a file is this name."""
    figure = go.Figure(go.Scatter(x=[name, "b"], y=[1, 2], name=name, customdata=[name, name], text=[name, ""]))
    figure.update_traces(hovertemplate="%{customdata}: %{y}<extra></extra>").update_layout(title=name, xaxis_title=name)
    tables = [scores_table(name, {name: {name: 1.0}}), gallery(name, name, [(np.zeros((1, 4, 4), np.uint8), name)])]
    return write_page(folder / "a.html", name, tables, [(name, name, figure)], name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_adds_no_tag_to_a_page(name: str, tmp_path: Path) -> None:
    page = page_of(name, tmp_path)
    assert Tags(page).found == Tags(page_of("a name", tmp_path)).found
    assert f"<h1>{escape(name)}</h1>" in page


def test_plotly_takes_no_name_for_markup(tmp_path: Path) -> None:
    """It would show ``<a href>`` in a name as a link; what is shown where the pointer is stays a template."""
    page = page_of("<a href='https://example.org'>here</a>", tmp_path)
    drawn = page[page.rindex("Plotly.newPlot") :].split("</script>")[0]
    assert drawn.count("a href") == drawn.count("&lt;a href") >= 6
    assert "%{customdata}: %{y}\\u003cextra\\u003e" in drawn


def test_a_table_with_hostile_names_makes_a_harmless_report(tmp_path: Path) -> None:
    for kind, names in (("harmless", [f"s{k}" for k in range(len(HOSTILE))]), ("hostile", HOSTILE)):
        rows = [{"unique_id": name, "ds": k, "y": float(k % 4)} for name in names for k in range(40)]
        pl.DataFrame(rows).write_csv(tmp_path / f"{kind}.csv")
        page = str(tmp_path / f"{kind}.html")
        done = run_here("forecast", str(tmp_path / f"{kind}.csv"), "--horizon", "2", "--report", page)
        assert done.returncode == 0, done.stderr
    harmless, hostile = ((tmp_path / f"{kind}.html").read_text(encoding="utf-8") for kind in ("harmless", "hostile"))
    assert Tags(hostile).found == Tags(harmless).found
    assert "document.title = 'taken'</script>" not in hostile
