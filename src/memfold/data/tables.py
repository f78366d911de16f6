"""Long tables of series -- one row a series and a time -- from CSV, Parquet or any data frame, checked cell by cell."""

import csv
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.errors import InputError

__all__ = ["ID", "TARGET", "TIME", "SeriesTable", "as_numbers", "as_times", "raw_table", "read_series", "refuse_null"]

ID, TIME, TARGET = "unique_id", "ds", "y"
FROM_END = pl.int_range(pl.len()).reverse().over(ID)  # 0 for the last row of a series
# A grid of more rows than both has an error in its times, not a gap in its series.
_LEAST_GRID = 100_000  # rows
_MOST_GRID = 100  # rows for every row of the table
_GRID_BYTES = 200  # that a row of the grid takes while it is filled, measured
_FARTHEST = (1 << 62) - 1  # of an integer time: the difference of two fits 64 bits
_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]


@dataclass(frozen=True)
class SeriesTable:
    """Many series on a regular grid of times.

    Attributes:
        frame: columns ``unique_id`` (text), ``ds`` (Datetime or Int64), ``y`` (Float64) and the covariates (Float64),
            sorted by series and time. ``y`` is null only in a series' last rows, which then carry known covariates
            ahead.
        step: the time between two rows: a Polars interval such as ``30m`` or ``1mo``, or ``1`` for integer times.
        covariates: names of the other columns.
        static: columns ``unique_id`` and those that are the same in all rows of a series, as text; a row a series.
    """

    frame: pl.DataFrame
    step: str
    covariates: tuple[str, ...] = ()
    static: pl.DataFrame | None = None

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
        steps = pl.DataFrame({"k": np.arange(1, rows + 1)})
        grid = last.join(steps, how="cross")
        if grid.schema[TIME].is_integer():
            ahead = pl.col(TIME) + pl.col("k") * int(self.step)
        else:
            count, unit = split_interval(self.step)
            ahead = pl.col(TIME).dt.offset_by((pl.col("k") * count).cast(pl.String) + unit)
        return grid.select(ID, ahead.alias(TIME))


def split_interval(step: str) -> tuple[int, str]:
    """The count and the unit of a Polars interval.

    >>> split_interval("30m")
    (30, 'm')
    """
    count = step.rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(count), step[len(count) :]


def read_series(
    source: Any,
    *,
    id: str = ID,
    time: str = TIME,
    target: str = TARGET,
    missing: Literal["error", "interpolate"] = "error",
    covariates: Sequence[str] | None = None,
    static: Sequence[str] = (),
) -> SeriesTable:
    """Read a long table of series.

    Args:
        source: path of a CSV or Parquet file, or a data frame that narwhals knows (pandas, Polars, PyArrow ...).
        id: column with the series' names; a table without it holds one series.
        time: column with dates or integers.
        target: column with the values.
        missing: what to do about a value or a row that is not there: stop and name it, or interpolate linearly.
        covariates: further columns of numbers to read; None reads no other column.
        static: columns of numbers or texts that are the same in all rows of a series, where they are not empty.

    Raises:
        InputError: naming file, row and column of what cannot be read.

    >>> table = read_series(pl.DataFrame({"ds": [1, 2, 3], "y": [1.0, 2.0, 4.0]}))
    >>> table.ids, table.lengths
    (['y'], array([3]))
    """
    if isinstance(source, SeriesTable):
        return source
    name, raw = raw_table(source)
    if raw.height == 0:
        raise InputError(f"{name}: holds no rows")
    rename = {time: TIME, target: TARGET} | ({id: ID} if id in raw.columns else {})
    if id not in raw.columns and id != ID:
        rename[id] = ID
    wanted = tuple(covariates or ())
    roles: dict[str, str] = {}
    others = (*((c, "covariates") for c in wanted), *((c, "static") for c in static))
    for column, option in ((time, "time"), (target, "target"), *others, (id, "id")):
        if column not in raw.columns and not (column == id == ID):
            raise InputError(
                f"{name}: no column {column!r}; it has {', '.join(map(repr, raw.columns))} "
                f"(name the right one with --set {option}=COLUMN)"
            )
        if column in roles:
            raise InputError(f"{name}: column {column!r} is named twice, as {roles[column]} and as {option}")
        roles[column] = option
    whole = raw.with_columns(pl.lit(target).alias(ID)) if id not in raw.columns else raw
    frame = whole.select(*rename, *wanted, *(() if id in raw.columns else (ID,))).rename(rename)
    frame = frame.with_columns(pl.col(ID).cast(pl.String))
    frame = frame.with_columns(
        as_times(frame[TIME], name, time), *(as_numbers(frame[c], name, c) for c in (TARGET, *wanted))
    )
    frame = frame.select(ID, TIME, TARGET, *wanted)
    refuse_null(frame, ID, name, id)
    refuse_null(frame, TIME, name, time)
    features = _static(whole.select(frame[ID], *static), name) if static else None
    frame = frame.with_row_index("row").sort(ID, TIME)
    _refuse_duplicates(frame, name)
    step = _step(frame, name)
    _refuse_far_times(frame, step, name, time)
    frame = _fill(frame.drop("row"), step, name, missing, wanted)
    return SeriesTable(frame, step, wanted, features)


