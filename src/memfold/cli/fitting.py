"""The commands that train: demo, fit and tune."""

import json
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from memfold.cli.options import Data, Json, PageLanguage, Set, TaskName, app
from memfold.cli.printing import print_report, print_update
from memfold.display import Terminal, say, show_read
from memfold.errors import InputError
from memfold.tasks.registry import task_class


@app.command()
def demo(
    budget: Annotated[str, typer.Option(help="Time to train, such as 60s, or epochs such as 20ep.")] = "60s",
    out: Annotated[Path, typer.Option(help="Folder for the report and the model.")] = Path("demo"),
    lang: PageLanguage = "en",
    as_json: Json = False,
) -> None:
    """Forecast births, watch taxi demand, look at a memory: a minute of training, and a report in demo/report.html.

    Beside it demo/lesson.html is written, a page with a live network that shows what an LSTM is.

    Example: memfold demo
    """
    from memfold.demo import run_demo

    summary = run_demo(budget, out, quiet=as_json, lang=lang)
    if as_json:
        print(json.dumps(summary))


@app.command()
def fit(
    task: TaskName,
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Folder for the model; --dry-run goes without.")] = None,
    budget: Annotated[str, typer.Option(help="Time to train, such as 90s, 3m or 1h, or epochs such as 20ep.")] = "3m",
    valid: Annotated[
        list[str] | None,
        typer.Option(help="Data to validate on; else a part of the training data. Once for each file."),
    ] = None,
    settings: Set = [],  # noqa: B006
    members: Annotated[
        int | None,
        typer.Option(metavar="N", help="Networks to train side by side and average; as --set members=N."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the initial weights, the order of the data and dropout.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished training in --out.")] = False,
    earlier: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DIR", help="Go on from the weights of this model; classes and vocabulary may grow."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished model in --out.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what was read, the plan and what a fit would take, and stop.")
    ] = False,
    plan: Annotated[
        Path | None,
        typer.Option(help="Plan to take in place of a new one: what fit --json printed, or a model's folder."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Fit a model to your data and score it once on a part that was held out.

    What the plan chooses by looking at the data and the machine is printed first; --set wins over it.

    Held out are the test part that a data set has itself, or else the last horizon of each series, what follows a
    detector's warm-up, the end of a text, a tenth of the examples or of their speakers.

    With --from DIR the training goes on from that model. Its old data is given again where it still is (--set old=PATH
    says where, old=none leaves it out), what it reads is scaled as before (unless --set rescale=true), and both models
    are scored on what was held out of the old data and of the new.

    Example: memfold fit forecast sales.csv --out model --budget 3m --set horizon=14
    """
    from memfold.budget import Budget
    from memfold.formats.directory import check_place
    from memfold.tasks.contest import ANSWER
    from memfold.tasks.members import members_setting
    from memfold.tasks.parameters import parameters_of, parse_settings
    from memfold.tasks.planning import read_plan
    from memfold.tasks.updating.command import Update, run_update

    kind = task_class(task)
    if out is None and not dry_run:
        raise InputError("Missing option '--out'.")
    if earlier is not None:
        if plan is not None:
            raise InputError(f"--plan: with --from the plan is that of {earlier}; leave --plan out")
        settings = settings if members is None else [*settings, members_setting(task, members, settings)]
        asked = Update(task, data, earlier, out, budget, valid, settings, seed, resume, overwrite, dry_run)
        code, report, compared = run_update(asked)
        print_update(report, compared, as_json)
        return code
    given = None if plan is None else read_plan(plan)
    settable = {p.name: p.hint for p in parameters_of(kind) if p.name != "seed"}
    if members is not None:
        settings = [*settings, members_setting(task, members, settings)]
    model = kind(**{**kind.known_parameters(data), **parse_settings(settable, task, settings), "seed": seed})
    Budget.parse(budget)  # refuse it before anything is read
    if out is not None:
        check_place(out, resume=resume, overwrite=overwrite)
    begun = time.monotonic()
    parts = model.parts(data)
    held_out = model.read_files(valid) if valid else parts.valid
    summaries = {"to train on": parts.train, "to validate on": held_out, "to score": parts.test}
    show_read({name: model.summary(part) for name, part in summaries.items() if part is not None})
    if dry_run:
        show_read({"a fit would take": model.rehearse(replace(parts, valid=held_out), budget, given)})
        say("a fit would start; --dry-run trains and writes nothing")
        return 0
    assert out is not None
    model.fit(parts.train, budget=budget, valid=held_out, out=out, resume=resume, overwrite=overwrite, plan=given)
    command = shlex.join(["memfold", *sys.argv[1:]])
    model.note_data(data, parts.test)
    model.save(out, command=command)  # before the scoring, which may be interrupted
    if not model.training_.as_planned:
        say(f"memfold: {model.training_.message}; the model is in {out}")
        return model.training_.exit_status
    say("scoring beside the baselines ...")
    report = model.evaluate(parts.test, " ".join(data), **parts.scoring)
    report.seconds = time.monotonic() - begun
    report.advice = model.advice(parts.train, report)
    model.save(out, report, command)
    print_report(report, as_json)
    if report.winner in (None, ANSWER):  # else it is said already
        for line in report.advice:
            say(line)
    say(f"the model is in {out}; {model.next_command(out, data)}")
    return 0


@app.command("tune")
def tune_parameters(
    task: TaskName,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the best model, and for trials.csv.")],
    trials: Annotated[int, typer.Option(metavar="N", help="Fits at most, the first of which is the default.")] = 20,
    budget: Annotated[str, typer.Option(help="Time to train in all, such as 10m.")] = "10m",
    settings: Set = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Seed of the search and of every fit.")] = 0,
    ray: Annotated[
        str | None,
        typer.Option(metavar="auto|ADDRESS", help="Have a cluster of Ray do the trials, auto is the one here."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished model in --out.")] = False,
    as_json: Json = False,
) -> int:
    """Search for better parameters of a task, and save the model that is best on the validation part.

    Optuna searches where memfold params TASK says "try"; what --set gives stays as it is. Half of the time is for the
    trials, the rest for fitting the best and the default once more, longer. The better of the two is saved; both are
    scored once on a part that was held out. Ctrl-C keeps the best model so far.

    Example: memfold tune forecast sales.csv --out model --trials 20 --budget 10m --set horizon=14
    """
    from memfold.tune.command import run_tune

    result = run_tune(task, data, out, trials, budget, settings, seed, ray, overwrite)
    if result.report is None:
        return 130
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        Terminal().print(result.table())
    return 0
