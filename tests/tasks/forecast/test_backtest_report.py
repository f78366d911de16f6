import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from utilsforecast.losses import mase

from memfold.errors import InputError
from memfold.tasks import Forecaster
from memfold.tasks.forecast.report import _shown_series
from memfold.tasks.forecast.scores import scaled_errors
from memfold.words import Words

CHROMIUM = shutil.which("chromium")
STRANGE = "</script><script>document.title = 'taken'</script>"


def table(series: int = 7) -> pl.DataFrame:
    """Seasons of four steps with more and more noise, the noisiest series with a name that would break a page."""
    rng = np.random.default_rng(0)
    frames = []
    for index in range(series):
        y = np.tile([10.0, 20.0, 30.0, 20.0], 20 + index) + rng.normal(scale=0.1 + index, size=80 + 4 * index)
        name = STRANGE if index == series - 1 else f"s{index}"
        frames.append(pl.DataFrame({"unique_id": name, "ds": np.arange(len(y)), "y": y}))
    return pl.concat(frames)


@pytest.fixture(scope="module")
def model() -> Forecaster:
    return Forecaster(horizon=4, seasons=(4,), context=16, hidden_size=8).fit(table(), budget="2ep", progress=False)


@pytest.fixture(scope="module")
def page(model: Forecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    model.evaluate(table(), "shops.csv", origins=3, origin_step=2, report=path)
    return path


def test_scaled_errors_average_to_mase(model: Forecaster) -> None:
    forecasts = model.backtest(table(), origins=3, origin_step=2)
    models = ["forecast", "Naive2"]
    errors = scaled_errors(forecasts, table(), 4, models)
    means = errors.group_by("unique_id", "cutoff").agg(pl.col(models).mean()).sort("unique_id", "cutoff")
    expected = mase(forecasts, models, seasonality=4, train_df=table()).sort("unique_id", "cutoff")
    np.testing.assert_allclose(means.select(models).to_numpy(), expected.select(models).to_numpy())
    assert errors["ahead"].unique().sort().to_list() == [1, 2, 3, 4]


def test_the_worst_the_median_and_the_best_of_many_series_are_shown() -> None:
    errors = pl.DataFrame({"unique_id": [*"abcdefg"], "forecast": [3.0, 1.0, 7.0, 2.0, 5.0, 6.0, 4.0]})
    labels = {"c": "worst: c, MASE 7.00", "g": "median: g, MASE 4.00", "b": "best: b, MASE 1.00"}
    assert _shown_series(errors, errors, Words()) == labels
    assert list(_shown_series(errors, errors[:5], Words())) == ["c", "e", "a", "d", "b"]
    assert _shown_series(errors, errors[:0], Words()) == {"a": ""}


def test_the_report_needs_nothing_from_elsewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<script src=" not in text
    assert "<link" not in text.split("</style>")[0]
    assert STRANGE not in text
    headings = re.findall("<h[12]>(.*?)</h[12]>", text)
    assert headings[:5] == ["Forecasts of shops.csv", "Scores", "The plan", "The forecasts", "Error by origin"]
    assert headings[5:] == ["Error by step ahead", "Learning curve"]
    for name in ("worst: ", "median: ", "best: ", "AutoTheta", "coverage80"):
        assert name in text


def test_a_constant_series_and_one_origin_make_a_report(model: Forecaster, tmp_path: Path) -> None:
    frame = pl.DataFrame({"ds": range(40), "y": 5.0})
    model.evaluate(frame, report=tmp_path / "a.html")
    assert "Error by origin" not in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_is_refused_before_the_work(model: Forecaster, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        model.evaluate("no such file", report=tmp_path / "none" / "report.html")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_draws_and_another_series_can_be_chosen(page: Path, width: int) -> None:
    from playwright.sync_api import sync_playwright

    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": width, "height": 844})
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("requestfailed", lambda request: errors.append(request.url))
        tab.goto(page.as_uri())
        assert tab.title() == "Forecasts of shops.csv"
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        shown = tab.locator("figure.chart:visible")
        assert shown.count() == 4
        assert shown.first.locator("g[data-mark]:visible").count() == 3  # the band, actual values, memfold
        chooser = tab.locator(".chooser select")
        labels = chooser.locator("option").all_inner_texts()
        assert [label.split(":")[0] for label in labels] == ["worst", "median", "best"]
        chooser.select_option(index=2)
        assert labels[2].startswith(f"best: {shown.first.locator('.title').text_content()}, MASE")
        shown.first.get_by_role("button", name="SeasonalNaive").first.click()
        assert shown.first.locator("g[data-mark]:visible").count() == 4
        plot = shown.first.locator(".plot > svg")
        box = plot.bounding_box()
        assert box is not None
        plot.hover(position={"x": 0.98 * box["width"], "y": 10})
        assert "memfold" in shown.first.locator(".readout").inner_text()
        browser.close()
    assert errors == []
