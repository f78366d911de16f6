"""Charts over numbers or times, as HTML for a page and as SVG for a file."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from memfold.drawing.axes import Axis, Kind, numbers
from memfold.drawing.colours import SERIES, Look, literal, variable

__all__ = ["Chart"]

Array = NDArray[np.float64]
Values = Sequence[Any] | NDArray[Any]
Colour = Callable[[str], str]
MOST_POINTS = 1500  # of a line; of longer ones the least and the greatest value of each stretch are drawn
SIZE = 1000.0  # of a page's drawing, which is stretched to its place
FILE_WIDTH, FILE_HEIGHT = 900, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 12, 70  # margins of a file, in pixels
SIGN = 7.2  # width of a character in a file, in pixels


@dataclass
class _Mark:
    """What is drawn of one series: its shapes by the places of its values, 0 to 1 to the right and upwards."""

    name: str
    shape: str  # line, band, bars, points, spans, level, upright or cells
    look: Look
    x: Array
    y: Array
    low: Array
    right: bool = False
    hidden: bool = False
    texts: Sequence[str] = ()


@dataclass
class Chart:
    """A chart that is put together mark by mark.

    Args:
        y_title, x_title: of the axes.
        zero: whether the vertical axis begins at 0 where no value is below.
        log: whether the vertical axis is logarithmic; what is not above 0 is not drawn.
        names: of the places 0, 1, … of the horizontal axis, instead of numbers.
        rows: of the places 0, 1, … of the vertical axis, from the top.
        height: in pixels, on a page.

    >>> Chart("births", "").line([1, 2, 3], [4.0, 5.0, 4.5], "actual").svg().startswith("<svg")
    True
    """

    y_title: str = ""
    x_title: str = ""
    zero: bool = True
    log: bool = False
    names: Sequence[str] = ()
    rows: Sequence[str] = ()
    height: int = 300
    right_title: str = ""
    right_extent: tuple[float, float] | None = None
    marks: list[_Mark] = field(default_factory=list)
    times: bool = False

    # -- marks

    def line(
        self,
        x: Values,
        y: Values,
        name: str,
        look: Look | None = None,
        *,
        right: bool = False,
        hidden: bool = False,
    ) -> Self:
        """A line, with gaps where a value is missing.

        Args:
            look: the next of `SERIES` when None.
            right: whether the values are those of the right axis.
            hidden: until its name is chosen below the chart.
        """
        at = self._across(x)
        value = numbers(y)[0]
        return self._add(_Mark(name, "line", look or self._next(), at, value, value, right, hidden))

    def band(self, x: Values, low: Values, high: Values, name: str, look: Look | None = None) -> Self:
        """What lies between two lines."""
        at = self._across(x)
        return self._add(_Mark(name, "band", look or SERIES[0], at, numbers(high)[0], numbers(low)[0]))

    def bars(
        self, x: Values, y: Values, name: str, look: Look | None = None, texts: Sequence[str] = (), right: bool = False
    ) -> Self:
        """Bars from 0 on; those below 0 in the colour for it.

        Args:
            texts: what to call the places, where they have no names.
        """
        at = self._across(x)
        value = numbers(y)[0]
        return self._add(_Mark(name, "bars", look or self._next(), at, value, np.zeros_like(value), right, texts=texts))

    def points(self, x: Values, y: Values, name: str, look: Look | None = None) -> Self:
        """Dots."""
        at = self._across(x)
        value = numbers(y)[0]
        return self._add(_Mark(name, "points", look or self._next(), at, value, value))

    def spans(self, begin: Values, end: Values, name: str, texts: Sequence[str] = (), look: Look | None = None) -> Self:
        """Stretches of the horizontal axis, shaded from top to bottom.

        Args:
            texts: at their tops.
        """
        first, last = self._across(begin), self._across(end)
        return self._add(_Mark(name, "spans", look or Look("soft"), first, last, last, texts=texts))

    def level(self, y: float, name: str, look: Look | None = None) -> Self:
        """A line across, at one value."""
        value = np.array([float(y)])
        return self._add(_Mark(name, "level", look or Look("ink", "2 4", 1.5), np.array([np.nan]), value, value))

    def cells(self, x: Values, values: Array, name: str, width: float | Array, look: Look | None = None) -> Self:
        """Of each row of the vertical axis a strip of cells, the stronger the nearer a value is to 1.

        Args:
            x: the places, T.
            values: between 0 and 1, (rows, T).
            width: of a cell, on the horizontal axis; or of each place, T.
        """
        row, step = np.nonzero(values > 0.02)
        at = self._across(x)[step]
        strength = [f"{value:.2f}" for value in values[row, step]]
        widths = np.broadcast_to(np.asarray(width, np.float64), values.shape[1:])[step]
        mark = _Mark(name, "cells", look or SERIES[0], at, row.astype(float), widths, texts=strength)
        return self._add(mark)

    def _add(self, mark: _Mark) -> Self:
        self.marks.append(mark)
        return self

    def _across(self, x: Values) -> Array:
        values, times = numbers(x)
        self.times = self.times or times
        return values

    def _next(self) -> Look:
        return SERIES[sum(mark.shape in ("line", "bars", "points") for mark in self.marks) % len(SERIES)]

    # -- axes

    def axes(self) -> tuple[Axis, Axis, Axis | None]:
        """The horizontal axis, the left one, and the right one if there is any."""
        return self._horizontal(), self._vertical(), self._right()

    def _horizontal(self) -> Axis:
        if self.names:
            return Axis(-0.5, len(self.names) - 0.5, "names", names=tuple(self.names))
        at = [mark.x for mark in self.marks]
        at += [mark.y for mark in self.marks if mark.shape == "spans"]
        at += [mark.x + mark.low for mark in self.marks if mark.shape == "cells"]
        values = np.concatenate([[], *at])
        values = values[np.isfinite(values)]
        least, greatest = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        half = self._bar_width() / 2 if any(mark.shape == "bars" for mark in self.marks) else 0.0
        if not half and least == greatest:
            half = 0.5
        kind: Kind = "time" if self.times else "linear"
        return Axis(least - half, greatest + half, kind, whole=bool(np.all(values == np.round(values))))

    def _vertical(self) -> Axis:
        if self.rows:
            return Axis(len(self.rows) - 0.5, -0.5, "names", names=tuple(self.rows))
        left = [mark for mark in self.marks if not mark.right and mark.shape not in ("spans", "cells")]
        return self._reaching(left, self.zero, self.log)

    def _right(self) -> Axis | None:
        right = [mark for mark in self.marks if mark.right]
        if not right:
            return None
        return Axis(*self.right_extent) if self.right_extent else self._reaching(right, False, False)

    def _reaching(self, marks: Sequence[_Mark], zero: bool, log: bool) -> Axis:
        """An axis on which what is shown has room, and what is hidden has some."""
        least, greatest = _extent([mark for mark in marks if not mark.hidden], log)
        low, high = _extent([mark for mark in marks if mark.hidden], log)
        if log:
            return Axis(least / 1.2, greatest * 1.2, "log") if least < np.inf else Axis(0.1, 1.0, "log")
        if least > greatest:
            least, greatest = (low, high) if low <= high else (0.0, 1.0)
        span = greatest - least
        least, greatest = max(min(least, low), least - span / 2), min(max(greatest, high), greatest + span / 2)
        if zero and least >= 0:
            least = 0.0
        room = 0.06 * ((greatest - least) or abs(greatest) or 1.0)
        begin = least if least == 0 and zero else least - room
        return Axis(begin, greatest + room)

    def _bar_width(self) -> float:
        at = np.unique(np.concatenate([[], *(mark.x for mark in self.marks if mark.shape == "bars")]))
        at = at[np.isfinite(at)]
        return float(np.diff(at).min()) if len(at) > 1 else 1.0

    # -- output

    def html(self) -> str:
        """The chart for a page: it fills its place, whose text keeps its size."""
        horizontal, vertical, right = self.axes()
        drawn = [*self._grid(vertical, SIZE, SIZE, variable), *self._marks(SIZE, SIZE, variable)]
        attributes = f'data-x="{_data(horizontal)}" data-y="{_data(vertical)}"'
        if right is not None:
            attributes += f' data-right="{_data(right)}"'
        margin = 10 + min(220, max((9 * len(text) for _, text in self._left_ticks(vertical)), default=30))
        style = f"height:{self.height}px;margin-left:{margin}px;margin-right:{58 if right is not None else 14}px"
        style += f";margin-bottom:{max(46 if self.x_title else 28, self._turned() + 30 * bool(self.x_title))}px"
        return (
            f'<figure class="chart" {attributes}><div class="plot" style="{style}">'
            f'<svg viewBox="0 0 {SIZE:.0f} {SIZE:.0f}" preserveAspectRatio="none" role="img" '
            f'aria-label="{escape(self.sentence())}">{"".join(drawn)}</svg>'
            f"{''.join(self._texts(horizontal, vertical, right))}</div>"
            f'<output class="readout"></output>{self._legend()}</figure>'
        )

    def svg(self, title: str = "") -> str:
        """The chart as a file of its own, in the colours of a light page."""
        horizontal, vertical, right = self.axes()
        ticks = self._left_ticks(vertical)
        left = max(LEFT, 24 + SIGN * max((len(text) for _, text in ticks), default=0))
        top = TOP + (22 if title else 0)
        width, height = FILE_WIDTH - left - RIGHT - (40 if right else 0), FILE_HEIGHT - top - BOTTOM
        drawn = [*self._grid(vertical, width, height, literal), *self._marks(width, height, literal)]
        texts = [f'<text x="{left}" y="18" font-size="15" font-weight="600">{escape(title)}</text>'] if title else []
        for value, text in ticks:
            y = top + height * (1 - float(vertical.place(np.array(value))))
            texts.append(f'<text x="{left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>')
        for value, text in right.ticks(4) if right else ():
            y = top + height * (1 - float(right.place(np.array(value)))) if right else 0.0
            texts.append(f'<text x="{left + width + 8:.1f}" y="{y + 4:.1f}">{escape(text)}</text>')
        for value, text in horizontal.ticks(6):
            x = left + width * float(horizontal.place(np.array(value)))
            texts.append(f'<text x="{x:.1f}" y="{top + height + 18}" text-anchor="middle">{escape(text)}</text>')
        middle = left + width / 2
        texts.append(f'<text x="{middle}" y="{top + height + 36}" text-anchor="middle">{escape(self.x_title)}</text>')
        turned = f'transform="rotate(-90 14 {top + height / 2})" text-anchor="middle"'
        texts.append(f'<text x="14" y="{top + height / 2}" {turned}>{escape(self.y_title)}</text>')
        below, at = [], float(left)
        for mark in self._named():
            line = f'<g transform="translate({at:.1f} {FILE_HEIGHT - 14})">{_swatch(mark, literal)}</g>'
            below.append(f'{line}<text x="{at + 36:.1f}" y="{FILE_HEIGHT - 5}">{escape(mark.name)}</text>')
            at += 52 + SIGN * len(mark.name)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {FILE_WIDTH} {FILE_HEIGHT}" width="{FILE_WIDTH}" '
            f'height="{FILE_HEIGHT}" font-family="system-ui, sans-serif" font-size="13" fill="{literal("ink")}">'
            f"<title>{escape(title or self.sentence())}</title>"
            f'<rect width="{FILE_WIDTH}" height="{FILE_HEIGHT}" fill="{literal("card")}"/>{"".join(texts)}'
            f'<svg x="{left}" y="{top}" width="{width}" height="{height}" overflow="hidden">{"".join(drawn)}</svg>'
            f"{''.join(below)}</svg>"
        )

    def sentence(self) -> str:
        """What the chart shows, for those who cannot see it."""
        named = ", ".join(mark.name for mark in self._named())
        axes = " / ".join(title for title in (self.y_title, self.x_title) if title)
        return f"{axes}: {named}" if axes else named

    def _named(self) -> list[_Mark]:
        return [mark for mark in self.marks if mark.name]

    def _left_ticks(self, vertical: Axis) -> list[tuple[float, str]]:
        return vertical.ticks(len(self.rows) if self.rows and len(self.rows) * 13 <= self.height else 5)

    def _grid(self, vertical: Axis, width: float, height: float, colour: Colour) -> Iterator[str]:
        if self.rows:
            return
        for value, _ in vertical.ticks():
            y = height * (1 - float(vertical.place(np.array(value))))
            strong = value == 0 and vertical.least < 0
            stroke = colour("soft" if strong else "line")
            yield f'<path d="M0 {y:.1f}H{width:.0f}" stroke="{stroke}" vector-effect="non-scaling-stroke"/>'

    def _marks(self, width: float, height: float, colour: Colour) -> Iterator[str]:
        horizontal, vertical, right = self.axes()
        # Shades lie below lines, and lines below dots.
        order = ("spans", "cells", "band", "bars", "level", "line", "points")
        for place, mark in sorted(enumerate(self.marks), key=lambda pair: order.index(pair[1].shape)):
            axis = right if mark.right and right is not None else vertical
            x = horizontal.place(mark.x) * width
            shapes = "".join(self._shapes(mark, x, horizontal, axis, width, height, colour))
            side = ' data-side="right"' if mark.right else ""
            hidden = " hidden" if mark.hidden else ""
            if shapes and (not hidden or colour is variable):
                yield f'<g data-mark="{place}" data-name="{escape(mark.name)}"{side}{hidden}>{shapes}</g>'

    def _shapes(
        self, mark: _Mark, x: Array, horizontal: Axis, axis: Axis, width: float, height: float, colour: Colour
    ) -> Iterator[str]:
        shade = colour(mark.look.colour)
        stroke = f'fill="none" stroke="{shade}" stroke-width="{mark.look.width}" vector-effect="non-scaling-stroke"'
        if mark.look.dash:
            stroke += f' stroke-dasharray="{mark.look.dash}"'
        if mark.shape == "spans":
            ends = horizontal.place(mark.y) * width
            for begin, end, text in itertools.zip_longest(x, ends, mark.texts, fillvalue=""):
                its = f"<title>{escape(str(text))}</title>" if text else ""
                across = max(float(end) - float(begin), 1.0)
                yield f'<rect x="{begin:.1f}" y="0" width="{across:.1f}" height="{height:.0f}" fill="{shade}" '
                yield f'fill-opacity="0.22">{its}</rect>'
            return
        y = (1 - axis.place(mark.y)) * height
        if mark.shape == "level":
            yield f'<path d="M0 {y[0]:.1f}H{width:.0f}" {stroke}/>'
        elif mark.shape == "line":
            if path := _path(x, y):
                yield f'<path class="line" d="{path}" {stroke} stroke-linejoin="round"/>'
        elif mark.shape == "band":
            low = (1 - axis.place(mark.low)) * height
            for some in _stretches(np.isfinite(x + y + low)):
                there = [_thinned(x[some], values[some]) for values in (y, low)]
                outline = _points(*there[0]) + "L" + _points(there[1][0][::-1], there[1][1][::-1])[1:]
                yield f'<path class="band" d="{outline}Z" fill="{shade}" fill-opacity="0.2"/>'
        elif mark.shape == "points":
            dots = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x, y, strict=True) if np.isfinite(a + b))
            yield f'<path class="dots" d="{dots}" fill="none" stroke="{shade}" stroke-width="9" '
            yield 'stroke-linecap="round" vector-effect="non-scaling-stroke"/>'
        elif mark.shape == "cells":
            widths = mark.low / (horizontal.greatest - horizontal.least) * width
            tall = height / max(len(self.rows), 1)
            for a, b, wide, strength in zip(x, y, widths, mark.texts, strict=True):
                yield f'<rect x="{a:.1f}" y="{b - tall / 2:.1f}" width="{wide + 0.3:.1f}" height="{tall:.1f}" '
                yield f'fill="{shade}" fill-opacity="{strength}"/>'
        else:
            yield from self._bars(mark, x, y, horizontal, axis, width, height, colour)

    def _bars(
        self, mark: _Mark, x: Array, y: Array, horizontal: Axis, axis: Axis, width: float, height: float, colour: Colour
    ) -> Iterator[str]:
        beside = [other for other in self.marks if other.shape == "bars" and other.right == mark.right]
        wide = self._bar_width() / (horizontal.greatest - horizontal.least) * width * 0.86 / len(beside)
        shift = wide * (next(k for k, other in enumerate(beside) if other is mark) - len(beside) / 2)
        base = float(np.clip((1 - axis.place(np.zeros(1))[0]) * height, 0, height))
        below = "minus" if len(beside) == 1 and mark.look.colour == "plus" else mark.look.colour
        shades = [colour(mark.look.colour), colour(below)]
        for begin, end, value, text in itertools.zip_longest(x + shift, y, mark.y, mark.texts, fillvalue=""):
            if not np.isfinite(float(begin) + float(end)):
                continue
            top, tall = min(float(end), base), abs(float(end) - base)
            said = f"{text}: {value:.4g}" if text else f"{value:.4g}"
            yield f'<rect x="{begin:.1f}" y="{top:.1f}" width="{max(wide, 0.5):.1f}" height="{max(tall, 0.5):.1f}" '
            yield f'fill="{shades[float(value) < 0]}"><title>{escape(said)}</title></rect>'

    def _texts(self, horizontal: Axis, vertical: Axis, right: Axis | None) -> Iterator[str]:
        for value, text in self._left_ticks(vertical):
            place = 100 * (1 - float(vertical.place(np.array(value))))
            yield f'<span class="left" style="top:{place:.2f}%">{escape(text)}</span>'
        for value, text in right.ticks(4) if right is not None else ():
            place = 100 * (1 - float(right.place(np.array(value)))) if right is not None else 0.0
            yield f'<span class="right" style="top:{place:.2f}%">{escape(text)}</span>'
        turned = self._turned()
        places = horizontal.ticks(60 if turned else 8 if self.names else 4)
        for value, text in places:
            place = 100 * float(horizontal.place(np.array(value)))
            kind = "below turned" if turned else "below"
            yield f'<span class="{kind}" style="left:{place:.2f}%">{escape(text)}</span>'
        if self.y_title:
            yield f'<span class="title">{escape(self.y_title)}</span>'
        if self.right_title:
            yield f'<span class="title other">{escape(self.right_title)}</span>'
        if self.x_title:
            yield f'<span class="under" style="margin-top:{max(26, turned + 10)}px">{escape(self.x_title)}</span>'

    def _turned(self) -> int:
        """Pixels that the names below need when they are turned, as they are where they have no room; else 0."""
        longest = max((len(name) for name in self.names), default=0)
        return min(84, 16 + 8 * longest) if len(self.names) * longest > 40 else 0

    def _legend(self) -> str:
        named = [(place, mark) for place, mark in enumerate(self.marks) if mark.name]
        if len(named) < 2:
            return ""
        buttons = [
            f'<button type="button" data-mark="{place}" aria-pressed="{"false" if mark.hidden else "true"}">'
            f'<svg width="34" height="12" aria-hidden="true">{_swatch(mark, variable)}</svg>'
            f"{escape(mark.name)}</button>"
            for place, mark in named
        ]
        return f'<div class="legend">{"".join(buttons)}</div>'


def _extent(marks: Sequence[_Mark], log: bool) -> tuple[float, float]:
    """The least and the greatest of values, infinite and minus infinite where there are none."""
    values = np.concatenate([[], *(mark.y for mark in marks), *(mark.low for mark in marks)])
    values = values[np.isfinite(values) & ((values > 0) if log else True)]
    return (float(values.min()), float(values.max())) if len(values) else (np.inf, -np.inf)


def _stretches(there: NDArray[np.bool_]) -> list[slice]:
    """The runs of places that are there."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there.astype(np.int8), [0]])))
    return [slice(int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2], strict=True)]


