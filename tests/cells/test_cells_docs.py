"""The pages about the cells: their code runs, and their picture is the one the script draws."""

import re
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def run_code_of(page):
    names = {}
    for block in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, page, "exec"), names)
    return names


def test_the_code_of_the_cells_page_runs():
    assert run_code_of("cells.md")["y"].shape == (10, 3, 10)


@pytest.mark.slow
def test_the_twenty_lines_of_the_guide_train_a_cell(capsys):
    names = run_code_of("guide/learn.md")
    assert (names["error"] ** 2).mean() < 0.05  # 1/3 is the error of answering 0
    assert capsys.readouterr().out.endswith("True\n")


def test_the_picture_is_the_one_the_script_draws():
    drawing = runpy.run_path(str(DOCS / "lstm_cell.py"))["drawing"]
    assert (DOCS / "lstm_cell.svg").read_text(encoding="utf-8") == drawing()
