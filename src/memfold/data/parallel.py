"""Sentences and their translations: two files of parallel lines, or a table with two columns of them."""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from memfold.data.datasets import find
from memfold.data.delimited import Column, Table, decoded, unpacked
from memfold.data.sources import read_table
from memfold.data.texts import read_lines, whole
from memfold.data.unreadable import leave_out
from memfold.display import say
from memfold.errors import InputError

__all__ = [
    "ParallelText",
    "is_table",
    "load_multi30k",
    "load_tatoeba",
    "pairs_of_table",
    "pairs_of_texts",
    "read_parallel",
    "sentences_of_table",
]

HELD_OUT = 1000  # sentences, or a tenth where there are fewer
TABLES = (".tsv", ".tab", ".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xlsm")
# Names of columns with sentences: by language, or by what they are for.
NAMES = frozenset(
    re.findall(
        r"\w+",
        "en de fr es it pt nl ru zh ja ko ar hi cs pl sv da no fi tr uk vi th el he ro hu eng deu ger fra spa cmn jpn "
        "english german french spanish italian portuguese dutch russian chinese japanese korean arabic hindi deutsch "
        "englisch français español italiano sentence translation source target src tgt trg input output original text "
        "中文 英文 英语 汉语 原文 译文",
    )
)
_SAMPLE = 200  # lines or values that are looked at
_HTML = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#x[0-9a-fA-F]{1,5});|</?[a-zA-Z][^<>]{0,80}>")
_REMARK = r"(?i)\bCC[- ]?(BY|0)\b|licen[cs]e|copyright|©|https?://|attribution|tatoeba"


