"""Splits of a table of series by time, for scikit-learn's searches and cross-validation."""

from collections.abc import Iterator
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.delimited import Table
from memfold.data.tables import ID, TIME
from memfold.data.time_columns import with_times
from memfold.data.times import read_times
from memfold.errors import InputError

__all__ = ["TimeSplit", "with_column"]

Rows = NDArray[np.int64]


class TimeSplit:
    """Splits rows so that what is scored comes after what a model is trained on, in every series.

    Args:
        n_splits: how many; the last one ends with the data.
        test_size: steps of each series that are scored in a split; when None, so many that all splits together have
            all but one of ``n_splits + 1`` equal parts.
        id: column with the series' names; without it all rows are of one series.
        time: column with dates or integers; None looks for ds, timestamp, time, date ...

    >>> table = pl.DataFrame({"ds": [1, 2, 3, 4, 5], "y": [1.0, 2.0, 3.0, 4.0, 5.0]})
    >>> [(train.tolist(), test.tolist()) for train, test in TimeSplit(2, 1).split(table)]
    [([0, 1, 2], [3]), ([0, 1, 2, 3], [4])]
    """

    def __init__(self, n_splits: int = 3, test_size: int | None = None, id: str = ID, time: str | None = None) -> None:
        self.n_splits, self.test_size, self.id, self.time = n_splits, test_size, id, time

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many splits there are."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Rows to train on and rows to score.

        Raises:
            InputError: a column that is not there, or series that are too short.
        """
        frame = pl.DataFrame(nw.from_native(X, eager_only=True).to_dict(as_series=False))
        table, time = with_times(Table("the table", frame), self.time, {self.id})
        names = frame[self.id] if self.id in frame.columns else pl.repeat("", frame.height, eager=True)
        rows = pl.DataFrame({ID: names, TIME: read_times(table.column(time))[0]})
        rows = (
            rows.with_row_index("row")
            .sort(ID, TIME)
            .with_columns(end=pl.int_range(pl.len()).reverse().over(ID), length=pl.len().over(ID))
        )
        shortest = int(rows["length"].min())  # type: ignore[arg-type]
        size = self.test_size or shortest // (self.n_splits + 1)
        if size < 1 or shortest <= self.n_splits * size:
            raise InputError(
                f"the shortest series has {shortest} rows: too few for {self.n_splits} splits of {max(size, 1)} steps "
                "and something to train on before"
            )
        for after in range((self.n_splits - 1) * size, -1, -size):
            train = rows.filter(pl.col("end") >= after + size)["row"]
            test = rows.filter(pl.col("end").is_between(after, after + size - 1))["row"]
            yield train.sort().to_numpy().astype(np.int64), test.sort().to_numpy().astype(np.int64)


def with_column(frame: Any, name: str, values: Any) -> Any:
    """A data frame of any kind with one column more, or another one under that name.

    Raises:
        InputError: it is no data frame, or the lengths differ.
    """
    try:
        native = nw.from_native(frame, eager_only=True)
    except TypeError:
        raise InputError(f"with y, X must be a data frame, got {type(frame).__name__}") from None
    column = list(values)
    if len(column) != len(native):
        raise InputError(f"{len(native)} rows in X and {len(column)} values in y")
    return native.with_columns(nw.new_series(name, column, backend=native.implementation)).to_native()
