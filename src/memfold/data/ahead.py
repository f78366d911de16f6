"""What is known of the time ahead, in a table of its own, below the rows of the past."""

from collections.abc import Collection, Sequence

import polars as pl

from memfold.data.columns import by_name, holds_numbers, holds_times
from memfold.data.delimited import Table, counted
from memfold.data.time_columns import of_one_column, with_times
from memfold.data.times import read_times
from memfold.data.written import TIME_NAMES
from memfold.errors import InputError

__all__ = ["is_ahead", "with_ahead"]


def is_ahead(table: Table, target: str | None, future: Sequence[str], others: Collection[str] = ()) -> bool:
    """Whether a table tells of the time ahead alone: it has the columns that are known ahead, and no values.

    Args:
        target: the column of values; None where no name says it, then any column of numbers that is nothing else.
        future: the columns that are known ahead.
        others: further columns that hold no values.
    """
    if not future or not set(future) <= set(table.frame.columns):
        return False
    if target is None:
        table = of_one_column(table, future)
        rest = [table.column(c) for c in table.frame.columns if c not in {*future, *others}]
        dated = [at.title for at in rest if by_name([at.title], TIME_NAMES) or holds_times(at)]
        return not any(holds_numbers(at) for at in rest if at.title not in dated)
    return target not in table.frame.columns or table.frame[target].null_count() == table.frame.height


def with_ahead(
    past: Table, ahead: Table, future: Sequence[str], *, id: str, time: str | None, target: str, dates: str | None
) -> Table:
    """The rows of the past, and below them those of the time ahead, whose values are empty.

    Rows at times that the past has are left out. Where the past has several series and the rows ahead name none, they
    hold for each.

    Args:
        future: the columns that are known ahead.
        id, time, target: columns with the series' names, the times and the values.
        dates: as `memfold.data.times.read_times` takes it.

    Raises:
        InputError: no column of times, or times that cannot be read.
    """
    past, its_time = with_times(past, time, {id, target, *future})
    ahead, time_ahead = with_times(ahead, its_time if its_time in ahead.frame.columns else None, future)
    before = read_times(past.column(its_time), dates)[0]
    after = read_times(ahead.column(time_ahead), dates)[0]
    if before.dtype != after.dtype:
        raise InputError(f"{ahead.name}: its times are {after.dtype}, those of {past.name} {before.dtype}")
    notes = [*past.notes, *(f"{ahead.name}: {note}" for note in ahead.notes)]
    same = past.frame.schema[its_time] == ahead.frame.schema[time_ahead]
    shown = ahead.frame[time_ahead] if same else after  # times of two kinds go on as what they were read as
    rows = ahead.frame.select(shown.alias(its_time), *future).with_columns(after.alias("_at"))
    if id in past.frame.columns:
        names = (
            past.frame.select(id, before.alias("_last")).group_by(id, maintain_order=True).agg(pl.col("_last").max())
        )
        if id in ahead.frame.columns:
            rows = rows.with_columns(ahead.frame[id].cast(past.frame.schema[id], strict=False))
            unknown = rows.filter(~pl.col(id).is_in(names[id].to_list()))
            if unknown.height:
                notes.append(f"{ahead.name}: {counted(unknown.height, 'row')} of series without a past left out")
            rows = rows.join(names, on=id, how="inner", maintain_order="left")
        else:
            notes.append(f"{ahead.name}: has no column {id!r}; its rows hold for each series")
            rows = names.join(rows, how="cross")
    else:
        rows = rows.with_columns(pl.lit(before.max()).alias("_last"))
    late = rows.filter(pl.col("_at") > pl.col("_last"))
    if late.height < rows.height:
        notes.append(f"{ahead.name}: {counted(rows.height - late.height, 'row')} at times of the past left out")
    if not late.height:
        raise InputError(f"{ahead.name}: holds no row after the last one of {past.name}")
    frame = past.frame if same else past.frame.with_columns(before.alias(its_time))
    late = late.drop("_at", "_last")
    unlike = [c for c in late.columns if late.schema[c] != frame.schema[c]]
    texts = [c for c in unlike if pl.String in (late.schema[c], frame.schema[c])]
    frame, late = (part.with_columns(pl.col(texts).cast(pl.String)) for part in (frame, late))
    whole = pl.concat([frame, late], how="diagonal_relaxed")
    notes.append(f"{counted(late.height, 'row')} known ahead")
    places = [*(past.row(k) for k in range(past.frame.height)), *[0] * late.height]
    return Table(f"{past.name} and {ahead.name}", whole, tuple(notes), pl.Series(places), past.separator)
