"""Tables of series -- one row a series and a time -- from CSV, Parquet, workbooks or any data frame, checked cell by
cell."""

import math
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.columns import VALUE_NAMES, choose, holds_numbers, holds_times
from memfold.data.delimited import MISSING, Column, Table, counted
from memfold.data.numbers import Decimal, read_numbers
from memfold.data.resampling import evenly_spaced, every_near
from memfold.data.sources import read_table
from memfold.data.times import ZONES, follow_clock, read_times
from memfold.data.wide import as_long
from memfold.data.workdays import (
    NONE_OFF,
    DaysOff,
    days_between,
    days_off,
    holidays_of,
    listed,
    next_workdays,
    step_of_weekdays,
    weekdays_of,
)
from memfold.data.written import AS_THEY_ARE, TIME_NAMES, Times
from memfold.errors import InputError

__all__ = ["ID", "TARGET", "TIME", "SeriesTable", "in_order", "names_in", "read_series", "refuse_null"]

ID, TIME, TARGET = "unique_id", "ds", "y"
FROM_END = pl.int_range(pl.len()).reverse().over(ID)  # 0 for the last row of a series
# A grid of more rows than both has an error in its times, not a gap in its series.
_LEAST_GRID = 100_000  # rows
_MOST_GRID = 100  # rows for every row of the table
_GRID_BYTES = 200  # that a row of the grid takes while it is filled, measured
# How many months, quarters or years of so many days may follow each other: the 30th of January, February's end and the
# 30th of March of a leap year; December and January; the first half of a leap year; three quarters from May on; the
# years about 1900. Of other lengths no two do.
_ALIKE = {30: 2, 31: 2, 91: 2, 92: 3, 365: 7}


@dataclass(frozen=True)
class SeriesTable:
    """Many series on a regular grid of times.

    Attributes:
        frame: columns ``unique_id`` (text), ``ds`` (Datetime or Int64), ``y`` (Float64) and the covariates (Float64,
            or String of words), sorted by series and time. ``y`` is null only in a series' last rows, which then carry
            known covariates ahead; NaN where a value is missing and was to be kept so.
        step: the time between two rows: a Polars interval such as ``30m`` or ``1mo``; ``1b`` from one workday to the
            next, with a 1 or a 0 for each day of the week where these are not Monday to Friday; ``1`` for integers.
        covariates: names of the other columns.
        static: columns ``unique_id`` and those that are the same in all rows of a series, as text; a row a series.
        times: how the times were written.
        titles: of the columns of names and of times, as they were given.
        notes: how it was read, where that is worth a word, and what was left out; each a sentence.
        name: of the file.
        target: what the column of values was called.
        month_ends: whether every time is on the last day of its month, and the step is of months or years.
        off: the holidays that are known.
        wide: whether the file has a column for each series.
    """

    frame: pl.DataFrame
    step: str
    covariates: tuple[str, ...] = ()
    static: pl.DataFrame | None = None
    times: Times = AS_THEY_ARE
    titles: tuple[str, str] = (ID, TIME)
    notes: tuple[str, ...] = ()
    name: str = ""
    target: str = TARGET
    month_ends: bool = False
    off: DaysOff = NONE_OFF
    wide: bool = False

    @cached_property
    def known(self) -> pl.DataFrame:
        """The rows whose ``y`` is known."""
        return self.frame.filter(pl.col(TARGET).is_not_null())

    @cached_property
    def ahead(self) -> pl.DataFrame:
        """The rows after the last known ``y``."""
        return self.frame.filter(pl.col(TARGET).is_null())

    @cached_property
    def ids(self) -> list[str]:
        """The series' names, in order."""
        return self.frame[ID].unique(maintain_order=True).to_list()

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """The number of known values of each series."""
        counts = self.known.group_by(ID, maintain_order=True).len()
        by_name = dict(counts.iter_rows())
        return np.array([by_name.get(name, 0) for name in self.ids], dtype=np.int64)

    @cached_property
    def values(self) -> list[NDArray[np.float64]]:
        """Each series' known values, in the order of ``ids``."""
        return np.split(self.known[TARGET].to_numpy(), np.cumsum(self.lengths)[:-1])

    def head(self, drop: int) -> "SeriesTable":
        """The table without each series' last ``drop`` known rows."""
        return replace(self, frame=self.known.filter(drop <= FROM_END))

    def tail(self, rows: int) -> "SeriesTable":
        """Each series' last ``rows`` known rows."""
        return replace(self, frame=self.known.filter(rows > FROM_END))

    def times_after(self, rows: int) -> pl.DataFrame:
        """Columns ``unique_id`` and ``ds``: the next ``rows`` times of each series."""
        last = self.known.group_by(ID, maintain_order=True).agg(pl.col(TIME).last())
        if (mask := weekdays_of(self.step)) is not None:
            ahead_of = [next_workdays(day, rows, mask, self.off.closed_days) for day in last[TIME].to_numpy()]
            moments = pl.Series(TIME, np.concatenate(ahead_of), dtype=pl.Datetime("us"))
            return pl.DataFrame([last[ID].repeat_by(rows).explode(), moments])
        steps = pl.DataFrame({"k": np.arange(1, rows + 1)})
        grid = last.join(steps, how="cross")
        if grid.schema[TIME].is_integer():
            ahead = pl.col(TIME) + pl.col("k") * int(self.step)
        else:
            count, unit = split_interval(self.step)
            apart = (pl.col("k") * count).cast(pl.String) + unit
            if self.month_ends:
                ahead = pl.col(TIME).dt.month_start().dt.offset_by(apart).dt.month_end()
            else:
                ahead = pl.col(TIME).dt.offset_by(apart)
        return grid.select(ID, ahead.alias(TIME))


