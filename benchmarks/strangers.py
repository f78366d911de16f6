"""How the defaults do on files that nobody tuned for: every set from files, without its name and without settings.

For each set, and for shares of its training part: the network alone, the answer, the best baseline; and beside them
what an earlier memfold answers from the same files, and with the parameters that were chosen for the set by hand. A
training at a time, on the whole machine; what is done is kept in --out and not done again, so that it can be stopped
and gone on with. The test parts select nothing: every cell is run once.

    python benchmarks/strangers.py --out strangers
    python benchmarks/strangers.py --out strangers --old python --old-path memfold-0.1.0/src
    python benchmarks/strangers.py --out strangers --table
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from strangers_files import SETS, Files

SHARES = (1.0, 0.1, 0.01)
NOW, OLD, TUNED = "now", "old", "tuned"
ALONE = "alone"  # in the names of a model's own parts
LOWER = {"smape", "mase", "owa", "crps", "nats_carried", "cer", "wer"}


@dataclass(frozen=True)
class Cell:
    """One training: of which files, by whom."""

    name: str
    share: float
    who: str
    seed: int

    def __str__(self) -> str:
        return f"{self.name}-{self.share:g}-{self.who}-{self.seed}"


def cells(names: list[str], shares: list[float], seeds: int, old: bool) -> Iterator[Cell]:
    """What there is to do, whole sets first."""
    for seed in range(seeds):
        for share in shares:
            for name in names:
                yield Cell(name, share, NOW, seed)
                if old and share == 1:
                    yield Cell(name, share, OLD, seed)
                    if SETS[name].named:
                        yield Cell(name, share, TUNED, seed)


def files_of(name: str, share: float, folder: Path) -> Files | None:
    """The files of a share of a set, made when they are not there."""
    place = folder / "files" / f"{name}-{share:g}"
    made = place / "made.json"
    if not made.exists():
        place.mkdir(parents=True, exist_ok=True)
        files = SETS[name].make(share, place)
        made.write_text(json.dumps(None if files is None else asdict(files)))
    content = json.loads(made.read_text())
    return None if content is None else Files(**content)


def run(
    cell: Cell, task: str, files: Files, folder: Path, budget: str, old: str = "", old_path: str = ""
) -> dict[str, Any]:
    """Train and score one cell; what is said on the way goes into a log.

    Raises:
        RuntimeError: the training or the scoring ended with an error.
    """
    log = folder / "logs" / f"{cell}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    before = cell.who != NOW
    scoring = {name: int(value) for name, value in (setting.split("=") for setting in files.scoring)}
    job = {
        "name": cell.name,
        "task": task,
        "named": cell.name if cell.who == TUNED else "",
        "train": files.train,
        "test": files.test,
        "asked": files.asked,
        "scoring": scoring,
        "seed": cell.seed,
        "budget": budget,
    }
    program = shlex.split(old) if before else [sys.executable]
    environment = {**os.environ, **({"PYTHONPATH": old_path} if before and old_path else {})}
    command = [*program, str(Path(__file__).with_name("strangers_fit.py")), json.dumps(job)]
    with open(log, "w") as says:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=says, env=environment, text=True)
    if done.returncode != 0:
        said = log.read_text().split("\n")
        raise RuntimeError(f"ended with {done.returncode}: {next((line for line in said[::-1] if line.strip()), log)}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


class Others:
    """How much other programs work on this machine, in cores."""

    def __init__(self) -> None:
        self.begun, self.busy, self.children = time.monotonic(), self._busy(), self._children()

    def cores(self) -> float:
        """The mean since the beginning."""
        elsewhere = (self._busy() - self.busy) - (self._children() - self.children)
        return max(elsewhere, 0.0) / (time.monotonic() - self.begun)

    @staticmethod
    def _busy() -> float:
        """Seconds that all processors have worked."""
        if not Path("/proc/stat").exists():
            return 0.0
        numbers = [float(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return (sum(numbers) - numbers[3] - numbers[4]) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _children() -> float:
        """Seconds that the programs called here have worked."""
        used = os.times()
        return used.children_user + used.children_system


def table(folder: Path) -> str:
    """What was found, as a table in Markdown."""
    found: dict[tuple[str, float], dict[str, list[dict[str, Any]]]] = {}
    for file in sorted((folder / "cells").glob("*.json")):
        entry = json.loads(file.read_text())
        key = entry["cell"]["name"], entry["cell"]["share"]
        found.setdefault(key, {}).setdefault(entry["cell"]["who"], []).append(entry["result"])
    lines = [
        "| set | share | metric | network alone | answer | best baseline | tuned, by name | earlier, from files | "
        "recovered | won on validation |",
        "|---|--:|---|--:|--:|---|--:|--:|--:|---|",
    ]
    ordered = [(name, share) for share in SHARES for name in SETS if (name, share) in found]
    for name, share in ordered:
        results, metric = found[name, share], SETS[name].metric
        if NOW not in results:
            continue
        now = results[NOW]
        alone = [b[metric] for r in now for b in r["baselines"] if b["name"] == "the network alone" and metric in b]
        others: dict[str, list[float]] = {}
        for result in now:
            for b in result["baselines"]:
                if ALONE not in b["name"] and b.get(metric) is not None:
                    others.setdefault(b["name"], []).append(b[metric])
        means = {other: sum(values) / len(values) for other, values in others.items()}
        pick = min if metric in LOWER else max
        best = pick(means, key=means.__getitem__) if means else None
        answers = [r["metrics"][metric] for r in now]
        tuned = [r["metrics"][metric] for r in results.get(TUNED, [])]
        earlier = [r["metrics"].get(metric) for r in results.get(OLD, [])]
        recovered = ""
        if best and tuned and pick(mean(tuned), means[best]) != means[best]:
            recovered = f"{(mean(answers) - means[best]) / (mean(tuned) - means[best]):.2f}"
        cells_ = [
            name,
            f"{share:g}",
            metric,
            shown(alone or answers),
            shown(answers),
            f"{shown(others[best])} {best}" if best else "",
            shown(tuned),
            shown(earlier),
            recovered,
            ", ".join(sorted({str(r["winner"]) for r in now})),
        ]
        lines.append(f"| {' | '.join(cells_)} |")
    return "\n".join(lines)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def shown(values: list[float]) -> str:
    """The mean, and from where to where it goes."""
    if not values or any(value is None for value in values):
        return ""
    text = f"{mean(values):.4g}"
    return text if len(values) == 1 else f"{text} ({min(values):.4g} to {max(values):.4g})"


def main(
    out: Annotated[Path, typer.Option(help="Folder for files, models and what was found.")],
    only: Annotated[str, typer.Option(help="Sets, with commas between; all when not given.")] = "",
    shares: Annotated[str, typer.Option(help="Of the training parts, with commas between.")] = "1,0.1,0.01",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each.")] = 1,
    budget: Annotated[str, typer.Option(help="Of each training.")] = "3m",
    old: Annotated[str, typer.Option(help="Python with an earlier memfold, which is run beside.")] = "",
    old_path: Annotated[str, typer.Option(help="Its PYTHONPATH.")] = "",
    stop_after: Annotated[float, typer.Option(help="Begin no training after so many minutes.")] = float("inf"),
    table_only: Annotated[bool, typer.Option("--table", help="Only print what was found.")] = False,
) -> None:
    """Fit and score every set from files, and print the table."""
    begun = time.monotonic()
    names = [name for name in only.split(",") if name] or list(SETS)
    (out / "cells").mkdir(parents=True, exist_ok=True)
    for cell in [] if table_only else cells(names, [float(s) for s in shares.split(",")], seeds, bool(old)):
        place = out / "cells" / f"{cell}.json"
        if place.exists():
            continue
        if time.monotonic() - begun > 60 * stop_after:
            print("stopped; the same command goes on", file=sys.stderr)
            break
        files = files_of(cell.name, cell.share, out)
        if files is None:
            continue
        others = Others()
        try:
            result = run(cell, SETS[cell.name].task, files, out, budget, old, old_path)
        except RuntimeError as error:
            print(f"{cell}: {error}", file=sys.stderr, flush=True)
            continue
        cores = round(others.cores(), 2)
        place.write_text(json.dumps({"cell": asdict(cell), "budget": budget, "others": cores, "result": result}))
        score = result["metrics"].get(SETS[cell.name].metric)
        print(f"{cell}: {score} {result.get('plan', '')} (others: {cores} cores)", file=sys.stderr, flush=True)
    print(table(out))


if __name__ == "__main__":
    typer.run(main)
