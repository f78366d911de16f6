"""The documentation site in a browser: every page on a desk and on a phone, and the search."""

import itertools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
WIDTHS = {"desk": 1280, "phone": 390}  # pixels
pytestmark = [pytest.mark.release, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served, on this machine alone."""

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(site))

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def complaints() -> list[str]:
    return []


def tab_of(browser: Any, width: int, home: str, complaints: list[str]) -> Any:
    """A tab that notes every error, and every request to another host."""
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.on("console", lambda said: complaints.append(f"{tab.url}: {said.text}") if said.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(f"{tab.url}: {error}"))
    tab.on("response", lambda given: complaints.append(f"no {given.url}") if given.status >= 400 else None)
    tab.on(
        "request",
        lambda asked: None if asked.url.startswith((home, "data:")) else complaints.append(f"asked {asked.url}"),
    )
    return tab


def test_every_page_opens_without_an_error_and_fits(
    browser: Any, site: Path, address: str, complaints: list[str]
) -> None:
    tab = tab_of(browser, WIDTHS["desk"], address, complaints)
    pages = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        tab.goto(f"{address}/{page}")
        for width in WIDTHS.values():
            tab.set_viewport_size({"width": width, "height": 900})
            scrolled = tab.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
            assert max(scrolled) <= width, f"{page} is {max(scrolled)} pixels wide"
            outside = tab.evaluate(
                """() => [...document.querySelectorAll("article *, .sidebar-drawer *")]
                    .filter((element) => {
                        for (let box = element.parentElement; box; box = box.parentElement)
                            if (["auto", "scroll", "hidden"].includes(getComputedStyle(box).overflowX)) return false;
                        const place = element.getBoundingClientRect();
                        return place.width > 0 && place.left >= 0 && place.right > innerWidth + 1;
                    })
                    .map((element) => element.outerHTML.slice(0, 80))"""
            )
            assert outside == [], f"{page}, {width} pixels"
    tab.close()
    assert complaints == []


QUERIES = {
    "lengths": "docs/layers.html",
    "peephole": "docs/cells.html",
    "遗忘门": "docs/guide/lstm.zh-CN.html",
    "窥孔": "README.zh-CN.html",
}


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("query", QUERIES)
def test_the_search_finds(browser: Any, address: str, complaints: list[str], query: str, width: int) -> None:
    tab = tab_of(browser, width, address, complaints)
    tab.goto(f"{address}/index.html")
    if width == WIDTHS["phone"]:
        tab.locator("header label[for=__navigation]").click()  # opens the side bar
    tab.get_by_role("textbox", name="Search").fill(query)
    tab.keyboard.press("Enter")
    results = tab.locator("#search-results ul.search li a")
    tab.locator("#search-results .search-summary", has_text="finished").wait_for()
    pages = [result.get_attribute("href").partition("#")[0] for result in results.all()]
    assert QUERIES[query] in pages
    results.first.click()
    tab.wait_for_load_state()
    assert query.lower() in tab.locator("article").inner_text().lower()
    tab.close()
    assert complaints == []


def test_a_query_that_no_page_holds_finds_nothing(browser: Any, address: str, complaints: list[str]) -> None:
    tab = tab_of(browser, WIDTHS["desk"], address, complaints)
    tab.goto(f"{address}/search.html?q=zzyzzx")
    tab.locator("#search-results .search-summary", has_text="did not match").wait_for()
    assert tab.locator("#search-results ul.search li").count() == 0
    tab.close()


def test_the_search_works_in_a_folder_without_a_server(browser: Any, site: Path, complaints: list[str]) -> None:
    tab = tab_of(browser, WIDTHS["desk"], site.as_uri(), complaints)
    tab.goto(f"{(site / 'search.html').as_uri()}?q=peephole")
    tab.locator("#search-results .search-summary", has_text="finished").wait_for()
    assert tab.locator("#search-results ul.search li").count() > 5
    tab.close()


def test_formulas_of_one_block_stand_below_each_other(browser: Any, address: str, complaints: list[str]) -> None:
    tab = tab_of(browser, WIDTHS["phone"], address, complaints)
    tab.goto(f"{address}/docs/cells.html")
    rows = tab.locator(".formula").nth(1).locator("mtr")
    tops = [row.bounding_box()["y"] for row in rows.all()]
    assert len(tops) == 6
    assert all(lower > upper + 10 for upper, lower in itertools.pairwise(tops))
    tab.close()
    assert complaints == []
