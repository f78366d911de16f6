"""What a page needs to show drawings, and several drawings of which one is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Protocol

from memfold.drawing.colours import colours

__all__ = ["SCRIPT", "STYLE", "Choice", "Drawing", "Stack"]

FOLDER = files("memfold.drawing")
STYLE = colours() + (FOLDER / "drawing.css").read_text("utf-8")
SCRIPT = (FOLDER / "drawing.js").read_text("utf-8")


class Drawing(Protocol):
    """What stands in a page."""

    def html(self) -> str:
        """The drawing as a piece of a page."""
        ...


@dataclass(frozen=True)
class Choice:
    """Several drawings by name, the first one shown, with a list to choose by.

    Without scripts all of them are shown, each under its name.
    """

    drawings: Mapping[str, Drawing]
    label: str = ""

    def html(self) -> str:
        """The list, if there is something to choose, and the drawings."""
        if len(self.drawings) == 1:
            return next(iter(self.drawings.values())).html()
        options = "".join(f"<option>{escape(name)}</option>" for name in self.drawings)
        parts = "".join(
            f'<div class="one"><h3>{escape(name)}</h3>{its.html()}</div>' for name, its in self.drawings.items()
        )
        chooser = f'<label class="chooser" hidden>{escape(self.label)} <select>{options}</select></label>'
        return f'<div class="choice">{chooser}{parts}</div>'


@dataclass(frozen=True)
class Stack:
    """Several drawings, one below the other, each under its caption."""

    drawings: Mapping[str, Drawing]

    def html(self) -> str:
        """The captions and the drawings."""
        return "".join(
            f"<p><strong>{escape(caption)}</strong></p>{drawing.html()}" for caption, drawing in self.drawings.items()
        )
