"""One offline file from the page's parts: words, style, scripts and models."""

import base64
import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from memfold.drawing.colours import colours

__all__ = ["POLICY", "SCRIPTS", "page", "strings"]

PARTS = files("memfold.explorer") / "parts"
SHARED = files("memfold.drawing") / "parts.js"  # what the reports draw in the same way
SCRIPTS = (  # in the order in which they need one another
    "cells.js",
    "reader.js",
    "learner.js",
    "state.js",
    "ribbon.js",
    "map.js",
    "finder.js",
    "cell.js",
    "sum.js",
    "ledger.js",
    "hold.js",
    "chart.js",
    "forecast.js",
    "train.js",
    "race.js",
    "flow.js",
    "tour.js",
    "variants.js",
    "reading.js",
    "boot.js",
)
# The page may run its own script and style, and open no connection of any kind.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


@cache
def strings() -> dict[str, dict[str, str]]:
    """Every word of the page, by key and language: one table for all."""
    read: dict[str, dict[str, str]] = json.loads((files("memfold.explorer") / "strings.json").read_text("utf-8"))
    return read


def page(
    models: Sequence[Mapping[str, Any]], language: str, *, tour: int | None = None, guides: str | None = None
) -> str:
    """The page as HTML.

    Args:
        tour: step of the tour that it opens with, 0 for none of them; None where the models are not the lesson's.
        guides: where the guides' pages stand beside it; they are named without a link when None.
        models: packed, each with its ``name``, ``hero``, ``facts`` and ``temperature``; the first is shown first.
        language: that it opens in, ``en`` or ``zh``.
    """
    content = {
        "language": language,
        "version": version("memfold"),
        "kernel": base64.b64encode((PARTS / "kernel.wasm").read_bytes()).decode(),
        "strings": strings(),
        "lesson": tour is not None,
        "begins": tour or 0,
        "guides": guides,
        "models": list(models),
    }
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    scripts = "\n".join([SHARED.read_text("utf-8"), *((PARTS / name).read_text("utf-8") for name in SCRIPTS)])
    filled = {
        "lang": "zh-CN" if language == "zh" else "en",
        "policy": escape(POLICY),
        "title": escape(strings()["title"][language]),
        "style": colours() + (PARTS / "style.css").read_text("utf-8"),
        "data": data,
        "script": f'(() => {{\n"use strict";\n{scripts}}})();',
    }
    text = (PARTS / "page.html").read_text("utf-8")
    head, *rest = text.split("{{")  # filled once: what a model holds is never taken for a place to fill
    return head + "".join(filled[name] + after for name, _, after in (part.partition("}}") for part in rest))
