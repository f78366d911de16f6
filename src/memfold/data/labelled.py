"""Labelled texts -- one row a text and its class -- from tables, plain lines, data frames or known sets."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from memfold.data.columns import choose
from memfold.data.datasets import dataset, find
from memfold.data.delimited import Column, Table
from memfold.data.labels import check_labels, same_label, spellings, with_counts
from memfold.data.seen import same_text
from memfold.data.sources import read_table
from memfold.data.texts import TEXT_NAMES, read_lines, whole
from memfold.display import say
from memfold.errors import InputError

__all__ = ["LabelledTexts", "held_out", "joined", "load_labelled", "read_labelled"]

LABEL_NAMES = (
    *("label", "sentiment", "class", "target", "category", "polarity", "stars", "rating", "labels"),
    *("标签", "类别", "情感", "分类", "评分"),
)
_POLARITY = {"0": "negative", "1": "positive"}
_SAMPLE = 200  # values that are looked at, where no name says what a column holds


@dataclass(frozen=True)
class LabelledTexts:
    """Texts and their classes.

    Attributes:
        name: of the file, for errors.
        texts: none of them empty where labels are wanted.
        labels: as many, or None where the source has none and none are needed.
        given: the table that they are from, where they were read without labels from one; a row for each.
    """

    name: str
    texts: list[str]
    labels: list[str] | None = None
    given: pl.DataFrame | None = field(default=None, compare=False, repr=False)

    @property
    def classes(self) -> list[str]:
        """The distinct labels, numbers by value and others by the alphabet."""
        return sorted(set(self.labels or ()), key=_order)

    def take(self, rows: Sequence[int]) -> "LabelledTexts":
        """Some of the rows."""
        labels = None if self.labels is None else [self.labels[row] for row in rows]
        return LabelledTexts(self.name, [self.texts[row] for row in rows], labels)

    def named(self, names: Mapping[str, str]) -> "LabelledTexts":
        """The same with other names for the labels."""
        return LabelledTexts(self.name, self.texts, [names[label] for label in self.labels or ()])

    def merged(self) -> "LabelledTexts":
        """The same with one label for those that differ in case or in white space alone: that of most of them."""
        usual = {
            same_label(label): max(group, key=lambda k: group[k])
            for group in spellings(self.labels or ())
            for label in group
        }
        return self.named({label: usual.get(same_label(label), label) for label in self.labels or ()})

    def folds(self, count: int = 10, *, together: bool = True) -> list["LabelledTexts"]:
        """Parts of equal size in which every class has its share, the same ones whenever asked.

        Args:
            together: whether rows with the same text are in one part.
        """
        return [self.take(rows) for rows in self.fold_rows(count, together=together)]

    def fold_rows(self, count: int, *, together: bool = True) -> list[list[int]]:
        """The rows of the parts that `folds` gives."""
        groups: dict[Any, list[int]] = {}
        for row, text in enumerate(self.texts):
            groups.setdefault(same_text(text) if together else row, []).append(row)
        members = list(groups.values())
        shuffled = np.random.default_rng(0).permutation(len(members))
        labels = np.array([(self.labels or [])[rows[0]] for rows in members])
        by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
        return [sorted(row for k in by_class[fold::count] for row in members[k]) for fold in range(count)]

    def repeated(self) -> tuple[int, int]:
        """How many rows repeat the text of an earlier one, and how many texts have different labels."""
        by_text: dict[str, set[str]] = {}
        for text, label in zip(self.texts, self.labels or self.texts, strict=True):
            by_text.setdefault(same_text(text), set()).add(label)
        unlike = sum(len(labels) > 1 for labels in by_text.values()) if self.labels else 0
        return len(self.texts) - len(by_text), unlike

    def require(self, least: int) -> None:
        """Raise InputError unless there are two classes, each with ``least`` examples; names all that have fewer."""
        rows = Counter(self.labels)
        if len(rows) < 2:
            raise InputError(
                f"{self.name}: every row has the label {next(iter(rows))!r}; two classes at least needed, add "
                "examples of another one"
            )
        few = {label: count for label, count in rows.items() if count < least}
        if few:
            has = "the classes have" if len(few) > 1 else "the class has"
            alike = spellings(self.labels or ())
            merge = "; classes that differ in case alone become one with --set merge_labels=true" if alike else ""
            raise InputError(
                f"{self.name}: {has} too few examples: {with_counts(few, 'example')}; {least} are needed to learn from "
                f"some and hold others out; add examples or remove the rows{merge}"
            )

    @property
    def distinct(self) -> bool:
        """Whether every class has two different texts, so that equal ones can be kept together."""
        texts: dict[str, set[str]] = {}
        for text, label in zip(self.texts, self.labels or (), strict=True):
            texts.setdefault(label, set()).add(same_text(text))
        return min(map(len, texts.values())) > 1


def joined(parts: Sequence[LabelledTexts]) -> LabelledTexts:
    """All rows of several."""
    labels = [label for part in parts for label in part.labels or ()]
    name = " ".join(dict.fromkeys(part.name for part in parts))
    tables = [part.given for part in parts if part.given is not None]
    given = pl.concat(tables, how="diagonal_relaxed") if tables and len(tables) == len(parts) else None
    return LabelledTexts(name, [text for part in parts for text in part.texts], labels or None, given)


def read_labelled(
    source: Any,
    *,
    text: str | None = None,
    label: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    labels: bool = True,
) -> LabelledTexts:
    """Read texts with their labels.

    Args:
        source: a table as `read_table` takes it, or texts without labels: a list, a series or an array of them, or a
            ``.txt`` file with one a line.
        text: column with the texts; None looks for a common name, then for the only one that holds texts.
        label: column with the labels; None looks for a common name, then for the only one with few different values.
        encoding: of a file; None finds it.
        sheet: of a workbook; None takes the only one that holds anything.
        labels: whether they are needed. Rows without a text or a label are then left out, and their number is said on
            standard error; else every row is kept, an empty text being "", and no label is read.

    Raises:
        InputError: naming the file, and the line or the columns, of what cannot be read; rows with several labels, or
            labels that look like measurements.

    >>> read_labelled(pl.DataFrame({"review": ["good", "bad"], "stars": [5, 1]}))
    LabelledTexts(name='data frame', texts=['good', 'bad'], labels=['5', '1'])
    """
    if isinstance(source, LabelledTexts):
        return source
    if (plain := _plain_texts(source, encoding, labels, text)) is not None:
        return plain
    table, worded, answered = _with_columns(source, text, label, encoding, sheet, labels)
    for note in table.notes:
        say(f"{table.name}: {note}")
    texts = _texts_in(table.column(worded))
    if answered is None:
        return LabelledTexts(table.name, texts.fill_null("").to_list(), None, _writable(table.frame))
    answers = check_labels(table.column(answered)).str.strip_chars()
    full = pl.DataFrame({"text": texts, "label": answers}).with_row_index("row")
    kept = full.filter((pl.col("text").str.strip_chars() != "") & (pl.col("label") != ""))
    if kept.height == 0:
        raise InputError(f"{table.name}: no row has both a text and a label")
    if skipped := full.height - kept.height:
        first = table.row(full.join(kept, on="row", how="anti")["row"][0])
        rows = "1 row" if skipped == 1 else f"{skipped} rows"
        say(f"{table.name}: {rows} without text or label left out, the first one being row {first}")
    return LabelledTexts(table.name, kept["text"].to_list(), kept["label"].to_list())


def load_labelled(name: str, fold: int) -> tuple[LabelledTexts, LabelledTexts, LabelledTexts | None]:
    """The training, test and validation part of a known set.

    Args:
        fold: of a set without a test part of its own, the tenth that is the test part.

    Raises:
        InputError: no such set, or a file that is missing or cannot be read.
    """
    dataset(name, "sentiment")
    folder = find(name)
    if name == "sst2":
        train, test, dev = (
            _polarity_lines(folder / f"stsa.binary.{part}", "utf-8") for part in ("train", "test", "dev")
        )
        return train, test, dev
    if name == "mr":
        sentences = _polarity_lines(folder / "rt-polarity.all", "latin-1")
        return *held_out(sentences, fold, together=False), None  # the split that others report on
    reviews = read_labelled(folder / "ChnSentiCorp_htl_all.csv")
    rest, test = held_out(reviews.named(_POLARITY), fold, together=False)
    train, valid = held_out(rest, 0, 9, together=False)
    return train, test, valid


def held_out(
    examples: LabelledTexts, fold: int, folds: int = 10, *, together: bool = True
) -> tuple[LabelledTexts, LabelledTexts]:
    """What remains, and one of so many folds.

    Args:
        together: whether rows with the same text are in one part, as far as every class has two different ones.

    Raises:
        InputError: a class that has too few examples to be in both parts.
    """
    if not 0 <= fold < folds:
        raise InputError(f"fold must be from 0 to {folds - 1}, got {fold}")
    examples.require(2)
    for apart in (False, True) if together and examples.distinct else (True,):
        parts = examples.folds(folds, together=not apart)
        test = parts.pop(fold)
        rest = joined(parts)
        if test.texts and rest.classes == examples.classes:
            break
    return rest, test


def _polarity_lines(path: Path, encoding: str) -> LabelledTexts:
    """A line is 0 or 1, a space, and the text."""
    rows = [line.split(" ", 1) for line in read_lines(path, encoding)]
    return LabelledTexts(str(path), [row[1].strip() for row in rows], [row[0] for row in rows]).named(_POLARITY)


def _order(label: str) -> tuple[float, str]:
    try:
        return float(label), label
    except ValueError:
        return float("inf"), label


# -- which column is which -----------------------------------------------------------------------------------


def _with_columns(
    source: Any, text: str | None, label: str | None, encoding: str | None, sheet: str | None, labels: bool
) -> tuple[Table, str, str | None]:
    """A table, its column with the texts and, where labels are wanted, that with them; the notes name them."""
    table = read_table(source, encoding, sheet=sheet, missing=())
    if table.frame.height == 0:
        raise InputError(f"{table.name}: holds no rows")
    answered = choose(table, label, "label", LABEL_NAMES, _holds_labels) if labels else None
    worded = choose(table, text, "text", TEXT_NAMES, _holds_texts, [] if answered is None else [answered])
    notes = list(table.notes)
    if table.separator and _is_example(table, worded, answered):
        columns = table.frame.columns
        table = read_table(source, encoding, sheet=sheet, missing=(), header=False)
        worded = table.frame.columns[columns.index(worded)]
        answered = None if answered is None else table.frame.columns[columns.index(answered)]
        notes.append("the first row is taken for an example, as no row names the columns")
    unread = ", ".join(repr(c) for c in table.frame.columns if c not in (worded, answered))
    by_name = worded.lower() in TEXT_NAMES and (answered or "").lower() in LABEL_NAMES
    if answered is not None and (unread or not (by_name or (text and label))):
        others = f"; not read: {unread}" if unread else ""
        notes.append(f"texts in column {worded!r}, labels in column {answered!r}{others}")
    return replace(table, notes=tuple(notes)), worded, answered


def _is_example(table: Table, text: str, label: str | None) -> bool:
    """Whether the first row, which was taken for names, is a text and its label like the others."""
    if label is not None and label.strip() in table.frame[label].cast(pl.String).str.strip_chars().to_list():
        return True
    return len(text.split()) > 5 or re.search(r"\w[.!?。！？]$", text) is not None


def _sample(column: Column) -> pl.Series:
    if column.values.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return pl.Series([], dtype=pl.String)
    return column.values.drop_nulls().head(_SAMPLE).cast(pl.String)


def _holds_texts(column: Column) -> bool:
    """Whether most values are several words, or as many characters of a script without spaces."""
    values = _sample(column)
    several = values.str.contains(r"\w\s+\w|[\x{0e00}-\x{0eff}\x{3040}-\x{9fff}]{4}")
    return len(values) > 0 and 2 * int(several.sum()) > len(values)


def _holds_labels(column: Column) -> bool:
    """Whether the values are words of which the same come again and again."""
    values = _sample(column)
    return len(values) > 0 and values.n_unique() <= max(len(values) // 4, 2) and not _holds_texts(column)


def _texts_in(at: Column) -> pl.Series:
    if at.values.dtype.is_nested() or at.values.dtype in (pl.Binary, pl.Object):
        raise InputError(f"{at}: {at.values.dtype} where texts are expected; make a text of each, such as joined words")
    return at.values.cast(pl.String)


def _writable(frame: pl.DataFrame) -> pl.DataFrame:
    """A table whose lists and bytes are texts, as a CSV file can hold them."""
    odd = [c for c, kind in frame.schema.items() if kind.is_nested() or kind in (pl.Binary, pl.Object)]
    return frame.with_columns(
        pl.Series(c, [None if cell is None else str(cell) for cell in frame[c].to_list()], dtype=pl.String) for c in odd
    )


# -- texts without labels ------------------------------------------------------------------------------------


def _plain_texts(source: Any, encoding: str | None, labels: bool, column: str | None) -> LabelledTexts | None:
    """Texts that stand in no table; None where the source is one."""
    if isinstance(source, str | Path):
        path = Path(source)
        if labels or ".txt" not in {suffix.lower() for suffix in path.suffixes}:
            return None
        lines = read_lines(path, encoding)
        names = {name.strip().strip('"').lower() for name in re.split(r"[\t,;|]", lines[0])}
        if len(names) > 1 and names & {*TEXT_NAMES, *([] if column is None else [column.lower()])}:
            return None
        return LabelledTexts(str(path), lines)
    if not isinstance(source, list | tuple):
        source = _listed(source)
        if source is None:
            return None
    if len(source) and all(isinstance(item, Path) for item in source):
        return None
    texts = []
    for place, item in enumerate(source, 1):
        if not (isinstance(item, str) or item is None):
            raise InputError(f"item {place} is a {type(item).__name__}; expected a text as a str, or a file as a Path")
        texts.append(whole(str(item or ""), f"item {place}"))
    if labels:
        raise InputError("a list of texts has no labels; give a table, or the labels beside them: fit(texts, labels)")
    return LabelledTexts("list", texts)


def _listed(source: Any) -> list[Any] | None:
    """The values of a series or an array of one dimension."""
    if isinstance(source, np.ndarray):
        return list(source) if source.ndim == 1 else None
    try:
        series = nw.from_native(source, series_only=True)
    except TypeError:
        return None
    return [None if value != value else value for value in series.to_list()]
