"""Data frames of the kind that somebody works with."""

from typing import Any

import narwhals as nw
import polars as pl

__all__ = ["like"]


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
