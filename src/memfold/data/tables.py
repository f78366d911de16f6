"""Tables of series -- one row a series and a time -- from CSV, Parquet, workbooks or any data frame, checked cell by
cell."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import polars as pl

from memfold.data.columns import VALUE_NAMES, choose, counters, holds_numbers
from memfold.data.delimited import MISSING, Column, Table, counted
from memfold.data.grid import (
    all_month_ends,
    calendar_step,
    days_of,
    on_grid,
    refuse_far_times,
    step_of,
    workdays_of,
)
from memfold.data.numbers import Decimal, read_numbers
from memfold.data.resampling import evenly_spaced
from memfold.data.series_table import ID, TARGET, TIME, SeriesTable
from memfold.data.sources import read_table
from memfold.data.time_columns import with_times
from memfold.data.times import ZONES, follow_clock, read_times
from memfold.data.wide import as_long, number_columns
from memfold.data.workdays import NONE_OFF, DaysOff, holidays_of, step_of_weekdays, weekdays_of
from memfold.data.written import Times
from memfold.errors import InputError

__all__ = ["ID", "TARGET", "TIME", "SeriesTable", "in_order", "names_in", "read_series", "refuse_null"]

_NAMED = 3  # columns in a message


def read_series(
    source: Any,
    *,
    id: str = ID,
    time: str | None = None,
    target: str | None = None,
    missing: Literal["error", "interpolate", "keep"] = "error",
    covariates: Sequence[str] | None = None,
    static: Sequence[str] = (),
    dates: str | None = None,
    decimal: Decimal | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    wide: bool | None = None,
    every: str | None = None,
    holidays: str | None = None,
    step: str | None = None,
    off: DaysOff | None = None,
    words: Collection[str] | None = None,
) -> SeriesTable:
    """Read a table of series.

    Args:
        source: what `memfold.data.sources.read_table` takes: a path, or a data frame (pandas, Polars, PyArrow ...).
        id: column with the series' names; a table without it holds one series.
        time: column with dates or integers; None looks for ds, timestamp, time, date ..., then for one with dates.
        target: column with the values; None looks for y and value, then for the only other column of numbers.
        missing: what to do about a value or a row that is not there: stop and name it, interpolate linearly, or keep it
            as NaN.
        covariates: further columns of numbers or words to read; None reads no other column.
        static: columns of numbers or texts that are the same in all rows of a series, where they are not empty.
        dates: as `memfold.data.times.read_times` takes it.
        decimal: as `memfold.data.numbers.read_numbers` takes it.
        encoding: of a text file; None finds it.
        sheet: of a workbook; None takes the only one that holds anything.
        wide: whether each column of numbers is a series; None looks, see `memfold.data.wide.as_long`.
        every: the step to put uneven times on, see `memfold.data.resampling.evenly_spaced`.
        holidays: whose are known ahead, and are no steps where the series have none on them; such as US, DE-BY, NYSE.
        step: which there was before, where workdays were recognised or not; None looks.
        off: the holidays as they were read before; in place of ``holidays``.
        words: the covariates that hold words; None looks.

    Raises:
        InputError: naming file, row and column of what cannot be read.

    >>> table = read_series(pl.DataFrame({"ds": [1, 2, 3], "y": [1.0, 2.0, 4.0]}))
    >>> table.ids, table.lengths
    (['y'], array([3]))
    """
    if isinstance(source, SeriesTable):
        return source
    raw = read_table(source, encoding, sheet=sheet)
    name = raw.name
    if raw.frame.height == 0:
        raise InputError(f"{name}: holds no rows")
    # Which column is what.
    wanted = tuple(covariates or ())
    named = {c for c in (*wanted, *static, id) if c in raw.frame.columns}
    raw, time = with_times(raw, time, named)
    notes = list(raw.notes)
    is_wide = False
    if target is None and not (wanted or static or id in raw.frame.columns):
        if long := as_long(raw, time, wide, decimal, ID, TARGET):
            raw, said = long
            is_wide, id, target = True, ID, TARGET
            notes = [*raw.notes, *said]
    elif wide:
        raise InputError(f"{name}: --set wide=true reads every column as a series; leave out target, id and covariates")
    numbers = number_columns(raw, {*named, time})[0] if target is None else []
    count = counters(raw, numbers)
    count = count if len(count) < len(numbers) else []
    target = choose(raw, target, "target", VALUE_NAMES, holds_numbers, {*named, time, *count})
    notes += [f"not read: {', '.join(map(repr, count))}"] if count else []
    _check_columns(raw, {"time": [time], "target": [target], "covariates": wanted, "static": static, "id": [id]})
    # The cells.
    if id in raw.frame.columns:
        refuse_null(raw.column(id))
        ids = names_in(raw.column(id)).alias(ID)
    else:
        ids = pl.Series(ID, [target] * raw.frame.height, dtype=pl.String)
    refuse_null(raw.column(time))
    times, how = read_times(raw.column(time), dates, even=_even(ids))
    of_words = [c for c in wanted if (_are_words(raw.frame[c]) if words is None else c in words)]
    cells, said = _cells(raw, {TARGET: target, **{c: c for c in wanted}}, of_words, decimal)
    notes += said
    features = _static(pl.DataFrame([ids, *(raw.frame[c] for c in static)]), name) if static else None
    frame = pl.DataFrame([ids, times.alias(TIME), *cells]).with_row_index("row")
    # The rows in the order of time, at even times where these were asked for.
    if not in_order(frame):
        notes.append("rows that were not in the order of time were put into it")
    frame, how = _by_clock(frame, how)
    frame = frame.sort(ID, TIME)
    forced = None
    if every is not None:
        numbers = [TARGET, *(c for c in wanted if c not in of_words)]
        frame, forced, said = evenly_spaced(frame, every, numbers, of_words, name)
        notes += said
    _refuse_duplicates(frame, raw, {*wanted, target, time})
    # From one row to the next, by the clock, the calendar or the days of work.
    days = days_of(frame) if forced is None and (step is None or weekdays_of(step)) else None
    workdays = None if days is None else (step if step and weekdays_of(step) else step_of_weekdays(days))
    its_step = forced or workdays or step_of(frame, name)
    mask = weekdays_of(its_step)
    if off is None:
        off = NONE_OFF if holidays is None else _holidays(frame, holidays, mask, name)
        if off.country:
            notes.append(_said_of(off, mask))
    refuse_far_times(frame, its_step, raw, time)
    # A row for every step.
    month_ends = all_month_ends(frame[TIME], its_step)
    grid = None
    if mask is not None and days is not None:
        grid, said = workdays_of(days, mask, off, missing == "interpolate", name)
        notes += said
    rows = frame.height
    how_missing = "interpolate" if every is not None and missing == "error" else missing
    frame = on_grid(frame.drop("row"), its_step, month_ends, name, how_missing, wanted, grid)
    if every is not None and frame.height > rows:
        filled = "left open" if missing == "keep" else "filled by straight lines"
        notes.append(f"{counted(frame.height - rows, 'step')} without a reading {filled}")
    notes = [*([how.note] if how.note else []), *notes]
    titles = (id, time)
    return SeriesTable(
        frame, its_step, wanted, features, how, titles, tuple(notes), name, target, month_ends, off, is_wide
    )


# -- columns -------------------------------------------------------------------------------------------------


def _check_columns(raw: Table, by_option: Mapping[str, Sequence[str]]) -> None:
    """Refuse columns that are not there, that are named twice, or whose names are taken here.

    Args:
        by_option: the columns by the option that names them.
    """
    named: dict[str, str] = {}
    for option, columns in by_option.items():
        for column in columns:
            if column not in raw.frame.columns and not (column == ID and option == "id"):
                raise InputError(
                    f"{raw.name}: no column {column!r}; it has {', '.join(map(repr, raw.frame.columns))} "
                    f"(name the right one with --set {option}=COLUMN)"
                )
            if column in named:
                raise InputError(f"{raw.name}: column {column!r} is named twice, as {named[column]} and as {option}")
            named[column] = option
    for column in (*by_option["covariates"], *by_option["static"]):
        if column in {ID, TIME, TARGET, "row", "*"} or (column.startswith("^") and column.endswith("$")):
            raise InputError(f"{raw.name}: a column beside the target cannot be called {column!r} here; rename it")


def _cells(
    raw: Table, columns: Mapping[str, str], of_words: Collection[str], decimal: Decimal | None
) -> tuple[list[pl.Series], list[str]]:
    """Columns of numbers or words by their new names, and what is to be said of them."""
    read, notes = [], []
    for title, column in columns.items():
        at = raw.column(column)
        values, note = read_words(at) if title in of_words else read_numbers(at, decimal)
        read.append(values.alias(title))
        notes += [note] if note else []
    return read, notes


def _are_words(column: pl.Series) -> bool:
    """Whether a column holds words rather than numbers: less than half of its texts have a figure for a number."""
    if column.dtype != pl.String:
        return False
    texts = column.drop_nulls().str.strip_chars().unique()
    texts = texts.filter(texts != "")
    return len(texts) > 0 and int(texts.str.contains(r"^[^\p{L}]*\d[^\p{L}]*$").sum()) < 0.5 * len(texts)


def read_words(at: Column) -> tuple[pl.Series, str]:
    """The words of a column, ``""`` where a cell is empty, and what is to be said of it."""
    words = at.values.cast(pl.String).str.strip_chars().fill_null("")
    truth = words.str.to_lowercase()
    words = pl.select(pl.when(truth.is_in(["true", "false"])).then(truth).otherwise(words)).to_series()
    empty = int((words == "").sum())
    different = words.filter(words != "").n_unique()
    note = f"{at.short}: {counted(different, 'word')}" + (f", none in {counted(empty, 'row')}" if empty else "")
    return words, note


def in_order(frame: pl.DataFrame) -> bool:
    """Whether the rows of each series follow each other in time."""
    back = frame.select((pl.col(TIME) < pl.col(TIME).shift(1)).over(ID).alias("back"))["back"]
    return not back.fill_null(False).any()


def _static(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """A row a series of columns that are the same in all its rows, as text."""
    columns = frame.columns[1:]
    texts = frame.select(ID, pl.col(columns).cast(pl.String).str.strip_chars().replace(MISSING, None))
    distinct = texts.group_by(ID).agg(pl.col(columns).drop_nulls().unique(maintain_order=True)).sort(ID)
    for column in columns:
        for series, values in distinct.select(ID, column).iter_rows():
            if not values:
                raise InputError(f"{name}: series {series!r} has no {column!r}")
            if len(values) > 1:
                raise InputError(
                    f"{name}: series {series!r} has both {values[0]!r} and {values[1]!r} in column {column!r}; "
                    "a static column is the same in all rows of a series"
                )
    return distinct.with_columns(pl.col(columns).list.first())


# -- times ---------------------------------------------------------------------------------------------------


def _even(ids: pl.Series) -> Callable[[pl.Series], bool]:
    """Whether times are evenly apart in each series, months and years aside, whose lengths differ."""

    def even(times: pl.Series) -> bool:
        frame = pl.DataFrame({ID: ids, TIME: times}).drop_nulls().sort(ID, TIME)
        gaps = frame.select(pl.col(TIME).diff().over(ID).alias("gap"))["gap"].drop_nulls()
        return gaps.n_unique() == 1 or calendar_step(gaps) is not None

    return even


def _by_clock(frame: pl.DataFrame, how: Times) -> tuple[pl.DataFrame, Times]:
    """The frame with times of UTC where its own follow clocks that were changed without saying so.

    That shows by an hour that comes twice in autumn, or that is not there in spring, on a night when the clocks of some
    zone are changed.
    """
    if frame.schema[TIME].is_integer() or how.zone:
        return frame, how
    ordered = frame.sort(ID, "row")
    again = ordered.select(pl.int_range(pl.len()).over(ID, TIME) > 0).to_series()
    gaps = frame.sort(ID, TIME).select(pl.col(TIME).diff().over(ID).alias("gap"))["gap"].drop_nulls()
    usual = gaps.filter(gaps > timedelta(0)).mode().min()
    if not isinstance(usual, timedelta) or usual >= timedelta(days=1):
        return frame, how
    jumps = {usual + timedelta(minutes=30), usual + timedelta(hours=1)}
    if not again.any() and not gaps.is_in(list(jumps)).any():
        return frame, how

    def odd(times: pl.Series) -> int:
        there = pl.DataFrame({ID: ordered[ID], TIME: times}).sort(ID, TIME)
        return int((there.select(pl.col(TIME).diff().over(ID).alias("gap"))["gap"].drop_nulls() != usual).sum())

    best, least = None, odd(ordered[TIME])
    for zone in ZONES:
        followed = follow_clock(ordered[TIME], again, [zone])
        if followed is not None and (count := odd(followed[0])) < least:
            best, least = followed, count
    if best is None:
        return frame, how
    changed = ordered[TIME].filter(again)
    by = f"{changed[0]} comes twice" if len(changed) else "an hour in spring is not there"
    note = f"the times follow the clocks of {best[1]}: {by}"
    how = replace(how, zone=best[1], utc=True, clock=True, note=f"{how.note}; {note}" if how.note else note)
    return ordered.with_columns(best[0].alias(TIME)), how


# -- row numbers are those of the file, its header being row 1 where nothing precedes it ----------------------


def names_in(column: Column) -> pl.Series:
    """A column of names of series as texts.

    Raises:
        InputError: it holds what is no name.
    """
    kind = column.values.dtype
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        raise InputError(f"{column} holds {kind}; expected the names of series, texts or numbers")
    return column.values.cast(pl.String)


def refuse_null(column: Column) -> None:
    """Refuse an empty cell.

    Raises:
        InputError: naming the first one.
    """
    if column.values.null_count():
        place = column.values.is_null().arg_max()
        assert place is not None
        raise InputError(f"{column.cell(place)}: empty")


def _refuse_duplicates(frame: pl.DataFrame, raw: Table, taken: Collection[str]) -> None:
    """Refuse a time that a series has twice, and name the columns that may tell several series apart.

    Args:
        taken: columns of the table that hold something else than names of series.
    """
    twice = frame.filter((pl.col(TIME) == pl.col(TIME).shift(1).over(ID)).fill_null(False))
    if not twice.height:
        return
    hint = ""
    if frame[ID].n_unique() == 1:
        times = frame.sort("row")[TIME]
        names = [c for c in raw.frame.columns if c not in taken and _tells_apart(raw.frame[c], times)]
        shown = f"such as {' or '.join(f'--set id={name}' for name in names[:_NAMED])}" if names else "--set id=COLUMN"
        hint = f" (several series in one table need a column of names, {shown})"
    first = twice.sort("row").row(0, named=True)
    raise InputError(f"{raw.name}: row {raw.row(first['row'])}: series {first[ID]!r} has {first[TIME]} twice{hint}")


def _tells_apart(column: pl.Series, times: pl.Series) -> bool:
    """Whether a column holds names of series, each of which has a time once and several times."""
    if column.dtype.is_float() or column.dtype.is_nested() or column.null_count():
        return False
    pairs = pl.DataFrame([column.alias(ID), times.alias(TIME)])
    return 2 * pairs[ID].n_unique() <= pairs.height and not pairs.is_duplicated().any()


# -- holidays ------------------------------------------------------------------------------------------------


def _holidays(frame: pl.DataFrame, country: str, mask: str | None, name: str) -> DaysOff:
    if frame.schema[TIME].is_integer():
        raise InputError(f"{name}: --set holidays={country} takes times that are dates")
    days = frame[TIME].dt.date().unique().sort().to_numpy().astype("datetime64[D]")
    return holidays_of(country, days, mask)


def _said_of(off: DaysOff, mask: str | None) -> str:
    """What is known of holidays, in words."""
    closed = f"; {len(off.closed):,} of them are no steps, as the series have none on such days" if mask else ""
    return f"holidays of {off.country}: {len(off.holidays):,} days up to {off.until}{closed}"
