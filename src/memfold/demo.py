"""``memfold demo``: forecast births, watch New York's taxis for the unusual, and look at a memory, in one report."""

import math
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from memfold.data.datasets import dataset, find, load_split
from memfold.data.readings import read_readings
from memfold.data.tables import ID, TARGET, TIME, SeriesTable
from memfold.display import Terminal, score_table
from memfold.explorer import explore
from memfold.files import check_file, check_folder
from memfold.formats.directory import MODEL
from memfold.page import Section
from memfold.pretrained.answering import forecast_series
from memfold.tasks.anomaly import AnomalyDetector
from memfold.tasks.anomaly.report import watched_section
from memfold.tasks.forecast import Forecaster
from memfold.tasks.forecast.baselines import baseline_forecasts
from memfold.tasks.forecast.linear import ridge_forecasts
from memfold.tasks.forecast.memory import find_memory
from memfold.tasks.forecast.report import write_report
from memfold.tasks.report import Report
from memfold.training import Budget
from memfold.words import Said, Words, said

__all__ = ["Comparison", "compare", "fit_births", "forecast_at_once", "run_demo"]

SERIES = "us-births"
BUNDLED = "bundled"  # what its column is called beside the baselines'
VALID_DAYS = 364  # at the end of the training part
BASELINE_DAYS = 728  # for Naive2 and AutoTheta: of 2,000 days the latter makes a worse forecast, in a minute
EVENTS = {  # the benchmark's labelled windows, by keys of the words' table
    "event marathon": (datetime(2014, 10, 30, 15, 30), datetime(2014, 11, 3, 22, 30)),
    "event thanksgiving": (datetime(2014, 11, 25, 12, 0), datetime(2014, 11, 29, 19, 0)),
    "event christmas": (datetime(2014, 12, 23, 11, 30), datetime(2014, 12, 27, 18, 30)),
    "event new year": (datetime(2014, 12, 29, 21, 30), datetime(2015, 1, 3, 4, 30)),
    "event snow": (datetime(2015, 1, 24, 20, 30), datetime(2015, 1, 29, 3, 30)),
}
WATCH_BUDGET = "5s"  # a detector's network is small
NEXT = "fit forecast FILE.csv --out model --budget 3m --set time=date target=sales horizon=14"


def run_demo(budget: str, out: Path, quiet: bool = False, lang: str = "en") -> dict[str, Any]:
    """Fit, score, print the tables, write the report and the model.

    Args:
        budget: of the forecaster's training.
        out: folder for ``report.html``, ``lesson.html`` and ``model``.
        quiet: print nothing on standard output.
        lang: language of the pages, ``en`` or ``zh``.

    Returns:
        Under ``forecast`` the scores, in the form of ``--json``; under ``events`` which of the five known ones were
        ``found`` and ``missed``, and how many ``false_alarms`` there were; under ``memory`` the unit that was looked
        at, its ``correlation`` and its ``half_life`` in days, None where it forgets nothing.
    """
    words = Words(lang)
    Budget.parse(budget)  # refuse it before anything is said or read
    check_folder(out / "model", MODEL)
    out.mkdir(parents=True, exist_ok=True)
    check_file(out / "report.html")
    check_file(out / "lesson.html")
    begun = time.monotonic()
    console = Terminal(quiet=quiet)
    split = load_split(SERIES)
    last = split.train.known["ds"][-1]
    console.print(
        Text("Births in the United States", style="bold").append(
            f", day by day from 1994 to 2014. The days after {last:%Y-%m-%d} are forecast, two weeks at a time.\n",
            style="not bold",
        )
    )
    horizon = dataset(SERIES).parameters["horizon"]
    started = time.perf_counter()
    at_once = forecast_at_once(split.train, split.whole, horizon)
    off = _percent_off(at_once, split.whole)
    console.print(
        f"At once, in {time.perf_counter() - started:.1f} s, by the LSTM that comes with memfold and has never seen "
        f"births: {off:.1f} % off on average. Now one is trained on the days before, for {budget}.\n"
    )
    model = fit_births(split.train, budget)
    compared = compare(model, split.train, split.whole, at_once)
    report = compared.report
    report.seconds = time.monotonic() - begun
    console.print(score_table({"memfold": report.metrics, **report.baselines}, report.data, report.better))
    console.print(f"{compared.text}\n")
    model.save(out / "model", report, f"memfold demo --budget {budget}")

    events, watched = _watch(budget if budget.endswith("ep") else WATCH_BUDGET, console, words)

    memory = find_memory(model, split.whole)
    inside = memory.sentence()
    console.print(f"A look inside. {inside}\n")
    sections: list[Section] = [watched, (words("inside"), words.of(inside), memory.chart(words))]
    path = write_report(
        out / "report.html",
        words("title demo"),
        model,
        split.whole,
        compared.forecasts,
        {words.of(report.data): report},
        words,
        more=sections,
        lead=words.of(compared.text),
    )
    lesson = explore(out / "lesson.html", language=lang)
    console.print(f"What an LSTM is, in a page with a live one: open {lesson}", soft_wrap=True)
    console.print(f"Open {path}, then try a table of your own: {_command()} {NEXT}", soft_wrap=True)
    return {
        "forecast": report.as_json(),
        "events": events,
        "memory": {
            "unit": memory.follower.unit,
            "correlation": memory.follower.score,
            "half_life": memory.half_life if math.isfinite(memory.half_life) else None,
        },
    }


def _command() -> str:
    """How memfold is called where it was called, found on the path or not."""
    if shutil.which("memfold"):
        return "memfold"
    return sys.argv[0] if Path(sys.argv[0]).name == "memfold" else f"{sys.executable} -m memfold"


