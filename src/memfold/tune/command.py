"""``memfold tune``: what was asked for, and what is said of the outcome."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from memfold.display import say
from memfold.tasks.parameters import parameters_of, parse_settings
from memfold.tasks.planning import Plan
from memfold.tasks.registry import task_class
from memfold.tune.search import Tuned, tune

__all__ = ["run_tune"]


def run_tune(
    task: str,
    data: Sequence[str],
    out: Path,
    trials: int,
    budget: str,
    settings: Sequence[str],
    seed: int,
    ray: str | None,
    overwrite: bool,
) -> Tuned:
    """Search as the command line asks; see `memfold.tune.tune`. Says which parameters were best, and what to do next.

    Raises:
        InputError: as `memfold.tune.tune`, or settings that the task does not have.
    """
    settable = {p.name: p.hint for p in parameters_of(task_class(task)) if p.name != "seed"}
    result = tune(
        task,
        data,
        out,
        trials=trials,
        budget=budget,
        ray=ray,
        settings=parse_settings(settable, task, settings),
        seed=seed,
        overwrite=overwrite,
        command=shlex.join(["memfold", *sys.argv[1:]]),
    )
    chosen = [*settings, *(str(Plan({name: value})) for name, value in result.settings.items())]
    if result.report is not None:
        best = f"trial {result.best} is better on the validation part" if result.best else "the default is the best"
        say(f"{best} of {len(result.trials)} trials; the model is in {out}, the trials in {out / 'trials.csv'}")
    if chosen and result.settings:
        words = ["memfold", "fit", task, *data, "--out", "DIR", "--budget", "TIME", "--set", *chosen]
        say(f"to fit it for longer: {shlex.join(words)}")
    return result
