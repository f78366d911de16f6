"""Readings that come line by line: CSV with or without a header, or JSON objects."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from memfold.data.written import TIME_NAMES, Times
from memfold.errors import InputError

__all__ = ["LineReader", "Reading"]


@dataclass(frozen=True)
class Reading:
    """One line.

    Attributes:
        name: of its series, "" without one.
        time: seconds since 1970 where times are dates.
        shown: what the answer repeats of it.
    """

    name: str
    time: float
    values: list[float]
    shown: dict[str, Any]


class LineReader:
    """Reads lines such as ``2014-07-01 00:30:00,8127``, or ``{"ds": "2014-07-01 00:30:00", "y": 8127}``.

    Args:
        variables: names of the values, in order.
        dates: whether times are dates; else they are numbers.
        written: how the times were that the model was fitted to; those of the lines are read so.
        time: name of the time; None looks for ds, timestamp, time ...
        id: name of the column with the series' names.
    """

    moves: ClassVar[tuple[str, ...]] = ("columns", "lines")

    def __init__(self, variables: Sequence[str], dates: bool, written: Times, time: str | None, id: str) -> None:
        self.variables = list(variables)
        self.dates = dates
        self.written = written
        self.id = id
        self.times = (time,) if time else TIME_NAMES
        self.columns: list[str] = [self.times[0], *self.variables]  # of CSV without a header
        self.lines = 0

    def read(self, line: str | Mapping[str, Any]) -> Reading | None:
        """The reading; None for an empty line and a header.

        Args:
            line: of text, or the object that one of JSON holds.

        Raises:
            InputError: naming the line.
        """
        self.lines += 1
        text = line.strip() if isinstance(line, str) else ""
        if isinstance(line, Mapping):
            row = _flat(line)
        elif not text:
            return None
        elif text.startswith("{"):
            row = self._object(text)
        else:
            fields, separator = self._fields(text)
            if self.lines == 1 and set(self.variables) <= set(fields):
                self.columns = fields
                return None
            if len(fields) != len(self.columns):
                raise self._error(f"{len(fields)} fields; expected {','.join(self.columns)}")
            row = dict(zip(self.columns, fields, strict=True))
            if separator != ",":  # then a comma is before a fraction
                row |= {name: row[name].replace(",", ".") for name in self.variables}
        name = str(row.get(self.id, ""))
        key = next((key for key in self.times if key in row), None)
        if key is None:
            raise self._error(f"no time; expected {' or '.join(self.times)}")
        shown: dict[str, Any] = {self.id: name} if name else {}
        if not any(variable in row for variable in self.variables):
            raise self._error(f"no number for {self.variables[0]!r} in it")
        values = [self._number(row, variable) for variable in self.variables]
        shown[key] = row[key]
        shown.update(
            (name, None if math.isnan(value) else value) for name, value in zip(self.variables, values, strict=True)
        )
        return Reading(name, self._time(row[key]), values, shown)

    def _fields(self, text: str) -> tuple[list[str], str]:
        """The fields of a line, and what separates them: commas, or what gives as many as are expected."""
        by = {separator: text.split(separator) for separator in (",", ";", "\t", "|")}
        fits = [separator for separator, fields in by.items() if len(fields) == len(self.columns)]
        separator = fits[0] if fits else max(by, key=lambda separator: len(by[separator]))
        return [field.strip().strip('"') for field in by[separator]], separator

    def _object(self, text: str) -> dict[str, Any]:
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = "objects in objects, too deep" if isinstance(error, RecursionError) else error
            raise self._error(f"not readable as JSON ({reason})") from None
        return _flat(dict(row))

    def _number(self, row: dict[str, Any], variable: str) -> float:
        """A value; NaN where it is missing: not there, null, or a text that says so."""
        given = row.get(variable)
        if given is None or (isinstance(given, str) and given.strip() in _MISSING):
            return math.nan
        try:
            value = _float(given)
        except (TypeError, ValueError, OverflowError):
            raise self._error(f"no number for {variable!r} in it") from None
        if math.isinf(value):
            raise self._error(f"{variable!r} is not a finite number")
        return value

    def _time(self, text: Any) -> float:
        try:
            if not self.dates:
                value = _float(text)
                if not math.isfinite(value):
                    raise ValueError
                return value
            if self.written.kind == "text" and self.written.format.startswith("%Y-%m-%d"):
                moment = datetime.fromisoformat(text)
                if moment.tzinfo is not None and self.written.utc:
                    moment = moment.astimezone(UTC)
                return moment.replace(tzinfo=UTC).timestamp()
            moment_alone = self._plain(text)
            return self._as_written(text) if moment_alone is None else moment_alone.replace(tzinfo=UTC).timestamp()
        except (TypeError, ValueError, OverflowError):
            kind = "a date such as 2014-07-01 00:30:00" if self.dates else "a number"
            raise self._error(f"{text!r} is not {kind}") from None

    def _plain(self, text: Any) -> datetime | None:
        """A time without a zone that is written as ISO 8601 has it, or as the format of the file's says; None for any
        other, which takes a hundred times as long to read."""
        if self.written.zone or not isinstance(text, str):
            return None
        if self.written.kind == "datetime" and _ISO.fullmatch(text):
            return datetime.fromisoformat(text)
        if self.written.kind == "text" and self.written.format:
            with suppress(ValueError):
                return datetime.strptime(text, self.written.format)
        return None

    def _as_written(self, text: Any) -> float:
        """The time of one that is written as those of the file were.

        Raises:
            ValueError: it is not.
        """
        order = "day-first" if self.written.format.startswith(("%d", "%-d")) else "month-first"
        import polars as pl

        from memfold.data.delimited import Column
        from memfold.data.times import read_times

        column = Column("", "", pl.Series([str(text) if isinstance(text, float) else text]))
        times, _ = read_times(column, order if self.written.kind == "text" else None)
        if times.dtype.is_integer() or times[0] is None:
            raise ValueError
        return float(times[0].replace(tzinfo=UTC).timestamp())

    def _error(self, what: str) -> InputError:
        return InputError(f"standard input, line {self.lines}: {what}")


_ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?")
_MISSING = frozenset(["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"])  # as in a table
_DEEPEST = 20  # objects in objects


def _flat(row: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """The fields of an object, those of objects in it by names such as ``d.temp``."""
    fields: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping) and depth < _DEEPEST:
            fields |= _flat(value, f"{prefix}{key}.", depth + 1)
        else:
            fields[f"{prefix}{key}"] = value
    return fields


_NUMBER = re.compile(r"\s*[-+]?([\d.]+(e[-+]?\d+)?|nan|inf|infinity)\s*", re.IGNORECASE)


def _float(value: Any) -> float:
    """A number, from one of JSON or from its digits.

    Raises:
        ValueError: it is none; nor is ``1_000``, which Python would take for one.
    """
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        raise ValueError
    return float(value)
