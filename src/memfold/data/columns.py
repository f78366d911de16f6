"""Which column of a table is which: by its name, and where no name says it, by what it holds."""

from collections.abc import Callable, Collection, Sequence

import polars as pl

from memfold.data.delimited import Column, Table
from memfold.data.numbers import read_numbers
from memfold.data.times import read_times
from memfold.errors import InputError

__all__ = ["VALUE_NAMES", "by_name", "choose", "counters", "holds_numbers", "holds_times", "is_counter"]

VALUE_NAMES = ("y", "value")
_SAMPLE = 200  # values that are looked at
_COUNTERS = {"", "index", "id", "no", "nr", "#", "row", "unnamed: 0", "column 1", "序号"}
LEAST_ACROSS = 3  # columns that are called by times, of a table that has a row a series


def by_name(columns: Collection[str], common: Sequence[str]) -> str | None:
    """The column with a name that is among common ones, the earliest of them; letters' case does not matter."""
    named = [column for column in columns if column.strip().lower() in common]
    return min(named, key=lambda column: common.index(column.strip().lower())) if named else None


def choose(
    table: Table,
    given: str | None,
    option: str,
    common: Sequence[str],
    holds: Callable[[Column], bool] | None = None,
    taken: Collection[str] = (),
) -> str:
    """The column for an option: the one given, one of a common name, or the only one that holds such values.

    Args:
        given: as the option says; None to look for it.
        option: the parameter's name, for errors.
        taken: columns that are something else, by what they hold.

    Raises:
        InputError: there is none, or there are several.
    """
    columns = table.frame.columns
    if given in columns:
        return str(given)
    if given is None and (column := by_name(columns, common)):
        return column
    if given is None and holds is not None:
        holding = [column for column in columns if column not in taken and holds(table.column(column))]
        if len(holding) == 1:
            if holds in (holds_times, holds_numbers):
                _refuse_data_for_header(table, holding[0], holds)
            return holding[0]
    if option == "time" and given is None:
        _refuse_times_across(table)
    wanted = f"no column {given!r}" if given else f"no column for the {option}"
    has = ", ".join(map(repr, columns))
    raise InputError(f"{table.name}: {wanted}; it has {has} (name the right one with --set {option}=COLUMN)")


def _refuse_times_across(table: Table) -> None:
    """Refuse a table whose columns are the times, a row a series, and say what to do."""
    titles = [title for title in table.frame.columns if holds_times(Column(table.name, title, pl.Series([title])))]
    if len(titles) >= LEAST_ACROSS:
        raise InputError(
            f"{table.name}: {len(titles)} columns are called by times, from {titles[0]!r} to {titles[-1]!r}: a row a "
            "series; turn the table, so that a row is a time and a column a series"
        )


def _refuse_data_for_header(table: Table, title: str, holds: Callable[[Column], bool]) -> None:
    """Refuse a table whose header is a row of data by all appearances: its title is what the column holds."""
    if holds(Column(table.name, title, pl.Series([title]))):
        raise InputError(
            f"{table.name}: the first row, with {title!r}, looks like data and not like a header; write the columns' "
            "names into a row above it"
        )


def holds_times(column: Column) -> bool:
    """Whether a column's first values are dates, be it that they can be read in two ways."""
    sample = _sample(column)
    try:
        if len(sample.values) == 0:
            return False
        times, how = read_times(sample)
        return how.kind != "integer" and (how.kind != "decimal" or _follow_each_other(times))
    except InputError as error:
        return " can be " in str(error)


def _follow_each_other(times: pl.Series) -> bool:
    """Whether times are evenly apart but for a few, as no prices in quarters of a point are; so is one alone."""
    if len(times) == 1:
        return True
    gaps = times.unique().sort().diff().drop_nulls().dt.total_days()
    usual = gaps.mode().min()
    return isinstance(usual, int) and int((gaps - usual).abs().le(3).sum()) >= 0.9 * len(gaps)


def holds_numbers(column: Column) -> bool:
    """Whether a column's first values are numbers, be it that they can be read in two ways."""
    kind = column.values.dtype
    if not (kind.is_numeric() or kind in (pl.String, pl.Boolean)):
        return False
    sample = _sample(column)
    try:
        return len(read_numbers(sample)[0]) > 0
    except InputError as error:
        return " can be " in str(error)


def is_counter(values: pl.Series, name: str) -> bool:
    """Whether a column counts the rows, as an index does that was written with them."""
    steps = values.diff().drop_nulls()
    counts = len(values) > 2 and values.null_count() == 0 and bool((steps == 1).all()) and values[0] in (0.0, 1.0)
    return counts and name.strip().lower() in _COUNTERS


def counters(table: Table, columns: Collection[str]) -> list[str]:
    """Those of some columns that count the rows."""
    named = [column for column in columns if column.strip().lower() in _COUNTERS]
    numbers = [column for column in named if holds_numbers(table.column(column))]
    return [column for column in numbers if is_counter(read_numbers(table.column(column))[0], column)]


def _sample(column: Column) -> Column:
    values = column.values.drop_nulls().head(_SAMPLE)
    return Column(column.name, column.title, values, None, column.separator)
