"""``memfold lab NAME``: an experiment by its name, its cells and lags one after another."""

import inspect
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import Any

from rich.table import Table

from memfold.budget import Budget
from memfold.display import say
from memfold.errors import InputError
from memfold.lab.experiments import PUZZLES, findings
from memfold.lab.networks import CELLS, checked_cells
from memfold.lab.trial import EXAMINED, Outcome, attempt

__all__ = ["Record", "run_lab", "shown"]


@dataclass
class Record:
    """What an experiment found.

    Attributes:
        what: what was asked.
        rows: of the table, each a name and its values.
        findings: in words, computed from what came out.
        curves: by title of the picture, by name of the line, x and y.
        axes: of each picture: x, y, whether y is logarithmic.
    """

    name: str
    what: str
    rows: list[dict[str, Any]]
    findings: list[str] = field(default_factory=list)
    curves: dict[str, dict[str, tuple[list[float], list[float]]]] = field(default_factory=dict)
    axes: tuple[str, str, bool] = ("", "", False)
    settings: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """One object of plain values; what is not finite is null."""
        content: dict[str, Any] = _finite(asdict(self))
        return content

    def table(self) -> Table:
        """The rows, as a terminal shows them."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        table = Table(*names, title=self.what, title_justify="left")
        for row in self.rows:
            table.add_row(*(shown(row.get(name)) for name in names))
        return table


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shown(value: Any) -> str:
    """A value of a table."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


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
    cells: str = ",".join(CELLS),
    seeds: int = 1,
    init: str = "chrono",
    budget: str | None = None,
    lr: float | None = None,
) -> Record:
    """Put a puzzle of growing lags to the cells.

    Args:
        lags: whole numbers with commas between; the experiment's own when None.
        cells: of `CELLS`, with commas between.
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
    curves = {f"lag {lag}": _curves(own) for lag, own in groupby(outcomes, key=lambda outcome: outcome.lag)}
    axes = ("sequences", "loss of the last examination", True)
    return Record(name, experiment.what, _rows(outcomes), findings(experiment.claims, outcomes), curves, axes, settings)


def checked_lags(text: str | None) -> list[int]:
    """The lags in a list with commas; none of None.

    Raises:
        InputError: one that is no whole number, or below 8.
    """
    if text is None:
        return []
    try:
        lags = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--lags {text}: expected whole numbers with commas between, such as 100,200") from None
    if min(lags) < 8:
        raise InputError(f"--lags {text}: 8 is the shortest")
    return lags


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
        row["solved"] = ("yes" if solved else "no") if len(runs) == 1 else f"{len(solved)} of {len(runs)}"
        row["sequences to success"] = int(statistics.median(run.sequences for run in solved)) if solved else None
        row["seconds"] = statistics.median(run.seconds for run in runs)
        row["loss"] = statistics.median(run.loss for run in runs)
        row["knowing nothing"] = runs[0].ignorance
        row[f"wrong of {EXAMINED}"] = int(statistics.median(run.wrong for run in runs))
        rows.append(row)
    return rows


def _curves(outcomes: Iterable[Outcome]) -> dict[str, tuple[list[float], list[float]]]:
    lines = {}
    for outcome in outcomes:
        label = outcome.cell if outcome.seed == 0 else f"{outcome.cell}, seed {outcome.seed}"
        lines[label] = ([float(x) for x, _ in outcome.curve], [y for _, y in outcome.curve])
    return lines
