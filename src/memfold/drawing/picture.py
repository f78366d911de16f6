"""A picture, with boxes and rules on it and colours laid over it."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from memfold.drawing.colours import Look

__all__ = ["Box", "Picture"]

SHOWN_WIDTH = 640  # pixels of a page that a picture is about as wide as


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the picture, with its text."""

    left: float
    top: float
    width: float
    height: float
    text: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture by its URL.

    Attributes:
        url: one that holds the picture itself.
        size: width and height in pixels.
        boxes: by a name that is shown below: how they are drawn, the boxes, and whether they are hidden at first.
        over: rectangles of colour: x, y, width and height in pixels, and a value from -1, orange, to 1, blue.
        rules: a row and a column that are marked by dots, in pixels.
        said: what it shows, for those who cannot see it.
    """

    url: str
    size: tuple[int, int]
    boxes: Sequence[tuple[str, Look, Sequence[Box], bool]] = ()
    over: Sequence[tuple[float, float, float, float, float]] = ()
    rules: tuple[float, float] | None = None
    said: str = ""
    pixelated: bool = False

    def html(self) -> str:
        """The picture as wide as its place, and the names of its boxes as buttons that show and hide them."""
        width, height = self.size
        scale = max(width, 1) / min(SHOWN_WIDTH, max(width, 320))
        parts = [f'<image href="{self.url}" width="{width}" height="{height}" preserveAspectRatio="none"/>']
        for x, y, wide, tall, value in self.over:
            shade = "var(--minus)" if value < 0 else "var(--plus)"
            parts.append(
                f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{tall:g}" fill="{shade}" '
                f'fill-opacity="{0.75 * min(abs(value), 1):.2f}"/>'
            )
        dots = 'fill="none" stroke="var(--ink)" stroke-dasharray="2 4" vector-effect="non-scaling-stroke"'
        if self.rules is not None:
            row, column = self.rules
            parts.append(f'<path d="M0 {row:g}H{width}M{column:g} 0V{height}" {dots}/>')
        for place, (name, look, boxes, hidden) in enumerate(self.boxes):
            drawn = "".join(self._box(box, look, scale) for box in boxes)
            attributes = f'data-mark="{place}" data-name="{escape(name)}"{" hidden" if hidden else ""}'
            parts.append(f"<g {attributes}>{drawn}</g>")
        buttons = "".join(
            f'<button type="button" data-mark="{place}" aria-pressed="{"false" if hidden else "true"}">'
            f'<svg width="34" height="12" aria-hidden="true"><path d="M1 6H33" stroke="var(--{look.colour})" '
            f'stroke-width="3" stroke-dasharray="{look.dash or "none"}"/></svg>{escape(name)}</button>'
            for place, (name, look, _, hidden) in enumerate(self.boxes)
        )
        kind = "picture pixels" if self.pixelated else "picture"
        legend = f'<div class="legend">{buttons}</div>' if buttons else ""
        most = f"max-width:min(760px,{80 * width / max(height, 1):.0f}vh)"
        return (
            f'<figure class="{kind}"><svg viewBox="0 0 {width} {height}" style="{most}" role="img" '
            f'aria-label="{escape(self.said)}">{"".join(parts)}</svg>{legend}</figure>'
        )

    @staticmethod
    def _box(box: Box, look: Look, scale: float) -> str:
        dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
        shade = f"var(--{look.colour})"
        rect = (
            f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" fill="none" '
            f'stroke="{shade}" stroke-width="{look.width}"{dash} vector-effect="non-scaling-stroke"/>'
        )
        if not box.text:
            return rect
        text = (
            f'<text x="{box.left + 3 * scale:.1f}" y="{box.top + 14 * scale:.1f}" font-size="{13 * scale:.1f}" '
            f'fill="{shade}" stroke="var(--card)" stroke-width="{3 * scale:.1f}" paint-order="stroke" '
            f'stroke-linejoin="round">{escape(box.text)}</text>'
        )
        return rect + text