def _thinned(x: Array, y: Array) -> tuple[Array, Array]:
    """Points of a line by which it looks the same: of each stretch the least and the greatest value."""
    if len(x) <= MOST_POINTS:
        return x, y
    keep = {0, len(x) - 1}
    for some in np.array_split(np.arange(len(x)), MOST_POINTS // 2):
        keep |= {int(some[y[some].argmin()]), int(some[y[some].argmax()])}
    rows = sorted(keep)
    return x[rows], y[rows]


def _points(x: Array, y: Array) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _path(x: Array, y: Array) -> str:
    """A line with gaps; a value by itself is a dot."""
    parts = []
    for some in _stretches(np.isfinite(x + y)):
        points = _points(*_thinned(x[some], y[some]))
        parts.append(points if some.stop - some.start > 1 else f"{points}h0.1")
    return "".join(parts)


def _data(axis: Axis) -> str:
    return f"{axis.least!r},{axis.greatest!r},{axis.kind}"


def _swatch(mark: _Mark, colour: Colour) -> str:
    """The sample of a mark beside its name, 34 by 12."""
    shade = colour(mark.look.colour)
    if mark.shape in ("band", "spans", "cells"):
        return f'<rect width="32" height="11" fill="{shade}" fill-opacity="0.3"/>'
    if mark.shape == "bars":
        return f'<rect x="8" width="16" height="11" fill="{shade}"/>'
    if mark.shape == "points":
        return f'<circle cx="16" cy="6" r="4.5" fill="{shade}"/>'
    dash = f' stroke-dasharray="{mark.look.dash}"' if mark.look.dash else ""
    return f'<path d="M1 6H33" stroke="{shade}" stroke-width="{mark.look.width}"{dash}/>'