def split_interval(step: str) -> tuple[int, str]:
    """The count and the unit of a Polars interval.

    >>> split_interval("30m")
    (30, 'm')
    """
    if weekdays_of(step) is not None:
        return 1, "b"
    count = step.rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(count), step[len(count) :]


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
    name, notes = raw.name, list(raw.notes)
    if raw.frame.height == 0:
        raise InputError(f"{name}: holds no rows")
    wanted = tuple(covariates or ())
    named = {c for c in (*wanted, *static, id) if c in raw.frame.columns}
    time = choose(raw, time, "time", TIME_NAMES, holds_times, named)
    is_wide = False
    if target is None and not (wanted or static or id in raw.frame.columns):
        if long := as_long(raw, time, wide, decimal, ID, TARGET):
            raw, said = long
            is_wide, id, target = True, ID, TARGET
            notes = [*raw.notes, *said]
    elif wide:
        raise InputError(f"{name}: --set wide=true reads every column as a series; leave out target, id and covariates")
    target = choose(raw, target, "target", VALUE_NAMES, holds_numbers, {*named, time})
    roles: dict[str, str] = {}
    others = (*((c, "covariates") for c in wanted), *((c, "static") for c in static))
    for column, option in ((time, "time"), (target, "target"), *others, (id, "id")):
        if column not in raw.frame.columns and not (column == id == ID):
            raise InputError(
                f"{name}: no column {column!r}; it has {', '.join(map(repr, raw.frame.columns))} "
                f"(name the right one with --set {option}=COLUMN)"
            )
        if column in roles:
            raise InputError(f"{name}: column {column!r} is named twice, as {roles[column]} and as {option}")
        roles[column] = option
    for column in (*wanted, *static):
        if column in {ID, TIME, TARGET, "row", "*"} or (column.startswith("^") and column.endswith("$")):
            raise InputError(f"{name}: a column beside the target cannot be called {column!r} here; rename it")
    if id in raw.frame.columns:
        refuse_null(raw.column(id))
        ids = names_in(raw.column(id)).alias(ID)
    else:
        ids = pl.Series(ID, [target] * raw.frame.height, dtype=pl.String)
    refuse_null(raw.column(time))
    times, how = read_times(raw.column(time), dates, even=_even(ids))
    read = {ID: ids, TIME: times}
    read[TARGET], note = read_numbers(raw.column(target), decimal)
    notes += [note] if note else []
    of_words = [c for c in wanted if (_are_words(raw.frame[c]) if words is None else c in words)]
    for column in wanted:
        at = raw.column(column)
        read[column], note = read_words(at) if column in of_words else read_numbers(at, decimal)
        notes += [note] if note else []
    features = _static(pl.DataFrame([ids, *(raw.frame[c] for c in static)]), name) if static else None
    frame = pl.DataFrame([column.alias(title) for title, column in read.items()]).with_row_index("row")
    if not in_order(frame):
        notes.append("rows that were not in the order of time were put into it")
    frame, how = _by_clock(frame, how)
    frame = frame.sort(ID, TIME)
    forced = None
    if every is not None:
        numbers = [TARGET, *(c for c in wanted if c not in of_words)]
        frame, forced, said = evenly_spaced(frame, every, numbers, of_words, name)
        notes += said
    _refuse_duplicates(frame, raw)
    days = _days(frame) if forced is None and (step is None or weekdays_of(step)) else None
    workdays = None if days is None else (step if step and weekdays_of(step) else step_of_weekdays(days))
    its_step = forced or workdays or _step(frame, name)
    mask = weekdays_of(its_step)
    if off is None:
        off = NONE_OFF if holidays is None else _holidays(frame, holidays, mask, name)
        if off.country:
            notes.append(_said_of(off, mask))
    _refuse_far_times(frame, its_step, raw, time)
    month_ends = _month_ends(frame[TIME], its_step)
    grid = None
    if mask is not None and days is not None:
        grid, said = _workdays(days, mask, off, missing == "interpolate", name)
        notes += said
    rows = frame.height
    how_missing = "interpolate" if every is not None and missing == "error" else missing
    frame = _fill(frame.drop("row"), its_step, month_ends, name, how_missing, wanted, grid)
    if every is not None and frame.height > rows:
        filled = "left open" if missing == "keep" else "filled by straight lines"
        notes.append(f"{counted(frame.height - rows, 'step')} without a reading {filled}")
    notes = [*([how.note] if how.note else []), *notes]
    titles = (id, time)
    return SeriesTable(
        frame, its_step, wanted, features, how, titles, tuple(notes), name, target, month_ends, off, is_wide
    )


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
        return gaps.n_unique() == 1 or _calendar_step(gaps) is not None

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


