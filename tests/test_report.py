import re
import shlex
import shutil
from contextlib import closing, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from command_line import run_here
from memfold.demo import NEXT, run_demo

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a demo returns that was trained for a moment, beside baselines that see two months, not two years."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out:
        patch.setattr("memfold.demo.BASELINE_DAYS", 60)
        return {"folder": folder, **run_demo("1ep", folder), "printed": out.getvalue()}


@pytest.fixture(scope="module")
def demo(summary: dict[str, Any]) -> Path:
    """The folder of the demo."""
    folder: Path = summary["folder"]
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
        "What was unusual",
        "A look inside",
    ):
        assert heading in page


@pytest.mark.slow
def test_every_baseline_is_printed_and_the_best_is_named(demo: Path, summary: dict[str, Any]) -> None:
    forecast = summary["forecast"]
    errors = {row["name"]: row["mase"] for row in forecast["baselines"]}
    assert list(errors) == ["Naive2", "SeasonalNaive", "AutoTheta", "bundled", "Ridge", "Ridge(7)"]
    best = min(errors, key=lambda name: errors[name])
    ratio = forecast["metrics"]["mase"] / errors[best]
    way = "less" if ratio < 1 else "more"
    page = (demo / "report.html").read_text(encoding="utf-8")
    assert f"{abs(1 - ratio):.0%} {way} than that of the best baseline, {best}." in page


@pytest.mark.slow
def test_the_sentences_of_the_report_are_those_of_the_summary(demo: Path, summary: dict[str, Any]) -> None:
    page = (demo / "report.html").read_text(encoding="utf-8")
    events, memory = summary["events"], summary["memory"]
    assert len(events["found"]) + len(events["missed"]) == 5
    assert f"an alarm in {len(events['found'])} of 5 known events; false alarms: {events['false_alarms']}." in page
    assert f"number {memory['unit']} keeps the mean of the last 7 days best" in page
    assert f"with a correlation of {memory['correlation']:.2f} on the 728 days" in page


@pytest.mark.slow
def test_the_first_lines_are_a_forecast_at_once(summary: dict[str, Any]) -> None:
    begin = " ".join(summary["printed"].split("@us-births")[0].split())
    off = re.search(r"At once, in [\d.]+ s, by the LSTM .*: ([\d.]+) % off on average", begin)
    assert off is not None
    assert 0 < float(off[1]) < 10


@pytest.mark.slow
def test_the_last_line_names_the_page_and_a_command_that_works(
    tmp_path: Path, demo: Path, summary: dict[str, Any]
) -> None:
    last = summary["printed"].strip().splitlines()[-1]
    assert str(demo / "report.html") in last
    assert last.endswith(NEXT)
    days = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 6, 30), "1d", eager=True).dt.date()
    sales = np.tile([3.0, 4.0, 5.0, 6.0, 9.0, 12.0, 2.0], 26)[: len(days)] + np.arange(len(days)) / 100
    pl.DataFrame({"date": days, "sales": sales}).write_csv(tmp_path / "FILE.csv")
    done = run_here(*shlex.split(NEXT.replace("--budget 3m", "--budget 1ep")), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model" / "config.json").is_file()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_draws_on_a_phone_and_on_a_desk(browser: Any, demo: Path, width: int) -> None:
    errors: list[str] = []
    with closing(browser.new_page(viewport={"width": width, "height": 844})) as page:
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("requestfailed", lambda request: errors.append(request.url))
        page.goto((demo / "report.html").as_uri())
        assert page.locator("figure.chart").count() == 6
        assert page.locator("figure.chart g[data-mark]:visible").count() >= 3 + 6 + 6 + 2 + 4 + 3
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert errors == []


@pytest.mark.release
def test_a_demo_in_chinese_says_so_on_both_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memfold.demo.BASELINE_DAYS", 60)
    run_demo("1ep", tmp_path, quiet=True, lang="zh")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.startswith('<!doctype html><html lang="zh-CN">')
    for heading in (
        "出生人数、出租车和一段记忆",
        "按预测起点的误差",
        "学习曲线",
        "哪些时候不寻常",
        "看看模型内部",
        "纽约马拉松",
    ):
        assert heading in page
    texts = re.sub(r"<(script|style)>.*?</\1>|<footer>.*</footer>|<[^>]+>", "|", page, flags=re.S)
    assert not re.search(r"[a-z]{3,} [a-z]{3,}", texts)
    assert 'lang="zh-CN"' in (tmp_path / "lesson.html").read_text(encoding="utf-8")[:500]
