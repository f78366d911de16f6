"""Readings of sensors and counters: rows of a time and one or more values, at any intervals, perhaps with labels."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.columns import VALUE_NAMES, by_name, choose, holds_numbers, is_counter
from memfold.data.datasets import find
from memfold.data.delimited import Table, counted
from memfold.data.numbers import Decimal, read_numbers
from memfold.data.sources import read_table
from memfold.data.tables import TIME, in_order, names_in, refuse_null
from memfold.data.time_columns import with_times
from memfold.data.times import read_times
from memfold.data.wide import number_columns
from memfold.data.written import AS_THEY_ARE, Times
from memfold.errors import InputError

__all__ = ["ID", "Readings", "load_nab", "read_readings"]

ID = "unique_id"
DAY = 86_400.0  # seconds
MOST_A_DAY = 5000  # points; more often, yesterday is too long ago to be kept
LABEL_NAMES = ("label", "anomaly", "is_anomaly")


@dataclass(frozen=True)
class Readings:
    """One series, in the order of its times.

    Attributes:
        name: of the series.
        times: seconds since 1970 where they are dates, else the numbers given, (N,).
        dates: whether they are dates.
        values: (N, V), NaN where a cell is missing.
        variables: their names.
        windows: first and last row of every labelled anomaly, in order; None without labels.
        rows: the place of each in the table that it was read from, (N,).
        written: how the times were.
        notes: how it was read, where that is worth a word; each a sentence.
    """

    name: str
    times: NDArray[np.float64]
    dates: bool
    values: NDArray[np.float64]
    variables: tuple[str, ...]
    windows: tuple[tuple[int, int], ...] | None = None
    rows: NDArray[np.int64] | None = None
    written: Times = AS_THEY_ARE
    notes: tuple[str, ...] = ()

    @property
    def step(self) -> float:
        """The usual time between two rows."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0

    @property
    def day(self) -> int:
        """Points a day; 0 where a day is no cycle: no dates, or readings too rare or too frequent."""
        if not self.dates or self.step <= 0:
            return 0
        points = round(DAY / self.step)
        return points if 2 <= points <= MOST_A_DAY else 0

    def head(self, rows: int) -> "Readings":
        """The first rows, with the windows that lie in them."""
        windows = None if self.windows is None else tuple(w for w in self.windows if w[1] < rows)
        places = None if self.rows is None else self.rows[:rows]
        return replace(self, times=self.times[:rows], values=self.values[:rows], windows=windows, rows=places)


