"""Writes the pages that list others: docs/index.md, in both languages, and a page of docs/api for each public module.

`make docs` runs this; tests/test_docs.py fails where a page differs from what this would write. Pages are looked for,
not listed: a new page of docs/ appears in the index, under the last heading where no other takes it.
"""

import importlib
import inspect
import os
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memfold.nn.layer import Recurrent
from memfold.tasks.registry import TASKS

DOCS = Path(__file__).parent
ROOT = DOCS.parent
CHINESE = ".zh-CN"
READER = re.compile("read_|load_|dataset$|find$")  # functions of memfold.data that lead from files to examples
MADE = "<!-- Written by docs/make_contents.py: `make docs`. -->"
MODULES = (
    "memfold",
    "memfold.nn",
    "memfold.cells",
    "memfold.engine",
    "memfold.stream",
    "memfold.tasks",
    "memfold.runtime",
    "memfold.export",
    "memfold.serve",
    "memfold.bulk",
    "memfold.tune",
    "memfold.formats",
    "memfold.explain",
    "memfold.explorer",
    "memfold.lab",
    "memfold.data",
    "memfold.errors",
)

# Heading in both languages, and the pages below it; the first heading that takes a page keeps it.
SECTIONS = (
    ("Guides", "指南", ("docs/guide/*.md", "examples/*.md")),
    ("Layers and cells", "层与单元", ("docs/layers.md", "docs/cells.md", "docs/engine.md")),
    ("Reference", "参考", ("docs/reference/*.md",)),
    ("Python API", "Python 接口", ("docs/api/*.md",)),
    (
        "How memfold is made",
        "memfold 的内部",
        ("docs/architecture.md", "docs/*.md", "benchmarks/*.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"),
    ),
)
# The order of pages that one pattern finds.
FIRST = ("install", "lstm", *TASKS, "export", "runtime", "serve", "many", "explore", "explain", "learn", *MODULES)

BEGINNINGS = {
    "en": f"""\
# All pages

[中文](index.zh-CN.md)

{MADE}

[README](../README.md) says what memfold is and how to begin. A guide leads from a file of your own to an answer; the
reference lists every command and every parameter; the API says what each public name takes and returns. `make docs`
builds these pages into a site with a search, `build/site/index.html`.""",
    "zh": f"""\
# 全部页面

[English](index.md)

{MADE}

[README](../README.zh-CN.md) 介绍 memfold 是什么、如何开始。指南从你自己的文件讲到结果；参考列出所有命令和参数；
接口说明每个公开名称的参数和返回值。`make docs` 把这些页面生成为可搜索的网站：`build/site/index.html`。""",
}


# -- the index ---------------------------------------------------------------------------------------------------


def english_pages() -> dict[str, list[Path]]:
    """The English pages below each English heading, none twice."""
    taken = {ROOT / "README.md", DOCS / "index.md"}
    listed: dict[str, list[Path]] = {}
    for heading, _, patterns in SECTIONS:
        listed[heading] = []
        for pattern in patterns:
            pages = [page for page in ROOT.glob(pattern) if not page.stem.endswith(CHINESE)]
            new = sorted((page for page in pages if page not in taken), key=place)
            taken |= set(new)
            listed[heading] += new
    return listed


def place(page: Path) -> tuple[int, str]:
    """Where a page stands among those of one pattern."""
    return (FIRST.index(page.stem) if page.stem in FIRST else len(FIRST), page.name)


def in_chinese(page: Path) -> Path:
    """The Chinese page beside an English one, whether it is there or not."""
    return page.with_name(f"{page.stem}{CHINESE}.md")


def title_of(page: Path) -> str:
    """The first heading of a page.

    Raises:
        ValueError: it has none.
    """
    heading = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.M)
    if heading is None:
        raise ValueError(f"{page.relative_to(ROOT)} has no heading")
    return heading[1]


def index_page(language: str) -> str:
    """The page that lists all others, in English (``en``) or Chinese (``zh``)."""
    parts = [BEGINNINGS[language]]
    for (heading, chinese_heading, _), pages in zip(SECTIONS, english_pages().values(), strict=True):
        entries = []
        for english in pages:
            translated = language == "zh" and in_chinese(english).exists()
            page = in_chinese(english) if translated else english
            note = "（英文）" if language == "zh" and not translated else ""
            entries.append(f"- [{title_of(page)}]({Path(os.path.relpath(page, DOCS)).as_posix()}){note}")
        parts += [f"## {heading if language == 'en' else chinese_heading}", "\n".join(entries)]
    return "\n\n".join(parts) + "\n"


# -- the API -----------------------------------------------------------------------------------------------------


def modules_of(name: str) -> list[str]:
    """The modules whose public names a page documents: the module, or of the package of readers, which exports nothing
    itself, those that read what people have."""
    module = importlib.import_module(name)
    if hasattr(module, "__all__"):
        return [name]
    inside = [f"{name}.{part.name}" for part in pkgutil.iter_modules(module.__path__)]
    return [path for path in inside if any(READER.match(public) for public, _ in public_names(path))]


def public_names(module: str) -> Iterator[tuple[str, Any]]:
    """The classes and functions that a module exports; of a module of readers, its classes and readers."""
    exporter = importlib.import_module(module)
    for name in getattr(exporter, "__all__", ()):
        value = getattr(exporter, name)
        reads = not module.startswith("memfold.data.") or READER.match(name) is not None
        if inspect.isclass(value) or (inspect.isroutine(value) and reads):
            yield name, value


def summary_of(value: Any) -> str:
    """The first sentence of a docstring, as Markdown."""
    paragraph = (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ")
    plain = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", paragraph).replace("``", "`")
    return re.split(r"(?<=[.])\s(?=[A-Z])", plain)[0].replace("|", r"\|")


def api_page(name: str) -> str:
    """The page of a public module: its names in a table, then all that their docstrings say, which the site shows."""
    modules = modules_of(name)
    parts = [f"# {name}", MADE]
    if modules != [name]:
        parts.append(inspect.getdoc(importlib.import_module(name)) or "")
    for module in modules:
        if modules != [name]:
            parts.append(f"## {module}")
        parts.append(directive_block(f".. automodule:: {module}"))
        rows = [f"| `{public}` | {summary_of(value)} |" for public, value in public_names(module)]
        parts.append("\n".join(["| name | what it is |", "|---|---|", *rows]))
        parts.append(directive_block(*documented(module)))
    return "\n\n".join(parts) + "\n"


def documented(module: str) -> Iterator[str]:
    """What tells the site to show the docstrings of a module's names; of a layer also those of its base's methods."""
    for name, value in public_names(module):
        if not inspect.isclass(value):
            yield f".. autofunction:: {module}.{name}"
            continue
        inherited = "\n   :inherited-members: Module" if issubclass(value, Recurrent) else ""
        yield f".. autoclass:: {module}.{name}\n   :members:{inherited}"


def directive_block(*directives: str) -> str:
    """Directives of Sphinx, as MyST reads them in Markdown."""
    return "\n".join(["```{eval-rst}", "\n\n".join(directives), "```"])


def api_pages() -> dict[Path, str]:
    """The pages of the public modules."""
    return {DOCS / "api" / f"{name}.md": api_page(name) for name in MODULES}


def index_pages() -> dict[Path, str]:
    """The lists of all pages that there are."""
    return {DOCS / "index.md": index_page("en"), DOCS / "index.zh-CN.md": index_page("zh")}


def main() -> None:
    """Write every page that differs; the index last, as it reads the others' headings."""
    for made in (api_pages, index_pages):
        for path, text in made().items():
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
                print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
