"""``memfold fit TASK DATA --from DIR``: what the command line does of an update."""

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memfold.budget import Budget
from memfold.display import say, show_read
from memfold.errors import InputError
from memfold.formats.directory import check_place
from memfold.formats.schema import encode
from memfold.tasks.parameters import parameters_of, parse_settings
from memfold.tasks.registry import load, task_class
from memfold.tasks.report import Parts, Report
from memfold.tasks.updating.course import Arranged, arranged, blank, carry_out, module_of
from memfold.tasks.updating.outcome import Outcome, outcome
from memfold.tasks.updating.rows import every_tenth

if TYPE_CHECKING:
    from memfold.tasks.model import Task

__all__ = ["FREE", "OWN", "Update", "run_update"]

# Parameters that an update may change: how it trains, and how it reads a file. The others made the network, or what it
# reads, and stay as the model has them.
FREE = frozenset(
    "lr patience batch_size batch_tokens batch_frames dropout weight_drop augment growing epochs class_weights "  # noqa: SIM905
    "smoothing flip flips margin scale window encoding text label source target id time dates decimal missing "
    "pattern background holdout images boxes false_alarms refractory rest beam length_penalty pause update_every "
    "warm_up most_warm_up".split()
)
OWN = {"rescale": bool, "old": str}  # settings of the update itself


@dataclass(frozen=True)
class Update:
    """What the command line is asked for.

    Attributes:
        begun: the folder of the model to go on from.
        settings: as ``NAME=VALUE``.
    """

    task: str
    data: Sequence[str]
    begun: Path
    out: Path | None  # None of a dry run
    budget: str
    valid: Sequence[str] | None
    settings: Sequence[str]
    seed: int
    resume: bool
    overwrite: bool
    dry_run: bool


def run_update(asked: Update) -> tuple[int, Report | None, Outcome | None]:
    """Go on from a model with new data, score both, and write the new model.

    Returns:
        The exit code; the report on what was held out, and the scores before and after, unless it ended before.

    Raises:
        InputError: data, settings or a model that cannot be worked with.
    """
    limit = Budget.parse(asked.budget)
    before = _loaded(asked)
    if asked.out is not None:
        check_place(asked.out, resume=asked.resume, overwrite=asked.overwrite)
    begun = time.monotonic()
    changes, special = _settings(before, asked)
    task = blank(before, {**changes, "seed": asked.seed}, rescale=special.get("rescale", False))
    parts = _parts(task, asked.data)
    if asked.valid:
        parts = replace(parts, valid=task.read_files(asked.valid))
    old_at = None if "old" not in special else [] if special["old"] == "none" else [[special["old"]]]
    if (place := special.get("old", "none")) != "none" and not Path(place).exists() and not place.startswith("@"):
        raise InputError(f"--set old={place}: no such file or folder")
    summaries = {"to train on": parts.train, "to validate on": parts.valid, "to score": parts.test}
    show_read({name: task.summary(part) for name, part in summaries.items() if part is not None})
    ready = arranged(before, task, parts, old_at)
    for note in ready.notes:
        say(note)
    if asked.dry_run:
        show_read({"an update would take": task.rehearsed(ready.data, limit)})
        say("an update would start; --dry-run trains and writes nothing")
        return 0, None, None
    assert asked.out is not None
    carry_out(ready, limit, place=asked.out, resume=asked.resume, overwrite=asked.overwrite)
    return _finished(asked, ready, before, begun)


def _finished(
    asked: Update, ready: Arranged, before: "Task", begun: float
) -> tuple[int, Report | None, Outcome | None]:
    """Write the model, score it and what it went on from."""
    assert asked.out is not None
    task, out = ready.task, asked.out
    task.progress = False
    command = shlex.join(["memfold", *sys.argv[1:]])
    task.note_data(asked.data, None if ready.new is None else ready.new.test)
    task.save(out, command=command)  # before the scoring, which may be interrupted
    if not task.training_.as_planned:
        say(f"memfold: {task.training_.message}; the model is in {out}")
        return task.training_.exit_status, None, None
    say("scoring beside the baselines, and beside the model that it went on from ...")
    compared = outcome(ready, before, asked.begun)
    scored = _all_scored(task, [part for part, pair in ((ready.old, compared.old), (ready.new, compared.new)) if pair])
    report = None
    if scored is not None:
        report = task.evaluate(scored.test, " ".join(asked.data), **scored.scoring)
        report.seconds = time.monotonic() - begun
        report.advice = task.advice(ready.data.train, report)
    task.save(out, report, command)
    for line in compared.said():
        say(line)
    say(f"the model is in {out}; {task.next_command(out, asked.data)}")
    return 0, report, compared


def _all_scored(task: "Task", parts: Sequence[Parts | None]) -> Parts | None:
    """What was held out of the old data and of the new as one, where they are rows; else of the new."""
    module = module_of(task)
    if len(parts) < 2 or not hasattr(module, "joined"):
        return parts[-1] if parts else None
    return Parts(None, module.joined([task.read(part.test) for part in parts if part is not None]))


def _loaded(asked: Update) -> "Task":
    """The model to go on from.

    Raises:
        InputError: there is none, it is damaged or of another task, or the folder is that of the new model.
    """
    folder = asked.begun
    if asked.out is not None and folder.exists() and asked.out.exists() and folder.samefile(asked.out):
        raise InputError(f"--out {asked.out}: is the model that the update goes on from; choose another folder")
    try:
        model = load(folder)
    except InputError as error:
        raise InputError(f"--from {error}") from None
    if model.name != asked.task:
        raise InputError(f"--from {folder}: is a model for {model.name}, not for {task_class(asked.task).name}")
    _ = model.network_
    return model


def _settings(before: "Task", asked: Update) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters to change, and the settings of the update itself.

    Raises:
        InputError: a setting that cannot be read, or that the model has otherwise and that an update cannot change.
    """
    hints = {p.name: p.hint for p in parameters_of(type(before)) if p.name != "seed"}
    parsed = parse_settings({**OWN, **hints}, f"an update of a {before.name} model", asked.settings)
    special = {name: parsed.pop(name) for name in OWN if name in parsed}
    changed = {}
    for name, value in parsed.items():
        has = getattr(before.chosen, name)
        if encode(value) == encode(has):
            continue
        if name not in FREE:
            raise InputError(
                f"--set {name}={_text(value)}: {asked.begun} has {name}={_text(has)}, which an update keeps; leave it "
                "out, or fit anew without --from"
            )
        changed[name] = value
    return changed, special


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _parts(task: "Task", data: Sequence[str]) -> Parts:
    """The new data in its parts; where a task cannot hold some out, as of a single class, a tenth of the rows."""
    try:
        return task.parts(data)
    except InputError:
        module = module_of(task)
        if task.known_set(data) or not hasattr(module, "take"):
            raise
        examples = task.read_files(data)
        if len(module.keys(examples)) < 2:
            return Parts(examples, None)
        return Parts(*every_tenth(task, examples))
