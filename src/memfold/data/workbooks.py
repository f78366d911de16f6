"""Tables in workbooks: the sheet that holds one, its header below whatever stands above it, cells as what they are."""

import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from memfold.data.columns import VALUE_NAMES
from memfold.data.delimited import SAMPLE, Table, counted, refuse_twice
from memfold.data.written import TIME_NAMES
from memfold.errors import InputError
from memfold.extras import install, is_installed

__all__ = ["READ", "UNREAD", "is_zip", "read_workbook"]

READ = (".xlsx", ".xlsm")
UNREAD = (".xls", ".xlsb", ".ods", ".numbers")
_OLD = b"\xd0\xcf\x11\xe0"  # how a workbook begins that is of an old kind, or has a password
_MOST_BYTES = 1 << 30  # unpacked
MOST_CELLS = 50_000_000  # of a sheet, empty ones before the last of a row too
_TYPED = 0.5  # of a column's last cells are numbers or dates: then all below its title are
_NAMED = 3  # rows and kinds of errors that are named


@dataclass(frozen=True)
class _Sheet:
    """The cells of a sheet.

    Attributes:
        rows: each without the empty cells at its end.
        errors: what stood in cells with errors, which are empty here.
    """

    title: str
    rows: list[list[Any]]
    errors: Counter[str]

    @property
    def filled(self) -> int:
        """Rows that hold anything."""
        return sum(map(bool, self.rows))


def is_zip(head: bytes) -> bool:
    """Whether a file that begins so may be a workbook."""
    return head.startswith(b"PK\x03\x04")


def read_workbook(path: Path, sheet: str | None = None, *, missing: Sequence[str] = (), header: bool = True) -> Table:
    """Read the table in a workbook (.xlsx), with openpyxl.

    Of a formula the value is read that was stored with it. A column of dates is one of dates, a column of numbers one
    of numbers; where both or texts are in a column, it is one of texts.

    Args:
        sheet: with the table; None takes the only one that holds anything.
        missing: texts that stand for no value besides an empty cell.
        header: whether a row names the columns; if not, they are called ``column 1`` ...

    Raises:
        InputError: no workbook that can be read, no such sheet, or several that hold something.
    """
    if not is_installed("openpyxl"):
        raise InputError(f"{path}: a workbook, which takes openpyxl: {install(['excel'])}; or save the sheet as CSV")
    sheets = _sheets(path)
    chosen, notes = _chosen(path, sheets, sheet)
    at, first, why = _header(chosen) if header else (-1, 0, [])
    notes += why
    if chosen.errors:
        which = ", ".join(name for name, _ in chosen.errors.most_common(_NAMED))
        notes.append(f"{counted(chosen.errors.total(), 'cell')} with errors ({which}) read as empty")
    table = _table(path, chosen, at, first, notes, missing)
    empty = [name for name in table.frame.columns if table.frame[name].null_count() == table.frame.height]
    if table.frame.height and empty:
        _refuse_uncomputed(path, chosen.title, at, table, empty)
    return table


# -- sheets --------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path, *, values: bool) -> Iterator[Any]:
    """The workbook, as openpyxl has it.

    Args:
        values: whether of formulas their values are wanted; else the formulas.

    Raises:
        InputError: it cannot be read, for whatever reason openpyxl has.
    """
    import openpyxl

    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles, and of what a sheet has beside cells
        if file.read(4) == _OLD:
            raise InputError(f"{path}: has a password, or is a workbook of an old kind; save it as .xlsx without one")
        try:
            with zipfile.ZipFile(file) as packed:
                size = sum(part.file_size for part in packed.infolist())
                if "xl/workbook.xml" not in (name.lower() for name in packed.namelist()):
                    raise InputError(f"{path}: no workbook in .xlsx; save it as such, or the sheet as CSV (UTF-8)")
            if size > _MOST_BYTES:
                most = _MOST_BYTES >> 20
                raise InputError(f"{path}: {size >> 20:,} MB unpacked, {most:,} at most; save the sheet as CSV")
            yield openpyxl.load_workbook(file, read_only=True, data_only=values)
        except InputError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(f"{path}: not readable as a workbook ({reason}); save the sheet as CSV") from None


def _sheets(path: Path) -> list[_Sheet]:
    """The sheets that are shown, with their cells."""
    with _opened(path, values=True) as book:
        return [_read(path, sheet) for sheet in book.worksheets if sheet.sheet_state == "visible"]


