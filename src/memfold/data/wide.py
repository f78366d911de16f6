"""Tables with a column for each series, as one with a row for each series and time."""

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from memfold.data.columns import VALUE_NAMES, by_name, holds_numbers, is_counter
from memfold.data.delimited import Table
from memfold.data.numbers import Decimal, read_numbers
from memfold.errors import InputError

__all__ = ["as_long", "number_columns"]

_NAMED = 4  # columns in a message
_LIKE = 10.0  # times as large, at most, as another column of the same quantity
_LIKE_NAMES = 1000.0  # the same where the names are alike
_SHARED = 0.5  # of a name that others share


def as_long(
    raw: Table, time: str, wide: bool | None, decimal: Decimal | None, id: str, target: str
) -> tuple[Table, list[str]] | None:
    """The table with a row for each series and time, and what is to be said of it; None where it is not a wide one.

    A table is wide where nothing names one column the values and two or more columns of numbers look like one quantity
    of several things: all others are empty or count the rows, and the columns are alike in size or in name.

    Args:
        raw: without a column of names.
        time: the column of times.
        wide: whether it is wide; None looks.
        id, target: what the columns of names and of values are to be called.

    Raises:
        InputError: ``wide`` is true and no column holds numbers; or columns of numbers may be series, or one of them
            the values and the others something else.
    """
    if wide is False or (wide is None and by_name(raw.frame.columns, VALUE_NAMES)):
        return None
    columns, others = number_columns(raw, {time})
    if wide is None and len(columns) < 2:
        return None
    if not columns:
        raise InputError(f"{raw.name}: no column of numbers for --set wide=true")
    read = {column: read_numbers(raw.column(column), decimal) for column in columns}
    counters = [column for column in columns if is_counter(read[column][0], column)]
    columns = [column for column in columns if column not in counters] or columns
    if wide is None and len(columns) < 2:
        return None
    texts = [column for column in others if raw.frame[column].null_count() < raw.frame.height]
    if wide is None and (texts or not _are_alike(columns, [read[column][0] for column in columns])):
        has = ", ".join(map(repr, raw.frame.columns))
        raise InputError(
            f"{raw.name}: no column for the target; it has {has} (name the right one with --set target=COLUMN, or read "
            "each column of numbers as a series with --set wide=true)"
        )
    rows = pl.int_range(2, 2 + raw.frame.height, eager=True) if raw.rows is None else raw.rows.cast(pl.Int64)
    parts = []
    for column in columns:
        values = read[column][0]
        known = values.is_not_null().arg_true()
        begin, end = (int(known[0]), int(known[-1]) + 1) if len(known) else (0, 0)
        names = pl.Series(id, [column] * (end - begin), dtype=pl.String)
        part = pl.DataFrame([names, raw.frame[time][begin:end], values[begin:end].alias(target)])
        parts.append(part.with_columns(rows[begin:end].alias("row")))
    whole = pl.concat(parts)
    shown = ", ".join(map(repr, columns[:_NAMED])) + (", ..." if len(columns) > _NAMED else "")
    unread = [*counters, *texts]
    notes = [f"a column each read as {len(columns):,} series: {shown}"]
    if wide is None:
        notes[0] += "; --set target=COLUMN takes one alone"
    notes += [f"not read: {', '.join(map(repr, unread))}"] if unread else []
    notes += [note for _, note in read.values() if note]
    return Table(raw.name, whole.drop("row"), raw.notes, whole["row"], raw.separator), notes


def number_columns(raw: Table, taken: Collection[str]) -> tuple[list[str], list[str]]:
    """The columns of numbers, and the others, but for those that are something else."""
    columns = [column for column in raw.frame.columns if column not in taken]
    numbers = [column for column in columns if holds_numbers(raw.column(column))]
    return numbers, [column for column in columns if column not in numbers]


def _are_alike(names: Sequence[str], columns: Sequence[pl.Series]) -> bool:
    """Whether columns look like one quantity: of a size, and none of them a flag."""
    sizes = []
    for column in columns:
        known = column.drop_nulls().abs()
        if known.n_unique() <= 2 and known.is_in([0.0, 1.0]).all():
            return False
        inside = known.filter(known > 0)
        sizes.append(float(np.median(inside.to_numpy())) if len(inside) else 1.0)
    apart = max(sizes) / min(sizes)
    return apart <= _LIKE or (apart <= _LIKE_NAMES and _share_a_name(names))


def _share_a_name(names: Sequence[str]) -> bool:
    """Whether names differ in a part alone, such as shop 1 and shop 2, or north_kWh and south_kWh."""
    begin, end = _common(names), _common([name[::-1] for name in names])
    return max(begin, end) >= 2 and max(begin, end) >= _SHARED * min(map(len, names)) - 1


def _common(names: Sequence[str]) -> int:
    """How many letters names have in common at their start."""
    count = 0
    for letters in zip(*names, strict=False):
        if len(set(letters)) > 1:
            break
        count += 1
    return count