def _static(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """A row a series of columns that are the same in all its rows, as text."""
    columns = frame.columns[1:]
    texts = frame.select(ID, pl.col(columns).cast(pl.String).str.strip_chars().replace(_MISSING, None))
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


# -- from a file to columns of text or numbers ---------------------------------------------------------------


def raw_table(source: Any) -> tuple[str, pl.DataFrame]:
    if not isinstance(source, str | Path):
        try:
            return "data frame", nw.from_native(source, eager_only=True).to_polars()
        except TypeError:
            raise InputError(f"a {type(source).__name__} is neither a path nor a data frame") from None
    path = Path(source)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    if path.suffix == ".parquet":
        try:
            with open(path, "rb") as file:  # not the path, which Polars would take for a pattern
                return str(path), pl.read_parquet(file)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"{path}: not readable as Parquet ({_first_line(error)})") from None
    with open(path, "rb") as file:
        header = file.readline()
    separator = chr(max(b",;\t", key=header.count))
    _refuse_other_encoding(path, [header])
    try:
        with open(path, "rb") as file:
            return str(path), pl.read_csv(file, infer_schema=False, separator=separator, null_values=_MISSING)
    except pl.exceptions.PolarsError as error:
        with open(path, "rb") as file:
            _refuse_other_encoding(path, file)
        _refuse_longer_row(path, separator)
        raise InputError(f"{path}: not readable as CSV ({_first_line(error)})") from None


def _refuse_other_encoding(path: Path, lines: Iterable[bytes]) -> None:
    for row, line in enumerate(lines, start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path}: row {row}: not UTF-8 text; save the file as UTF-8") from None


def _refuse_longer_row(path: Path, separator: str) -> None:
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter=separator)
        columns = len(next(rows))
        for row, fields in enumerate(rows, start=2):
            if len(fields) > columns:
                raise InputError(f"{path}: row {row}: {len(fields)} fields, the header has {columns}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


# -- from text to times and numbers; row numbers are those of the file, its header being row 1 ---------------


def as_numbers(column: pl.Series, name: str, title: str) -> pl.Series:
    if column.dtype == pl.Boolean:
        column = column.cast(pl.Int8)
    if column.dtype == pl.String:
        column = column.str.strip_chars().replace(_MISSING, None)
    numbers = column.cast(pl.Float64, strict=False)
    _refuse_unread(column, numbers, name, title, "a number such as 12.5")
    infinite = numbers.is_infinite().fill_null(False).arg_true()
    if len(infinite):
        raise InputError(f"{name}: row {infinite[0] + 2}, column {title!r}: not a finite number")
    return numbers.fill_nan(None)


def as_times(column: pl.Series, name: str, title: str) -> pl.Series:
    if column.dtype == pl.Date or column.dtype == pl.Datetime:
        return _within_years(column.cast(pl.Datetime("us")).dt.replace_time_zone(None), name, title)
    if column.dtype.is_integer():
        return _within_reach(column.cast(pl.Int64), name, title)
    if column.dtype != pl.String:
        raise InputError(f"{name}: column {title!r} holds {column.dtype}; expected dates or integers")
    text = column.str.strip_chars()
    integers = text.cast(pl.Int64, strict=False)
    if integers.null_count() == text.null_count():
        return _within_reach(integers, name, title)
    try:
        times = text.str.to_datetime(strict=False, time_unit="us", time_zone=None)
    except pl.exceptions.PolarsError:
        times = pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))
    _refuse_unread(text, times, name, title, "a date such as 2014-07-01 00:30:00, or an integer")
    return _within_years(times.dt.replace_time_zone(None), name, title)


def _within_years(times: pl.Series, name: str, title: str) -> pl.Series:
    years = times.dt.year()
    _refuse_outside(times, (years < 1) | (years > 9999), name, title, "a date of the years 1 to 9999")
    return times


