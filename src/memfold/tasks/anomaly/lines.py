"""Readings that come line by line: CSV with or without a header, or JSON objects."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from memfold.data.readings import TIME_NAMES
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
        time: name of the time; None looks for ds, timestamp, time ...
        id: name of the column with the series' names.
    """

    def __init__(self, variables: Sequence[str], dates: bool, time: str | None, id: str) -> None:
        self.variables = list(variables)
        self.dates = dates
        self.id = id
        self.times = (time,) if time else TIME_NAMES
        self.columns: list[str] = [self.times[0], *self.variables]  # of CSV without a header
        self.lines = 0

    def read(self, line: str) -> Reading | None:
        """The reading; None for an empty line and a header.

        Raises:
            InputError: naming the line.
        """
        self.lines += 1
        text = line.strip()
        if not text:
            return None
        if text.startswith("{"):
            row = self._object(text)
        else:
            fields = [field.strip().strip('"') for field in text.split(",")]
            if self.lines == 1 and set(self.variables) <= set(fields):
                self.columns = fields
                return None
            if len(fields) != len(self.columns):
                raise self._error(f"{len(fields)} fields; expected {','.join(self.columns)}")
            row = dict(zip(self.columns, fields, strict=True))
        name = str(row.get(self.id, ""))
        key = next((key for key in self.times if key in row), None)
        if key is None:
            raise self._error(f"no time; expected {' or '.join(self.times)}")
        shown: dict[str, Any] = {self.id: name} if name else {}
        values = [self._number(row, variable) for variable in self.variables]
        shown[key] = row[key]
        shown.update(zip(self.variables, values, strict=True))
        return Reading(name, self._time(row[key]), values, shown)

    def _object(self, text: str) -> dict[str, Any]:
        try:
            row = json.loads(text)
        except ValueError as error:
            raise self._error(f"not readable as JSON ({error})") from None
        return dict(row)

    def _number(self, row: dict[str, Any], variable: str) -> float:
        try:
            value = float(row[variable])
        except (KeyError, TypeError, ValueError):
            raise self._error(f"no number for {variable!r} in it") from None
        if not math.isfinite(value):
            raise self._error(f"{variable!r} is not a finite number")
        return value

    def _time(self, text: Any) -> float:
        try:
            if not self.dates:
                return float(text)
            return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
        except (TypeError, ValueError):
            kind = "a date such as 2014-07-01 00:30:00" if self.dates else "a number"
            raise self._error(f"{text!r} is not {kind}") from None

    def _error(self, what: str) -> InputError:
        return InputError(f"standard input, line {self.lines}: {what}")