# -- the forecast --------------------------------------------------------------------------------------------


def fit_births(train: SeriesTable, budget: str, seed: int = 0, progress: bool = True) -> Forecaster:
    """A forecaster, trained on all but the last year and validated on that."""
    model = Forecaster(**dataset(SERIES).parameters, seed=seed)
    valid = train.tail(VALID_DAYS + dataset(SERIES).parameters["context"])
    return model.fit(train.head(VALID_DAYS), valid=valid, budget=budget, progress=progress)


@dataclass(frozen=True)
class Comparison:
    """The forecasts of the test part beside all baselines.

    Attributes:
        forecasts: as `Forecaster.backtest` returns them, with ridge regression's.
        text: which baseline is best, and how far the model is from it.
    """

    forecasts: pl.DataFrame
    report: Report
    text: Said


def forecast_at_once(train: SeriesTable, whole: SeriesTable, horizon: int) -> pl.DataFrame:
    """All that follows the training part, one horizon after another, by the forecaster that comes with memfold.

    Returns:
        Columns ``unique_id``, ``ds`` and ``bundled``.
    """
    origins = int(whole.lengths[0] - train.lengths[0]) // horizon
    pasts = [whole.head(horizon * (origins - origin)) for origin in range(origins)]
    forecasts = pl.concat([forecast_series(past, horizon).frame for past in pasts])
    return forecasts.select(ID, TIME, pl.col("forecast").alias(BUNDLED))


def _percent_off(forecasts: pl.DataFrame, whole: SeriesTable) -> float:
    """The mean absolute error in per cent of the mean."""
    both = forecasts.join(whole.known.select(ID, TIME, TARGET), on=[ID, TIME])
    off = both.select(100 * (pl.col(BUNDLED) - pl.col(TARGET)).abs().mean() / pl.col(TARGET).mean())
    return float(off.item())


def compare(model: Forecaster, train: SeriesTable, whole: SeriesTable, at_once: pl.DataFrame) -> Comparison:
    """Score a model over all that follows the training part, one horizon after another.

    Args:
        at_once: what `forecast_at_once` returns, to stand beside it.
    """
    horizon = model.horizon_
    origins = int(whole.lengths[0] - train.lengths[0]) // horizon
    forecasts = model.backtest(whole, origins=origins, baselines=False)
    pasts = [whole.head(horizon * (origins - origin)).tail(BASELINE_DAYS) for origin in range(origins)]
    others = pl.concat([baseline_forecasts(past, horizon, model.seasons_[:1]) for past in pasts])
    forecasts = forecasts.join(others, on=[ID, TIME], how="left", maintain_order="left")
    forecasts = forecasts.join(at_once, on=[ID, TIME], how="left", maintain_order="left")
    forecasts = ridge_forecasts(model, whole, VALID_DAYS, forecasts)
    report = model.report_on(forecasts, whole, said("demo data", series=SERIES, origins=origins, horizon=horizon))
    best = min(report.baselines, key=lambda name: report.baselines[name]["mase"])
    ours, theirs = report.metrics["mase"], report.baselines[best]["mase"]
    text = said(
        "demo better" if ours < theirs else "demo worse",
        ours=ours,
        difference=abs(1 - ours / theirs),
        best=best,
        others=said("demo others"),
    )
    return Comparison(forecasts, report, text)


# -- the alarm -----------------------------------------------------------------------------------------------


def _watch(budget: str, console: Terminal, words: Words) -> tuple[dict[str, Any], Section]:
    """Watch New York's taxi demand point by point, from its first weeks on, without knowing what to look for."""
    (series,) = read_readings(find("nyc-taxi") / "nyc_taxi.csv")
    detector = AnomalyDetector(**dataset("nab").parameters)
    warm = detector.warm_rows(series)
    detector.fit([series.head(warm)], budget=budget)
    judged = detector.predict([series])
    alarms = judged[warm:].filter("alarm")
    table = Table("what happened", "first alarm", "score", title="@nyc-taxi: what was unusual", title_justify="left")
    first_alarms = {}
    for event, (first, last) in EVENTS.items():
        name = said(event)
        during = alarms.filter(pl.col("ds").is_between(first, last))
        if during.height:
            first_alarms[name] = during["ds"][0]
            table.add_row(name, f"{first_alarms[name]:%Y-%m-%d %H:%M}", f"{during['score'].to_numpy().max():.2f}")
        else:
            table.add_row(name, "missed", "")
    known = pl.any_horizontal(pl.col("ds").is_between(first, last) for first, last in EVENTS.values())
    false = alarms.filter(~known)
    for moment, score in false.select("ds", "score").iter_rows():
        table.add_row("nothing that is known: a false alarm", f"{moment:%Y-%m-%d %H:%M}", f"{score:.2f}")
    console.print(table)
    days = (judged.height - warm) / series.day
    text = said(
        "demo watched text",
        warm=warm / series.day,
        days=days,
        found=len(first_alarms),
        known=len(EVENTS),
        false=false.height,
    )
    console.print(f"{text}\n")
    shown = judged[warm:]
    values, (variable,) = series.values[warm:, 0].tolist(), series.variables
    events = {words(event): span for event, span in EVENTS.items()}
    section = watched_section(words("demo watched"), words.of(text), shown, values, variable, events, words)
    missed = [name for name in map(said, EVENTS) if name not in first_alarms]
    return {"found": list(first_alarms), "missed": missed, "false_alarms": false.height}, section
