"""The demo's forecast by seed and by origin, beside all baselines: the tables of docs/demo.md.

    python benchmarks/demo_seeds.py --budget 150ep
    python benchmarks/demo_seeds.py --budget 150ep --year 2013

The last year, 2014, is the test part. An earlier year is a part of the training part, to choose settings by: the data
then end with it, and the model is trained and validated on what comes before.
"""

from typing import Annotated

import polars as pl
import typer

from memfold.data.datasets import dataset, load_split
from memfold.demo import compare, fit_births, forecast_at_once
from memfold.tasks.forecast.scores import MODEL, scaled_errors

LAST = 2014
YEAR = 364  # days: whole weeks


def main(
    budget: Annotated[str, typer.Option(help="Of each training, in epochs, so that a busy machine changes nothing.")],
    seeds: Annotated[int, typer.Option(help="How many, from 0 on.")] = 3,
    year: Annotated[int, typer.Option(help="Forecast this year; data after it are left out.")] = LAST,
) -> None:
    """Print two tables of MASE in Markdown: by seed, and by origin."""
    whole = load_split("us-births").whole.head(YEAR * (LAST - year))
    train = whole.head(YEAR)
    at_once = forecast_at_once(train, whole, dataset("us-births").parameters["horizon"])
    by_origin: pl.DataFrame | None = None
    rows, columns = [], []
    for seed in range(seeds):
        model = fit_births(train, budget, seed, progress=False)
        compared = compare(model, train, whole, at_once)
        baselines = {name: scores["mase"] for name, scores in compared.report.baselines.items()}
        ours, best = compared.report.metrics["mase"], min(baselines.values())
        rows.append(
            [f"{seed}", f"{ours:.3f}", *(f"{value:.3f}" for value in baselines.values()), f"{1 - ours / best:.1%}"]
        )
        training = model.training_
        rows[-1].append(f"{training.best_step} of {training.steps}")
        errors = scaled_errors(compared.forecasts, whole.known, model.seasons_[0], [MODEL, *baselines])
        errors = errors.group_by("cutoff").agg(pl.col(MODEL, *baselines).mean()).sort("cutoff")
        name = f"LSTM, seed {seed}"
        columns.append(name)
        ours_by_origin = errors.select("cutoff", pl.col(MODEL).alias(name))
        others = errors.select("cutoff", *baselines)
        by_origin = ours_by_origin.join(others if by_origin is None else by_origin, on="cutoff", maintain_order="left")
    assert by_origin is not None
    _print(["seed", "LSTM", *baselines, "less than the best baseline", "weights of step"], rows)
    print()
    cells = [
        [f"{row['cutoff']:%Y-%m-%d}", *(f"{row[name]:.3f}" for name in (*columns, *baselines))]
        for row in by_origin.iter_rows(named=True)
    ]
    _print(["last day seen", *columns, *baselines], cells)


def _print(names: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(names) + " |")
    print("|---|" + "--:|" * (len(names) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)
