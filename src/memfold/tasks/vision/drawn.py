"""Pictures with what a model said of them drawn on."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image, ImageDraw, ImageFont

from memfold.data.pictures import UNREADABLE, opened, upright
from memfold.drawing.colours import literal
from memfold.errors import InputError

__all__ = ["drawn"]

COLOURS = ("plus", "minus", "gate-i", "gate-o", "focus", "memory", "gate-g")  # of classes, in the order of first boxes
LEAST_SIDE = 320  # pixels; smaller pictures are enlarged, so that a text on them can be read


def drawn(model: Any, inputs: Sequence[str], answers: pl.DataFrame) -> Iterator[tuple[str, bytes]]:
    """A PNG of every picture with an answer: names of files without endings, and what they hold.

    A picture in which no box was found has no answer.

    Args:
        answers: as ``answers`` gives them: a row a picture, or a row a box.
    """
    labels = answers["label"].unique(maintain_order=True).to_list() if "label" in answers.columns else []
    if "other" in answers.columns:
        raise InputError("two pictures that are compared with each other are not drawn; leave out --draw")
    column = "image" if "image" in answers.columns else "file"
    for (file,), rows in answers.group_by(column, maintain_order=True):
        try:
            with opened(Path(str(file))) as image:
                picture = upright(image).convert("RGB")
        except UNREADABLE:  # gone since it was read
            continue
        scale = max(1, -(-LEAST_SIDE // max(picture.size)))
        picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
        pencil = _Pencil(picture)
        if "x" in rows.columns:
            for label, score, *box in rows[["label", "score", "x", "y", "width", "height"]].rows():
                colour = COLOURS[labels.index(label) % len(COLOURS)]
                pencil.box([scale * side for side in box], f"{label} {score:.2f}", colour)
        else:
            pencil.title(_answer(rows.row(0, named=True)))
        content = BytesIO()
        picture.save(content, "PNG")
        yield Path(str(file)).stem, content.getvalue()


def _answer(row: dict[str, Any]) -> str:
    if "person" in row:
        return f"{row['person'] if row['known'] else '?'} {row['similarity']:.2f}"
    return f"{row['label']} {row['p_' + str(row['label'])]:.2f}"


class _Pencil:
    """Draws on one picture, in a size that goes with it."""

    def __init__(self, picture: Image.Image) -> None:
        self.draw = ImageDraw.Draw(picture)
        self.width = max(2, round(max(picture.size) / 300))
        self.font = ImageFont.load_default(size=max(12, round(max(picture.size) / 40)))

    def box(self, box: Sequence[float], text: str, colour: str) -> None:
        left, top, width, height = box
        self.draw.rectangle((left, top, left + width, top + height), outline=literal(colour), width=self.width)
        self._text(left, top, text, colour)

    def title(self, text: str) -> None:
        self._text(0, 0, text, "ink")

    def _text(self, left: float, top: float, text: str, colour: str) -> None:
        begin, above, end, below = self.draw.textbbox((left + 3, top + 2), text, font=self.font)
        self.draw.rectangle((begin - 3, above - 2, end + 3, below + 2), fill=literal(colour))
        self.draw.text((left + 3, top + 2), text, font=self.font, fill=literal("card"))
