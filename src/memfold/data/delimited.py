"""Tables in text files of whatever dialect: found from the file, said, and refused where two ways fit."""

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from memfold.errors import InputError

__all__ = [
    "MISSING",
    "SAMPLE",
    "Column",
    "Table",
    "called",
    "counted",
    "decoded",
    "read_delimited",
    "refuse_twice",
    "unpacked",
]

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes", " ": "spaces"}
SAMPLE = 200  # records that are looked at
_CONSISTENT = 0.9  # of them have as many fields as the header
_BYTES = 1 << 20  # that an encoding is guessed from
_LETTERS = 10_000  # of them that are looked up
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")  # which no text holds
_NAMED = 2  # lines that are left out, by their text


@dataclass(frozen=True)
class Column:
    """A column of a table, which says where it stands.

    Attributes:
        name: of the file.
        title: of the column.
        values: in it.
        rows, separator: as of the table.
    """

    name: str
    title: str
    values: pl.Series
    rows: pl.Series | None = None
    separator: str = ""

    def __str__(self) -> str:
        return f"{self.name}: column {self.title!r}"

    @property
    def short(self) -> str:
        """The column alone, for what is said of a file that is named before."""
        return f"column {self.title!r}"

    def row(self, place: int) -> int:
        """The file's row of one of the values, from 0."""
        return place + 2 if self.rows is None else int(self.rows[place])

    def cell(self, place: int) -> str:
        """Where one of the values stands."""
        return f"{self.name}: row {self.row(place)}, column {self.title!r}"


@dataclass(frozen=True)
class Table:
    """What a file of rows and columns holds.

    Attributes:
        name: of the file, for errors.
        frame: its columns, texts where the file is one of text; empty cells are null.
        notes: what was found out about the file and left out of it, each a sentence.
        rows: the row of the file that each row of the frame stands in, the header's being 1 where nothing precedes it.
        separator: of the fields; ``""`` where there is none.
    """

    name: str
    frame: pl.DataFrame
    notes: tuple[str, ...] = ()
    rows: pl.Series | None = None
    separator: str = ""

    def column(self, title: str) -> "Column":
        """One of the columns, with its place for errors."""
        return Column(self.name, title, self.frame[title], self.rows, self.separator)

    def row(self, place: int) -> int:
        """The file's row of a row of the frame, from 0."""
        return place + 2 if self.rows is None else int(self.rows[place])


def read_delimited(
    path: Path,
    encoding: str | None = None,
    *,
    quoted: bool | None = None,
    missing: Sequence[str] = MISSING,
    header: bool = True,
    separator: str | None = None,
) -> Table:
    """Read a table of texts.

    Args:
        encoding: of the file; None finds it among UTF-8, UTF-16, GB18030 and Latin-1.
        quoted: whether quotes hold fields together; None looks whether every quoted field ends where its quotes do,
            and, where tabs are between the fields, whether any of them needs its quotes.
        missing: what stands for no value besides an empty cell.
        header: whether the first row names the columns; if not, they are called ``column 1`` ...
        separator: of the fields; None finds it.

    Raises:
        InputError: no such file, an empty one, one of two possible encodings, a header that names a column twice, or a
            row with more fields than the header.
    """
    content, found = decoded(unpacked(path), str(path), encoding)
    notes = [] if found in ("utf-8", encoding) else [f"read as {called(found)}"]
    content = content.replace("\r\n", "\n").replace("\r", "\n")
    if not content.strip():
        raise InputError(f"{path}: the file is empty")
    dialect = _dialect(content, quoted, separator)
    if dialect.separator not in ",\t":
        notes.append(f"fields separated by {SEPARATORS[dialect.separator]}")
    if dialect.before:
        named = ", ".join(repr(line[:40]) for line in dialect.before[:_NAMED])
        more = ", ..." if len(dialect.before) > _NAMED else ""
        notes.append(f"{counted(len(dialect.before), 'line')} before the header left out: {named}{more}")
    titles, frame, rows = _parsed(path, content, dialect, missing, header)
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if empty.any() and frame.width > 1:  # in a single column an empty line is an empty value
        notes.append(f"{counted(int(empty.sum()), 'empty row')} left out")
        frame, rows = frame.filter(~empty), rows.filter(~empty)
    unnamed = [
        c for c, given in zip(frame.columns, titles, strict=True) if not given and frame[c].null_count() == frame.height
    ]
    if unnamed:
        frame = frame.drop(unnamed)
    return Table(str(path), frame, tuple(notes), rows, dialect.separator)


