"""In a page, names and texts from anywhere are text: they add no tag, no attribute and no script."""

from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command_line import run_here
from memfold.drawing import SERIES, Box, Chart, Choice, ColouredText, Heat, Picture
from memfold.page import page_text, scores_table, write_page
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
    """The tags of a page, and the names of their attributes."""

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
    numbers = np.array([1.0, -1.0])
    drawings = [
        Chart(name, name, names=[name, "b"]).bars([0, 1], numbers, name, texts=[name, ""]).line([0, 1], numbers, name),
        Chart(name, rows=[name]).cells([0, 1], np.ones((1, 2)), name, 1.0).spans([0], [1], name, [name]),
        Heat([name], [name], np.ones((1, 1)), [[name]], name),
        ColouredText([name, name], numbers, name),
        Picture("data:,", (9, 9), [(name, SERIES[0], [Box(0, 0, 2, 2, name)], False)], said=name),
    ]
    sections = [(name, name, Choice({name: drawing, "b": drawing}, name)) for drawing in drawings]
    tables = [scores_table(name, {name: {name: 1.0}}), gallery(name, name, [(np.zeros((1, 4, 4), np.uint8), name)])]
    return write_page(folder / "a.html", page_text(name, tables, sections, name)).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_adds_no_tag_to_a_page(name: str, tmp_path: Path) -> None:
    page = page_of(name, tmp_path)
    assert Tags(page).found == Tags(page_of("a name", tmp_path)).found
    assert f"<h1>{escape(name)}</h1>" in page


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_adds_no_tag_to_a_drawing_by_itself(name: str) -> None:
    def tags(its: str) -> list[tuple[str, tuple[str, ...]]]:
        return Tags(Chart(its, its).line([0, 1], [1.0, 2.0], its).spans([0], [1], its, [its]).svg(its)).found

    assert tags(name) == tags("a name")


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
