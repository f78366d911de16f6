"""The side bar, in the language of the page: its entries are those of docs/index.md and docs/index.zh-CN.md.

A page that neither names is in no table of contents, which is a warning of Sphinx, and so an error.
"""

import gettext
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sphinx
from docutils import nodes
from sphinx.application import Sphinx

CHINESE = ".zh-CN"
INDEX = "docs/index"
FRONT = "README"
TRANSLATIONS = gettext.translation("sphinx", Path(sphinx.__file__).parent / "locale", ["zh_CN"])


def sections(root: Path, suffix: str) -> dict[str, list[str]]:
    """The names of the pages below each heading of an index page."""
    index = root / f"{INDEX}{suffix}.md"
    listed = {}
    for part in re.split(r"^## ", index.read_text(encoding="utf-8"), flags=re.M)[1:]:
        heading, _, body = part.partition("\n")
        targets = re.findall(r"^- \[.*?\]\(([^)#]+)\.md\)", body, re.M)
        listed[heading] = [(index.parent / target).resolve().relative_to(root).as_posix() for target in targets]
    return listed


def toctree(caption: str, pages: list[str]) -> str:
    """A hidden table of contents, as MyST writes it."""
    listed = "\n".join(f"/{page}" for page in pages)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give the front page the tables of contents of both languages."""
    if docname != FRONT:
        return
    root = Path(app.srcdir)
    contents = {"Start": [INDEX], **sections(root, "")}
    chinese = {"开始": [f"{FRONT}{CHINESE}", f"{INDEX}{CHINESE}"], **sections(root, CHINESE)}
    source[0] += "".join(toctree(caption, pages) for caption, pages in (*contents.items(), *chinese.items()))


def shown(tree: str, chinese: bool) -> str:
    """The sections of a side bar that are headed in the language of the page."""
    before, *parts = re.split(r'(?=<p class="caption")', tree)
    headings = [part.partition("</p>")[0] for part in parts]
    kept = [part for part, heading in zip(parts, headings, strict=True) if is_chinese(heading) == chinese]
    return "".join([before, *kept])


def is_chinese(text: str) -> bool:
    return re.search("[\u4e00-\u9fff]", text) is not None


def speak(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Give a page the side bar, the words and the front page of its language."""
    chinese = page.endswith(CHINESE)
    tree_of: Callable[..., str] = context["toctree"]
    context["toctree"] = lambda **options: shown(tree_of(**options), chinese)
    if chinese:
        context |= {"language": "zh-CN", "master_doc": f"{FRONT}{CHINESE}"}
        context |= {"_": TRANSLATIONS.gettext, "gettext": TRANSLATIONS.gettext}


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_contents)
    app.connect("html-page-context", speak, priority=400)  # before the theme, which draws the side bar
