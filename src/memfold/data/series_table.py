"""Many series in one table, a row a series and a time, at regular times."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.workdays import NONE_OFF, DaysOff, next_workdays, weekdays_of
from memfold.data.written import AS_THEY_ARE, Times

__all__ = ["FROM_END", "ID", "TARGET", "TIME", "SeriesTable", "split_interval"]

ID, TIME, TARGET = "unique_id", "ds", "y"
FROM_END = pl.int_range(pl.len()).reverse().over(ID)  # 0 for the last row of a series


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