def read_readings(
    source: Any,
    *,
    time: str | None = None,
    values: Sequence[str] = (),
    label: str | None = None,
    id: str = ID,
    dates: str | None = None,
    decimal: Decimal | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    plain: bool = False,
    before: Sequence[str] = (),
) -> list[Readings]:
    """Read series of readings.

    Args:
        source: what `memfold.data.sources.read_table` takes: a path, or a data frame.
        time: column with dates or integers; None looks for ds, timestamp, time ..., then for one that holds dates.
        values: columns with the values; none looks for y or value, then takes all other columns of numbers.
        label: column that is 1 in an anomaly and 0 elsewhere; None looks for label, anomaly ...
        id: column with the series' names; a table without it holds one series.
        dates, plain: as `memfold.data.times.read_times` takes them.
        decimal: as `memfold.data.numbers.read_numbers` takes it.
        before: the columns that were read of an earlier table, which are taken where all of them are there.
        encoding: of a text file; None finds it.
        sheet: of a workbook; None takes the only one that holds anything.

    Raises:
        InputError: naming file, row and column of what cannot be read.

    >>> table = pl.DataFrame({"ds": [1, 2, 4], "y": [5.0, 6.0, 5.5], "label": [0, 0, 1]})
    >>> read_readings(table)[0].windows
    ((2, 2),)
    """
    raw = read_table(source, encoding, sheet=sheet)
    if raw.frame.height == 0:
        raise InputError(f"{raw.name}: holds no rows")
    named = {id, label or by_name(raw.frame.columns, LABEL_NAMES) or id, *values}
    raw, time = with_times(raw, time, named)
    columns = tuple(choose(raw, column, "values", ()) for column in values)
    notes = list(raw.notes)
    if not columns and before and set(before) <= set(raw.frame.columns):
        columns = tuple(before)
    if not columns:
        columns, said = _variables(raw, {*named, time})
        notes += said
    if label is not None:
        choose(raw, label, "label", ())
    label = label or by_name(raw.frame.columns, LABEL_NAMES)
    height = raw.frame.height
    names = names_in(raw.column(id)) if id in raw.frame.columns else pl.Series([Path(raw.name).stem] * height)
    refuse_null(raw.column(time))
    times, written = read_times(raw.column(time), dates, plain=plain)
    notes += [written.note] if written.note else []
    read = {ID: names, TIME: times}
    for k, column in enumerate(columns):
        read[f"v{k}"], note = read_numbers(raw.column(column), decimal)
        notes += [note] if note else []
        if empty := read[f"v{k}"].null_count():
            if empty == height and not before:
                raise InputError(f"{raw.name}: column {column!r} holds no value")
            notes.append(f"column {column!r}: {counted(empty, 'cell')} empty; the others of such rows are judged alone")
    if label:
        read["label"] = read_numbers(raw.column(label))[0].fill_null(0.0)
    frame = pl.DataFrame([column.alias(title) for title, column in read.items()]).with_row_index("row")
    if not in_order(frame):
        notes.append("rows that were not in the order of time were put into it")
    is_dates = not frame.schema[TIME].is_integer()
    seconds = pl.col(TIME).dt.epoch("us") / 1e6 if is_dates else pl.col(TIME).cast(pl.Float64)
    result = []
    for (series,), part in (
        frame.with_columns(seconds).sort(TIME, maintain_order=True).group_by(ID, maintain_order=True)
    ):
        marked = _runs(part["label"].to_numpy() > 0) if label else None
        matrix = part.select(pl.col(f"v{k}").fill_null(float("nan")) for k in range(len(columns))).to_numpy()
        rows = part["row"].to_numpy().astype(np.int64)
        moments = part[TIME].to_numpy()
        result.append(Readings(str(series), moments, is_dates, matrix, columns, marked, rows, written, tuple(notes)))
    return result


def _variables(raw: Table, taken: Collection[str]) -> tuple[tuple[str, ...], list[str]]:
    """The columns with values where none is named, and what is to be said of that.

    Raises:
        InputError: there is none.
    """
    columns, others = number_columns(raw, taken)
    ids = [c for c in columns if c.lower() == "id" or c.lower().endswith(("_id", " id"))]
    counts = [c for c in columns if c not in ids and is_counter(read_numbers(raw.column(c))[0], c)]
    columns = [c for c in columns if c not in {*ids, *counts}]
    if len(columns) < 2 or by_name(raw.frame.columns, VALUE_NAMES):
        return (choose(raw, None, "values", VALUE_NAMES, holds_numbers, {*taken, *ids, *counts}),), []
    notes = [
        f"values are those of {', '.join(map(repr, columns))}, watched together; --set values=COLUMN,... names them"
    ]
    unread = [*ids, *counts, *(c for c in others if raw.frame[c].null_count() < raw.frame.height)]
    notes += [f"not read: {', '.join(map(repr, unread))}"] if unread else []
    notes += ["a column of names of series is --set id=COLUMN"] if ids else []
    return tuple(columns), notes


def load_nab(folder: Path | None = None) -> list[Readings]:
    """The series of the Numenta Anomaly Benchmark with their labelled windows, in its own folder or another.

    Raises:
        InputError: a file that is missing or cannot be read.
    """
    folder = folder or find("nab")
    labels = folder / "labels" / "combined_windows.json"
    try:
        windows = json.loads(labels.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{labels}: not readable ({error})") from None
    result = []
    for path, limits in sorted(windows.items()):
        (series,) = read_readings(folder / "data" / path)
        ends = np.array([[np.datetime64(t, "us") for t in pair] for pair in limits], "datetime64[us]").reshape(-1, 2)
        first, last = (ends.astype(np.int64) / 1e6).T
        rows = zip(
            np.searchsorted(series.times, first).tolist(),
            (np.searchsorted(series.times, last, side="right") - 1).tolist(),
            strict=True,
        )
        result.append(Readings(path, series.times, series.dates, series.values, series.variables, tuple(rows)))
    return result


def _runs(marked: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return tuple((int(first), int(after) - 1) for first, after in edges.reshape(-1, 2))