@dataclass(frozen=True)
class ParallelText:
    """Sentences with their translations.

    Attributes:
        source, target: equally many sentences, none of them empty.
        skipped: pairs that were left out because a side was empty.
    """

    source: list[str]
    target: list[str]
    skipped: int = 0

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        """Pairs without the white space around them, and without those that have an empty side."""
        stripped = [(source.strip(), target.strip()) for source, target in pairs]
        kept = [pair for pair in stripped if all(pair)]
        return cls([s for s, _ in kept], [t for _, t in kept], len(stripped) - len(kept))

    def __len__(self) -> int:
        return len(self.source)

    def references(self) -> tuple[list[str], list[list[str]]]:
        """Every distinct source sentence, and all its translations."""
        translations: dict[str, list[str]] = {}
        for source, target in zip(self.source, self.target, strict=True):
            translations.setdefault(source, []).append(target)
        return list(translations), list(translations.values())

    def split(self) -> tuple[Self, Self]:
        """Most of it, and a part to hold out: a tenth of the distinct source sentences, at most 1,000, always the same.

        Raises:
            InputError: there are not two distinct sentences.
        """
        sources = sorted(set(self.source))
        if len(sources) < 2:
            raise InputError(f"{len(sources)} distinct sentence: too few to learn from and to hold some out")
        random.Random(0).shuffle(sources)
        held = set(sources[: min(HELD_OUT, -(-len(sources) // 10))])
        rest = [i for i, sentence in enumerate(self.source) if sentence not in held]
        part = [i for i, sentence in enumerate(self.source) if sentence in held]
        return self._take(rest, self.skipped), self._take(part, 0)

    def _take(self, index: Sequence[int], skipped: int) -> Self:
        return type(self)([self.source[i] for i in index], [self.target[i] for i in index], skipped)


def read_parallel(
    paths: Sequence[str | Path],
    source: str | None = None,
    target: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
) -> ParallelText:
    """Read two files, a sentence a line, or tables with a column of sentences and one of translations.

    Tables that cannot be read are left out, where there are others, and named on standard error.

    Args:
        paths: the source's file and the translations', or one table or several.
        source, target: the table's columns; when None, the two that hold sentences.
        encoding: of text files; None finds it.
        sheet: of workbooks; None takes the only one that holds anything.

    Raises:
        InputError: naming file and line: unequal numbers of lines, bytes that are no text, a column that is not there,
            more or less than two columns of sentences, or nothing to read.
    """
    if len(paths) == 2 and not all(is_table(path) for path in paths):
        lines = [read_lines(path, encoding) for path in paths]
        if len(lines[0]) != len(lines[1]):
            counts = ", ".join(f"{path} has {len(side):,}" for path, side in zip(paths, lines, strict=True))
            raise InputError(f"unequal numbers of lines: {counts}; each line is to translate the one at its place")
        return _checked(ParallelText.of(zip(*lines, strict=True)), " and ".join(map(str, paths)))
    if len(paths) > 1 and not all(is_table(path) for path in paths):
        raise InputError(f"{len(paths)} files given; expected two with parallel lines, or tables (.tsv, .csv, .jsonl)")
    parts, broken = [], []
    for path in paths:
        try:
            parts.append(pairs_of_table(path, source, target, encoding, sheet))
        except InputError as error:
            broken.append(str(error))
    if broken and len(paths) == 1:
        raise InputError(broken[0])
    leave_out(broken, len(paths), "files")
    return ParallelText(
        [sentence for part in parts for sentence in part.source],
        [sentence for part in parts for sentence in part.target],
        sum(part.skipped for part in parts),
    )


def pairs_of_table(
    data: Any,
    source: str | None = None,
    target: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
) -> ParallelText:
    """The pairs in a table: a file or a data frame; as `read_parallel` takes its columns."""
    table = _table(data, source, target, encoding, sheet)
    for note in table.notes:
        say(f"{table.name}: {note}")
    left, right = _columns(table, source, target)
    others = [c for c in table.frame.columns if c not in (left, right)]
    if others:
        unread = ", ".join(map(repr, others))
        say(f"{table.name}: translates {left!r} into {right!r}; not read: {unread}")
    sides = [table.frame[c].cast(pl.String).fill_null("").to_list() for c in (left, right)]
    return _checked(ParallelText.of(zip(*sides, strict=True)), table.name)


def pairs_of_texts(pairs: Sequence[Any]) -> ParallelText:
    """Pairs of texts.

    Raises:
        InputError: something else is among them, or there is no pair of which both sides hold text.
    """
    for place, pair in enumerate(pairs, 1):
        sides = () if isinstance(pair, str | Path) else tuple(pair) if hasattr(pair, "__iter__") else ()
        if len(sides) != 2 or not all(isinstance(side, str) for side in sides):
            raise InputError(
                f"item {place} is no pair of texts; expected sentences with their translations, or files as Path"
            )
        for side in sides:
            whole(side, f"item {place}")
    text = ParallelText.of(pairs)
    if not len(text):
        raise InputError(f"{len(pairs)} pairs given, none in which both sides hold text")
    return text


def sentences_of_table(
    data: Any, source: str | None = None, encoding: str | None = None, sheet: str | None = None
) -> tuple[Table, str]:
    """A table, and its column with the sentences to translate.

    Raises:
        InputError: it cannot be read, or which column holds them is not certain.
    """
    table = _table(data, source, None, encoding, sheet)
    columns = table.frame.columns
    if source in columns or len(columns) == 1:
        return table, source if source in columns else columns[0]
    if source is not None:
        raise InputError(f"{table.name}: no column {source!r}; it has {', '.join(map(repr, columns))}")
    sentences = [c for c in columns if _holds_sentences(table.column(c))]
    named = [c for c in sentences if _last(c) in NAMES]
    for certain in (sentences, named):
        if len(certain) == 1:
            return table, certain[0]
    column, _ = _columns(table, None, None)  # of two, the one that is the source in a fit
    say(f"{table.name}: translates {column!r}")
    return table, column


def is_table(path: str | Path) -> bool:
    """Whether a file's name is one of a table."""
    return any(suffix.lower() in TABLES for suffix in Path(path).suffixes)


def _checked(text: ParallelText, name: str) -> ParallelText:
    """Pairs, once there are some; what is odd about them is said.

    Raises:
        InputError: there is none.
    """
    if not len(text):
        raise InputError(f"{name}: has no pair of sentences in which both sides hold text")
    marked = [side for pair in zip(text.source, text.target, strict=True) for side in pair if _HTML.search(side)]
    if marked:
        example = _HTML.search(marked[0])
        pairs = sum(bool(_HTML.search(s) or _HTML.search(t)) for s, t in zip(text.source, text.target, strict=True))
        say(
            f"{name}: {pairs:,} of {len(text):,} pairs hold HTML such as {example and example[0]!r}; it is read as it "
            "stands, and written so: replace it before the fit if it should not be"
        )
    return text


# -- which columns hold the sentences ------------------------------------------------------------------------


def _table(data: Any, source: str | None, target: str | None, encoding: str | None, sheet: str | None) -> Table:
    """A table, whose first row names the columns or is a pair like the others."""
    named = {".json", ".jsonl", ".parquet", ".xlsx", ".xlsm"}  # kinds whose columns have names
    if not isinstance(data, str | Path) or {s.lower() for s in Path(data).suffixes} & named:
        return read_table(data, encoding, sheet=sheet, missing=())
    content, _ = decoded(unpacked(Path(data)), str(data), encoding)
    lines = [line for line in content.split("\n", _SAMPLE)[:_SAMPLE] if line.strip()]
    tabs = 10 * sum("\t" in line for line in lines) > 9 * len(lines)  # a sentence has commas too
    table = read_table(data, encoding, missing=(), header=False, separator="\t" if tabs else None)
    first = [str(cell).strip() if cell else "" for cell in table.frame.row(0)]
    if not _names_columns(first, table, [name for name in (source, target) if name]):
        return table
    twice = [name for name in first if name and first.count(name) > 1]
    if twice:
        raise InputError(f"{table.name}: the header has the column {twice[0]!r} twice; give each its own name")
    frame = table.frame[1:]
    frame.columns = [name or old for name, old in zip(first, frame.columns, strict=True)]
    rows = None if table.rows is None else table.rows[1:]
    return Table(table.name, frame, table.notes, rows, table.separator)


def _names_columns(first: Sequence[str], table: Table, wanted: Sequence[str]) -> bool:
    """Whether the first row holds names: those wanted, of languages or common ones, or words above sentences."""
    if wanted and all(name in first for name in wanted):
        return True
    if any(len(name.split()) > 3 or not re.search(r"[^\W\d]", name) for name in first if name):
        return False  # a sentence, or a number
    if sum(_last(name) in NAMES for name in first) > 1 or {_last(name) for name in first} & {"source", "target"}:
        return True
    below = table.frame[1 : _SAMPLE + 1]
    above = all(re.fullmatch(r"\w+([._-]\w+)*", name) for name in first if name)
    named = above and any(not _is_short(below[c]) for c in below.columns)
    if named:
        say(f"{table.name}: the first row names the columns: {', '.join(first)}")
    return named


def _last(name: str) -> str:
    """The last part of a name such as ``translation.en``."""
    return name.lower().rpartition(".")[2]


def _is_short(column: pl.Series) -> bool:
    """Whether most of a column's texts are a word or a few characters."""
    values = column.cast(pl.String, strict=False).drop_nulls()
    return 2 * int(values.str.contains(r"\w\s+\w|[\x{0e00}-\x{0eff}\x{3040}-\x{9fff}]{3}").sum()) <= len(values)


def _columns(table: Table, source: str | None, target: str | None) -> tuple[str, str]:
    """The columns with the sentences and with the translations.

    Raises:
        InputError: one that is named is not there, or those that are not named are not certain.
    """
    columns = table.frame.columns
    has = ", ".join(map(repr, columns))
    for name in (source, target):
        if name is not None and name not in columns:
            raise InputError(f"{table.name}: no column {name!r}; it has {has}")
    if (source is None) != (target is None):
        raise InputError("source and target name the columns: give both, or neither for the two that hold sentences")
    if source is not None and target is not None:
        if source == target:
            raise InputError(f"source and target are both {source!r}; name two columns")
        return source, target
    for left, right in (("source", "target"), ("src", "tgt"), ("src", "trg"), ("input", "output")):
        by_name = {_last(c): c for c in columns}
        if left in by_name and right in by_name:
            return by_name[left], by_name[right]
    sentences = [c for c in columns if _holds_sentences(table.column(c))]
    named = [c for c in sentences if _last(c) in NAMES]
    most = max((table.frame[c].n_unique() for c in sentences), default=0)
    sentences = named if len(named) == 2 else [c for c in sentences if not _is_remark(table.column(c), most)]
    if len(sentences) == 2:
        return sentences[0], sentences[1]
    holds = f"columns of sentences are {', '.join(map(repr, sentences))}" if sentences else "none holds sentences"
    hint = "name the two with --set source=COLUMN --set target=COLUMN"
    raise InputError(f"{table.name}: two columns of sentences expected; it has {has}, {holds}; {hint}")


def _holds_sentences(column: Column) -> bool:
    """Whether a column holds words, not numbers, dates, addresses or identifiers."""
    if column.values.dtype != pl.String:
        return False
    values = column.values.drop_nulls().str.strip_chars()
    values = values.filter(values != "").head(_SAMPLE)
    worded = values.str.contains(r"\p{L}{2}|[\x{0e00}-\x{0eff}\x{3040}-\x{9fff}]")
    coded = values.str.contains(r"^\S*(\d\S*[_/:#-]|[_/:#-]\S*\d)\S*$|^\S*\d\S*$|^https?://")
    return len(values) > 0 and 2 * int((worded & ~coded).sum()) > len(values)


def _is_remark(column: Column, most: int) -> bool:
    """Whether a column says where the sentences are from, or of what kind: a licence, or the same again and again.

    Args:
        most: different values that a column of sentences has.
    """
    values = column.values.drop_nulls()
    return 2 * int(values.str.contains(_REMARK).sum()) > len(values) or 4 * values.n_unique() < most


def load_multi30k(source: str | None, target: str | None) -> tuple[ParallelText, ParallelText, ParallelText]:
    """Multi30k's (Elliott et al. 2016) parts to train on, that of 2016 to score, and to validate on."""
    folder = find("multi30k")
    train, test, valid = (
        read_parallel([folder / f"{part}.{language}.gz" for language in (source or "en", target or "de")])
        for part in ("train", "test_2016_flickr", "val")
    )
    return train, test, valid


def load_tatoeba() -> tuple[ParallelText, ParallelText]:
    """Tatoeba's English sentences with their Chinese translations, to train on and to score."""
    return read_parallel([find("tatoeba-cmn-eng") / "cmn.txt"]).split()
