"""``memfold demo``: forecast New York's taxi demand, then watch it for the unusual, with a report to look at."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from memfold.data.datasets import dataset, find, load_split
from memfold.data.readings import read_readings
from memfold.display import Terminal, score_table
from memfold.files import check_file, check_folder
from memfold.formats.directory import MODEL
from memfold.page import Section
from memfold.tasks.anomaly import AnomalyDetector
from memfold.tasks.anomaly.report import watched_section
from memfold.tasks.forecast import Forecaster
from memfold.tasks.forecast.report import write_report
from memfold.training import Budget

__all__ = ["run_demo"]

EVENTS = {  # the benchmark's labelled windows
    "the marathon": (datetime(2014, 10, 30, 15, 30), datetime(2014, 11, 3, 22, 30)),
    "Thanksgiving": (datetime(2014, 11, 25, 12, 0), datetime(2014, 11, 29, 19, 0)),
    "Christmas": (datetime(2014, 12, 23, 11, 30), datetime(2014, 12, 27, 18, 30)),
    "New Year": (datetime(2014, 12, 29, 21, 30), datetime(2015, 1, 3, 4, 30)),
    "the snow storm": (datetime(2015, 1, 24, 20, 30), datetime(2015, 1, 29, 3, 30)),
}
WATCH_BUDGET = "5s"  # a detector's network is small

STORM = datetime(2015, 1, 25)  # the week of the snow storm that closed the city, and the data's last


def run_demo(budget: str, out: Path, quiet: bool = False) -> dict[str, Any]:
    """Fit, score over the last 14 days, one origin a day, print the tables, write the report and the model.

    Args:
        budget: of the training.
        out: folder for ``report.html`` and ``model``.
        quiet: print nothing on standard output.

    Returns:
        The scores ``with_storm`` and ``without_storm``, in the form of ``--json``, and under ``events`` which of the
        five known ones were ``found`` and ``missed``, and how many ``false_alarms`` there were.
    """
    Budget.parse(budget)  # refuse it before anything is said or read
    check_folder(out / "model", MODEL)
    out.mkdir(parents=True, exist_ok=True)
    check_file(out / "report.html")
    begun = time.monotonic()
    console = Terminal(quiet=quiet)
    console.print(
        Text("New York taxi demand", style="bold").append(
            ", half-hourly, July 2014 to January 2015. An LSTM learns from all but the last 14 days for "
            f"{budget}, then forecasts each of these days at the midnight before it.\n",
            style="not bold",
        )
    )
    split = load_split("nyc-taxi")
    model = Forecaster(**dataset("nyc-taxi").parameters)
    model.fit(split.train, budget=budget)
    forecasts = model.backtest(split.whole, origins=14)
    calm = forecasts.filter(pl.col("ds") < STORM)
    reports = {
        "without_storm": model.report_on(calm, split.whole, "@nyc-taxi, without the snow storm's week"),
        "with_storm": model.report_on(forecasts, split.whole, "@nyc-taxi, all 14 days"),
    }
    for report in reports.values():
        report.seconds = time.monotonic() - begun
        console.print(score_table({"memfold": report.metrics, **report.baselines}, report.data, report.better))
    console.print(
        "smape and coverage80 in per cent; mase and owa: below 1 is better than naive; crps: lower is better. "
        "SeasonalNaive repeats the day (48) or the week (336) before.\n"
    )
    model.save(out / "model", reports["with_storm"], f"memfold demo --budget {budget}")
    events, section = _watch(budget if budget.endswith("ep") else WATCH_BUDGET, console)
    path = write_report(
        out / "report.html", "New York taxi demand", model, split.whole, forecasts, reports, more=[section]
    )
    console.print(f"Look at {path}; the model is in {out / 'model'}.")
    return {**{name: report.as_json() for name, report in reports.items()}, "events": events}


def _watch(budget: str, console: Terminal) -> tuple[dict[str, Any], Section]:
    """Watch the same series point by point, from its first weeks on, without knowing what to look for."""
    (series,) = read_readings(find("nyc-taxi") / "nyc_taxi.csv")
    detector = AnomalyDetector(**dataset("nab").parameters)
    warm = detector.warm_rows(series)
    detector.fit([series.head(warm)], budget=budget)
    judged = detector.predict([series])
    alarms = judged[warm:].filter("alarm")
    table = Table("what happened", "first alarm", "score", title="What was unusual", title_justify="left")
    first_alarms = {}
    for name, (first, last) in EVENTS.items():
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
    text = (
        f"Trained on the first {warm / series.day:.0f} days, then watched for {days:.0f}, half-hour by half-hour: "
        f"{len(first_alarms)} of {len(EVENTS)} known events found, {false.height} false alarms."
    )
    console.print(f"{text}\n")
    shown = judged[warm:]
    values, (variable,) = series.values[warm:, 0].tolist(), series.variables
    section = watched_section("What was unusual", f"{text} Drag to look closer.", shown, values, variable, EVENTS)
    missed = [name for name in EVENTS if name not in first_alarms]
    return {"found": list(first_alarms), "missed": missed, "false_alarms": false.height}, section
