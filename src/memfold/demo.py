"""``memfold demo``: forecast New York's taxi demand, beside the baselines, with a report to look at."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from memfold.data.datasets import dataset, load_split
from memfold.display import score_table
from memfold.tasks.forecast import Forecaster
from memfold.tasks.forecast.report import write_report

__all__ = ["run_demo"]

STORM = datetime(2015, 1, 25)  # the week of the snow storm that closed the city, and the data's last


def run_demo(budget: str, out: Path, quiet: bool = False) -> dict[str, Any]:
    """Fit, score over the last 14 days, one origin a day, print the tables, write the report and the model.

    Args:
        budget: of the training.
        out: folder for ``report.html`` and ``model``.
        quiet: print nothing on standard output.

    Returns:
        The scores ``with_storm`` and ``without_storm``, in the form of ``--json``.
    """
    begun = time.monotonic()
    console = Console(quiet=quiet)
    console.print(
        "[bold]New York taxi demand[/bold], half-hourly, July 2014 to January 2015. An LSTM learns from all but the "
        f"last 14 days for {budget}, then forecasts each of these days at the midnight before it.\n"
    )
    split = load_split("nyc-taxi")
    model = Forecaster(**dataset("nyc-taxi").parameters)
    out.mkdir(parents=True, exist_ok=True)
    model.fit(split.train, budget)
    forecasts = model.backtest(split.whole, origins=14)
    calm = forecasts.filter(pl.col("ds") < STORM)
    reports = {
        "without_storm": model.score(calm, split.whole, "@nyc-taxi, without the snow storm's week"),
        "with_storm": model.score(forecasts, split.whole, "@nyc-taxi, all 14 days"),
    }
    for report in reports.values():
        report.seconds = time.monotonic() - begun
        console.print(score_table({"memfold": report.metrics, **report.baselines}, report.data))
    console.print(
        "smape and coverage80 in per cent; mase and owa: below 1 is better than naive; crps: lower is better. "
        "SeasonalNaive repeats the day (48) or the week (336) before.\n"
    )
    model.save(out / "model", reports["with_storm"], f"memfold demo --budget {budget}")
    path = write_report(
        out / "report.html", "New York taxi demand, the last 14 days", model, split.whole, forecasts, reports
    )
    console.print(f"Look at {path}; the model is in {out / 'model'}.")
    return {name: report.as_json() for name, report in reports.items()}
