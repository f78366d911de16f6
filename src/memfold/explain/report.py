"""The page of an explanation: pictures, and a viewer of every gate at every step, in one file without a network."""

import base64
import json
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memfold.drawing import Chart, ColouredText, Drawing
from memfold.explain.ledger import half_life
from memfold.explain.names import layer_names
from memfold.explain.trace import Array, LayerTrace
from memfold.page import Section, page_text, write_page
from memfold.words import Words
from memfold.words.explanation import TABLE

if TYPE_CHECKING:
    from memfold.explain.explanation import Explanation, Shares

__all__ = ["explanation_page", "write_explanation"]

FEW = 40  # steps that have room for their names below a picture
MOST_BYTES = 560_000  # of all layers' numbers in a page of at most 1 MB
LEAST_UNITS = 8
WHOLE = 32767  # the largest number of 16 bits


def write_explanation(path: str | Path, explanation: "Explanation", language: str = "en") -> Path:
    """Write the page; returns the path.

    Args:
        language: the one in which the explanation was made.

    Raises:
        InputError: another language than ``en`` and ``zh``.
    """
    return write_page(Path(path), explanation_page(explanation, language))


def explanation_page(explanation: "Explanation", language: str = "en") -> str:
    """The page as HTML, as `write_explanation` writes it."""
    words = Words(language)
    title = words("title", task=words(f"task {explanation.task}"))
    head = "".join(
        f"<p><strong>{escape(words(key))}:</strong> {escape(text)}</p>"
        for key, text in (("read", explanation.source), ("answered", explanation.answer))
    )
    sections: list[Section] = [(picture.heading, picture.text, picture.drawing) for picture in explanation.pictures]
    closing = [_viewer(explanation, words)]
    if explanation.shares is not None:
        closing.append(_section(words("shares"), explanation.shares.score, _shares(explanation, words)))
    if explanation.flow:
        closing.append(_section(words("flow"), words("flow text"), _flow(explanation.flow, words)))
    footer = words("footer", version=version("memfold"))
    return page_text(title, [head], sections, footer, language=language, closing="".join(closing))


def _section(heading: str, text: str, drawing: Drawing) -> str:
    return f"<section><h2>{escape(heading)}</h2><p>{escape(text)}</p>{drawing.html()}</section>"


def _shares(explanation: "Explanation", words: Words) -> Drawing:
    """What each step adds: a text in colours where the steps are pieces of one, else bars."""
    shares: Shares = explanation.shares  # type: ignore[assignment]
    (first, values), *_ = shares.methods.items()
    if explanation.joint is not None:
        pieces = [f"{label}{explanation.joint}" for label in shares.labels]
        return ColouredText(pieces, np.asarray(values, np.float64), words(first))
    few = len(shares.labels) <= FEW
    chart = Chart(words("share"), "" if few else words("step"), names=list(shares.labels) if few else ())
    for method, values in shares.methods.items():
        chart.bars(list(range(len(values))), values.tolist(), words(method), texts=() if few else shares.labels)
    return chart


def _flow(flow: dict[str, Array], words: Words) -> Chart:
    names = layer_names(list(flow), words)
    chart = Chart(words("gradient"), words("step"), log=True)
    for name, norms in flow.items():
        chart.line(list(range(len(norms))), norms.tolist(), names[name])
    return chart


def _viewer(explanation: "Explanation", words: Words) -> str:
    """The viewer's HTML, its data and its script."""
    layers = explanation.trace.layers
    names = layer_names(list(layers), words)
    most = _units_that_fit(list(layers.values()))
    wanted = {name: {follower.unit for follower in followers} for name, followers in explanation.followers.items()}
    data = {
        "first": explanation.first,
        "joint": explanation.joint,
        "layers": {
            name: _packed(layer, most, wanted.get(name, set())) | {"name": names[name]}
            for name, layer in layers.items()
        },
        "followers": {
            name: [vars(follower) | {"label": words(f"feature {follower.feature}")} for follower in followers]
            for name, followers in explanation.followers.items()
        },
        "words": {key: words(key) for key in TABLE},
    }
    content = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    content = content.replace("<", "\\u003c")  # no end of a script inside it
    folder = files("memfold.explain")
    page = (folder / "viewer.html").read_text(encoding="utf-8")
    for key in TABLE:
        page = page.replace("{{" + key + "}}", escape(words(key)))
    scripts = [files("memfold.drawing") / "parts.js", folder / "viewer.js"]
    script = "\n".join(part.read_text(encoding="utf-8") for part in scripts)
    body = f'(() => {{\n"use strict";\n{script}}})();'
    return f'{page}<script type="application/json" id="data">{content}</script><script>{body}</script>'


def _is_coupled(layer: LayerTrace) -> bool:
    """Whether the input gate is what the forget gate leaves over."""
    values = layer.values
    return "i" in values and "f" in values and bool(np.abs(1 - values["f"] - values["i"]).max() < 1e-5)


def _units_that_fit(layers: list[LayerTrace]) -> int:
    """Units of each layer whose values a page has room for."""

    def size(units: int) -> float:
        numbers = 0
        for layer in layers:
            steps, width = layer.values["h"].shape
            numbers += steps * (len(layer.values) - _is_coupled(layer)) * min(units, width)
        return numbers * 8 / 3  # two bytes in base 64

    widest = max((layer.values["h"].shape[1] for layer in layers), default=LEAST_UNITS)
    fitting = widest
    while fitting > LEAST_UNITS and size(fitting) > MOST_BYTES:
        fitting -= max(1, fitting // 16)
    return fitting


def _packed(layer: LayerTrace, most: int, wanted: set[int]) -> dict[str, Any]:
    """A layer as the viewer reads it, of its units those that are wanted, then those whose output varies most.

    Values are whole numbers of 16 bits, the largest for the largest value; a gate's are off by at most 2e-5.
    """
    width = layer.values["h"].shape[1]
    by_change = np.argsort(-layer.values["h"].std(0), kind="stable").tolist()
    chosen = sorted([*sorted(wanted), *(unit for unit in by_change if unit not in wanted)][: min(most, width)])
    try:
        lives = half_life(layer)[chosen]
    except ValueError:  # it has no account
        lives = np.zeros(0)
    order = [chosen[k] for k in (np.argsort(-lives, kind="stable") if len(lives) else range(len(chosen)))]
    values = {name: value for name, value in layer.values.items() if value.shape[1] == width}
    if coupled := _is_coupled(layer):
        del values["i"]
    return {
        "labels": layer.labels,
        "reverse": layer.reverse,
        "coupled": coupled,
        "units": chosen,
        "order": order,
        "leftOut": width - len(chosen),
        "lives": [float(life) if np.isfinite(life) else None for life in lives],
        "values": {name: _numbers(value[:, chosen]) for name, value in values.items()},
        "start": {name: value[chosen].tolist() for name, value in layer.start.items() if value.shape == (width,)},
    }


def _numbers(value: Array) -> dict[str, Any]:
    """An array (T, U) as the viewer reads it: little-endian whole numbers of 16 bits in base 64, row by row."""
    most = float(np.abs(value).max(initial=0.0)) or 1.0
    whole = np.round(value / most * WHOLE).astype("<i2")
    return {"most": most, "data": base64.b64encode(whole.tobytes()).decode()}
