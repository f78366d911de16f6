"""``memfold lab NAME``: an experiment by its name, its cells and lags one after another."""

import inspect
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any

from memfold.budget import Budget
from memfold.display import say
from memfold.errors import InputError
from memfold.lab.experiments import PUZZLES, findings
from memfold.lab.networks import COMPARED_CELLS
from memfold.lab.options import checked_cells, checked_lags
from memfold.lab.record import Record
from memfold.lab.trial import EXAMINED, Outcome, attempt
from memfold.words import said

__all__ = ["run_lab"]

Curves = dict[str, tuple[list[float], list[float]]]  # x and y by the name of the line


def run_lab(name: str, **options: Any) -> Record:
    """Run an experiment.

    Args:
        name: of a puzzle, ``pixels`` or ``gradient``.
        options: those of the experiment that are not left at their defaults.

    Raises:
        InputError: there is no such experiment, it has no such option, or the learning rate is not above 0.
    """
    experiments = _experiments()
    if name not in experiments:
        raise InputError(f"no experiment {name!r}; there is {', '.join(experiments)}")
    run = experiments[name]
    known = [parameter for parameter in inspect.signature(run).parameters if parameter != "name"]
    for option in options:
        if option not in known:
            has = ", ".join("--" + parameter.replace("_", "-") for parameter in known)
            raise InputError(f"--{option.replace('_', '-')}: {name} has no such option; it has {has}")
    lr = options.get("lr")
    if lr is not None and not lr > 0:
        raise InputError(f"--lr {lr:g}: expected a rate above 0")
    return run(name, **options)


def _experiments() -> dict[str, Callable[..., Record]]:
    from memfold.lab.gradient import run_gradient
    from memfold.lab.pixels import run_pixels

    return {**dict.fromkeys(PUZZLES, run_puzzle), "pixels": run_pixels, "gradient": run_gradient}


def run_puzzle(
    name: str,
    lags: str | None = None,
    cells: str = ",".join(COMPARED_CELLS),
    seeds: int = 1,
    init: str = "chrono",
    budget: str | None = None,
    lr: float | None = None,
) -> Record:
    """Put a puzzle of growing lags to the cells.

    Args:
        lags: whole numbers with commas between; the experiment's own when None.
        cells: of `COMPARED_CELLS`, with commas between.
        seeds: trainings of each cell at each lag, of the seeds 0, 1 ...
        init: first weights, see `memfold.lab.networks.recurrent`.
        budget: time of each training at most, such as ``2m``; None leaves it at a number of sequences.
        lr: learning rate; the experiment's own when None.

    Raises:
        InputError: an option that cannot be read.
    """
    experiment = PUZZLES[name]
    chosen = checked_cells(cells)
    seconds = None
    if budget is not None and (seconds := Budget.parse(budget).seconds) is None:
        raise InputError(f"--budget {budget}: give {name} a time such as 2m; its sequences are drawn afresh")
    recipe = experiment.recipe if lr is None else replace(experiment.recipe, lr=lr)
    outcomes = []
    for lag in checked_lags(lags) or experiment.lags:
        puzzle = experiment.puzzle(lag)
        for cell in chosen:
            for seed in range(seeds):
                outcomes.append(attempt(puzzle, cell, lag, seed, init, recipe, seconds))
                _tell(name, outcomes[-1])
    settings = {**asdict(recipe), "init": init, "budget": budget, "examined": EXAMINED}
    by_lag = groupby(outcomes, key=lambda outcome: outcome.lag)
    curves: dict[str, Curves] = {said("at lag", lag=lag): _curves(group) for lag, group in by_lag}
    axes = ("sequences", "loss of the last examination", True)
    return Record(name, experiment.what, _rows(outcomes), findings(experiment.claims, outcomes), curves, axes, settings)


def _tell(name: str, outcome: Outcome) -> None:
    end = "solved" if outcome.solved else f"not solved ({outcome.wrong:,} of {EXAMINED:,} wrong)"
    say(
        f"{name}, lag {outcome.lag}, {outcome.cell}, seed {outcome.seed}: {end} after {outcome.sequences:,} sequences, "
        f"{outcome.seconds:.0f} s"
    )


def _rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """A row for each lag and cell; over several seeds, medians."""
    rows = []
    for (lag, cell), group in groupby(outcomes, key=lambda outcome: (outcome.lag, outcome.cell)):
        runs = list(group)
        solved = [run for run in runs if run.solved]
        row: dict[str, Any] = {"lag": lag, "cell": cell}
        row["solved"] = said("solved of", solved=len(solved), all=len(runs))
        if len(runs) == 1:
            row["solved"] = said("yes" if solved else "no")
        row["sequences to success"] = int(statistics.median(run.sequences for run in solved)) if solved else None
        row["seconds"] = statistics.median(run.seconds for run in runs)
        row["loss"] = statistics.median(run.loss for run in runs)
        row["knowing nothing"] = runs[0].ignorance
        row[said("wrong of", all=EXAMINED)] = int(statistics.median(run.wrong for run in runs))
        rows.append(row)
    return rows


def _curves(outcomes: Iterable[Outcome]) -> Curves:
    lines: Curves = {}
    for outcome in outcomes:
        label = outcome.cell if outcome.seed == 0 else said("with seed", cell=outcome.cell, seed=outcome.seed)
        lines[label] = ([float(x) for x, _ in outcome.curve], [y for _, y in outcome.curve])
    return lines