def _read(path: Path, sheet: Any) -> _Sheet:
    sheet.reset_dimensions()  # which some programs write wrongly
    errors: Counter[str] = Counter()
    rows = []
    count = 0
    for cells in sheet.iter_rows():
        if (count := count + len(cells)) > MOST_CELLS:
            raise InputError(f"{path}: sheet {sheet.title!r} has more than {MOST_CELLS:,} cells; save it as CSV")
        row = [_value(cell, errors) for cell in cells]
        while row and row[-1] is None:
            row.pop()
        rows.append(row)
    while rows and not rows[-1]:
        rows.pop()
    return _Sheet(sheet.title, rows, errors)


def _value(cell: Any, errors: Counter[str]) -> Any:
    value = cell.value
    if value is not None and cell.data_type == "e":
        errors[str(value)] += 1
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, datetime):  # a day's fraction, which has no exact number
        tidy = (value + timedelta(microseconds=500)).replace(microsecond=0)
        return tidy if abs(value - tidy) <= timedelta(milliseconds=1) else value
    return value


def _chosen(path: Path, sheets: Sequence[_Sheet], given: str | None) -> tuple[_Sheet, list[str]]:
    """The sheet to read, and what is to be said of that.

    Raises:
        InputError: there is none, or there are several.
    """
    holding = [sheet for sheet in sheets if sheet.filled]
    if not holding:
        raise InputError(f"{path}: a workbook in which no sheet holds anything")
    notes = [] if len(sheets) == 1 else [f"sheet {holding[0].title!r}, the only one that holds anything"]
    if given is not None:
        same = [sheet for sheet in sheets if sheet.title.strip().casefold() == given.strip().casefold()]
        exact = [sheet for sheet in same if sheet.title == given] or same
        if exact:
            if not exact[0].filled:
                raise InputError(f"{path}: sheet {exact[0].title!r} is empty; {_named(holding)}")
            return exact[0], [f"sheet {exact[0].title!r}"] if len(sheets) > 1 else []
        if len(holding) > 1:
            raise InputError(f"{path}: no sheet {given!r}; {_named(holding)}")
        notes = [f"sheet {holding[0].title!r}, as there is no {given!r}"]
    elif len(holding) > 1:
        raise InputError(f"{path}: several sheets hold something; {_named(holding)}; say which with --set sheet=NAME")
    return holding[0], notes


def _named(sheets: Sequence[_Sheet]) -> str:
    return "it has " + ", ".join(f"{sheet.title!r} ({counted(sheet.filled, 'row')})" for sheet in sheets)


# -- the header ----------------------------------------------------------------------------------------------


