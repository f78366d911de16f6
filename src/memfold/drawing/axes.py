"""Axes: where values stand, and the round places that are named."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Axis", "numbers", "rounded"]

Array = NDArray[np.float64]
Kind = Literal["linear", "log", "time", "names"]
MINUTE, HOUR, DAY = 60, 3600, 86400
SECONDS = [1, 5, 15, 30, *(MINUTE * k for k in (1, 5, 15, 30)), *(HOUR * k for k in (1, 3, 6, 12))]
SECONDS += [DAY * k for k in (1, 2, 4, 7, 14)]
MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Axis:
    """One axis, from its least to its greatest value.

    Attributes:
        kind: what its values are; times are seconds since 1970.
        whole: whether only whole numbers are named.
        names: of the places 0, 1, … where ``kind`` is ``names``.
    """

    least: float
    greatest: float
    kind: Kind = "linear"
    whole: bool = False
    names: tuple[str, ...] = ()

    def place(self, values: Array) -> Array:
        """Where values stand, 0 at the least and 1 at the greatest; NaN where a logarithm has no place."""
        if self.kind == "log":
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.log(np.where(values > 0, values, np.nan))
            low, high = math.log(self.least), math.log(self.greatest)
            return (logs - low) / ((high - low) or 1.0)
        return (values - self.least) / ((self.greatest - self.least) or 1.0)

    def ticks(self, about: int = 5) -> list[tuple[float, str]]:
        """Round places with their texts, about so many, from the least to the greatest."""
        if self.kind == "names":
            every = math.ceil(len(self.names) / max(about, 1))
            return [(float(place), name) for place, name in enumerate(self.names) if place % every == 0]
        if self.kind == "time":
            return _of_times(self.least, self.greatest, about)
        if self.kind == "log":
            return _of_powers(self.least, self.greatest, about)
        low, high = sorted((self.least, self.greatest))  # an axis may be upside down
        step = _round_step((high - low) / about, self.whole)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return [(place * step, rounded(place * step, step)) for place in range(first, last + 1)]


def numbers(values: Sequence[Any] | NDArray[Any]) -> tuple[Array, bool]:
    """Values as numbers, NaN where one is missing, and whether they are times (then in seconds since 1970)."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return values.astype(np.float64), False
    first = next((value for value in values if value is not None), None)
    if first is None or isinstance(first, int | float | np.number):
        return np.array([np.nan if value is None else float(value) for value in values]), False
    times = np.array([np.datetime64("NaT") if value is None else _moment(value) for value in values], "datetime64[us]")
    return np.where(np.isnat(times), np.nan, times.astype(np.int64) / 1e6), True


def _moment(value: Any) -> np.datetime64:
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")


def rounded(value: float, step: float) -> str:
    """A number as it is written where the next one is a step further.

    >>> rounded(1500.0, 500.0), rounded(0.25, 0.05), rounded(2e9, 1e9)
    ('1,500', '0.25', '2e+09')
    """
    if value and (abs(value) >= 1e7 or step < 1e-5):
        return f"{value:.3g}"
    return f"{value + 0.0:,.{max(0, math.ceil(-math.log10(step) - 1e-9))}f}"


def _round_step(rough: float, whole: bool) -> float:
    if not rough > 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(times for times in (1, 2, 5, 10) if times * scale >= rough * 0.999) * scale
    return max(step, 1.0) if whole else step


def _of_powers(least: float, greatest: float, about: int) -> list[tuple[float, str]]:
    """Powers of ten; where these are fewer than two, twice and five times them as well."""
    low, high = math.floor(math.log10(least) + 1e-9), math.ceil(math.log10(greatest) - 1e-9)
    every = max(1, math.ceil((high - low) / about))
    powers = [10.0**k for k in range(low, high + 1) if k % every == 0]
    inside = [value for value in powers if least * 0.999 <= value <= greatest * 1.001]
    if len(inside) < 2:
        many = [times * 10.0**k for k in range(low, high + 1) for times in (1, 2, 5)]
        inside = [value for value in many if least * 0.999 <= value <= greatest * 1.001]
    return [(value, f"{value:.4g}") for value in inside]


def _of_times(least: float, greatest: float, about: int) -> list[tuple[float, str]]:
    rough = (greatest - least) / about
    step = next((step for step in SECONDS if step >= rough * 0.999), None)
    if step is not None:
        form = "%H:%M:%S" if step < MINUTE else "%m-%d %H:%M" if step < DAY else "%Y-%m-%d"
        places = np.arange(math.ceil(least / step), math.floor(greatest / step) + 1) * step
        return [(float(place), _said(float(place), form)) for place in places]
    months = next((count for count in MONTHS if count * 30.4 * DAY >= rough * 0.999), MONTHS[-1])
    begin = _time(least)
    number = math.ceil((begin.year * 12 + begin.month - 1) / months) * months
    ticks = []
    while (year := number // 12) <= 9999:
        place = (datetime(max(year, 1), number % 12 + 1, 1, tzinfo=UTC) - EPOCH).total_seconds()
        if place > greatest:
            break
        if place >= least:
            ticks.append((place, _said(place, "%Y" if months % 12 == 0 else "%Y-%m")))
        number += months
    return ticks


def _time(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def _said(seconds: float, form: str) -> str:
    return _time(seconds).strftime(form)
