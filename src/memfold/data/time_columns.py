"""Which column of a table holds the times, be they spread over several."""

from collections.abc import Collection
from dataclasses import replace

import polars as pl

from memfold.data.columns import by_name, choose, counters, holds_numbers, holds_times
from memfold.data.delimited import Column, Table
from memfold.data.written import TIME_NAMES

__all__ = ["of_one_column", "with_times"]

YEARS = ("year", "yr", "jahr", "año", "ano", "年", "年份")
# Parts of a time by their columns' names, each with its range and how it is written behind those before it.
_PARTS: tuple[tuple[tuple[str, ...], int, int, str], ...] = (
    (("month", "mon", "mo", "mnth", "monat", "mes", "月", "月份"), 1, 12, "-"),
    (("day", "dom", "tag", "dia", "día", "日"), 1, 31, "-"),
    (("hour", "hr", "stunde", "hora", "时", "小时"), 0, 23, " "),
    (("minute", "minuto", "分", "分钟"), 0, 59, ":"),
)
_QUARTERS = ("quarter", "qtr", "quartal", "trimestre", "季度")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def with_times(table: Table, given: str | None, taken: Collection[str] = ()) -> tuple[Table, str]:
    """A table and its column of times.

    That is the column given, one of a common name, the only one that holds dates, one that is called a year, or in a
    table of two columns the one that counts the rows. A year, a month or a quarter, a day, an hour and a minute in
    columns of their own are first made one, which takes their place.

    Args:
        given: the column; None to look for it.
        taken: columns that are something else.

    Raises:
        InputError: there is no such column, or there are several.

    >>> table = Table("sales.csv", pl.DataFrame({"year": [1949, 1949], "month": ["Jan", "Feb"], "y": [112, 118]}))
    >>> with_times(table, None)[0].frame["year-month"].to_list()
    ['1949-01', '1949-02']
    """
    columns = table.frame.columns
    if given is None and by_name(columns, TIME_NAMES) is None:
        if whole := _of_parts(table, taken):
            return whole
        rest = [column for column in columns if column not in taken]
        if not any(holds_times(table.column(column)) for column in rest):
            if year := by_name(rest, YEARS):
                return table, year
            count = counters(table, rest)
            if len(columns) == 2 and len(count) == 1:
                note = f"no column of times; column {count[0]!r} counts the steps"
                return replace(table, notes=(*table.notes, note)), count[0]
    return table, choose(table, given, "time", TIME_NAMES, holds_times, taken)


def of_one_column(table: Table, taken: Collection[str] = ()) -> Table:
    """The table with its times in one column, where they are spread over several."""
    whole = None if by_name(table.frame.columns, TIME_NAMES) else _of_parts(table, taken)
    return table if whole is None else whole[0]


def _of_parts(table: Table, taken: Collection[str]) -> tuple[Table, str] | None:
    """The table with a year and what is finer in one column; None where no two of them go together.

    Args:
        taken: columns that stay, be they a part of the time too.
    """
    columns = table.frame.columns
    year = by_name(columns, YEARS)
    years = None if year is None else _whole(table.frame[year], 1, 9999)
    if year is None or years is None or len(years) == 0:
        return None
    parts, texts = [year], years.cast(pl.String).str.zfill(4)
    for names, least, most, before in _PARTS:
        part = by_name(columns, names)
        numbers = None if part is None else _part(table.frame[part], least, most)
        if part is None or numbers is None:
            break
        texts = texts + before + numbers.cast(pl.String).str.zfill(2)
        parts.append(part)
    if len(parts) == 1 and (quarter := by_name(columns, _QUARTERS)):
        numbers = _part(table.frame[quarter], 1, 4)
        if numbers is not None:
            texts = texts + "-" + (3 * numbers - 2).cast(pl.String).str.zfill(2)
            parts.append(quarter)
    title = "-".join(parts)
    others = [column for column in columns if column not in {*parts, *taken}]
    if len(parts) == 1 or title in columns or any(_holds_dates(table.column(column)) for column in others):
        return None
    if len(parts) == 4:  # an hour is written with its minutes
        texts = texts + ":00"
    note = f"{' and '.join(map(repr, parts))} are one time, such as {texts[0]}"
    frame = table.frame.with_columns(texts.alias(title)).drop([part for part in parts if part not in taken])
    return replace(table, frame=frame, notes=(*table.notes, note)), title


def _holds_dates(column: Column) -> bool:
    """Whether a column holds dates that are no plain numbers."""
    return column.values.dtype.is_temporal() or (holds_times(column) and not holds_numbers(column))


def _part(values: pl.Series, least: int, most: int) -> pl.Series | None:
    """A part of a time as whole numbers: months also by their English names, quarters with a Q."""
    if values.dtype in (pl.Categorical, pl.Enum):
        values = values.cast(pl.String)
    if values.dtype == pl.String:
        values = values.str.strip_chars()
        if most == 12 and values.str.contains(r"^\p{L}").all():
            short = values.str.to_lowercase().str.slice(0, 3)
            values = short.replace_strict({name: k for k, name in enumerate(_MONTHS, 1)}, default=None)
        elif most == 4:
            values = values.str.strip_chars_start("Qq")
    return _whole(values, least, most)


def _whole(values: pl.Series, least: int, most: int) -> pl.Series | None:
    """A column without gaps as whole numbers of a range; None where it holds anything else."""
    try:
        exact = values.cast(pl.Float64, strict=False)
    except pl.exceptions.PolarsError:
        return None
    numbers = exact.cast(pl.Int64, strict=False)
    inside = numbers.null_count() == 0 and bool((numbers == exact).all())
    return numbers if inside and bool(numbers.is_between(least, most).all()) else None
