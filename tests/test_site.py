"""The documentation site as `make docs` builds it: without a network, and with no warning, or the fixture fails."""

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

# The build takes a minute and more; make docs makes the same one, with the same refusals, for every change.
pytestmark = pytest.mark.release

ROOT = Path(__file__).parent.parent
LOADED = {"link", "script", "img", "iframe", "source", "video", "audio"}  # elements whose addresses a browser fetches


class Page(HTMLParser):
    """The anchors of a page, the addresses it links to, those it loads, its language and its words."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.language = ""
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.language = given.get("lang", "") if tag == "html" else self.language
        for address in (given[name] for name in ("href", "src") if name in given):
            (self.loads if tag in LOADED and given.get("rel") not in ("next", "prev", "search") else self.links).append(
                address
            )

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def site_pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_page_of_the_repository_is_on_the_site(site: Path) -> None:
    folders = ("benchmarks", "examples")
    sources = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    sources += [page for folder in folders for page in (ROOT / folder).glob("*.md")]
    assert len(sources) > 40
    for source in sources:
        assert (site / source.relative_to(ROOT)).with_suffix(".html").exists(), source


def test_every_link_and_anchor_leads_somewhere(site: Path, site_pages: dict[Path, Page]) -> None:
    dead = []
    for path, page in site_pages.items():
        for address in page.links + page.loads:
            if re.match("[a-z]+:|//", address):
                continue
            name, _, anchor = unquote(address).partition("#")
            target = (path.parent / name.partition("?")[0]).resolve() if name else path
            known = site_pages[target].anchors if target in site_pages else set()
            if not target.is_file() or (anchor and anchor not in known):
                dead.append(f"{path.relative_to(site)}: {address}")
    assert dead == []


def test_nothing_is_loaded_from_elsewhere(site: Path, site_pages: dict[Path, Page]) -> None:
    for path, page in site_pages.items():
        assert [address for address in page.loads if re.match("https?:|//", address)] == [], path
    for style in (site / "_static").rglob("*.css"):
        assert re.findall(r"url\(['\"]?(?:https?:|//)[^)]*", style.read_text(encoding="utf-8")) == [], style


def test_every_public_name_is_on_the_site(site: Path, site_pages: dict[Path, Page]) -> None:
    spec = importlib.util.spec_from_file_location("make_contents", ROOT / "docs" / "make_contents.py")
    assert spec is not None
    assert spec.loader is not None
    contents = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(contents)
    for name in contents.MODULES:
        anchors = site_pages[site / "docs" / "api" / f"{name}.html"].anchors
        for module in contents.modules_of(name):
            assert {f"{module}.{public}" for public, _ in contents.public_names(module)} <= anchors


def test_a_page_speaks_one_language(site: Path, site_pages: dict[Path, Page]) -> None:
    chinese = site_pages[site / "docs" / "guide" / "forecast.zh-CN.html"]
    english = site_pages[site / "docs" / "guide" / "forecast.html"]
    assert (chinese.language, english.language) == ("zh-CN", "en")
    assert {"lstm.zh-CN.html", "anomaly.zh-CN.html"} <= set(chinese.links)
    assert "lstm.html" not in chinese.links
    assert {"lstm.html", "anomaly.html"} <= set(english.links)
    assert "lstm.zh-CN.html" not in english.links


def test_formulas_are_drawn_by_the_browser(site: Path) -> None:
    cells = (site / "docs" / "cells.html").read_text(encoding="utf-8")
    assert cells.count("<math") == (ROOT / "docs" / "cells.md").read_text(encoding="utf-8").count(
        "$"
    ) // 2 + cells.count('class="formula"')
    assert cells.count('class="formula"') == 4
    assert "\\" not in re.sub(r"<pre>.*?</pre>|<script.*?</script>", "", cells, flags=re.S)
    assert "<mtable" in cells  # formulas that stand under each other


# What a build must refuse, each on a page of its own.
WRONG = {
    "a dead link": ("[nowhere](nowhere.md)", "nowhere.md"),
    "a dead anchor": ("[nowhere](#nowhere)", "nowhere"),
    "an unknown formula": ("$\\nosuchthing x$", "nosuchthing"),
    "a page in no list": ("Nobody links here.", "toctree"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_build_refuses(case: str, tmp_path: Path) -> None:
    text, said = WRONG[case]
    pages = {"README": "# Front\n\n", "README.zh-CN": "# 首页\n", "docs/page": f"# Page\n\n{text}\n"}
    listed = "" if case == "a page in no list" else "## Pages\n\n- [Page](page.md)\n"
    pages |= {"docs/index": f"# All pages\n\n{listed}", "docs/index.zh-CN": "# 全部页面\n"}
    (tmp_path / "source" / "docs").mkdir(parents=True)
    for name, page in pages.items():
        (tmp_path / "source" / f"{name}.md").write_text(page, encoding="utf-8")
    build = [sys.executable, ROOT / "docs" / "site" / "build.py", tmp_path / "out", "--source", tmp_path / "source"]
    refused = subprocess.run(build, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert said in refused.stderr


def test_a_build_asks_no_other_machine() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'docs' / 'site')!r}); import build; build.stay_offline()\n"
    code += "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')"
    refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "built without a network" in refused.stderr


def test_chinese_is_split_into_pairs() -> None:
    script = ROOT / "docs" / "site" / "search.py"
    checked = subprocess.run(
        [sys.executable, "-m", "doctest", "-v", script], capture_output=True, text=True, check=True
    )
    assert "2 passed" in checked.stdout
