"""The calendar and the covariates of a table: which it can teach, and their numbers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.tables import ID, TARGET, TIME, SeriesTable
from memfold.errors import InputError
from memfold.runtime.forecasting.covariates import Calendar, Covariates, StaticColumn
from memfold.runtime.forecasting.windows import SeriesArrays

__all__ = ["arrays_of", "calendar_of", "covariates_of", "static_column_of"]

MOST_CATEGORIES = 500  # of a static column: more of them name the series rather than describe them
MOST_WORDS = 100  # of a column of words: each is a feature of every step


def calendar_of(times: pl.Series, step: str, holidays: tuple[str, ...] = ()) -> Calendar:
    """The cycles that ``times``, ``step`` apart, cover, and the holidays, where a step is a day or less."""
    if times.dtype.is_integer():
        return Calendar()
    first, last = times.min(), times.max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    span = last - first
    unit = step.lstrip("0123456789")
    within_day, within_week = unit in ("h", "m", "s", "us"), unit not in ("w", "mo", "y")
    return Calendar(
        day=within_day and span >= timedelta(days=2),
        week=within_week and span >= timedelta(days=14),
        year=unit != "y" and span >= timedelta(days=730),
        holidays=holidays if within_week else (),
    )


def static_column_of(texts: pl.Series) -> StaticColumn:
    """As the texts of the series to learn from suggest: numbers where all of them are.

    Raises:
        InputError: there are too many different ones.
    """
    numbers = texts.cast(pl.Float64, strict=False)
    if numbers.is_finite().fill_null(False).all():
        mean, deviation = float(numbers.mean()), float(numbers.std() or 1.0)  # type: ignore[arg-type]
        return StaticColumn(texts.name, mean, deviation)
    categories = tuple(texts.unique().sort())
    if len(categories) > MOST_CATEGORIES:
        raise InputError(
            f"column {texts.name!r} has {len(categories):,} different texts; a static column may have "
            f"{MOST_CATEGORIES} at most"
        )
    return StaticColumn(texts.name, categories=categories)


def covariates_of(table: SeriesTable, past: Sequence[str], future: Sequence[str], static: Sequence[str]) -> Covariates:
    """As a table to learn from suggests.

    Raises:
        InputError: a column has too many different words.
    """
    scaling, categories = {}, {}
    for column in (*past, *future):
        values = table.known[column]
        if values.dtype == pl.String:
            categories[column] = tuple(values.filter(values != "").unique().sort())
            if len(categories[column]) > MOST_WORDS:
                raise InputError(
                    f"column {column!r} has {len(categories[column]):,} different words; {MOST_WORDS} at most: give "
                    "the seldom ones one word in common"
                )
            continue
        scaling[column] = (float(values.mean()), float(values.std() or 1.0))  # type: ignore[arg-type]
    columns = tuple(static_column_of(_static(table)[name]) for name in static)
    calendar = calendar_of(table.known[TIME], table.step, table.off.holidays)
    return Covariates(calendar, tuple(past), tuple(future), scaling, columns, categories)


def arrays_of(table: SeriesTable, covariates: Covariates, ahead: int = 0, needed: int | None = None) -> SeriesArrays:
    """A table as the network reads it.

    Args:
        ahead: rows to add after each series' last value, to forecast into.
        needed: of them those whose covariates must be there; all when None.

    Raises:
        InputError: a covariate that is to be known ahead is not.
    """
    frame = table.known
    if ahead:
        rows = table.times_after(ahead).join(table.ahead.drop(TARGET), on=[ID, TIME], how="left", maintain_order="left")
        for column in covariates.future:
            first = rows if needed is None else rows.filter(pl.int_range(pl.len()).over(ID) < needed)
            if (holes := first.filter(pl.col(column).is_null())).height:
                row = holes.row(0, named=True)
                raise InputError(
                    f"series {row[ID]!r} has no {column!r} at {row[TIME]}: a covariate known ahead must be given "
                    f"for the {needed or ahead} steps to forecast, in rows whose {TARGET!r} is empty or in a file apart"
                )
        frame = pl.concat([frame, rows.with_columns(pl.lit(None, pl.Float64).alias(TARGET)).select(frame.columns)])
        frame = frame.sort(ID, TIME)
    columns = {name: _numbers(frame[name]) for name in (*covariates.past, *covariates.future)}
    lengths = table.lengths
    texts = {name: values.to_list() for name, values in _static(table).to_dict().items()} if covariates.static else {}
    return SeriesArrays(
        np.array(frame[TARGET].fill_null(0.0).to_numpy(), np.float64),
        covariates.past_features(columns, frame.height),
        covariates.known_features(frame[TIME].to_numpy(), columns),
        covariates.static_features(texts, table.ids),
        np.cumsum(lengths + ahead) - lengths - ahead,
        lengths,
    )


def _numbers(column: pl.Series) -> NDArray[Any]:
    if column.dtype == pl.String:
        return np.array(column.to_list(), object)
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _static(table: SeriesTable) -> pl.DataFrame:
    """The static columns of each series in the table, in order."""
    assert table.static is not None
    return pl.DataFrame({ID: table.ids}).join(table.static, on=ID, how="left", maintain_order="left")
