"""The page of an explanation: pictures, and a viewer of every gate at every step, in one file without a network."""

import base64
import json
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from memfold.explain.explanation import Explanation, Shares
from memfold.explain.ledger import half_life
from memfold.explain.trace import Array, LayerTrace
from memfold.explain.words import TABLE, Words
from memfold.page import INK, OTHERS, Section, styled, write_page

__all__ = ["write_explanation"]

FEW = 40  # steps that have room for their names below a picture


def write_explanation(path: str | Path, explanation: Explanation, language: str = "en") -> Path:
    """Write the page; returns the path.

    Args:
        language: the one in which the explanation was made.

    Raises:
        InputError: another language than ``en`` and ``zh``.
    """
    words = Words(language)
    title = words("title", task=words(f"task {explanation.task}"))
    head = "".join(
        f"<p><strong>{escape(words(key))}:</strong> {escape(text)}</p>"
        for key, text in (("read", explanation.source), ("answered", explanation.answer))
    )
    sections: list[Section] = [(picture.heading, picture.text, picture.figure) for picture in explanation.pictures]
    if explanation.shares is not None:
        sections.append((words("shares"), explanation.shares.score, _shares(explanation.shares, words)))
    if explanation.flow:
        sections.append((words("flow"), words("flow text"), _flow(explanation.flow, words)))
    footer = words("footer", version=version("memfold"))
    return write_page(
        Path(path), title, [head], sections, footer, language=language, closing=_viewer(explanation, words)
    )


def _shares(shares: Shares, words: Words) -> go.Figure:
    figure = go.Figure()
    steps = list(range(len(shares.labels)))
    for (method, values), colour in zip(shares.methods.items(), (INK, OTHERS[0]), strict=True):
        figure.add_bar(x=steps, y=values.tolist(), name=words(method), marker_color=colour)
    figure.update_traces(customdata=list(shares.labels), hovertemplate="%{customdata}: %{y:.3g}")
    if len(steps) <= FEW:
        figure.update_xaxes(tickvals=steps, ticktext=list(shares.labels), tickangle=-60)
    return styled(figure, words("share"), "" if len(steps) <= FEW else words("step"))


def _flow(flow: dict[str, Array], words: Words) -> go.Figure:
    figure = go.Figure()
    colours = (INK, *OTHERS)
    for place, (name, norms) in enumerate(flow.items()):
        positive = [float(norm) if norm > 0 else None for norm in norms]  # a logarithm has no place for 0
        line = {"color": colours[place % len(colours)]}
        figure.add_scatter(x=list(range(len(norms))), y=positive, name=name, mode="lines", line=line)
    styled(figure, words("gradient"), words("step"))
    return figure.update_yaxes(type="log", rangemode="normal", exponentformat="power")


def _viewer(explanation: Explanation, words: Words) -> str:
    """The viewer's HTML, its data and its script."""
    data = {
        "first": explanation.first,
        "joint": explanation.joint,
        "layers": {name: _packed(layer) for name, layer in explanation.trace.layers.items()},
        "followers": {
            name: [vars(follower) | {"label": words(f"feature {follower.feature}")} for follower in followers]
            for name, followers in explanation.followers.items()
        },
        "words": {key: words(key) for key in TABLE},
    }
    content = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")  # no end of a script inside it
    folder = files("memfold.explain")
    page = (folder / "viewer.html").read_text(encoding="utf-8")
    for key in TABLE:
        page = page.replace("{{" + key + "}}", escape(words(key)))
    script = (folder / "viewer.js").read_text(encoding="utf-8")
    return f'{page}<script type="application/json" id="data">{content}</script><script>{script}</script>'


def _packed(layer: LayerTrace) -> dict[str, Any]:
    try:
        lives: list[float | None] = [float(life) if np.isfinite(life) else None for life in half_life(layer)]
    except ValueError:  # it has no account
        lives = []
    return {
        "labels": layer.labels,
        "reverse": layer.reverse,
        "halfLives": lives,
        "values": {name: _numbers(value) for name, value in layer.values.items()},
        "start": {name: value.tolist() for name, value in layer.start.items()},
    }


def _numbers(value: Array) -> dict[str, Any]:
    """An array (T, H) as the viewer reads it: little-endian float32 in base 64, row by row."""
    return {"units": value.shape[1], "data": base64.b64encode(value.astype("<f4").tobytes()).decode()}
