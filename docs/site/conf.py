"""How the documentation site is built: `make docs`, into build/site.

Sphinx, because the docstrings already use its roles (``:func:``), because with MyST it reads the Markdown of these
pages as GitHub shows it, because its search is a file beside the pages (no server, and it works from a folder), and
because it is well kept. MkDocs has had no release since 2024, its theme Material is in maintenance, and the successor
of both, Zensical, is not at 1.0 yet.

The source is the repository's root, so that a link between two pages is the same here and on GitHub. Nothing here needs
a network: formulas become MathML (mathml.py), the search splits English and Chinese alike (search.py), and the letters
are the reader's. Every warning is an error (build.py).
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

SITE = Path(__file__).parent
sys.path.insert(0, str(SITE))

import mathml  # noqa: E402
import navigation  # noqa: E402
import search  # noqa: E402

# -- what is read ------------------------------------------------------------------------------------------------

project = "memfold"
language = "en"
root_doc = "README"
include_patterns = [
    "README*.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "benchmarks/*.md",
    "examples/*.md",
    "docs/*.md",
    "docs/**/*.md",
]
exclude_patterns = [".*", "build", "demo", "src", "tests", "native", "docs/site"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# -- Markdown as GitHub reads it ---------------------------------------------------------------------------------

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 6

smartquotes = False  # h' is a letter with a prime, and --set begins with two hyphens
highlight_language = "none"  # where no language is named, as the formulas in docstrings

# -- docstrings --------------------------------------------------------------------------------------------------

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
add_module_names = False
python_use_unqualified_type_names = True

# -- pages -------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = "memfold"
html_math_renderer = "mathml"
html_search_language = search.EnglishAndChinese.lang
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/favicon.svg"
html_copy_source = False
html_show_copyright = False
html_use_index = False
html_domain_indices = False
html_permalinks_icon = "#"


# A type that only its alias's name makes readable.
ALIASES = {stringify_annotation(ArrayLike, "smart"): "ArrayLike"}


def name_aliases(
    app: Sphinx, kind: str, name: str, value: object, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Write the name of an alias in a signature, not what it stands for."""
    for long, short in ALIASES.items():
        signature = signature and signature.replace(long, short)
        returned = returned and returned.replace(long, short)
    return signature, returned


def keep_sentences(app: Sphinx, kind: str, name: str, value: object, options: Any, lines: list[str]) -> None:
    """Let a colon in the first sentence of a property be one: else what stands before it is taken for the type."""
    if kind in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # an empty comment


def copy_front_page(app: Sphinx, exception: Exception | None) -> None:
    """Make README the page that a folder opens with."""
    if exception is None and app.builder.name == "html":
        shutil.copyfile(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


# Pages that lead to the lesson -> its page in their language, from theirs.
LESSON = {
    "README": ("docs/lesson.html", "Open the lesson: a live network in a page"),
    "README.zh-CN": ("docs/lesson.zh-CN.html", "打开课程：一个网页，里面有正在运行的网络"),
    **{
        f"docs/guide/{name}": ("../lesson.html", "Open the lesson: a live network in a page")
        for name in ("explore", "lstm")
    },
    **{
        f"docs/guide/{name}.zh-CN": ("../lesson.zh-CN.html", "打开课程：一个网页，里面有正在运行的网络")
        for name in ("explore", "lstm")
    },
}


def lead_to_lesson(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Begin a page with a link to the lesson, which is no page of the repository."""
    if page in LESSON:
        address, words = LESSON[page]
        context["body"] = f'<p><a href="{address}">{words}</a></p>\n{context["body"]}'


def write_lesson(app: Sphinx, exception: Exception | None) -> None:
    """Write the explorer's lesson beside the pages, with links to the guides."""
    from memfold.explorer import explore

    if exception is None and app.builder.name == "html":
        folder = Path(app.outdir) / "docs"
        folder.mkdir(exist_ok=True)
        for name, spoken in (("lesson.html", "en"), ("lesson.zh-CN.html", "zh")):
            explore(folder / name, language=spoken, guides="guide/")


def setup(app: Sphinx) -> dict[str, Any]:
    mathml.setup(app)
    navigation.setup(app)
    search.setup(app)
    app.connect("autodoc-process-docstring", keep_sentences, priority=400)  # before Napoleon
    app.connect("autodoc-process-signature", name_aliases)
    app.connect("html-page-context", lead_to_lesson)
    app.connect("build-finished", write_lesson)
    app.connect("build-finished", copy_front_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
