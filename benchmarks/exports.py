"""Exported models beside the models: do they answer the same, and how fast; torch's exporter; weights that are read.

Four kinds of cells, each a program of its own, one after another; what is done is kept in --out and not done again, so
that it can be stopped and gone on with. The models of `task` cells are needed by the `speed` cells.

    task     a task fitted for a short time to a known set, exported with ``--check`` on its test part
    layers   torch.onnx.export beside memfold's exporter on the same weights
    weights  layers that memfold.formats.load_weights reads
    speed    ONNX Runtime beside memfold's runtime without torch, in turns, one thread each; for a quiet machine

    python benchmarks/exports.py --out exports
    python benchmarks/exports.py --out exports --only speed --again
    python benchmarks/exports.py --out exports --table
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from exports_tables import page
from memfold.data.datasets import find
from strangers import Others

KINDS = ("task", "layers", "weights", "speed")
TASKS: dict[str, tuple[str, str, dict[str, Any]]] = {  # name -> task, data, settings
    "forecast": ("forecast", "@nyc-taxi", {"pretrained": False}),  # which is in no file
    "anomaly": ("anomaly", "nab-taxi.csv", {}),
    "generate": ("generate", "@tinyshakespeare", {}),
    "sentiment": ("sentiment", "@sst2", {}),
    "translate": ("translate", "@multi30k", {}),
    "transcribe": ("transcribe", "@mboshi", {}),
    "transcribe-causal": ("transcribe", "@mboshi", {"causal": True}),
    "command": ("command", "@fsdd", {}),
    "classify": ("classify", "@mnist", {}),
    "detect": ("detect", "@bccd", {}),
    "faces": ("faces", "@orl-faces", {}),
}
STEPS = ("anomaly", "generate", "transcribe-causal", "command")
SPEED = ("anomaly", "generate", "sentiment", "transcribe-causal", "command", "forecast")
LAYERS: dict[str, dict[str, Any]] = {"one": {}, "both": {"bidirectional": True}, "two": {"num_layers": 2}}
# Sizes that OpenBLAS is given by hand would time another machine than this.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Cell:
    """One thing to measure: of which kind, and what its program is given."""

    kind: str
    name: str
    job: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"


def cells(kinds: list[str], out: Path, budget: str) -> Iterator[Cell]:
    """What there is to do."""
    folder = str(out.resolve())
    for name, (task, data, settings) in TASKS.items() if "task" in kinds else ():
        forms = ["onnx", "step"] if name in STEPS else ["onnx"]
        source = data if data.startswith("@") else str(out.resolve() / data)
        job = {"name": name, "task": task, "data": [source], "settings": settings, "budget": budget}
        yield Cell("task", name, {**job, "forms": forms, "folder": folder})
    for kind in ("LSTM", "GRU", "RNN") if "layers" in kinds else ():
        for name, options in LAYERS.items():
            yield Cell("layers", f"{kind}-{name}", {"kind": kind, "options": options})
    for source in ("torch", "onnx", "keras") if "weights" in kinds else ():
        yield Cell("weights", source, {"source": source})
    for name in SPEED if "speed" in kinds else ():
        yield Cell("speed", name, {"name": name, "folder": folder})


def labelled_taxi(file: Path) -> None:
    """One of NAB's series, half-hourly taxi passengers in New York, with its labelled windows; all 58 would take hours.

    Raises:
        memfold.errors.InputError: NAB is not there.
    """
    name, source = "realKnownCause/nyc_taxi.csv", find("nab")
    table = pl.read_csv(source / "data" / name, try_parse_dates=True)
    inside = pl.lit(False)
    for limits in json.loads((source / "labels" / "combined_windows.json").read_text())[name]:
        begin, end = (pl.lit(text).str.to_datetime() for text in limits)
        inside = inside | pl.col("timestamp").is_between(begin, end)
    table.with_columns(label=inside.cast(pl.Int8)).write_csv(file)


def run(cell: Cell, out: Path) -> dict[str, Any]:
    """Measure one cell; what is said on the way goes into a log.

    Raises:
        RuntimeError: its program ended with an error.
    """
    log = out / "logs" / f"{cell}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    if cell.kind == "speed":
        environment |= ONE_THREAD
    command = [sys.executable, str(Path(__file__).with_name(f"exports_{cell.kind}.py")), json.dumps(cell.job)]
    others = Others()
    with open(log, "w") as says:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=says, env=environment, text=True)
    if done.returncode != 0:
        lines = [line for line in log.read_text().split("\n") if line.strip()]
        raise RuntimeError(f"ended with {done.returncode}: {lines[-1] if lines else log}")
    result = json.loads(done.stdout.splitlines()[-1])
    shown = {name: value for name, value in cell.job.items() if name not in ("folder", "data")}
    return {"kind": cell.kind, "name": cell.name, "job": shown, "others": round(others.cores(), 2), "result": result}


def measure(todo: Iterator[Cell], out: Path, again: bool) -> None:
    """Run the cells that are not done."""
    (out / "cells").mkdir(parents=True, exist_ok=True)
    for cell in todo:
        place = out / "cells" / f"{cell}.json"
        if place.exists() and not again:
            continue
        try:
            entry = run(cell, out)
        except RuntimeError as error:
            print(f"{cell}: {error}", file=sys.stderr, flush=True)
            continue
        place.write_text(json.dumps(entry))
        print(f"{cell}: done (others: {entry['others']} cores)", file=sys.stderr, flush=True)


app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    out: Annotated[Path, typer.Option(help="Folder for models, exported files and what was measured.")],
    only: Annotated[str, typer.Option(help="Kinds of cells, with commas between; all when not given.")] = "",
    tasks: Annotated[str, typer.Option(help="Of the task and speed cells, names with commas between.")] = "",
    budget: Annotated[str, typer.Option(help="Of each fit.")] = "60s",
    again: Annotated[bool, typer.Option(help="Measure again what is done; models stay.")] = False,
    write: Annotated[Path | None, typer.Option(help="Page to write, such as benchmarks/exports.md.")] = None,
    table_only: Annotated[bool, typer.Option("--table", help="Only print what was measured.")] = False,
) -> None:
    """Measure exported models, and print the tables."""
    kinds, names = only.split(",") if only else list(KINDS), tasks.split(",") if tasks else list(TASKS)
    if unknown := set(kinds) - set(KINDS) | set(names) - set(TASKS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}; kinds are {', '.join(KINDS)}")
    out.mkdir(parents=True, exist_ok=True)
    if not table_only:
        if "task" in kinds and "anomaly" in names and not (out / "nab-taxi.csv").exists():
            labelled_taxi(out / "nab-taxi.csv")
        todo = (cell for cell in cells(kinds, out, budget) if "folder" not in cell.job or cell.name in names)
        measure(todo, out, again)
    text = page([json.loads(file.read_text()) for file in sorted((out / "cells").glob("*.json"))])
    if write is not None:
        write.write_text(text)
    print(text)


if __name__ == "__main__":
    app()
