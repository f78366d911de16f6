"""What an update must know of a forecaster: later rows follow the old ones."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from memfold.data.tables import ID, TARGET, TIME, SeriesTable, read_series
from memfold.errors import InputError
from memfold.runtime.forecasting.covariates import Covariates
from memfold.tasks.fit_data import FitData
from memfold.tasks.forecast.covariates import covariates_of
from memfold.tasks.report import Parts
from memfold.tasks.updating.course import Arranged, said_of_old

if TYPE_CHECKING:
    from memfold.tasks.forecast.task import Forecaster

__all__ = ["APART", "answers", "arranged", "begin", "covariates", "keys"]

APART = ("spread", "stretch", "linear_weights")  # of the blend, which is found anew


def keys(examples: Any) -> list[str]:
    """Series are known by their times."""
    return []


def begin(task: "Forecaster", before: "Forecaster") -> None:
    """Keep what the network's shapes follow from."""
    task.seasons_, task.horizon_ = before.seasons_, before.horizon_


def covariates(task: "Forecaster", table: SeriesTable) -> Covariates:
    """The earlier model's, scaled by the new rows where that is asked for.

    Raises:
        InputError: the rows are not as far apart.
    """
    assert task.begun is not None
    before = task.begun.model
    if table.step != before.step_:
        raise InputError(f"the rows are {table.step} apart, those the model was fitted to {before.step_}")
    kept: Covariates = before.covariates_
    if not task.begun.rescale:
        return kept
    return replace(kept, scaling=covariates_of(table, task.past, task.future, ()).scaling)


def arranged(task: "Forecaster", given: Parts, earlier: Sequence[Parts], missing: str, progress: bool) -> Arranged:
    """The old rows and those that follow them as one table, where both are there."""
    assert task.begun is not None
    fresh: SeriesTable = given.train if given.test is None else given.test
    train, test, scoring, again = given.train, given.test, given.scoring, ""
    notes = []
    count = fresh.known.height
    if earlier:
        old: SeriesTable = earlier[-1].test
        try:
            whole = _following([*(parts.test for parts in earlier), fresh], task)
        except InputError as error:
            notes.append(f"update: the new rows do not follow the old ones, which are left out ({error})")
            missing = ""
        else:
            count = whole.known.height - old.known.height
            again = f"{old.known.height:,} old rows"
            if count <= 0:
                notes.append("update: every row is among those that the model was fitted to; nothing is new")
            else:
                notes.append("what was held out of the old rows lies before the new ones and is trained on now")
            if given.test is None:
                train = whole
            else:
                train, test = task.hold_out(whole)
                scoring = {}
    vars(task)["begun"] = replace(task.begun, rehearses=bool(again))
    notes.append(said_of_old(f"{count:,} new rows", again, missing))
    scored = [Parts(None, parts.test, scoring=parts.scoring) for parts in earlier[-1:]]
    new = None if test is None else Parts(None, test, scoring=scoring)
    return Arranged(task, FitData(train, train, None, progress), scored[0] if scored else None, new, notes, missing)


def _following(tables: Sequence[SeriesTable], task: "Forecaster") -> SeriesTable:
    """Several tables as one; of the rows of one time the last ones count.

    Raises:
        InputError: a row is missing between them, or they are of other kinds.
    """
    columns = [ID, TIME, TARGET, *task.past, *task.future]
    try:
        rows = pl.concat([table.frame.select(columns) for table in tables], how="vertical_relaxed")
        rows = rows.unique([ID, TIME], keep="last", maintain_order=True).sort(ID, TIME)
        statics = [table.static for table in tables if table.static is not None]
        if statics:
            static = pl.concat(statics, how="vertical_relaxed").unique(ID, keep="last", maintain_order=True)
            rows = rows.join(static, on=ID, how="left", maintain_order="left")
    except pl.exceptions.PolarsError as error:
        raise InputError(" ".join(str(error).split())[:200]) from None
    table = read_series(rows, missing=task.missing, covariates=(*task.past, *task.future), static=task.static)
    last = tables[-1]
    return replace(table, times=last.times, titles=last.titles, name=last.name, target=last.target)


def answers(task: "Forecaster", before: "Forecaster", examples: SeriesTable, **options: Any) -> Any:
    """The earlier model's forecasts."""
    return before.answer(examples, **options)
