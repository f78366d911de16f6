"""Go on from a model with new data, beside a fit of all the data from nothing in the same budget.

Three cases: a speaker added to @fsdd, the second half of @sst2, the last week of @m4-hourly. Each is scored on what
nobody trained on: that of the old data, and that of the new. Of @m4-hourly the old part is the two days after the old
rows, which are among the later rows: but for the model before, all have learned from them.

What is finished in the folder is not done again, so that a run that was ended goes on.

    python benchmarks/updating.py --out updating --budget 1m
    python benchmarks/updating.py --out updating --only sst2 --budget 6ep
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer

import memfold
from memfold.data.datasets import find
from memfold.data.labelled import load_labelled
from memfold.tasks import Forecaster
from memfold.tasks.updating.course import module_of

ADDED = "theo"  # the speaker who is added
TESTED = 5  # recordings of every digit and speaker that are scored, as the set has it
WEEK, HORIZON = 168, 48
SERIES = 100  # of @m4-hourly


def speakers(folder: Path) -> None:
    for file in sorted((find("fsdd") / "recordings").glob("*.wav")):
        digit, speaker, index = file.stem.split("_")
        part = ("new" if speaker == ADDED else "old") + ("_test" if int(index) < TESTED else "")
        (folder / part / digit).mkdir(parents=True, exist_ok=True)
        (folder / part / digit / f"{speaker}{index}.wav").symlink_to(file.resolve())


def halves(folder: Path) -> None:
    train, test, _ = load_labelled("sst2", 0)
    for ending, texts in (("", train), ("_test", test)):
        order = np.random.default_rng(0).permutation(len(texts.texts))
        for name, rows in zip(("old", "new"), np.array_split(order, 2), strict=True):
            part = texts.take(rows.tolist())
            pl.DataFrame({"text": part.texts, "label": part.labels}).write_csv(folder / f"{name}{ending}.csv")


def weeks(folder: Path) -> None:
    parts = Forecaster(**Forecaster.known_parameters(["@m4-hourly"])).parts(["@m4-hourly"])
    ids = parts.train.ids[:SERIES]
    train, whole = (table.known.filter(pl.col("unique_id").is_in(ids)) for table in (parts.train, parts.test))
    from_end = pl.len().over("unique_id") - pl.int_range(pl.len()).over("unique_id")
    train.filter(from_end > WEEK).write_csv(folder / "old.csv")
    train.filter(from_end <= WEEK).write_csv(folder / "new.csv")
    train.write_csv(folder / "all.csv")
    train.filter(from_end > WEEK - HORIZON).write_csv(folder / "old_test.csv")
    whole.write_csv(folder / "new_test.csv")


# By set: the task, what makes its files, the files' ending, the settings and the first of the scores.
CASES: dict[str, tuple[str, Callable[[Path], None], str, list[str], str]] = {
    "fsdd": ("command", speakers, "", [], "accuracy"),
    "sst2": ("sentiment", halves, ".csv", ["members=1"], "accuracy"),
    "m4-hourly": ("forecast", weeks, ".csv", ["horizon=48", "seasons=24,168"], "smape"),
}


def fitted(task: str, data: list[Path], out: Path, budget: str, *more: str) -> None:
    """Fit as a person does, unless it is done; a fit that was ended goes on."""
    if (out / "config.json").exists():
        return
    command = [sys.executable, "-m", "memfold", "fit", task, *map(str, data), "--out", str(out), "--budget", budget]
    resumed = ["--resume"] if (out / "checkpoint.safetensors").exists() else []
    subprocess.run([*command, *more, *resumed], check=True, stdout=subprocess.DEVNULL)


def scored(model: Any, file: Path, metric: str) -> float:
    """A model's first score on a file; of a command or a label that it does not know, wrong."""
    examples = model.read_files([str(file)])
    examples = model.read(examples) if module_of(model).keys(examples) else examples
    return float(model.scores(examples, model.answer(examples))[metric])


def compared(case: str, folder: Path, budget: str) -> dict[str, dict[str, float]]:
    """The scores on the old part and on the new, by the model."""
    task, make, ending, settings, metric = CASES[case]
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        (folder / "made").touch()
    old, new = folder / f"old{ending}", folder / f"new{ending}"
    everything = [folder / "all.csv"] if case == "m4-hourly" else [old, new]
    given = [word for setting in settings for word in ("--set", setting)]
    before = folder / "before"
    fitted(task, [old], before, budget, *given)
    fitted(task, everything, folder / "from nothing", budget, *given)
    fitted(task, [new], folder / "updated", budget, "--from", str(before))
    fitted(task, [new], folder / "updated, new data alone", budget, "--from", str(before), "--set", "old=none")
    results = {}
    for name in ("before", "updated", "updated, new data alone", "from nothing"):
        place = folder / f"{name}.json"
        if not place.exists():
            model = memfold.load(folder / name)
            files = {part: folder / f"{part}_test{ending}" for part in ("old", "new")}
            place.write_text(json.dumps({part: scored(model, file, metric) for part, file in files.items()}))
        results[name] = json.loads(place.read_text())
    return results


def main(
    out: Annotated[Path, typer.Option(help="Folder for the files, the models and the scores.")],
    budget: Annotated[str, typer.Option(help="Of each fit and each update, such as 1m or 6ep.")] = "1m",
    only: Annotated[str | None, typer.Option(help=f"One of {', '.join(CASES)}.")] = None,
) -> None:
    for case in CASES if only is None else [only]:
        metric = CASES[case][-1]
        print(f"@{case}, {metric}, {budget} each:  old part  new part")
        for name, scores in compared(case, out / f"{case} {budget}", budget).items():
            print(f"  {name:<28}{scores['old']:>9.2f}{scores['new']:>10.2f}", flush=True)


if __name__ == "__main__":
    typer.run(main)
