"""The course of an update: the old data and the new in their parts, then a fit that goes on from the weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from memfold.budget import Budget
from memfold.display import say
from memfold.errors import InputError
from memfold.tasks.fit_data import FitData
from memfold.tasks.report import Parts
from memfold.tasks.updating.kept import Kept, kept_rows
from memfold.tasks.updating.origin import Origin
from memfold.tasks.updating.rows import Dealt, dealt, every_tenth

if TYPE_CHECKING:
    from memfold.tasks.model import Task

LEAST_ROWS = 3  # of which none is held out

__all__ = ["Arranged", "arranged", "blank", "carry_out", "module_of", "said_of_old", "update"]


@dataclass(frozen=True)
class Arranged:
    """The data of an update.

    Attributes:
        task: not fitted yet, with the parameters and the plan of the model that it goes on from.
        data: what it is fitted to.
        old, new: what is scored once, each with what `Task.answer` takes beside it; None where there is none.
        notes: what is worth a word.
        missing: why the old data is not there; "" where it is.
    """

    task: "Task"
    data: FitData
    old: Parts | None
    new: Parts | None
    notes: list[str] = field(default_factory=list)
    missing: str = ""


def update(before: "Task", X: Any, y: Any, budget: str, progress: bool) -> "Task":
    """A model that goes on from another one with new data; `Task.update` says how.

    Raises:
        InputError: not fitted, or data that cannot be worked with.
    """
    before.check_fitted()
    limit = Budget.parse(budget)
    if isinstance(y, str):
        raise InputError(f"y must be the answers to X; the budget is given by name: budget={y!r}")
    task: Task = blank(before, {}, progress=progress)
    examples = task.read(X) if y is None else task.labelled(X, y)
    ready = arranged(before, task, Parts(examples, None), progress=progress)
    for note in ready.notes if progress else ():
        say(note)
    carry_out(ready, limit)
    return ready.task


def carry_out(ready: Arranged, limit: Budget, **course: Any) -> None:
    """Do the update: train, or what the task does in its place where the old data is needed and not there."""
    task, module = ready.task, module_of(ready.task)
    if hasattr(module, "instead") and module.instead(task, ready.data):
        task.kept_ = kept_rows(task, ready.data)
        return
    task.carry_out(ready.data, limit, **course)


def module_of(task: "Task") -> ModuleType:
    """What an update must know of a task.

    Raises:
        InputError: the task cannot be updated.
    """
    module = task.updating()
    if module is None:
        raise InputError(f"a {task.name} model cannot be updated: there is no module update beside its class")
    return module


def blank(before: "Task", settings: Mapping[str, Any], *, rescale: bool = False, progress: bool = True) -> "Task":
    """A task that is not fitted, with the parameters and the plan of a model, but for some settings."""
    task = type(before)(**{**before.get_params(), **settings})
    task.progress = progress
    task.plan_ = {name: value for name, value in before.plan_.items() if name not in settings}
    origin = Origin(before, rescale=rescale, given=tuple(settings))
    vars(task)["begun"] = origin
    module = module_of(task)
    if hasattr(module, "begin"):
        module.begin(task, before)
    task.check()
    return task


def arranged(
    before: "Task",
    task: "Task",
    given: Parts,
    old_at: Sequence[Sequence[str]] | None = None,
    progress: bool = True,
) -> Arranged:
    """Put the rows of new data and of old into their parts: what was held out stays held out.

    Args:
        task: as `blank` makes it.
        given: the data of the update, as `Task.parts` or `Task.read` gives it.
        old_at: where the old data is; None where the model says.

    Raises:
        InputError: there is nothing new to learn from.
    """
    kept: Kept = vars(before).get("kept_", Kept())
    sources = kept.sources if old_at is None else old_at
    module = module_of(task)
    if hasattr(module, "arranged"):  # what has no rows
        groups, missing = _read_again(before, sources)
        ready: Arranged = module.arranged(task, given, groups, missing, progress)
        return ready
    new, old = dealt(task, kept, given)
    missing = ""
    if not old.complete(kept):
        groups, missing = _read_again(before, sources)
        for parts in groups:
            old = old.with_others(dealt(task, kept, parts, strangers=False)[1], task)
        if groups and not old.rows:
            missing = f"{_named(sources)}: holds none of the rows that the model was fitted to"
    return _divided(task, new, old, "" if old.rows else missing, progress)


def _divided(task: "Task", new: Dealt, old: Dealt, missing: str, progress: bool) -> Arranged:
    """The parts to train on and to validate on, of new rows and of old."""
    module = module_of(task)
    fresh, past = (_with_valid(task, dealing) for dealing in (new, old))
    learned = [part for part in (past.train, fresh.train) if part is not None]
    held = [part for part in (past.valid, fresh.valid) if part is not None]
    if not learned:
        raise InputError("nothing is given to learn from")
    train = module.joined(learned)
    if not held:
        train, valid = every_tenth(task, train)
        held = [valid]
    valid = module.joined(held)
    if hasattr(module, "tidied"):
        train, valid = module.tidied(train, valid)
    assert task.begun is not None
    kept: Kept = vars(task.begun.model).get("kept_", Kept())
    again = 0 if past.train is None else len(module.keys(past.train))
    rehearses = again > 0 and 2 * again >= len(kept.rows("train"))
    vars(task)["begun"] = replace(task.begun, rehearses=rehearses)
    notes = _noted(task, fresh, past, missing)
    data = FitData(module.joined([train, valid]), train, valid, progress)
    tests = [None if part is None else Parts(None, part) for part in (old.test, new.test)]
    return Arranged(task, data, tests[0], tests[1], notes, missing)


def _with_valid(task: "Task", rows: Dealt) -> Dealt:
    """Rows as they are read, of which some are held out to validate on: as a fit does, else every tenth."""
    train, valid = (None if part is None else task.read(part) for part in rows.training)
    if train is None or valid is not None or rows.settled:
        return replace(rows, train=train, valid=valid)
    try:
        train, valid = task.split(train)
    except InputError:
        if len(module_of(task).keys(train)) > LEAST_ROWS:
            train, valid = every_tenth(task, train)
    return replace(rows, train=train, valid=valid)


def _noted(task: "Task", fresh: Dealt, past: Dealt, missing: str) -> list[str]:
    """What is new and what is given again, in words."""
    keys = module_of(task).keys
    counts = [0 if part is None else len(keys(part)) for part in (fresh.train, fresh.valid, past.train, past.valid)]
    learned, validated, again, validated_again = counts
    beside = f"{again:,} old rows to train on, {validated_again:,} to validate on" if again else ""
    notes = [said_of_old(f"{learned:,} new rows to train on, {validated:,} to validate on", beside, missing)]
    if not learned:
        notes.append("every row is one that the model was fitted to or scored on, by its content; nothing is new")
    return notes


def said_of_old(new: str, again: str, missing: str) -> str:
    """What an update works on, in words.

    Args:
        new: how much is new.
        again: how much is given again; "" where nothing is.
        missing: why the old data is not there, where it is known that there is some.
    """
    if again:
        return f"update: {new}; given again beside them: {again}"
    if missing:
        return (
            f"update: {new}; the old data is not there ({missing}): what was learned of it may be forgotten, and by "
            "how much is not measured; give it beside the new, or say where it is with --set old=PATH"
        )
    return (
        f"update: {new}; no old data is given again: what was learned of it may be forgotten, and by how much is not "
        "measured; give it beside the new"
    )


def _read_again(before: "Task", sources: Sequence[Sequence[str]]) -> tuple[list[Parts], str]:
    """The old data in its parts, as the earlier fit read it; and what is in the way."""
    groups: list[Parts] = []
    missing = ""
    for group in sources:
        gone = [source for source in group if not source.startswith("@") and not Path(source).exists()]
        if gone:
            missing = f"{gone[0]}: no such file or folder"
            continue
        try:
            task = type(before)(**before.get_params())
            task.progress = False
            groups.append(task.parts(group))
        except InputError as error:
            missing = str(error)
    return groups, missing


def _named(sources: Sequence[Sequence[str]]) -> str:
    return " ".join(source for group in sources for source in group)
