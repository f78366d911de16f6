"""The rows of new data, put into parts by what an earlier fit did with those that it had."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memfold.tasks.report import Parts
from memfold.tasks.updating.kept import PARTS, Kept

if TYPE_CHECKING:
    from memfold.tasks.model import Task

__all__ = ["Dealt", "dealt", "every_tenth"]

NEARLY_ALL = 0.9  # of the rows that a model remembers


@dataclass(frozen=True)
class Dealt:
    """Rows in their parts; None where a part has none.

    Attributes:
        rows: how many are known of an earlier fit.
        settled: whether it is known which rows are to validate on, even where there are none.
    """

    train: Any = None
    valid: Any = None
    test: Any = None
    rows: int = 0
    settled: bool = False

    @property
    def training(self) -> tuple[Any, Any]:
        """To train on and to validate on."""
        return self.train, self.valid

    def complete(self, kept: Kept) -> bool:
        """Whether these are nearly all rows that a model remembers."""
        return self.rows > 0 and self.rows >= NEARLY_ALL * kept.count

    def with_others(self, other: "Dealt", task: "Task") -> "Dealt":
        """The same with the rows of another one that are not among these."""
        module: Any = task.updating()
        parts, rows = [], self.rows
        for name in PARTS:
            mine, theirs = getattr(self, name), getattr(other, name)
            if theirs is not None and mine is not None:
                known = set(module.keys(mine))
                places = [place for place, key in enumerate(module.keys(theirs)) if key not in known]
                rows += len(places)
                parts.append(
                    module.joined([task.read(mine), task.read(module.take(theirs, places))]) if places else mine
                )
            else:
                rows += 0 if theirs is None else len(module.keys(theirs))
                parts.append(theirs if mine is None else mine)
        return Dealt(parts[0], parts[1], parts[2], rows, self.settled)


def dealt(task: "Task", kept: Kept, given: Parts, strangers: bool = True) -> tuple[Dealt, Dealt]:
    """New rows in the parts in which they were given, and known ones in those that they were in.

    Args:
        strangers: whether rows that the model cannot know, as it remembers only some, are new ones; else they are old.
    """
    module: Any = task.updating()
    known = {part: kept.rows(part) for part in PARTS}
    fresh: dict[str, Any] = {}
    old: dict[str, list[Any]] = {part: [] for part in PARTS}
    count = 0
    for part in PARTS:
        examples = getattr(given, part)
        if examples is None:
            continue
        keys = module.keys(examples)
        where = np.full(len(keys), "", dtype=object)
        for name in (*reversed(PARTS), part):  # of equal rows in several parts, as it is given, else to train on
            where[known[name].among(keys)] = name
        if not strangers:  # of a model that remembers no rows at all, they are as they are given
            unsure = ~np.logical_and.reduce([known[name].looked_up(keys) for name in PARTS])
            unsure |= not kept.count
            where[(where == "") & unsure] = part
        for name in PARTS:
            places = np.flatnonzero(where == name).tolist()
            if places:
                count += len(places)
                old[name].append(module.take(examples, places))
        places = np.flatnonzero(where == "").tolist()
        if places:
            fresh[part] = examples if len(places) == len(keys) else module.take(examples, places)
    train, valid, test = (_one(task, old[part]) for part in PARTS)
    return Dealt(**fresh), Dealt(train, valid, test, count, settled=kept.count > 0)


def _one(task: "Task", parts: Sequence[Any]) -> Any:
    """Several pieces of a part as one, read where they are more than one."""
    if len(parts) < 2:
        return parts[0] if parts else None
    module: Any = task.updating()
    return module.joined([task.read(part) for part in parts])


def every_tenth(task: "Task", examples: Any) -> tuple[Any, Any]:
    """Most rows, and a tenth of them by their keys, one at least: for rows that a task's own split refuses, such as
    those of a single class."""
    module: Any = task.updating()
    keys = module.keys(examples)
    order = sorted(range(len(keys)), key=lambda place: (keys[place], place))
    held = set(order[::10]) if len(order) > 1 else set(order)
    rest = [place for place in range(len(keys)) if place not in held] or order
    return module.take(examples, rest), module.take(examples, sorted(held))
