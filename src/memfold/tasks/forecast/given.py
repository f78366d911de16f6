"""The tables that a forecaster is given after its fit: with rows of the time ahead, or with rows that go on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from memfold.data.ahead import is_ahead, with_ahead
from memfold.data.columns import VALUE_NAMES, by_name
from memfold.data.delimited import Table
from memfold.data.sources import read_table
from memfold.data.tables import ID, TARGET, TIME, SeriesTable, read_series
from memfold.data.time_columns import with_times
from memfold.data.times import read_times
from memfold.errors import InputError

if TYPE_CHECKING:
    from memfold.tasks.forecast.task import Forecaster

__all__ = ["going_on", "past_and_ahead", "with_rows_ahead"]


def past_and_ahead(model: "Forecaster", inputs: Sequence[str]) -> Table:
    """The rows of the past in files, and those that others hold of what is known ahead.

    Raises:
        InputError: they cannot be read, or do not go together.
    """
    tables = [read_table(one, model.encoding, sheet=model.sheet) for one in inputs]
    target = model.target or next((t for one in tables if (t := by_name(one.frame.columns, VALUE_NAMES))), None)
    others = {*model.past, *model.static, model.id, *([model.time] if model.time else [])}
    ahead = [is_ahead(one, target, model.future, others) for one in tables]
    if all(ahead):
        raise InputError(
            f"{tables[0].name}: holds what is known ahead and no values to forecast from; give the past, too: "
            "memfold predict MODEL PAST AHEAD"
        )
    past = [one for one, its in zip(tables, ahead, strict=True) if not its]
    return with_rows_ahead(model, read_table(past), [one for one, its in zip(tables, ahead, strict=True) if its])


def with_rows_ahead(model: "Forecaster", past: Table, ahead: Sequence[Table]) -> Table:
    """The rows of the past with those of the time ahead."""
    for one in ahead:
        if missing := [column for column in model.future if column not in one.frame.columns]:
            raise InputError(f"{one.name}: no column {missing[0]!r}, which the model knows ahead")
        target = model.target or by_name(past.frame.columns, VALUE_NAMES) or TARGET
        past = with_ahead(past, one, model.future, id=model.id, time=model.time, target=target, dates=model.dates)
    return past


def going_on(model: "Forecaster", data: Any) -> tuple[SeriesTable, pl.DataFrame]:
    """The series that the model was trained on with later rows after them.

    Returns:
        The series; and every row given: its series, its time, and whether it is ``new``, in the order given.
    """
    if isinstance(data, SeriesTable):
        raw = data.frame if data.static is None else data.frame.join(data.static, on=ID, how="left")
    else:
        read = read_table(data, model.encoding, sheet=model.sheet)
        read, time = with_times(read, model.time, {model.id, *model.past, *model.future})
        raw = read.frame
        target = model.target or by_name(raw.columns, VALUE_NAMES) or TARGET
        names = raw[model.id].cast(pl.String) if model.id in raw.columns else pl.lit(target)
        raw = raw.with_columns(names.alias(ID), read_times(read.column(time), model.dates)[0].alias(TIME))
        raw = raw.rename({target: TARGET}) if target != TARGET and target in raw.columns else raw
    before = model.trained_.known.filter(pl.col(ID).is_in(raw[ID].unique().to_list()))
    if model.trained_.static is not None:
        before = before.join(model.trained_.static, on=ID, how="left")
    last = before.group_by(ID).agg(pl.col(TIME).max().alias("last"))
    rows = raw.select(pl.col(ID), pl.col(TIME).cast(before.schema[TIME])).join(
        last, on=ID, how="left", maintain_order="left"
    )
    rows = rows.select(ID, TIME, new=pl.col("last").is_null() | (pl.col(TIME) > pl.col("last")))
    if missing := [column for column in before.columns if column not in raw.columns]:
        title = model.target or TARGET if missing[0] == TARGET else missing[0]
        raise InputError(f"the rows have no column {title!r}; the model was trained with it")
    later = raw.select(before.columns).cast({TIME: before.schema[TIME]}).filter(rows["new"])
    whole = pl.concat([before, later], how="vertical_relaxed")
    covariates = (*model.past, *model.future)
    kept: dict[str, Any] = {"words": set(model.covariates_.categories), "step": model.step_, "off": model.off_}
    table = read_series(
        whole, missing=model.missing, covariates=covariates, static=model.static, every=model.every, **kept
    )
    return table, rows