def _within_reach(times: pl.Series, name: str, title: str) -> pl.Series:
    outside = (times < -_FARTHEST) | (times > _FARTHEST)
    _refuse_outside(times, outside, name, title, f"an integer time from {-_FARTHEST} to {_FARTHEST}")
    return times


def _refuse_outside(times: pl.Series, outside: pl.Series, name: str, title: str, expected: str) -> None:
    rows = outside.fill_null(False).arg_true()
    if len(rows):
        read = times.cast(pl.String)[rows[0]]
        raise InputError(f"{name}: row {rows[0] + 2}, column {title!r}: {read} is not {expected}; correct it")


def _refuse_unread(before: pl.Series, after: pl.Series, name: str, title: str, expected: str) -> None:
    unread = after.is_null() & before.is_not_null()
    if unread.any():
        row = unread.arg_max()
        assert row is not None
        raise InputError(f"{name}: row {row + 2}, column {title!r}: {before[row]!r} is not {expected}")


def refuse_null(frame: pl.DataFrame, column: str, name: str, title: str) -> None:
    row = frame[column].is_null().arg_max()
    if frame[column].null_count() and row is not None:
        raise InputError(f"{name}: row {row + 2}, column {title!r}: empty")


def _refuse_duplicates(frame: pl.DataFrame, name: str) -> None:
    twice = frame.filter((pl.col(TIME) == pl.col(TIME).shift(1).over(ID)).fill_null(False))
    if twice.height:
        first = twice.sort("row").row(0, named=True)
        hint = (
            "" if frame[ID].n_unique() > 1 else " (several series in one table need a column of names: --set id=COLUMN)"
        )
        raise InputError(f"{name}: row {first['row'] + 2}: series {first[ID]!r} has {first[TIME]} twice{hint}")


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
    for low, high, interval in ((28, 31, "1mo"), (89, 92, "3mo"), (365, 366, "1y")):
        if ((gaps >= timedelta(days=low)) & (gaps <= timedelta(days=high))).all():
            return interval
    seconds = gap.total_seconds()
    for size, unit in ((604800, "w"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{round(seconds * 1e6)}us"


def _refuse_far_times(frame: pl.DataFrame, step: str, name: str, title: str) -> None:
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
            f"{name}: column {title!r}: rows are most often {step} apart; with one at every {step} there would be "
            f"{grid:,.0f} in place of {frame.height:,}; give rows that are evenly apart"
        )
    odd, other, row = gap[TIME], gap["before"], gap["row"]
    if gap["earlier"] < gap["rows"] - gap["earlier"]:
        odd, other, row = other, odd, gap["row before"]
    raise InputError(
        f"{name}: row {row + 2}, column {title!r}: {odd} is {gap['gap'] / shortest:,.0f} steps of {step} away from "
        f"{other}, the nearest time of series {gap[ID]!r}; correct the time, or leave the row out"
    )


def _least_length(step: str) -> float:
    """The least length of a step: in microseconds, or in the unit of integer times."""
    if step.isdecimal():
        return float(step)
    count, unit = split_interval(step)
    seconds = {"us": 1e-6, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "mo": 28 * 86_400, "y": 365 * 86_400}
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


def _fill(frame: pl.DataFrame, step: str, name: str, missing: str, covariates: Sequence[str]) -> pl.DataFrame:
    """The frame on its whole grid; what is not there is interpolated or refused."""
    ends = frame.group_by(ID, maintain_order=True).agg(
        pl.col(TIME).first().alias("first"), pl.col(TIME).last().alias("last")
    )
    if frame.schema[TIME].is_integer():
        times = pl.int_ranges("first", pl.col("last") + 1, int(step))
    else:
        times = pl.datetime_ranges("first", "last", step)
    grid = ends.select(ID, times.alias(TIME)).explode(TIME)
    astray = frame.join(grid, on=[ID, TIME], how="anti")
    if astray.height:
        row = astray.row(0, named=True)
        raise InputError(f"{name}: series {row[ID]!r}: {row[TIME]} is not a multiple of {step} after its first row")
    full = grid.join(frame, on=[ID, TIME], how="left", maintain_order="left")
    known = pl.col(TARGET).is_not_null()
    if empty := full.group_by(ID, maintain_order=True).agg(known.any()).filter(~pl.col(TARGET))[ID].to_list():
        raise InputError(f"{name}: series {empty[0]!r} has no value")
    if missing == "interpolate":
        full = full.filter(pl.col(TARGET).forward_fill().over(ID).is_not_null())  # nothing before the first value
        return full.with_columns(
            pl.col(TARGET).interpolate().over(ID),
            *(pl.col(c).interpolate().forward_fill().backward_fill().over(ID) for c in covariates),
        )
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
