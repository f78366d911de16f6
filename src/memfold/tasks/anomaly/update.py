"""What an update must know of a detector of anomalies."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from memfold.data.readings import Readings
from memfold.tasks.fit_data import FitData
from memfold.tasks.report import Parts
from memfold.tasks.updating.course import Arranged, said_of_old

if TYPE_CHECKING:
    from memfold.tasks.anomaly.task import AnomalyDetector

__all__ = ["answers", "arranged", "begin", "keys", "marks", "test_marks"]

MOST_SERIES = 1000  # of which the ends are kept
LEAST = 20  # rows of a series that goes on, for them to be learned from


def keys(examples: Any) -> list[str]:
    """Series are known by their names and times."""
    return []


def begin(task: "AnomalyDetector", before: "AnomalyDetector") -> None:
    """Take series of the same variables alone."""
    task.variables_, task.calendar_ = before.variables_, before.calendar_


def marks(task: "AnomalyDetector", data: FitData) -> dict[str, str]:
    """Where what was trained on ends, by series."""
    return {f"trained {one.name}": repr(float(one.times[-1])) for one in data.whole[:MOST_SERIES] if len(one.times)}


def test_marks(task: "AnomalyDetector", test: Sequence[Readings]) -> dict[str, str]:
    """Where the series end."""
    return {f"end {one.name}": repr(float(one.times[-1])) for one in test[:MOST_SERIES] if len(one.times)}


def arranged(task: "AnomalyDetector", given: Parts, earlier: Sequence[Parts], missing: str, progress: bool) -> Arranged:
    """Series that go on where the old ones end are parted there: of the old part the same is trained on as before."""
    assert task.begun is not None
    kept = vars(task.begun.model).get("kept_")
    known = {} if kept is None else kept.marks
    scored = given.test is not None
    old_train: list[Readings] = []
    old_test: list[Readings] = []
    new_train: list[Readings] = []
    new_test: list[Readings] = []
    for one in given.test if scored else given.train:
        trained, end = (_number(known, f"{kind} {one.name}") for kind in ("trained", "end"))
        end = trained if end is None else end
        if trained is None or end is None or not len(one.times) or one.times[0] > trained:
            new_train.append(one.head(task.warm_rows(one)) if scored else one)
            new_test.append(one)
            continue
        at, cut = (int(np.searchsorted(one.times, moment, "right")) for moment in (trained, end))
        old_train.append(one.head(at))
        old_test.append(one.head(cut))
        if len(one.times) - cut >= LEAST:
            later = _after(one, cut)
            new_train.append(later.head(task.warm_rows(later)) if scored else later)
            new_test.append(later)
    names = {one.name for one in old_train}
    for parts in earlier:
        old_train += [one for one in parts.train if one.name not in names]
        old_test += [one for one in parts.test if one.name not in names]
    missing = "" if old_train else missing
    notes = []
    if not new_train:
        notes.append("update: every point is among those that the model was fitted to; nothing is new")
    vars(task)["begun"] = replace(task.begun, rehearses=bool(old_train))
    count, again = (sum(len(one.times) for one in series) for series in (new_train, old_train))
    notes.append(said_of_old(f"{count:,} new points", f"{again:,} old points" if again else "", missing))
    train = [*old_train, *new_train]  # what a monitor remembers of a name is that is given last
    data = FitData(train, train, None, progress)
    old, new = (Parts(None, series) if series and scored else None for series in (old_test, new_test))
    return Arranged(task, data, old, new, notes, missing)


def _number(marks: Any, name: str) -> float | None:
    try:
        return float(marks[name])
    except (KeyError, ValueError):
        return None


def _after(series: Readings, row: int) -> Readings:
    """The rows from one on, with the windows that lie in them."""
    windows = series.windows
    if windows is not None:
        windows = tuple((max(begin - row, 0), end - row) for begin, end in windows if end >= row)
    places = None if series.rows is None else series.rows[row:]
    return replace(series, times=series.times[row:], values=series.values[row:], windows=windows, rows=places)


def answers(task: "AnomalyDetector", before: "AnomalyDetector", examples: Any) -> Any:
    """The earlier model's judgements."""
    return before.answer(examples)
