"""Readings at uneven times put on even ones."""

import math
import re
from datetime import timedelta
from typing import Any

import polars as pl

from memfold.data.delimited import counted
from memfold.errors import InputError

__all__ = ["evenly_spaced", "every_near"]

ID, TIME = "unique_id", "ds"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NEAR = 0.1  # of a step, that a suggestion may differ from what is usual
_AS_MANY = 0.75  # of a step, from which on readings come about once a step
_MONDAY = 4 * 86_400  # seconds after 1970 began, a Thursday
_USUAL = [(n, u) for u, ns in {"s": (1, 2, 5, 10, 15, 20, 30), "m": (1, 2, 5, 10, 15, 20, 30)}.items() for n in ns]
_USUAL += [(n, u) for u, ns in {"h": (1, 2, 3, 4, 6, 8, 12), "d": (1, 2), "w": (1, 2)}.items() for n in ns]


def evenly_spaced(
    frame: pl.DataFrame, every: str, values: list[str], words: list[str], place: str
) -> tuple[pl.DataFrame, str, list[str]]:
    """The frame with a row at most for each step, which bears the mean of its readings.

    Where about one reading comes a step, each goes to the nearest one; where several come, each to the step that it
    lies in.

    Args:
        frame: columns ``unique_id``, ``ds``, the values and the words.
        every: such as 10m, 1h, 1d or 1mo; a whole number where the times are such.
        values, words: columns of numbers, of which the mean is taken, and of texts, of which the first.
        place: the file, for errors.

    Returns:
        The frame, sorted by series and time; the step; what is to be said.

    Raises:
        InputError: no such interval.
    """
    match = re.fullmatch(r"\s*(\d+)\s*(s|m|min|h|d|w|mo|q|y)?\s*", every)
    integers = frame.schema[TIME].is_integer()
    if match is None or int(match[1]) < 1 or (match[2] is None) != integers:
        expected = "a whole number, as the times are" if integers else "an interval such as 10m, 1h, 1d, 1w or 1mo"
        raise InputError(f"{place}: --set every={every}: expected {expected}")
    count, unit = int(match[1]), {"min": "m", "q": "mo", None: ""}.get(match[2], match[2])
    count *= 3 if match[2] == "q" else 1
    frame = frame.sort(ID, TIME)
    usual = frame.select(pl.col(TIME).diff().over(ID).cast(pl.Int64).alias("gap"))["gap"].drop_nulls().median()
    step = f"{count}{unit}"
    if unit in ("mo", "y"):
        at, how = pl.col(TIME).dt.truncate(step), "the step that it lies in"
    else:
        size = count * (1 if integers else _SECONDS[unit] * 10**6)
        nearest = isinstance(usual, int | float) and usual >= _AS_MANY * size
        at, how = _on_grid(frame, size, nearest, unit), "the nearest step" if nearest else "the step that it lies in"
    moved = frame.with_columns(at.alias("at"))
    kept = [pl.col(c).mean() for c in values] + [pl.col(c).drop_nulls().first() for c in words]
    merged = moved.group_by(ID, "at", maintain_order=True).agg(pl.col("row").first(), *kept).rename({"at": TIME})
    off = int((moved["at"] != moved[TIME]).sum())
    said = f"every={step}: {counted(frame.height, 'reading')} put on {counted(merged.height, 'step')}, each to {how}"
    if off:
        said += f"; {off:,} of them were beside it"
    if frame.height > merged.height:
        said += f"; {frame.height - merged.height:,} merged with others by their mean"
    return merged.select(frame.columns).sort(ID, TIME), step, [said]


def _on_grid(frame: pl.DataFrame, size: int, nearest: bool, unit: str) -> pl.Expr:
    """Times on multiples of a step; of readings that go to the nearest one, after the offset they share."""
    at = pl.col(TIME).cast(pl.Int64)
    origin = _MONDAY * 10**6 if unit == "w" else 0
    shift = 0
    if nearest:  # the offset that most readings are near to, on a circle of one step
        turns = (frame[TIME].cast(pl.Int64) - origin) % size / size * math.tau
        angle = float(pl.select(pl.arctan2(pl.lit(turns.sin().mean()), pl.lit(turns.cos().mean()))).item())
        share = angle / math.tau
        shift = round(round(share * 60) / 60 * size)  # a minute of an hour, a second of a minute
    half = size // 2 if nearest else 0
    grid = (at - origin - shift + half) // size * size + origin + shift
    return grid.cast(frame.schema[TIME])


def every_near(gap: Any) -> str:
    """The usual interval that a gap is near to, for a message; the gap itself where none is.

    >>> every_near(timedelta(minutes=10, seconds=2)), every_near(7)
    ('10m', '7')
    """
    if not isinstance(gap, timedelta):
        return str(gap)
    seconds = gap.total_seconds()
    best = min(_USUAL, key=lambda one: abs(one[0] * _SECONDS[one[1]] - seconds))
    if abs(best[0] * _SECONDS[best[1]] - seconds) <= _NEAR * seconds:
        return f"{best[0]}{best[1]}"
    return f"{max(1, round(seconds))}s"
