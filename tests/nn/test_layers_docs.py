"""The page about the layers: its code runs, and its table of options is the truth."""

import inspect
import re
from pathlib import Path

from memfold import nn

PAGE = (Path(__file__).parents[2] / "docs" / "layers.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_runs():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "layers.md", "exec"), names)


def test_the_table_of_options_lists_what_each_constructor_takes():
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
    header = next(row for row in rows if row[0] == "option")
    for column, kind in enumerate(header[1:-1], 1):
        listed = {
            option
            for row in rows
            if len(row) == len(header) and row[column] == "✓"
            for option in re.findall(r"`(\w+)`", row[0])
        }
        taken = set(inspect.signature(getattr(nn, kind)).parameters)
        assert listed == taken - {"input_size", "hidden_size", "device", "dtype", "lacking"}
