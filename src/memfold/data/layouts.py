"""Four numbers as a box: which of the usual ways a file means, found by looking at all its boxes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memfold.display import say
from memfold.errors import InputError

__all__ = ["Form", "Layout", "Rows", "corners_of", "form_of", "refuse_middles"]

Layout = Literal["auto", "xywh", "xyxy"]  # left, top, width, height; or left, top, right, bottom
SLACK = 0.05  # of shares beyond 0 and 1
REACH = 0.02  # of a side, or a pixel, that a box may reach beyond its picture
FEW = 0.34  # of the boxes that may contradict a reading, where twice as many contradict the other
RARE, MANY = 0.1, 10  # contradictions of many boxes that may as well be mistakes
ALIKE = 0.02  # of an area that two are taken to be the same
AGREE, DISAGREE = 0.9, 0.5  # of the areas that are those of a reading


@dataclass(frozen=True)
class Rows:
    """All boxes of a file or of several.

    Attributes:
        numbers: as they are written, (N, 4).
        sizes: width and height of the picture of each, in pixels, (N, 2).
        areas: as written beside the box, in pixels or shares; NaN where there is none, (N,).
        whole: whether every number is written as a whole one.
    """

    numbers: NDArray[np.float64]
    sizes: NDArray[np.float64]
    areas: NDArray[np.float64]
    whole: bool


@dataclass(frozen=True)
class Form:
    """What four numbers are.

    Attributes:
        layout: ``xywh`` or ``xyxy``.
        shares: whether they are shares of the picture's sides rather than pixels.
    """

    layout: str = "xywh"
    shares: bool = False


def form_of(rows: Rows, name: str, layout: str = "auto", usual: str = "") -> Form:
    """What the numbers of boxes are; what is not COCO's own way is said on standard error.

    Args:
        name: of their source, for what is said.
        layout: one that is known, or ``auto``.
        usual: the layout that is taken where both fit; without one that is refused.

    Raises:
        InputError: both readings fit, and nothing decides.
    """
    if not len(rows.numbers):
        return Form("xywh" if layout == "auto" else layout)
    shares = _are_shares(rows, name)
    if shares:
        say(f"{name}: the boxes are read as shares of their picture's sides")
    if layout != "auto":
        return Form(layout, shares)
    beyond, unordered = _contradictions(rows, shares)
    decided = _by_contradictions(beyond, unordered, len(rows.numbers)) or _by_areas(rows)
    if decided == "xyxy":
        reach = f"as left, top, width, height, {beyond:.0%} would reach beyond their picture"
        say(f"{name}: the boxes are read as left, top, right, bottom; {reach if beyond else 'their areas are those'}")
    if decided:
        return Form(decided, shares)
    if usual:
        say(f"{name}: the boxes fit as xywh and as xyxy; they are read as {usual}")
        return Form(usual, shares)
    raise InputError(
        f"{name}: the boxes can be read in two ways, as left, top, width, height (xywh) and as left, top, right, "
        "bottom (xyxy); say which: --set boxes=xywh|xyxy"
    )


def refuse_middles(rows: Rows, name: str) -> None:
    """Refuse numbers called x, y, width and height that fit as the middles of boxes alone, not as their corners.

    Raises:
        InputError: a tenth of the boxes would reach beyond their picture by their corners, and none by their middles.
    """
    if not len(rows.numbers):
        return
    high = rows.numbers.max()
    sides = np.ones_like(rows.sizes) if high <= 1 + SLACK and not rows.whole else rows.sizes
    slack = REACH * sides
    place, extent = rows.numbers[:, :2], rows.numbers[:, 2:]
    beyond = (place + extent > sides + slack).any(1).mean()
    around = ((place - extent / 2 < -slack) | (place + extent / 2 > sides + slack)).any(1).mean()
    if beyond > RARE and around == 0:
        raise InputError(
            f"{name}: as upper left corners, x and y let {beyond:.0%} of the boxes reach beyond their picture, and as "
            "middles none; call the columns cx and cy if that is what they are"
        )


def _are_shares(rows: Rows, name: str) -> bool:
    low, high = rows.numbers.min(), rows.numbers.max()
    if low < -SLACK or high > 1 + SLACK:
        return False
    if rows.whole:
        raise InputError(
            f"{name}: every number of the boxes is 0 or 1, which can be read as shares of the picture or as pixels; "
            "write shares with decimals, 1.0"
        )
    return True


def _contradictions(rows: Rows, shares: bool) -> tuple[float, float]:
    """The share of boxes that cannot be ``xywh``, and of those that cannot be ``xyxy``."""
    sides = np.ones_like(rows.sizes) if shares else rows.sizes
    most = sides + np.maximum(REACH * sides, 0 if shares else 1)
    first, second = rows.numbers[:, :2], rows.numbers[:, 2:]
    beyond = (first + second > most).any(1)
    unordered = ((second <= first) | (second > most)).any(1)
    return float(beyond.mean()), float(unordered.mean())


def _by_contradictions(beyond: float, unordered: float, count: int) -> str:
    if unordered == 0 and beyond > 0:
        return "xyxy"
    if beyond == 0 and unordered > 0:
        return "xywh" if unordered > RARE or count < MANY else ""
    if 2 * unordered <= beyond and unordered <= FEW and beyond > 0:
        return "xyxy"
    if 2 * beyond <= unordered and beyond <= FEW and unordered > 0:
        return "xywh"
    return ""


def _by_areas(rows: Rows) -> str:
    given = rows.areas > 0
    if not given.any():
        return ""
    numbers, areas = rows.numbers[given], rows.areas[given]
    units = (np.ones(len(areas)), rows.sizes[given].prod(1))
    agree = {}
    for layout, sides in (("xywh", numbers[:, 2:]), ("xyxy", numbers[:, 2:] - numbers[:, :2])):
        product = sides.prod(1)
        agree[layout] = max(float(np.isclose(areas, product * unit, rtol=ALIKE).mean()) for unit in units)
    for layout, other in (("xywh", "xyxy"), ("xyxy", "xywh")):
        if agree[layout] >= AGREE and agree[other] <= DISAGREE:
            return layout
    return ""


def corners_of(numbers: NDArray[np.float64], form: Form, size: tuple[int, int]) -> NDArray[np.float64]:
    """Left, top, right and bottom in pixels, (N, 4), of the boxes of one picture; not yet in this order."""
    corners = numbers * np.array([*size, *size], float) if form.shares else numbers.copy()
    if form.layout == "xywh":
        corners[:, 2:] += corners[:, :2]
    return corners
