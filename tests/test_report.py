import shutil
from pathlib import Path

import pytest

from memfold.demo import run_demo

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo that was trained for a moment, beside a baseline that sees four days, not six weeks."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memfold.tasks.forecast.baselines.THETA_POINTS", 200)
        run_demo("1ep", folder, quiet=True)
    return folder


@pytest.mark.slow
def test_the_report_needs_nothing_from_elsewhere(demo: Path) -> None:
    page = (demo / "report.html").read_text(encoding="utf-8")
    assert "<script src=" not in page
    assert "<link" not in page.split("</style>")[0]
    for heading in (
        "The forecasts",
        "Error by origin",
        "Error by step ahead",
        "Learning curve",
        "without the snow storm",
        "What was unusual",
    ):
        assert heading in page


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_draws_on_a_phone_and_on_a_desk(demo: Path, width: int) -> None:
    from playwright.sync_api import sync_playwright

    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 844})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("requestfailed", lambda request: errors.append(request.url))
        page.goto((demo / "report.html").as_uri())
        page.wait_for_selector(".main-svg")
        assert page.locator(".js-plotly-plot").count() == 5
        assert page.locator(".scatterlayer .trace").count() >= 3 + 5 + 5 + 2 + 4
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
    assert errors == []
