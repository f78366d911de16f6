"""The page of a server in a browser, and the server under requests that nobody wrote."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from formats.kept import FOLDER
from serve.server import Running, model

CHROMIUM = shutil.which("chromium")
TASKS = ("anomaly", "command", "detect", "generate")


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running([f"{name}={model(name)}" for name in TASKS]) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with (
        playwright.sync_playwright() as running,
        running.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
        ) as browser,
    ):
        yield browser


@pytest.mark.release
@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_every_model_can_be_tried_by_hand(running: Running, browser: Any) -> None:
    faults: list[str] = []
    foreign: list[str] = []
    page = browser.new_context(locale="en-GB").new_page()
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: foreign.append(request.url))
    page.goto(running.address)
    anomaly = page.locator("section[aria-label=anomaly]")
    readings = "ds,y\n" + "".join(f"{300 + k},{k % 4 / 4}\n" for k in range(30))
    anomaly.locator("textarea").fill(readings)
    anomaly.get_by_role("button", name="Predict").click()
    anomaly.locator("tbody tr").nth(29).wait_for()
    assert anomaly.locator("svg polyline").count() >= 1
    anomaly.get_by_role("button", name="Line by line").click()
    anomaly.locator("th", has_text="lo80").first.wait_for()
    anomaly.locator("tbody tr").nth(29).wait_for()
    generate = page.locator("section[aria-label=generate]")
    generate.locator("textarea").fill("He said")
    generate.get_by_role("button", name="Predict").click()
    generate.locator("pre", has_text="He said").wait_for()
    page.locator("#file-detect").set_input_files(FOLDER / "detect" / "input.png")
    page.locator("section[aria-label=detect] img").wait_for()
    page.locator("section[aria-label=detect] table").wait_for()
    page.locator("#file-command").set_input_files(FOLDER / "command" / "input.wav")
    page.locator("section[aria-label=command] td", has_text="input").wait_for()
    command = page.locator("section[aria-label=command]")
    command.get_by_role("button", name="Microphone").click()
    command.locator("pre", has_text="Listening").wait_for()
    command.get_by_role("button", name="Stop").click()
    command.get_by_role("button", name="Microphone").wait_for()
    assert not faults
    assert all(url.startswith((running.address, "blob:")) for url in foreign)
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="试用模型").wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-CN"


@pytest.mark.release
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(width: int, scheme: Any, running: Running, browser: Any) -> None:
    axe = pytest.importorskip("axe_core_python")
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(running.address)
    page.locator("section").nth(len(TASKS) - 1).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text("utf-8"))
    assert page.evaluate("axe.run().then(({violations}) => violations.map((one) => one.id))") == []


@pytest.mark.release
def test_requests_that_nobody_wrote_are_answered_as_described(running: Running) -> None:
    """By schemathesis, from the server's own description: no answer of 500, no status that is not described."""
    schemathesis = pytest.importorskip("schemathesis")
    import hypothesis

    schema = schemathesis.openapi.from_url(f"{running.address}/openapi.json")
    checks = [schemathesis.checks.not_a_server_error]
    count = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @hypothesis.given(case=operation.as_strategy())
        @hypothesis.settings(max_examples=300, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
        def call(case: Any) -> None:
            nonlocal count
            response = case.call(base_url=running.address)
            case.validate_response(response, checks=checks)
            count += 1

        if operation.path not in ("/v1/models/{name}/stream",):
            call()
    assert count > 200
    assert running.ask("/healthz")[2] == "ok"
    assert not any("Traceback" in line for line in running.said)
