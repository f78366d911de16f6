"""Formulas as MathML, which browsers draw themselves, without a script.

Where a reader's machine has no font for mathematics, subscripts would stand beside their letters: the site brings one,
STIX Two Math, from the package ziamath.
"""

import re
from pathlib import Path

import ziamath
from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

FONTS = Path(ziamath.__file__).parent / "fonts"
logger = logging.getLogger(__name__)


def formula(node: nodes.Element, display: str) -> str:
    """A formula's MathML; what the converter does not know is a warning, which names the page."""
    # The environment that LaTeX has for this twice, and the converter under one of its names.
    tex = re.sub(r"\\(begin|end){aligned}", r"\\\1{split}", node.astext())
    written = convert(tex, display=display)
    if unknown := re.findall(r"\\[a-zA-Z]+|&(?!#)", written):
        logger.warning("no MathML for %s", ", ".join(sorted(set(unknown))), location=node)
    return written


def visit_math(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(formula(node, "inline"))
    raise nodes.SkipNode


def visit_displaymath(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(f'<div class="formula">{formula(node, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.config.html_static_path.append(str(FONTS))
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