def _header(sheet: _Sheet) -> tuple[int, int, list[str]]:
    """The place of the row with the columns' titles, that of the first row of data, and what is to be said of others.

    Where columns hold numbers or dates, it is above the first row with such in them; of several rows of texts there,
    the one with a title that is known, else the last. Where all is text, it is the first row with as many cells as
    most.
    """
    rows = sheet.rows
    last = [row for row in rows if row][-SAMPLE:]
    typed = _typed_columns(last[len(last) // 2 :])
    usual = Counter(sum(cell is not None for cell in row) for row in last).most_common(1)[0][0]
    full = [k for k, row in enumerate(rows) if row and sum(cell is not None for cell in row) >= usual]
    at, first = full[0], full[0] + 1
    if typed:
        data = next((k for k, row in enumerate(rows) if row and _is_data(row, typed)), len(rows))
        above = [k for k in full if k < data and _texts(rows[k], typed)]
        known = [k for k in above if any(str(cell).casefold() in {*TIME_NAMES, *VALUE_NAMES} for cell in rows[k])]
        at = (known or above or [next(k for k, row in enumerate(rows) if row)])[-1]
        first = next((k for k in range(data - 1, at, -1) if _texts(rows[k], typed)), at) + 1
    return at, first, [*_left_out(rows[:at], "before"), *_left_out(rows[at + 1 : first], "below")]


def _left_out(rows: Sequence[list[Any]], where: str) -> list[str]:
    """What is said of rows around the header."""
    held = [row for row in rows if row]
    if not held:
        return []
    named = ", ".join(repr(" ".join(_text(cell) for cell in row if cell is not None)[:40]) for row in held[:_NAMED])
    return [f"{counted(len(held), 'row')} {where} the header left out: {named}{', ...' * (len(held) > _NAMED)}"]


def _texts(row: list[Any], typed: Sequence[int]) -> bool:
    """Whether a row has a text where the last ones have numbers or dates."""
    return any(isinstance(cell, str) for cell in _of(row, typed))


def _typed_columns(rows: Sequence[list[Any]]) -> list[int]:
    """The columns in which most cells are numbers or dates."""
    columns = []
    for column in range(max(map(len, rows), default=0)):
        cells = [row[column] for row in rows if column < len(row) and row[column] is not None]
        if cells and sum(not isinstance(cell, str) for cell in cells) > _TYPED * len(cells):
            columns.append(column)
    return columns


def _of(row: list[Any], columns: Sequence[int]) -> list[Any]:
    return [row[column] for column in columns if column < len(row)]


def _is_data(row: list[Any], typed: Sequence[int]) -> bool:
    """Whether a row has numbers and dates where the last ones have."""
    cells = [cell for cell in _of(row, typed) if cell is not None]
    return bool(cells) and not any(isinstance(cell, str) for cell in cells) and 2 * len(cells) >= len(typed)


# -- cells as columns ----------------------------------------------------------------------------------------


def _table(path: Path, sheet: _Sheet, at: int, first: int, notes: list[str], missing: Sequence[str]) -> Table:
    """The rows from the place ``first`` on, with the titles at the place ``at``; none where that is below 0."""
    below = [(k + 1, row) for k, row in enumerate(sheet.rows) if k >= first]
    kept = [(k, row) for k, row in below if row]
    if empty := len(below) - len(kept):
        notes.append(f"{counted(empty, 'empty row')} left out")
    width = max([len(row) for _, row in kept], default=0)
    titles = [] if at < 0 else sheet.rows[at]
    width = max(width, len(titles))
    names = [None if k >= len(titles) or titles[k] is None else _text(titles[k]) for k in range(width)]
    refuse_twice(path, [name or "" for name in names])
    columns = []
    for k, name in enumerate(names):
        cells = [row[k] if k < len(row) else None for _, row in kept]
        cells = [None if isinstance(cell, str) and cell in missing else cell for cell in cells]
        if name is not None or any(cell is not None for cell in cells):
            columns.append(_column(name or f"column {k + 1}", cells))
    rows = pl.Series([k for k, _ in kept], dtype=pl.Int64)
    return Table(str(path), pl.DataFrame(columns), tuple(notes), rows)


def _column(title: str, cells: list[Any]) -> pl.Series:
    """Dates where all are, numbers where all are, else texts."""
    known = [cell for cell in cells if cell is not None]
    if known and all(isinstance(cell, date) for cell in known):
        moments = [cell if isinstance(cell, datetime) or cell is None else datetime(*_ymd(cell)) for cell in cells]
        times = pl.Series(title, moments, dtype=pl.Datetime("us"))
        return times.cast(pl.Date) if (times.drop_nulls().dt.time() == time()).all() else times
    if known and all(type(cell) is int and abs(cell) < 2**63 for cell in known):
        return pl.Series(title, cells, dtype=pl.Int64)
    if known and all(type(cell) in (int, float) for cell in known):
        return pl.Series(title, [None if cell is None else float(cell) for cell in cells], dtype=pl.Float64)
    return pl.Series(title, [None if cell is None else _text(cell) for cell in cells], dtype=pl.String)


def _ymd(day: date) -> tuple[int, int, int]:
    return day.year, day.month, day.day


def _text(cell: Any) -> str:
    """A cell as text."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, datetime):
        return (cell.date() if cell.time() == time() else cell).isoformat(*([" "] if cell.time() != time() else []))
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15 else str(cell)


def _refuse_uncomputed(path: Path, title: str, at: int, table: Table, empty: Sequence[str]) -> None:
    """Refuse a column of formulas that no program has computed yet.

    Raises:
        InputError: naming it.
    """
    with _opened(path, values=False) as book:
        sheet = book[title]
        sheet.reset_dimensions()
        for name, formula in _formulas(sheet, at):
            if name in empty:
                raise InputError(
                    f"{path}: column {name!r} holds formulas without values ({formula}); open the workbook in a "
                    "spreadsheet program and save it, or save the sheet as CSV"
                )


def _formulas(sheet: Any, at: int) -> Iterator[tuple[str, str]]:
    """The titles of columns with formulas, and one of each row's."""
    titles: list[str] = []
    for place, cells in enumerate(sheet.iter_rows()):
        if place == at:
            titles = ["" if cell.value is None else _text(cell.value).strip() for cell in cells]
        for k, cell in enumerate(cells if place > at else ()):
            if isinstance(cell.value, str) and cell.value.startswith("=") and cell.data_type == "f":
                yield (titles[k] if k < len(titles) and titles[k] else f"column {k + 1}"), cell.value[:40]
