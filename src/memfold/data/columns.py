"""Which column of a table is which: by its name, and where no name says it, by what it holds."""

from collections.abc import Callable, Collection, Sequence

import polars as pl

from memfold.data.delimited import Column, Table
from memfold.data.numbers import read_numbers
from memfold.data.times import read_times
from memfold.errors import InputError

__all__ = ["VALUE_NAMES", "by_name", "choose", "holds_numbers", "holds_times"]

VALUE_NAMES = ("y", "value")
_SAMPLE = 200  # values that are looked at
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
        return len(sample.values) > 0 and read_times(sample)[1].kind != "integer"
    except InputError as error:
        return " can be " in str(error)


def holds_numbers(column: Column) -> bool:
    """Whether a column's first values are numbers, be it that they can be read in two ways."""
    sample = _sample(column)
    try:
        return len(read_numbers(sample)[0]) > 0
    except InputError as error:
        return " can be " in str(error)


def _sample(column: Column) -> Column:
    values = column.values.drop_nulls().head(_SAMPLE)
    return Column(column.name, column.title, values, None, column.separator)