def _refuse_duplicates(frame: pl.DataFrame, raw: Table) -> None:
    twice = frame.filter((pl.col(TIME) == pl.col(TIME).shift(1).over(ID)).fill_null(False))
    if twice.height:
        first = twice.sort("row").row(0, named=True)
        hint = (
            "" if frame[ID].n_unique() > 1 else " (several series in one table need a column of names: --set id=COLUMN)"
        )
        raise InputError(f"{raw.name}: row {raw.row(first['row'])}: series {first[ID]!r} has {first[TIME]} twice{hint}")


# -- the grid ------------------------------------------------------------------------------------------------


def _step(frame: pl.DataFrame, name: str) -> str:
    """The time between rows: the most frequent gap, read as months or years where every gap is one."""
    gaps = frame.select(pl.col(TIME).diff().over(ID).alias("gap"))["gap"].drop_nulls()
    if len(gaps) == 0:
        raise InputError(f"{name}: every series has one row; a series needs several")
    gap = gaps.mode().min()
    if isinstance(gap, int):
        return str(gap)
    assert isinstance(gap, timedelta)
    rows = frame.group_by(ID).len()["len"].max()
    if not _same_days(gaps, rows) and (interval := _calendar_step(gaps, whole=False)) is not None:
        return interval
    seconds = gap.total_seconds()
    for size, unit in ((604800, "w"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{round(seconds * 1e6)}us"


def _same_days(gaps: pl.Series, rows: Any) -> bool:
    """Whether all gaps are whole times the same number of days, in more rows than months or years ever are."""
    days = gaps.dt.total_seconds() / 86_400
    least: Any = days.min()
    return rows - 1 > _ALIKE.get(least, 1) and bool((days % least == 0).all())


def _calendar_step(gaps: pl.Series, *, whole: bool = True) -> str | None:
    """The months or years that every gap is long; None where it is not.

    Args:
        whole: False where rows may be missing: then most gaps are so long, and the others several times as long.
    """
    if not isinstance(gaps.dtype, pl.Duration):
        return None
    days = gaps.dt.total_seconds() / 86_400
    for low, high, mean, interval in ((28, 31, 30.44, "1mo"), (89, 92, 91.31, "3mo"), (365, 366, 365.25, "1y")):
        one = (days >= low) & (days <= high)
        if one.all():
            return interval
        times = (days / mean).round()
        if not whole and 2 * one.sum() > len(one) and ((times >= 1) & ((days - times * mean).abs() <= 3)).all():
            return interval
    return None


def _refuse_far_times(frame: pl.DataFrame, step: str, raw: Table, title: str) -> None:
    """Refuse a table whose grid would be out of all proportion to its rows: one time is mistyped, most likely.

    Nothing of the grid's size is made. The time named is the one on the smaller side of the widest gap.
    """
    at = pl.col(TIME).cast(pl.Int64)  # microseconds, or the integers themselves
    gaps = frame.with_columns(
        (at.cast(pl.Float64) - at.shift(1).over(ID).cast(pl.Float64)).alias("gap"),
        pl.col(TIME).shift(1).over(ID).alias("before"),
        pl.col("row").shift(1).over(ID).alias("row before"),
        pl.int_range(pl.len()).over(ID).alias("earlier"),
        pl.len().over(ID).alias("rows"),
    )
    shortest = _least_length(step)
    grid = float(gaps["gap"].sum()) / shortest + frame[ID].n_unique()
    allowed = min(max(_LEAST_GRID, _MOST_GRID * frame.height), _memory() / 2 / _GRID_BYTES)
    if grid <= max(allowed, frame.height):
        return
    gap = gaps.sort("gap", descending=True, nulls_last=True).row(0, named=True)
    if gap["gap"] / shortest < grid / 2:
        raise InputError(
            f"{raw.name}: column {title!r}: rows are most often {step} apart; with one at every {step} there would be "
            f"{grid:,.0f} in place of {frame.height:,}; --set every={_suggested(frame)} puts them on even times"
        )
    odd, other, row = gap[TIME], gap["before"], gap["row"]
    if gap["earlier"] < gap["rows"] - gap["earlier"]:
        odd, other, row = other, odd, gap["row before"]
    raise InputError(
        f"{raw.name}: row {raw.row(row)}, column {title!r}: {odd} is {gap['gap'] / shortest:,.0f} steps of {step} away "
        f"from {other}, the nearest time of series {gap[ID]!r}; correct the time, or leave the row out"
    )


def _least_length(step: str) -> float:
    """The least length of a step: in microseconds, or in the unit of integer times."""
    if step.isdecimal():
        return float(step)
    count, unit = split_interval(step)
    seconds = {"us": 1e-6, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "mo": 28 * 86_400, "y": 365 * 86_400}
    seconds["b"] = seconds["d"]
    return count * seconds[unit] * 1e6


def _memory() -> float:
    """Bytes that this process may use: those of the machine, or of its control group where that has fewer."""
    if not hasattr(os, "sysconf"):
        return math.inf
    machine = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:
        return min(machine, float(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no control groups, or no limit: "max"
        return machine


def _month_ends(times: pl.Series, step: str) -> bool:
    """Whether all times are on the last days of their months, and a step is so many months or years."""
    if times.dtype.is_integer() or split_interval(step)[1] not in {"mo", "y"}:
        return False
    return bool((times == times.dt.month_end()).all())


def _days(frame: pl.DataFrame) -> NDArray[np.datetime64] | None:
    """The days with a row in any series, rising; None where a series has more than one in a day, or no dates."""
    if frame.schema[TIME].is_integer():
        return None
    days = frame.select(ID, pl.col(TIME).dt.date().alias("day"))
    if days.is_duplicated().any() or frame[TIME].dt.time().n_unique() > 1:
        return None
    return days["day"].unique().sort().to_numpy().astype("datetime64[D]")


def _holidays(frame: pl.DataFrame, country: str, mask: str | None, name: str) -> DaysOff:
    if frame.schema[TIME].is_integer():
        raise InputError(f"{name}: --set holidays={country} takes times that are dates")
    days = frame[TIME].dt.date().unique().sort().to_numpy().astype("datetime64[D]")
    return holidays_of(country, days, mask)


def _said_of(off: DaysOff, mask: str | None) -> str:
    """What is known of holidays, in words."""
    closed = f"; {len(off.closed):,} of them are no steps, as the series have none on such days" if mask else ""
    return f"holidays of {off.country}: {len(off.holidays):,} days up to {off.until}{closed}"


def _workdays(
    days: NDArray[np.datetime64], mask: str, off: DaysOff, fill: bool, name: str
) -> tuple[NDArray[np.datetime64], list[str]]:
    """The days that every series has a row on, and what is to be said of them.

    Args:
        days: with a row in any series.
        fill: whether workdays on which there is none, but for holidays, are to be filled.
        name: of the file.

    Raises:
        InputError: a row on a day that is no workday.
    """
    named = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    never = [day for day, there in zip(named, mask, strict=True) if there == "0"]
    notes = [f"no row on any {', '.join(never[:-1])}{' or ' * (len(never) > 1)}{never[-1]}: steps are workdays"]
    if len(beside := days[~np.is_busday(days, mask)]):
        raise InputError(
            f"{name}: has a row on {listed(beside)}, and the model was fitted to workdays, with none on any "
            f"{', '.join(never)}; leave such rows out, or fit a model to all days"
        )
    every = days_between(days[0], days[-1])
    work = every[np.is_busday(every, mask)]
    missing = days_off(days, mask)
    open_days = np.setdiff1d(work, np.setdiff1d(off.closed_days, days))
    if missing is None or fill:
        return np.union1d(open_days, days), notes
    without = np.setdiff1d(missing, off.holiday_days)
    if len(without):
        days_of = "a day" if len(without) == 1 else "days"
        notes.append(
            f"{counted(len(without), 'workday')} without a row taken for {days_of} off: {listed(without)}; "
            "--set missing=interpolate fills them"
        )
        if not off.country:
            notes[-1] += ", --set holidays=US (a country) knows those ahead"
    return days, notes


def _fill(
    frame: pl.DataFrame,
    step: str,
    month_ends: bool,
    name: str,
    missing: str,
    covariates: Sequence[str],
    days: NDArray[np.datetime64] | None = None,
) -> pl.DataFrame:
    """The frame on its whole grid; what is not there is interpolated or refused.

    Args:
        days: of the grid, where it is one of workdays.
    """
    ends = frame.group_by(ID, maintain_order=True).agg(
        pl.col(TIME).first().alias("first"), pl.col(TIME).last().alias("last")
    )
    if days is not None:
        clock = frame[TIME].dt.time()[0]
        all_days = pl.DataFrame({TIME: pl.Series(days).cast(pl.Date).dt.combine(clock).cast(pl.Datetime("us"))})
        within = pl.col(TIME).is_between("first", "last")
        grid = ends.join(all_days, how="cross").filter(within).select(ID, TIME)
    elif frame.schema[TIME].is_integer():
        times = pl.int_ranges("first", pl.col("last") + 1, int(step))
    elif month_ends:
        months = pl.datetime_ranges(pl.col("first").dt.month_start(), pl.col("last").dt.month_start(), step)
        times = months.list.eval(pl.element().dt.month_end())
    else:
        times = pl.datetime_ranges("first", "last", step)
    if days is None:
        grid = ends.select(ID, times.alias(TIME)).explode(TIME)
    astray = frame.join(grid, on=[ID, TIME], how="anti")
    if astray.height:
        row = astray.row(0, named=True)
        raise InputError(
            f"{name}: series {row[ID]!r}: {row[TIME]} is not a multiple of {step} after its first row; rows are most "
            f"often {step} apart: --set every={_suggested(frame)} puts them on even times, merging those that meet"
        )
    full = grid.join(frame, on=[ID, TIME], how="left", maintain_order="left")
    known = pl.col(TARGET).is_not_null()
    if empty := full.group_by(ID, maintain_order=True).agg(known.any()).filter(~pl.col(TARGET))[ID].to_list():
        raise InputError(f"{name}: series {empty[0]!r} has no value")
    if missing == "interpolate":
        full = full.filter(pl.col(TARGET).forward_fill().over(ID).is_not_null())  # nothing before the first value
        return full.with_columns(
            pl.col(TARGET).interpolate().over(ID),
            *(_filled(frame, c).forward_fill().backward_fill().over(ID) for c in covariates),
        )
    if missing == "keep":
        full = full.filter(pl.col(TARGET).forward_fill().over(ID).is_not_null())
        inside = pl.col(TARGET).backward_fill().over(ID).is_not_null()
        return full.with_columns(pl.when(inside).then(pl.col(TARGET).fill_null(float("nan"))).alias(TARGET))
    hint = "add it, or go on with --set missing=interpolate"
    if full.height > frame.height:
        gap = full.join(frame, on=[ID, TIME], how="anti").row(0, named=True)
        raise InputError(f"{name}: series {gap[ID]!r} has no row for {gap[TIME]}; {hint}")
    inside = pl.col(TARGET).backward_fill().over(ID).is_not_null()
    for column in (TARGET, *covariates):
        if (holes := full.filter(inside & pl.col(column).is_null())).height:
            row = holes.row(0, named=True)
            raise InputError(f"{name}: series {row[ID]!r} has no {column!r} at {row[TIME]}; {hint}")
    return full


def _filled(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A covariate with straight lines over what is missing; words stay until there is another one."""
    return pl.col(column) if frame.schema[column] == pl.String else pl.col(column).interpolate()


def _suggested(frame: pl.DataFrame) -> str:
    """A usual interval near to the middle one of all gaps, for a message."""
    gaps = frame.sort(ID, TIME).select(pl.col(TIME).diff().over(ID).alias("gap"))["gap"].drop_nulls()
    middle = gaps.sort()[len(gaps) // 2]
    return every_near(middle)
