"""Tables from wherever people have them: text files of any dialect, JSON, Parquet, workbooks, data frames, several
files."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from memfold.data.containers import looks_like_text
from memfold.data.delimited import MISSING, Table, called, decoded, read_delimited, unpacked
from memfold.data.workbooks import READ, UNREAD, is_zip, read_workbook
from memfold.errors import InputError

__all__ = ["read_table"]

JSON_LINES = (".jsonl", ".ndjson")
_DEEPEST = 20  # objects in objects


def read_table(
    source: Any,
    encoding: str | None = None,
    *,
    sheet: str | None = None,
    quoted: bool | None = None,
    missing: Sequence[str] = MISSING,
    header: bool = True,
    separator: str | None = None,
) -> Table:
    """Read the rows and columns of a source.

    Args:
        source: path of a file -- .csv, .tsv, .txt and the like in any dialect, .jsonl, .json, .parquet, .xlsx; .gz is
            unpacked --, several paths of files with the same columns, or a data frame that narwhals knows (pandas,
            Polars, PyArrow ...), whose index is a column where it has a name or holds times.
        encoding: of a text file; None finds it.
        sheet: of a workbook, as `read_workbook` takes it.
        quoted, missing, header, separator: of a text file, as `read_delimited` takes them.

    Raises:
        InputError: naming the file, and the row in it, of what cannot be read.
    """
    if isinstance(source, Table):
        return source
    options: dict[str, Any] = {"quoted": quoted, "missing": missing, "header": header, "separator": separator}
    if isinstance(source, list | tuple):
        return _joined([read_table(part, encoding, sheet=sheet, **options) for part in source])
    if not isinstance(source, str | Path):
        return _of_a_frame(source)
    path = Path(source)
    try:
        size = path.stat().st_size if path.is_file() else None
    except (OSError, ValueError) as error:  # a name that no file can have
        raise InputError(f"{str(path)[:100]!r}: no such file ({error})") from None
    if not size:
        raise InputError(f"{path}: no such file" if size is None else f"{path}: the file is empty")
    endings = {suffix.lower() for suffix in path.suffixes[-2:]}
    if ".parquet" in endings:
        return _parquet(path)
    with path.open("rb") as file:
        head = file.read(8)
    if endings & set(READ) or is_zip(head):
        return read_workbook(path, sheet, missing=missing, header=header)
    if endings & set(UNREAD) and (not looks_like_text(head) or head.lstrip().startswith(b"<")):
        raise InputError(f"{path}: a workbook of another kind than .xlsx; save it as such, or the sheet as CSV (UTF-8)")
    if endings & {".json", *JSON_LINES}:
        content, known = decoded(unpacked(path), str(path), encoding)
        read = _json_lines if endings & set(JSON_LINES) or _holds_lines(content) else _json
        notes = () if known in ("utf-8", encoding) else (f"read as {called(known)}",)
        return read(path, content, notes)
    return read_delimited(path, encoding, **options)


def _joined(tables: Sequence[Table]) -> Table:
    """The rows of several tables below each other.

    Raises:
        InputError: they do not have the same columns.
    """
    if not tables:
        raise InputError("no file is given")
    first = tables[0]
    for table in tables[1:]:
        if set(table.frame.columns) != set(first.frame.columns):
            has, wanted = (", ".join(map(repr, t.frame.columns)) for t in (table, first))
            raise InputError(f"{table.name}: has the columns {has}, {first.name} has {wanted}; join files of one form")
    if len(tables) == 1:
        return first
    try:
        frame = pl.concat([t.frame.select(first.frame.columns) for t in tables], how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{first.name} and others: columns of different types ({error})") from None
    rows = pl.concat([_rows_of(t) for t in tables])
    notes = tuple(f"{t.name}: {note}" for t in tables for note in t.notes)
    return Table(", ".join(t.name for t in tables), frame, notes, rows, first.separator)


def _rows_of(table: Table) -> pl.Series:
    rows = table.rows
    return pl.int_range(2, 2 + table.frame.height, eager=True) if rows is None else rows.cast(pl.Int64)


def _of_a_frame(source: Any) -> Table:
    try:
        native = nw.from_native(source, eager_only=True)
    except TypeError:
        raise InputError(f"got {type(source).__name__}, which is neither a path nor a data frame") from None
    if native.implementation.is_pandas_like():
        index = source.index
        times = type(index).__name__ in ("DatetimeIndex", "PeriodIndex")
        if times or any(name is not None for name in index.names):
            titles = ["ds" if times and name is None else name for name in index.names]
            if twice := sorted(map(str, set(titles) & set(source.columns))):
                raise InputError(f"the data frame has {twice[0]!r} as a column and in its index; rename one of them")
            source = source.rename_axis(titles).reset_index()
        for title in list(source.columns):
            if str(source[title].dtype).startswith("period"):
                source = source.assign(**{str(title): source[title].dt.to_timestamp()})
        native = nw.from_native(source, eager_only=True)
    try:
        return Table("data frame", native.to_polars())
    except Exception as error:  # of whatever library made it
        raise InputError(f"the data frame cannot be read ({str(error).splitlines()[0]})") from None


def _parquet(path: Path) -> Table:
    try:
        with open(path, "rb") as file:  # not the path, which Polars would take for a pattern
            frame = pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: not readable as Parquet ({str(error).strip().splitlines()[0]})") from None
    while any(isinstance(kind, pl.Struct) for kind in frame.dtypes):
        parts = []
        for column in frame:
            if isinstance(column.dtype, pl.Struct):
                inner = column.struct.unnest()
                parts += [inner[c].alias(f"{column.name}.{c}") for c in inner.columns]
            else:
                parts.append(column)
        if len({part.name for part in parts}) < len(parts):
            raise InputError(f"{path}: two columns have one name once their fields are columns of their own")
        frame = pl.DataFrame(parts)
    return Table(str(path), frame)


# -- JSON ----------------------------------------------------------------------------------------------------


def _holds_lines(content: str) -> bool:
    """Whether a file of JSON is one of lines: several, of which the first is an object by itself."""
    lines = content.split("\n", 2)
    if len(lines) < 2 or not lines[1].strip():
        return False
    try:
        return isinstance(json.loads(lines[0]), dict)
    except (ValueError, RecursionError):
        return False


def _json_lines(path: Path, content: str, notes: tuple[str, ...]) -> Table:
    rows, numbers = [], []
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            rows.append(_object(_loaded(line, f"{path}, line {number}"), f"{path}, line {number}"))
            numbers.append(number)
    return _of_rows(path, rows, notes, numbers)


def _json(path: Path, content: str, notes: tuple[str, ...]) -> Table:
    """A list of objects, or an object with such a list, or one with a list for each column."""
    value = _loaded(content, str(path))
    if isinstance(value, dict):
        lists = {key: part for key, part in value.items() if isinstance(part, list)}
        of_objects = [key for key, part in lists.items() if part and all(isinstance(item, dict) for item in part)]
        if len(of_objects) == 1:
            notes += (f"the rows are those of {of_objects[0]!r}",)
            value = lists[of_objects[0]]
        elif lists and len(lists) == len(value) and len({len(part) for part in lists.values()}) == 1:
            value = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    if not isinstance(value, list):
        raise InputError(f'{path}: expected a list of objects such as [{{"text": "...", "label": "..."}}]')
    rows = [_object(item, f"{path}, item {place}") for place, item in enumerate(value, 1)]
    return _of_rows(path, rows, notes, range(1, len(rows) + 1))


def _loaded(text: str, where: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(text, parse_constant=lambda name: float(name) if name == "NaN" else refuse(name))
        text.encode("utf-8")
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        reason = "objects in objects, too deep" if isinstance(error, RecursionError) else error
        raise InputError(f"{where}: not readable as JSON ({reason})") from None
    return value


def _object(value: Any, where: str) -> dict[str, Any]:
    """The fields of an object, those of objects in it by names such as ``ticket.body``."""
    if not isinstance(value, dict):
        raise InputError(f'{where}: expected an object such as {{"text": "...", "label": "..."}}')
    fields: dict[str, Any] = {}

    def take(inner: dict[str, Any], prefix: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise InputError(f"{where}: objects in objects, too deep")
        for key, part in inner.items():
            name = f"{prefix}{key}"
            if isinstance(part, dict):
                take(part, f"{name}.", depth + 1)
            elif name in fields:
                raise InputError(f"{where}: {name!r} stands there twice")
            else:
                fields[name] = part

    take(value, "", 0)
    return fields


def _of_rows(path: Path, rows: Sequence[dict[str, Any]], notes: tuple[str, ...], numbers: Sequence[int]) -> Table:
    """Rows as columns: of numbers where all are, else of texts; a list stays a list, for whoever takes none to see."""
    titles = list(dict.fromkeys(key for row in rows for key in row))
    columns = [_column(title, [row.get(title) for row in rows]) for title in titles]
    return Table(str(path), pl.DataFrame(columns), notes, pl.Series(list(numbers), dtype=pl.Int64))


def _column(title: str, values: list[Any]) -> pl.Series:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, list) for value in known):
        lists = [None if value is None else [_text(item) for item in value] for value in values]
        return pl.Series(title, lists, dtype=pl.List(pl.String))
    if known and all(type(value) is int and abs(value) < 2**63 for value in known):
        return pl.Series(title, values, dtype=pl.Int64)
    if known and all((type(value) in (int, float) and abs(value) < 1e300) or value != value for value in known):
        return pl.Series(title, [None if v is None else float(v) for v in values], dtype=pl.Float64)
    written: Callable[[Any], str | None] = lambda value: None if value is None else _text(value)  # noqa: E731
    return pl.Series(title, [written(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | bool) else str(value)