# -- from bytes to text --------------------------------------------------------------------------------------


def unpacked(path: Path) -> bytes:
    """The bytes of a file; of one packed by gzip, of what is in it.

    Raises:
        InputError: no such file, or it cannot be read.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def decoded(content: bytes, name: str, encoding: str | None = None) -> tuple[str, str]:
    """The text of some bytes and the encoding that they are in.

    Args:
        encoding: None finds it: UTF-8, UTF-16 with its mark or by its zeros, GB18030, Latin-1.

    Raises:
        InputError: bytes that are not of the encoding given, or that may be of two.
    """
    if encoding is not None:
        try:
            return content.decode(encoding).removeprefix("\ufeff"), encoding
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise InputError(
                f"{name}, line {line}: byte 0x{content[error.start]:02x} is not {encoding}; "
                f"without --set encoding= it is found from the file"
            ) from None
        except (LookupError, ValueError):
            raise InputError(f"encoding {encoding!r} is not known; utf-8, utf-16, gb18030 and latin-1 are") from None
    for mark, known in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if content.startswith(mark):
            return decoded(content, name, known)[0], "utf-8" if known == "utf-8-sig" else known
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        found = _guessed(content)
        line = content.count(b"\n", 0, error.start) + 1
        if found is None:
            raise InputError(
                f"{name}, line {line}: not UTF-8, and it may be GB18030 ({_shown(content, error.start, 'gb18030')}) or "
                f"Latin-1 ({_shown(content, error.start, 'latin-1')}); say which with --set encoding=gb18030 or "
                "--set encoding=latin-1"
            ) from None
        if found == "":
            raise InputError(
                f"{name}, line {line}: byte 0x{content[error.start]:02x} is neither UTF-8 nor GB18030 nor Latin-1; "
                "name the encoding with --set encoding=NAME"
            ) from None
        return content.decode(found), found


def _guessed(content: bytes) -> str | None:
    """The encoding of bytes that are not UTF-8; None where two may be it, "" where none is.

    Chinese letters are pairs of bytes above 0x80, of the common ones both above 0xa0; a letter of Latin-1 that ASCII
    does not have stands among letters of ASCII.
    """
    head = content[:_BYTES]
    zeros = head.count(0) / len(head)
    if zeros > 0.2:
        even, odd = head[::2].count(0), head[1::2].count(0)
        wide = "utf-16-le" if odd > even else "utf-16-be"
        try:
            return "" if _CONTROL.search(content.decode(wide)) else wide
        except UnicodeDecodeError:
            return ""
    if zeros:
        return ""
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", head)]
    pairs = sum(run % 2 == 0 for run in runs) / len(runs)
    high = sum(runs) / max(1, len(re.findall(rb"[A-Za-z\x80-\xff]", head)))
    common = re.findall(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]", head)
    try:
        text = content.decode("gb18030")
        chinese = (pairs > 0.95 and 2 * len(common) > 0.8 * sum(runs)) or _is_common_chinese(text)
    except UnicodeDecodeError:
        chinese = False
    latin = (high < 0.4 and not re.search(rb"[\x80-\x9f]", head)) or (high < 0.4 and pairs < 0.5)
    if chinese and latin and max(runs) <= 2:
        return None
    if chinese:
        return "gb18030"
    if not latin:
        return ""
    return (
        "cp1252"
        if re.search(rb"[\x80-\x9f]", head) and not re.search(rb"[\x81\x8d\x8f\x90\x9d]", content)
        else "latin-1"
    )


def _is_common_chinese(text: str) -> bool:
    """Whether nearly all letters beyond ASCII are common ones of Chinese, in simplified or traditional characters.

    The common ones of the former are the first level of GB 2312, of the latter that of Big5. What two bytes of Latin-1
    make in GB18030 is a rare one in most cases.
    """
    wide = [letter for letter in text[:_BYTES] if letter > "\x7f"][:_LETTERS]
    common = 0
    for letter in wide:
        simplified = letter.encode("gb2312", "ignore")[:1]
        traditional = letter.encode("big5", "ignore")[:1]
        common += b"\xa1" <= simplified <= b"\xa3" or b"\xb0" <= simplified <= b"\xd7"
        common += not simplified and b"\xa4" <= traditional <= b"\xc6"
    return len(wide) > 0 and common > 0.9 * len(wide)


def _shown(content: bytes, at: int, encoding: str) -> str:
    """A few letters around a byte."""
    begin = max(content.rfind(b"\n", 0, at), content.rfind(b",", 0, at)) + 1
    return repr(content[begin : at + 12].split(b"\n")[0].decode(encoding, errors="replace"))


def called(encoding: str) -> str:
    """An encoding as a person says it."""
    return {"gb18030": "GB18030", "latin-1": "Latin-1", "cp1252": "Latin-1 (Windows-1252)"}.get(
        encoding, encoding.upper()
    )


# -- from text to fields -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Dialect:
    separator: str
    quoted: bool
    before: list[str]  # lines before the header, but for empty ones
    header: int = 0  # the line that it begins in, from 0


def _dialect(content: str, quoted: bool | None, given: str | None = None) -> _Dialect:
    """The separator by which the most records have as many fields as the header, of those the one with the most.

    The fewer lines stand before the header by it the better, and spaces are for where there is no
    other.
    """
    lines = content.split("\n", 4 * SAMPLE)[: 4 * SAMPLE]
    best, score = _Dialect(given or ",", True if quoted is None else quoted, []), (-4 * SAMPLE, 0.0, 1)
    for separator in SEPARATORS if given is None else given:
        if separator == " " and score[1]:
            break
        quotes = (separator != " " and _ends_its_quotes(content, separator)) if quoted is None else quoted
        if separator == "\t" and quoted is None and quotes:
            quotes = _needs_its_quotes(lines)
        records = list(_records(lines, separator, quotes))[:SAMPLE]
        counts = Counter(len(fields) for _, fields in records if any(fields))
        fields, _ = max(counts.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        if fields < 2:
            continue
        # Of a header, trailing separators aside, come as many fields.
        widths = {fields, fields - 1} if all(not f[-1] for _, f in records if len(f) == fields) else {fields}
        header = next((k for k, (_, f) in enumerate(records) if len(f) in widths and any(f)), 0)
        body = records[header:]
        share = sum(len(f) in widths or not any(f) for _, f in body) / len(body)
        if share < _CONSISTENT or (separator == " " and share < 1) or len(body) < min(2, len(records)):
            continue
        if (-header, share, fields) > score:
            before = [lines[n] for n in range(records[header][0]) if lines[n].strip()]
            best, score = _Dialect(separator, quotes, before, records[header][0]), (-header, share, fields)
    return best


def _records(lines: Sequence[str], separator: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """The line that each record begins in, from 0, and its fields."""
    if separator == " ":
        yield from ((n, line.split()) for n, line in enumerate(lines) if line.strip())
        return
    reader = _reader((f"{line}\n" for line in lines), separator, quoted)
    begin = 0
    try:
        for fields in reader:
            if fields:
                yield begin, [field.strip() for field in fields]
            begin = reader.line_num
    except csv.Error:
        return


def _reader(lines: Iterable[str], separator: str, quoted: bool) -> Any:
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=separator, quoting=quoting)


def _ends_its_quotes(content: str, separator: str) -> bool:
    """Whether every field that begins with a quote ends with one, and quotes within are doubled."""
    if '"' not in content:
        return True
    try:
        for _ in csv.reader(io.StringIO(content), delimiter=separator, strict=True):
            pass
    except csv.Error as error:
        return "field larger" in str(error)
    return True


def _needs_its_quotes(lines: Sequence[str]) -> bool:
    """Whether the quotes of fields between tabs were put there to hold them together.

    They were where they enclose a quote, a tab or a line's end, or every text of a column. Elsewhere a sentence that
    somebody says stands in quotes, and others do not.
    """
    try:
        records = list(_reader((f"{line}\n" for line in lines), "\t", True))
    except csv.Error:
        return True
    if any(sign in field for record in records for field in record for sign in '\t\n"'):
        return True
    plain = [line.split("\t") for line in lines[1:] if line.strip()]
    columns = zip(*(fields for fields in plain if len(fields) == len(plain[0])), strict=True) if plain else ()
    return any(len(column) > 1 and all(field.startswith('"') for field in column) for column in columns)


def _parsed(
    path: Path, content: str, dialect: _Dialect, missing: Sequence[str], with_header: bool
) -> tuple[list[str], pl.DataFrame, pl.Series]:
    """The header, the columns of texts, and the row of the file of each row."""
    skipped = dialect.header
    content = content.split("\n", skipped)[-1]
    if dialect.separator == " " and with_header:
        lines = [line.split() for line in content.split("\n") if line.strip()]
        header, body = lines[0], lines[1:]
        refuse_twice(path, header)
        wrong = next((n for n, fields in enumerate(body, 2 + skipped) if len(fields) != len(header)), None)
        if wrong is not None:
            raise InputError(f"{path}: row {wrong}: not {len(header)} fields separated by spaces, as the header has")
        frame = pl.DataFrame(body, schema=[(name, pl.String) for name in _unlike(header)], orient="row")
        return header, frame, pl.int_range(2 + skipped, 2 + skipped + frame.height, eager=True)
    header = next(_reader(io.StringIO(content), dialect.separator, dialect.quoted))
    header = [name.strip() for name in header] if with_header else [""] * len(header)
    refuse_twice(path, header)
    options = {
        "infer_schema": False,
        "separator": dialect.separator,
        "has_header": False,
        "skip_rows": 0,
        "quote_char": '"' if dialect.quoted else None,
    }
    try:
        frame = pl.read_csv(content.encode(), **options)  # type: ignore[arg-type]
    except pl.exceptions.PolarsError as error:
        _refuse_longer(path, content, dialect, header, skipped)
        try:
            frame = pl.read_csv(content.encode(), truncate_ragged_lines=True, **options)  # type: ignore[arg-type]
        except pl.exceptions.PolarsError:
            raise InputError(f"{path}: not readable as CSV ({str(error).strip().splitlines()[0]})") from None
    if frame.width > len(header):
        header += [""] * (frame.width - len(header))
    if with_header:
        frame = frame[1:]
    frame.columns = _unlike(header)
    frame = pl.DataFrame([_with_nulls(column, missing) for column in frame])  # by place: a name such as * is a pattern
    first = 1 + skipped + with_header
    return header, frame, pl.int_range(first, first + frame.height, eager=True)


def _with_nulls(column: pl.Series, missing: Sequence[str]) -> pl.Series:
    return column.set(column.str.strip_chars().is_in(list(missing)), None) if missing else column


def _unlike(header: Sequence[str]) -> list[str]:
    """Names of columns, of which the unnamed have one too."""
    return [name or f"column {place}" for place, name in enumerate(header, 1)]


def refuse_twice(path: Path, header: Sequence[str]) -> None:
    """Refuse a header in which a column's name stands twice."""
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        raise InputError(f"{path}: the header has the column {twice[0]!r} twice; give each its own name")


def _refuse_longer(path: Path, content: str, dialect: _Dialect, header: Sequence[str], skipped: int) -> None:
    """Refuse a row with more fields than the header, if any of the further ones holds anything."""
    try:
        for row, fields in enumerate(_reader(io.StringIO(content), dialect.separator, dialect.quoted), 1 + skipped):
            if any(field.strip() for field in fields[len(header) :]):
                raise InputError(f"{path}: row {row}: {len(fields)} fields, the header has {len(header)}")
    except csv.Error as error:
        raise InputError(f"{path}: not readable as CSV ({error})") from None


def counted(count: int, what: str) -> str:
    """So many of something.

    >>> counted(1, "row"), counted(2, "row")
    ('1 row', '2 rows')
    """
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
