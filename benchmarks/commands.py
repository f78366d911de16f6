"""Fit a recogniser of commands to the known set, or without each of its speakers in turn, beside its baseline.

With --heldout every speaker is left out once, and all recordings of that speaker are the test part. With --background,
three hours are drawn from a folder's files: one is scored for false alarms, one sets the threshold, one is learnt as
"other". They share no file, but voices: a voice that was neither learnt nor tuned to alarms more often.

    python benchmarks/commands.py @fsdd --budget 3m --seeds 3
    python benchmarks/commands.py @fsdd --budget 3m --heldout
    python benchmarks/commands.py @fsdd --budget 3m --background recordings-of-other-speech
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import typer

from memfold.data.commands import Excerpt, Recordings, audio_files, load_fsdd
from memfold.tasks import CommandRecognizer
from memfold.tasks.command.task import MFCC
from memfold.tasks.report import Report

HOUR = 3600.0  # seconds


def hours(folder: Path, count: int) -> list[tuple[Excerpt, ...]]:
    """So many hours of a folder's files, drawn at random: names put one speaker after another."""
    parts: list[list[Excerpt]] = [[] for _ in range(count)]
    seconds = 0.0
    files = audio_files(folder)
    for path in random.Random(0).sample(files, len(files)):
        if seconds >= count * HOUR:
            break
        parts[int(seconds / HOUR)].append(Excerpt(path))
        seconds += soundfile.info(path).duration
    if seconds < (count - 1) * HOUR:
        raise typer.BadParameter(f"{folder}: has {seconds / HOUR:.1f} hours; more than {count - 1} are needed")
    return [tuple(excerpts) for excerpts in parts]


def scored(
    parts: tuple[Recordings, Recordings], budget: str, seed: int, background: Sequence[tuple[Excerpt, ...]]
) -> Report:
    """Fit to a training part and score on a test part."""
    train, test = parts
    model = CommandRecognizer(**CommandRecognizer.known_parameters(["@fsdd"]), seed=seed)
    learnt, tuning = train.split()
    if background:
        test, tuning, learnt = (
            replace(part, background=hour) for part, hour in zip((test, tuning, learnt), background, strict=True)
        )
    model.fit(learnt, budget=budget, valid=tuning, progress=False)
    report = model.evaluate(test, "@fsdd")
    steps = f"{model.training_.steps} steps, threshold {model.threshold_:.2f}"
    ours = ", ".join(f"{name} {value:.2f}" for name, value in report.metrics.items())
    details = "; ".join(text for text in report.shown if isinstance(text, str))
    print(f"  {ours}; baseline {report.baselines[MFCC]['accuracy']:.2f}; {steps}; {details}", flush=True)
    return report


def main(
    data: Annotated[str, typer.Argument(help="@fsdd")] = "@fsdd",
    budget: Annotated[str, typer.Option(help="Of each fit.")] = "3m",
    seeds: Annotated[int, typer.Option(help="Fits from so many seeds.")] = 1,
    heldout: Annotated[bool, typer.Option("--heldout", help="Leave each speaker out once.")] = False,
    background: Annotated[Path | None, typer.Option(help="Folder with three hours of other sound.")] = None,
) -> None:
    if data != "@fsdd":
        raise typer.BadParameter(f"{data}: expected @fsdd")
    train, test = load_fsdd()
    heard = [] if background is None else hours(background, 3)
    reports = []
    for speaker in sorted(set(test.speakers)) if heldout else [None]:
        for seed in range(seeds):
            print(f"{'official test part' if speaker is None else speaker}, seed {seed}:", flush=True)
            parts = (train, test) if speaker is None else load_fsdd(speaker)
            reports.append(scored(parts, budget, seed, heard))
    ours = [report.metrics["accuracy"] for report in reports]
    theirs = [report.baselines[MFCC]["accuracy"] for report in reports]
    print(
        f"{data}, {budget}, {len(reports)} fits: accuracy {np.mean(ours):.2f} (least {min(ours):.2f}), "
        f"baseline {np.mean(theirs):.2f} (least {min(theirs):.2f})"
    )


if __name__ == "__main__":
    typer.run(main)
