"""The regular times of series: the step from one row to the next, and rows for every step."""

import math
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.delimited import Table, counted
from memfold.data.resampling import every_near
from memfold.data.series_table import ID, TARGET, TIME, split_interval
from memfold.data.workdays import DaysOff, days_between, days_off, listed
from memfold.errors import InputError

__all__ = ["all_month_ends", "calendar_step", "days_of", "on_grid", "refuse_far_times", "step_of", "workdays_of"]

# A grid of more rows than both has an error in its times, not a gap in its series.
_LEAST_GRID = 100_000  # rows
_MOST_GRID = 100  # rows for every row of the table
_GRID_BYTES = 200  # that a row of the grid takes while it is filled, measured
# How many months, quarters or years of so many days may follow each other: the 30th of January, February's end and the
# 30th of March of a leap year; December and January; the first half of a leap year; three quarters from May on; the
# years about 1900. Of other lengths no two do.
_ALIKE = {30: 2, 31: 2, 91: 2, 92: 3, 365: 7}


def step_of(frame: pl.DataFrame, name: str) -> str:
    """The time between rows: the most frequent gap, read as months or years where every gap is one."""
    gaps = frame.select(pl.col(TIME).diff().over(ID).alias("gap"))["gap"].drop_nulls()
    if len(gaps) == 0:
        raise InputError(f"{name}: every series has one row; a series needs several")
    gap = gaps.mode().min()
    if isinstance(gap, int):
        return str(gap)
    assert isinstance(gap, timedelta)
    rows = frame.group_by(ID).len()["len"].max()
    if not _same_days(gaps, rows) and (interval := calendar_step(gaps, whole=False)) is not None:
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


def calendar_step(gaps: pl.Series, *, whole: bool = True) -> str | None:
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


def refuse_far_times(frame: pl.DataFrame, step: str, raw: Table, title: str) -> None:
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


def all_month_ends(times: pl.Series, step: str) -> bool:
    """Whether all times are on the last days of their months, and a step is so many months or years."""
    if times.dtype.is_integer() or split_interval(step)[1] not in {"mo", "y"}:
        return False
    return bool((times == times.dt.month_end()).all())


def days_of(frame: pl.DataFrame) -> NDArray[np.datetime64] | None:
    """The days with a row in any series, rising; None where a series has more than one in a day, or no dates."""
    if frame.schema[TIME].is_integer():
        return None
    days = frame.select(ID, pl.col(TIME).dt.date().alias("day"))
    if days.is_duplicated().any() or frame[TIME].dt.time().n_unique() > 1:
        return None
    return days["day"].unique().sort().to_numpy().astype("datetime64[D]")


def workdays_of(
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


def on_grid(
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
            what = "value" if column == TARGET else repr(column)
            raise InputError(f"{name}: series {row[ID]!r} has no {what} at {row[TIME]}; {hint}")
    return full


def _filled(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A covariate with straight lines over what is missing; words stay until there is another one."""
    return pl.col(column) if frame.schema[column] == pl.String else pl.col(column).interpolate()


def _suggested(frame: pl.DataFrame) -> str:
    """A usual interval near to the middle one of all gaps, for a message."""
    gaps = frame.sort(ID, TIME).select(pl.col(TIME).diff().over(ID).alias("gap"))["gap"].drop_nulls()
    middle = gaps.sort()[len(gaps) // 2]
    return every_near(middle)
