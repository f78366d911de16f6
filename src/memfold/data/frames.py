"""Data frames of the kind that somebody works with."""

from typing import Any

import narwhals as nw
import polars as pl

from memfold.display import say

__all__ = ["beside", "like"]


def like(frame: pl.DataFrame, given: Any) -> pl.DataFrame:
    """A frame of the kind that was given: pandas for pandas, PyArrow for PyArrow ...; else as it is.

    The type said is that of most.

    >>> import pandas as pd
    >>> like(pl.DataFrame({"y": [1.0]}), pd.DataFrame())
         y
    0  1.0
    """
    try:
        kind = nw.from_native(given, eager_only=True).implementation
    except TypeError:
        return frame
    if kind.is_polars():
        return frame
    columns: dict[str, Any] = {}
    for column in frame:
        zoneless = isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is None
        columns[column.name] = column.to_numpy() if zoneless or column.dtype.is_numeric() else column.to_list()
    frame_of_kind: pl.DataFrame = nw.from_dict(columns, backend=kind).to_native()
    return frame_of_kind


def beside(given: Any, answers: pl.DataFrame) -> Any:
    """A data frame of any kind, as it is, with a row of answers to each of its rows.

    Answers keep their names. A column of the frame that has one of them is renamed, which is said on standard error.

    >>> beside(pl.DataFrame({"id": [7], "label": ["?"]}), pl.DataFrame({"label": ["good"]})).row(0, named=True)
    {'id': 7, 'given_label': '?', 'label': 'good'}
    """
    frame = nw.from_native(given, eager_only=True)
    names = {name: name for name in frame.columns if name in answers.columns}
    for name in names:
        taken = {*frame.columns, *answers.columns, *(new for old, new in names.items() if old != name)}
        while names[name] in taken:
            names[name] = f"given_{names[name]}"
    if names:
        called = ", ".join(f"{old!r} of the data is {new!r} there" for old, new in names.items())
        say(f"the answers have columns of the same names: {called}")
    kind = frame.implementation
    columns = [nw.new_series(column.name, column.to_list(), backend=kind) for column in answers]
    return frame.rename(names).with_columns(columns).to_native()
