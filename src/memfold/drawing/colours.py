"""The colours of every page, by name, in light and in dark: those of the explorer."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["SERIES", "Look", "colours", "literal", "variable"]


@dataclass(frozen=True)
class Look:
    """How a line is drawn: its colour by name, its dashes and its width in pixels.

    Lines differ by their dashes too, never by colour alone.
    """

    colour: str
    dash: str = ""
    width: float = 2.0


# The first is the one that a page is about.
SERIES = (
    Look("plus", "", 2.4),
    Look("minus", "7 4"),
    Look("gate-i", "2 4"),
    Look("gate-o", "10 3 2 3"),
    Look("soft", "5 3"),
    Look("focus", "1 4"),
    Look("memory", "12 4"),
    Look("gate-g", "3 3"),
)


@cache
def colours() -> str:
    """The style sheet that gives every colour its value."""
    return (files("memfold.drawing") / "colours.css").read_text("utf-8")


def variable(name: str) -> str:
    """A colour in a page, where it follows the reader's light or dark."""
    return f"var(--{name})"


@cache
def literal(name: str) -> str:
    """A colour in a file by itself, which is light: not every viewer of SVG knows variables."""
    value = re.search(rf"--{name}: (#[0-9a-f]{{6}})", colours())
    if value is None:
        raise KeyError(name)
    return value[1]
