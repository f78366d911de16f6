"""Tables of cells and pieces of text, the stronger in colour the more they count."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["ColouredText", "Heat"]

Array = NDArray[np.float64]
WIDE = 72  # characters across, above which the columns' names are turned


@dataclass(frozen=True)
class Heat:
    """A table whose cells are coloured by their values.

    Attributes:
        rows, columns: their names.
        values: 0 for no colour, 1 for the full one, (R, C).
        texts: of the cells, (R, C); empty ones where there is none.
        corner: what rows and columns are, in words.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Array
    texts: Sequence[Sequence[str]] = ()
    corner: str = ""

    def html(self) -> str:
        """The table, which scrolls by itself where it is wider than the page."""
        head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in self.columns)
        lines = []
        for place, (name, strengths) in enumerate(zip(self.rows, self.values, strict=True)):
            texts = self.texts[place] if len(self.texts) else [""] * len(self.columns)
            cells = "".join(
                f'<td style="--s:{strength:.2f}" title="{escape(f"{name} / {column}: {text or round(strength, 2)}")}">'
                f"{escape(text)}</td>"
                for strength, column, text in zip(strengths.tolist(), self.columns, texts, strict=True)
            )
            lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
        turned = " turned" if sum(len(name) + 1 for name in self.columns) > WIDE else ""
        table = f'<table class="heat{turned}"><tr><td>{escape(self.corner)}</td>{head}</tr>{"".join(lines)}</table>'
        return f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(self.corner)}">{table}</div>'


@dataclass(frozen=True)
class ColouredText:
    """Pieces of a text, blue by what is above 0 and orange by what is below.

    Attributes:
        pieces: with whatever stands between them.
        values: one a piece; the largest has the full colour.
        said: what a value is, in words.
        most: what has the full colour instead, so that several texts have one scale; 0 for the largest.
    """

    pieces: Sequence[str]
    values: Array
    said: str = ""
    most: float = 0.0

    def html(self) -> str:
        """A paragraph; every piece says its value where the pointer is."""
        most = self.most or float(np.abs(self.values).max(initial=0.0)) or 1.0
        parts = []
        for piece, value in zip(self.pieces, self.values, strict=True):
            kind = "minus" if value < 0 else "plus"
            parts.append(
                f'<span class="{kind}" style="--s:{abs(value) / most:.2f}" title="{value:+.3g}">{escape(piece)}</span>'
            )
        return f'<p class="pieces" aria-label="{escape(self.said)}">{"".join(parts)}</p>'
