"""Draw how far gradients reach back: ``python docs/gradient_flow.py`` writes gradient_flow.svg beside this file."""

import math
from pathlib import Path

from memfold.lab import run_lab

LINES = {  # as the lab names them: what the picture calls them, and the colour
    "rnn, torch, inputs 1": ("plain RNN", "#c2410c"),
    "rnn, orthogonal, inputs 1": ("plain RNN, orthogonal", "#b45309"),
    "lstm, torch, forget bias 1, inputs 1": ("LSTM, forget bias 1", "#15803d"),
    "lstm, torch, forget bias 3, inputs 1": ("LSTM, forget bias 3", "#1d4ed8"),
}
LEFT, RIGHT, TOP, BOTTOM = 90, 650, 30, 350
LOWEST = -28  # of the axis, a power of ten


def x_of(lag: float) -> int:
    return round(LEFT + (RIGHT - LEFT) * lag / 100)


def y_of(share: float) -> int:
    return round(TOP + (BOTTOM - TOP) * math.log10(share) / LOWEST)


def text(x: int, y: int, content: str, anchor: str = "middle", colour: str = "#1f2933") -> str:
    return f'<text x="{x}" y="{y}" font-size="15" text-anchor="{anchor}" fill="{colour}">{content}</text>'


def drawing() -> str:
    """The picture as SVG."""
    curves = run_lab("gradient", cells="rnn,lstm", scale=1.0).curves["inputs of deviation 1"]
    parts = ['<rect width="860" height="420" fill="#ffffff"/>']
    for power in range(0, LOWEST - 1, -7):
        y = y_of(10.0**power)
        parts += [f'<path d="M{LEFT} {y}H{RIGHT}" stroke="#d5dbe1"/>', text(LEFT - 8, y + 5, f"1e{power}", "end")]
    parts += [text(x_of(lag), BOTTOM + 24, str(lag)) for lag in (0, 25, 50, 75, 100)]
    parts.append(text((LEFT + RIGHT) // 2, BOTTOM + 50, "steps back from the loss"))
    for name, (title, colour) in LINES.items():
        lags, shares = curves[name]
        points = " ".join(f"{x_of(lag)},{y_of(share)}" for lag, share in zip(lags, shares, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(text(RIGHT + 10, y_of(shares[-1]) + 5, title, "start", colour))
    body = "\n".join(parts)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 420" font-family="Helvetica, Arial, sans-serif" '
        f'role="img" aria-label="The share of the gradient that is left, by lag">\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
