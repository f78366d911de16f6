"""What the bundled forecaster brings to `memfold fit forecast`: the same fits with it and without it.

The series are those of `strangers.py`, from files and without settings: three sets, a tenth of the series of one of
them, and the last 60 months of ten series that vega_datasets bundles. What is done is kept in --out and not done again.

    pip download --no-deps --dest wheels vega_datasets
    python benchmarks/instant_fits.py --wheels wheels --out fits
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from instant_sets import SETS as SERIES
from instant_sets import Wheels
from memfold.data.tables import ID
from strangers import NOW, Cell, files_of, mean, run, shown
from strangers_files import Files

SETS = (("m4-hourly", 1.0), ("etth1", 1.0), ("nyc-taxi", 1.0), ("m4-hourly", 0.1))
SHORT, SHORT_POINTS, SHORT_SERIES = "ten short series", 60, 10
METRICS = ("smape", "mase", "crps")
WITH, WITHOUT = "with it", "without"


@dataclass(frozen=True)
class Fit:
    """One training."""

    name: str
    share: float
    budget: str
    kind: str
    seed: int

    @property
    def file(self) -> str:
        """Where its report is kept."""
        return f"{self.name}-{self.share:g}-{self.budget}-{self.kind}-{self.seed}.json".replace(" ", "-")


def fits(budgets: list[str], seeds: int) -> Iterator[Fit]:
    """What there is to do."""
    for seed in range(seeds):
        for budget in budgets:
            for name, share in (*SETS, (SHORT, 1.0)):
                for kind in (WITH, WITHOUT):
                    yield Fit(name, share, budget, kind, seed)


def short_series(wheels: Path, folder: Path) -> Files:
    """Monthly series of which little is known: the months to forecast, and so many before."""
    its = SERIES["employment"](Path(), Wheels(wheels))
    known = SHORT_POINTS + its.horizon
    months = pl.datetime_range(pl.datetime(2005, 1, 1), pl.datetime(2099, 1, 1), "1mo", eager=True).head(known)
    rows = [
        pl.DataFrame({ID: f"series {k}", "time": months, "value": y[-known:]})
        for k, y in enumerate(its.series[:SHORT_SERIES])
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", SHORT_POINTS), ("whole", known)):
        pl.concat([row.head(count) for row in rows]).write_csv(folder / f"{part}.csv")
    asked = ("time=time", "target=value", f"horizon={its.horizon}")
    return Files([str(folder / "train.csv")], [str(folder / "whole.csv")], asked, ("origins=1",))


def table(folder: Path) -> str:
    """What was found, as a table in Markdown: the mean of the seeds, and from where to where they go."""
    found: dict[tuple[str, float, str], dict[str, list[dict[str, Any]]]] = {}
    for file in sorted(folder.glob("*.json")):
        entry = json.loads(file.read_text())
        fit = Fit(**entry["fit"])
        found.setdefault((fit.name, fit.share, fit.budget), {}).setdefault(fit.kind, []).append(entry["result"])
    columns = " | ".join(f"{metric}, {kind}" for metric in METRICS for kind in (WITH, WITHOUT))
    lines = [
        f"| series | share | budget | {columns} | best other |",
        f"|---|--:|---|{'--:|' * (2 * len(METRICS))}---|",
    ]
    for (name, share, budget), kinds in sorted(found.items()):
        cells = [
            shown([result["metrics"][metric] for result in kinds.get(kind, [])])
            for metric in METRICS
            for kind in (WITH, WITHOUT)
        ]
        others: dict[str, list[float]] = {}
        for result in kinds.get(WITHOUT, []):
            for b in result["baselines"]:
                if "alone" not in b["name"] and b.get("mase") is not None:
                    others.setdefault(b["name"], []).append(b["mase"])
        best = min(others, key=lambda other: mean(others[other])) if others else None
        said = f"mase {mean(others[best]):.4g} {best}" if best else ""
        lines.append(f"| {name} | {share:g} | {budget} | {' | '.join(cells)} | {said} |")
    return "\n".join(lines)


def main(
    wheels: Annotated[Path, typer.Option(help="Folder of the packages' wheels.")],
    out: Annotated[Path, typer.Option(help="Folder for files and what was found.")],
    budgets: Annotated[str, typer.Option(help="Of the trainings, with commas between.")] = "1m,3m",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each.")] = 2,
    at_once: Annotated[int, typer.Option(min=1, help="Trainings side by side; set OMP_NUM_THREADS to match.")] = 1,
) -> None:
    """Fit and score with the bundled forecaster and without it, and print the table."""
    reports = out / "fits"
    reports.mkdir(parents=True, exist_ok=True)
    short = short_series(wheels, out / "short")

    def do(fit: Fit) -> None:
        place = reports / fit.file
        if place.exists():
            return
        files = short if fit.name == SHORT else files_of(fit.name, fit.share, out)
        assert files is not None, f"{fit.name} has too few series"
        if fit.kind == WITHOUT:
            files = replace(files, asked=(*files.asked, "pretrained=false"))
        cell = Cell(fit.name, fit.share, NOW, fit.seed)
        result = run(cell, "forecast", files, out / place.stem, fit.budget)
        place.write_text(json.dumps({"fit": asdict(fit), "result": result}))
        print(f"{place.stem}: {result['metrics']}", flush=True)

    for name, share in SETS:
        files_of(name, share, out)
    with ThreadPoolExecutor(at_once) as pool:
        for _ in pool.map(do, fits(budgets.split(","), seeds)):
            pass
    print(table(reports))


if __name__ == "__main__":
    typer.run(main)
