"""What the guide says that exported parts take and give is what the recipes say."""

import re
from pathlib import Path
from typing import Any

import pytest

from memfold.runtime.recipe import Part
from tasks.small import SMALL

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
SOMETIMES = {"past", "known", "static", "least"}  # inputs that a model may not have
ROWS = re.compile(r"^\| (\w+) \| `(\w+)` \| (.+) \| (.+) \|$", re.M)
SPAN = re.compile(r"`(\w+)(?: \(([^)]*)\))?`")
Named = dict[str, list[str]]


def tables(page: str) -> list[dict[tuple[str, str], tuple[Named, Named]]]:
    """Of the whole parts and of those for a step: by task and part, inputs and outputs with their axes."""
    text = (GUIDE / page).read_text(encoding="utf-8")
    sides: list[dict[tuple[str, str], tuple[Named, Named]]] = [{}, {}]
    for task, part, *cells in ROWS.findall(text):
        takes, gives = ({name: axes.split(", ") for name, axes in SPAN.findall(cell)} for cell in cells)
        sides[part in ("front", "step")][task, part] = (takes, gives)
    return sides


def test_both_languages_name_the_same() -> None:
    assert tables("export.md") == tables("export.zh-CN.md")


def check(part: Part, row: tuple[Named, Named], once: bool) -> None:
    """Fail where a part's inputs, their free axes or its outputs differ from a row of a table."""
    takes, gives = row
    assert list(part.outputs) == list(gives)
    assert [name for name in takes if name in part.inputs or name not in SOMETIMES] == list(part.inputs)
    for name, example in part.inputs.items():
        assert len(takes[name]) == example.ndim, name
        said = {axis: what for axis, what in enumerate(takes[name]) if re.search("[a-z]", what)}
        if once:
            said = {axis: what for axis, what in said.items() if what != "time"}
        assert said == dict(part.axes.get(name, {})), name


@pytest.mark.parametrize("task", SMALL)
def test_the_tables_name_what_the_recipes_name(task: str, tmp_path: Path) -> None:
    small: Any = SMALL[task](tmp_path)
    if task == "transcribe":
        small.parameters["causal"] = True
    model = small.fitted()
    recipe = model.recipe()
    whole, steps = tables("export.md")
    assert [part.name for part in recipe.parts] == [part for name, part in whole if name == task]
    for part in recipe.parts:
        check(part, whole[task, part.name], once=False)
    for part in recipe.steps:
        check(part, (steps if (task, part.name) in steps else whole)[task, part.name], once=True)
    assert {part for name, part in steps if name == task} <= {part.name for part in recipe.steps}
