"""Draw the LSTM cell: ``python docs/lstm_cell.py`` writes lstm_cell.svg beside this file."""

from pathlib import Path

INK, FAINT, CARD = "#1f2933", "#66727f", "#ffffff"
COLOURS = {"f": "#c2410c", "i": "#15803d", "g": "#1d4ed8", "o": "#7e22ce"}
MEMORY = "#0f766e"
C_LINE, H_LINE, GATES, PRODUCTS = 150, 440, 340, 245  # heights: cell state, hidden state, gates, products
GATE_X = {"f": 270, "i": 430, "g": 570, "o": 720}
OUT = 830  # where h branches off the cell state


def text(
    x: int, y: int, content: str, size: int = 16, colour: str = INK, weight: int = 400, anchor: str = "middle"
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" font-weight="{weight}" text-anchor="{anchor}">'
        f"{content}</text>"
    )


def symbol(x: int, y: int, name: str, time: str = "", colour: str = INK, size: int = 22, anchor: str = "middle") -> str:
    """A variable in italics, with its time below the line."""
    below = f'<tspan dy="6" font-size="{size * 2 // 3}">{time}</tspan>' if time else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-style="italic" '
        f'font-family="Georgia, serif">{name}{below}</text>'
    )


def path(
    *points: tuple[int, int], colour: str = INK, width: float = 2, arrow: bool = True, dashed: bool = False
) -> str:
    """A line through the points with rounded corners, and an arrow's head at its end."""
    steps = [f"M{points[0][0]} {points[0][1]}"]
    for (x0, y0), (x1, y1), (x2, y2) in zip(points, points[1:], points[2:], strict=False):
        before = (x1 - sign(x1 - x0) * 10, y1 - sign(y1 - y0) * 10)
        after = (x1 + sign(x2 - x1) * 10, y1 + sign(y2 - y1) * 10)
        steps.append(f"L{before[0]} {before[1]}Q{x1} {y1} {after[0]} {after[1]}")
    (x0, y0), (x, y) = points[-2:]
    dx, dy = sign(x - x0), sign(y - y0)
    steps.append(f"L{x - 7 * dx * arrow} {y - 7 * dy * arrow}")
    dashes = ' stroke-dasharray="5 5"' if dashed else ""
    line = f'<path d="{"".join(steps)}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'
    if not arrow:
        return line
    back, side = (x - 11 * dx, y - 11 * dy), (6 * dy, 6 * dx)
    head = f"M{x} {y}L{back[0] + side[0]} {back[1] + side[1]}L{back[0] - side[0]} {back[1] - side[1]}Z"
    return line + f'<path d="{head}" fill="{colour}"/>'


def sign(value: int) -> int:
    return (value > 0) - (value < 0)


def operation(x: int, y: int, content: str) -> str:
    """A circle: an operation on every unit by itself."""
    circle = f'<circle cx="{x}" cy="{y}" r="17" fill="{CARD}" stroke="{INK}" stroke-width="2"/>'
    if content == "tanh":
        return (
            f'<rect x="{x - 30}" y="{y - 16}" width="60" height="32" rx="16" fill="{CARD}" stroke="{INK}" '
            f'stroke-width="2"/>' + text(x, y + 5, content, 15)
        )
    arms = {"×": ((-6, -6, 6, 6), (-6, 6, 6, -6)), "+": ((-8, 0, 8, 0), (0, -8, 0, 8))}[content]
    return circle + "".join(
        f'<path d="M{x + a} {y + b}L{x + c} {y + d}" stroke="{INK}" stroke-width="2.5" stroke-linecap="round"/>'
        for a, b, c, d in arms
    )


def gate(name: str, title: str, activation: str) -> str:
    """A box: weights, a bias and an activation."""
    x, colour = GATE_X[name], COLOURS[name]
    return (
        f'<rect x="{x - 54}" y="{GATES - 30}" width="108" height="60" rx="10" fill="{colour}"/>'
        + text(x, GATES - 5, title, 16, CARD, 600)
        + text(x, GATES + 17, activation, 15, CARD)
    )


def drawing() -> str:
    """The picture as SVG."""
    f, i, g, o = GATE_X.values()
    product = (i + g) // 2
    parts = [
        f'<rect x="1" y="1" width="1018" height="598" rx="18" fill="{CARD}" stroke="#d5dbe1"/>',
        '<rect x="120" y="80" width="780" height="410" rx="26" fill="#f4f6f8" stroke="#c3ccd5" stroke-width="2"/>',
        # the input and the old hidden state, to every gate
        path((60, H_LINE), (o, H_LINE), (o, GATES + 30)),
        *(path((x, H_LINE), (x, GATES + 30)) for x in (f, i, g)),
        path((180, 545), (180, H_LINE), (210, H_LINE), arrow=False),
        # peepholes
        path((155, C_LINE), (155, GATES), (f - 54, GATES), colour=FAINT, width=1.6, dashed=True),
        path((155, 265), (350, 265), (350, GATES), (i - 54, GATES), colour=FAINT, width=1.6, dashed=True),
        path((636, C_LINE), (636, GATES), (o - 54, GATES), colour=FAINT, width=1.6, dashed=True),
        # what the gates do
        path((f, GATES - 30), (f, C_LINE + 17), colour=COLOURS["f"]),
        path((i, GATES - 30), (i, PRODUCTS), (product - 17, PRODUCTS), colour=COLOURS["i"]),
        path((g, GATES - 30), (g, PRODUCTS), (product + 17, PRODUCTS), colour=COLOURS["g"]),
        path((product, PRODUCTS - 17), (product, C_LINE + 17)),
        path((o, GATES - 30), (o, PRODUCTS + 20), (OUT - 17, PRODUCTS + 20), colour=COLOURS["o"]),
        # the cell state, and the hidden state read from it
        path((60, C_LINE), (960, C_LINE), colour=MEMORY, width=5),
        path((OUT, C_LINE), (OUT, 248), arrow=False),
        path((OUT, PRODUCTS + 37), (OUT, H_LINE), (960, H_LINE)),
        operation(f, C_LINE, "×"),
        operation(product, C_LINE, "+"),
        operation(product, PRODUCTS, "×"),
        operation(OUT, 205, "tanh"),
        operation(OUT, PRODUCTS + 20, "×"),
        gate("f", "forget", "sigmoid"),
        gate("i", "input", "sigmoid"),
        gate("g", "candidate", "tanh"),
        gate("o", "output", "sigmoid"),
        symbol(f + 16, 300, "f", colour=COLOURS["f"]),
        symbol(i + 14, 300, "i", colour=COLOURS["i"]),
        symbol(g + 16, 300, "g", colour=COLOURS["g"]),
        symbol(o + 16, 300, "o", colour=COLOURS["o"]),
        symbol(50, C_LINE + 7, "c", "t−1", anchor="end"),
        symbol(970, C_LINE + 7, "c", "t", anchor="start"),
        symbol(50, H_LINE + 7, "h", "t−1", anchor="end"),
        symbol(970, H_LINE + 7, "h", "t", anchor="start"),
        symbol(180, 572, "x", "t"),
        text(510, 48, "The LSTM cell: gates decide what the memory loses, gains and shows", 20, INK, 600),
        text(140, 118, "the memory: only × and + touch it", 15, MEMORY, 600, "start"),
        text(
            300,
            570,
            "box: weights, bias, activation   ·   circle: unit by unit   ·   dashed: peepholes",
            15,
            FAINT,
            400,
            "start",
        ),
    ]
    body = "\n".join(parts)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1020 600" '
        f'font-family="Helvetica, Arial, sans-serif" role="img" aria-label="The LSTM cell">\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
