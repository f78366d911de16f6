"""The page of a person's own forecaster: its numbers are the model's, and what does not fit is refused."""

import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from memfold.errors import InputError
from memfold.explorer import explore
from memfold.explorer import forecaster as own
from memfold.explorer.forecaster import MOST_BYTES, FirstNetwork
from memfold.explorer.page import page as html
from memfold.runtime.forecasting.forecasting import Forecasting
from memfold.runtime.forecasting.windows import Places
from memfold.tasks.forecast import Forecaster
from memfold.tasks.registry import load

CHROMIUM = shutil.which("chromium")
KEPT = Path(__file__).parent.parent / "formats" / "format2" / "forecast"  # a small model, fitted to one series


def content(path: Path) -> Any:
    """The model that a page holds."""
    return json.loads(path.read_text(encoding="utf-8").split('id="data">')[1].split("</script>")[0])["models"][0]


def table(rows: int = 120) -> pl.DataFrame:
    """Two series of days with all kinds of columns beside the values."""
    rng = np.random.default_rng(0)
    series = []
    for name, region in (("a", "north"), ("b", "south")):
        price, wind = rng.normal(size=(2, rows))
        values = 50 + 10 * np.sin(2 * np.pi * np.arange(rows) / 8) + 4 * price + rng.normal(size=rows)
        series.append(
            pl.DataFrame(
                {"unique_id": [name] * rows, "region": [region] * rows, "price": price, "wind": wind, "y": values}
            ).with_columns(ds=pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 1) + pl.duration(days=rows - 1)))
        )
    return pl.concat(series)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A forecaster with layers, a linear map and covariates of each kind; its folder and its table."""
    folder = tmp_path_factory.mktemp("forecaster")
    rows = table()
    rows.write_csv(folder / "table.csv")
    model = Forecaster(
        horizon=6, seasons=(8,), hidden_size=8, num_layers=2, members=1, linear=True, pretrained=False,
        past=("wind",), future=("price",), static=("region",),
    )  # fmt: skip
    model.fit(rows, budget="3ep", progress=False).save(folder / "model")
    return folder / "model", folder / "table.csv"


def network_and_window(folder: Path, file: Path) -> tuple[FirstNetwork, Forecasting, Any, Places]:
    model = cast(Forecaster, load(folder))
    forecasting = cast(Forecasting, model.pipeline)
    data = model.arrays(model.read(file))
    place = Places(np.array([0]), data.lengths[:1] - model.size_.horizon)
    return FirstNetwork.of(model, forecasting), forecasting, data, place


@pytest.mark.release
def test_the_first_network_is_the_models_own_before_it_is_rounded(wide: tuple[Path, Path]) -> None:
    network, forecasting, data, place = network_and_window(*wide)
    whole = forecasting.parts(data, place)
    _, parts = network.answer(data, place)
    assert parts.network == pytest.approx(whole.network, rel=1e-6)
    forecasting.blend = network.blend  # where the network is the whole answer, so is its interval
    answer, _ = forecasting.forecasts(data)
    alone, _ = network.answer(data, data.ends())
    for name in ("point", "mean", "quantiles"):
        assert getattr(alone, name) == pytest.approx(getattr(answer, name), rel=1e-6)


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize(
    "which", [pytest.param("kept", marks=pytest.mark.slow), pytest.param("wide", marks=pytest.mark.release)]
)
def test_the_page_forecasts_what_the_network_forecasts(which: str, request: Any, browser: Any, tmp_path: Path) -> None:
    folder, file = request.getfixturevalue("wide") if which == "wide" else (KEPT / "model", KEPT / "input.csv")
    path = explore(tmp_path / "own.html", folder, text=file)
    network, _, data, place = network_and_window(folder, file)
    expected, _ = network.rounded().answer(data, place)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.as_uri())
    said = page.evaluate("memfold.reading().steps[0].next")
    assert [one["point"] for one in said] == pytest.approx(expected.point[0], rel=1e-5)
    assert np.array([one["quantiles"] for one in said]) == pytest.approx(expected.quantiles[0], rel=1e-5)
    facts = content(path)["facts"]
    assert facts["windows"] > 1
    errors = []
    for number in range(facts["windows"]):  # a horizon apart, from the one that is shown backwards
        earlier = Places(place.series, place.origins - number * network.size.horizon)
        answer, _ = network.rounded().answer(data, earlier)
        errors.append(np.abs(answer.point - data.targets(earlier, network.size.horizon)))
    assert float(facts["packed_error"]) == pytest.approx(np.mean(errors), rel=1e-3)
    ledgers = page.evaluate(
        """() => {
          const {steps} = memfold.reading();
          return steps.map(({layers}, t) =>
            memfold.reader().ledger(steps, 0, 2, t).parts.reduce((a, b) => a + b, 0) - layers[0].c[2]);
        }"""
    )
    assert abs(np.array(ledgers)).max() < 1e-12
    page.evaluate("memfold.hold('f', 0)")
    held = page.evaluate("memfold.reading().steps[0].next.map(({point}) => point)")
    assert held != [one["point"] for one in said]
    for zoom in (1, 2, 3, 4):
        for language in ("en", "zh"):
            page.evaluate("(state) => memfold.set(state)", {"zoom": zoom, "language": language})
            body = page.inner_text("body")
            assert "undefined" not in body
            assert "NaN" not in body
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.evaluate("memfold.set({text: '3, 4.5, 2', language: 'en', zoom: 3})")  # a series that has just begun
    assert "NaN" not in page.inner_text("body")
    assert all(np.isfinite(page.evaluate("memfold.reading().steps[0].next.map(({point}) => point)")))
    assert "the whole model is off by" in page.inner_text("#about")
    assert wrong == []
    page.close()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (None, "a forecaster is shown over a series; give it the table by --text"),
        (range(0, 80, 2), "the rows are 2 apart, those the model was fitted to 1"),
        (range(4), "has 4 values; more than the horizon of 4 are needed"),
    ],
)
def test_what_a_page_of_a_forecaster_needs_is_said(rows: range | None, said: str, tmp_path: Path) -> None:
    if rows is not None:
        pl.DataFrame({"ds": list(rows), "y": [float(row % 8) for row in rows]}).write_csv(tmp_path / "table.csv")
    with pytest.raises(InputError, match=said):
        explore(tmp_path / "page.html", KEPT / "model", text=None if rows is None else tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("name", "said"),
    [("MOST_BYTES", "MB; the page has 0.0 for them"), ("MOST_STEPS", "the page shows 1 at most")],
)
def test_a_network_or_a_window_that_is_too_large_is_refused(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, name, 1)
    with pytest.raises(InputError, match=said):
        explore(tmp_path / "page.html", KEPT / "model", text=KEPT / "input.csv")


def test_the_largest_network_leaves_a_page_of_a_megabyte_and_a_half() -> None:
    made = {"hero": {}, "facts": {}, "probe": "a" * MOST_BYTES}
    assert len(html([made], "en").encode()) < 1_500_000
