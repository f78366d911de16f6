"""Drawings for pages and files, as SVG and HTML made here: no script is needed to see them, and nothing is fetched.

- `Chart`: lines, bands, bars and marks over numbers or times.
- `Heat`: a table of cells, the stronger the more they count.
- `Picture`: a picture with boxes, rules and what is laid over it.
- `ColouredText`: pieces of a text, coloured by numbers.
- `Choice`: several drawings, one of them shown; `Stack`: all of them, each under its caption.

A drawing gives its ``html()`` for a page in which `STYLE` and `SCRIPT` stand; a chart gives its ``svg()`` for a file.
"""

from memfold.drawing.chart import Chart
from memfold.drawing.colours import SERIES, Look
from memfold.drawing.heat import ColouredText, Heat
from memfold.drawing.picture import Box, Picture
from memfold.drawing.shown import SCRIPT, STYLE, Choice, Drawing, Stack

__all__ = [
    "SCRIPT",
    "SERIES",
    "STYLE",
    "Box",
    "Chart",
    "Choice",
    "ColouredText",
    "Drawing",
    "Heat",
    "Look",
    "Picture",
    "Stack",
]
