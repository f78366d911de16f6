"""Labelled texts -- one row a text and its class -- from CSV, TSV, JSONL, plain lines, any data frame or known sets."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from memfold.data.datasets import dataset, find
from memfold.data.texts import read_lines, read_text
from memfold.display import say
from memfold.errors import InputError

__all__ = ["LabelledTexts", "held_out", "joined", "load_labelled", "read_labelled"]

TEXT_NAMES = ("text", "sentence", "review", "content", "comment", "message", "body")
LABEL_NAMES = ("label", "sentiment", "class", "target", "category", "polarity", "stars", "rating")
LINE = "line"  # the column of a source that has texts alone
_POLARITY = {"0": "negative", "1": "positive"}


@dataclass(frozen=True)
class LabelledTexts:
    """Texts and their classes.

    Attributes:
        name: of the file, for errors.
        texts: none of them empty where labels are wanted.
        labels: as many, or None where the source has none and none are needed.
    """

    name: str
    texts: list[str]
    labels: list[str] | None = None

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

    def folds(self, count: int = 10) -> list["LabelledTexts"]:
        """Parts of equal size in which every class has its share, the same ones whenever asked."""
        shuffled = np.random.default_rng(0).permutation(len(self.texts))
        by_class = shuffled[np.argsort(np.array(self.labels)[shuffled], kind="stable")]
        return [self.take(np.sort(by_class[fold::count]).tolist()) for fold in range(count)]

    def require(self, least: int) -> None:
        """Raise InputError unless there are two classes, each with ``least`` examples."""
        counts = Counter(self.labels)
        if len(counts) < 2:
            raise InputError(
                f"{self.name}: every row has the label {next(iter(counts))!r}; two classes at least needed"
            )
        label, count = min(counts.items(), key=lambda item: item[1])
        if count < least:
            examples = "1 example" if count == 1 else f"{count} examples"
            hint = f"{least} are needed to learn from some and hold others out; add examples or remove the rows"
            raise InputError(f"{self.name}: the class {label!r} has {examples}; {hint}")


def joined(parts: Sequence[LabelledTexts]) -> LabelledTexts:
    """All rows of several."""
    labels = [label for part in parts for label in part.labels or ()]
    name = " ".join(dict.fromkeys(part.name for part in parts))
    return LabelledTexts(name, [text for part in parts for text in part.texts], labels or None)


def read_labelled(
    source: Any, *, text: str | None = None, label: str | None = None, encoding: str = "utf-8", labels: bool = True
) -> LabelledTexts:
    """Read texts with their labels.

    Args:
        source: path of a file -- .csv, .tsv (as it stands, without quotes), .jsonl, or .txt without labels, a text a
            line -- or a data frame that narwhals knows, or a list of texts without labels.
        text: column with the texts; None looks for a common name.
        label: column with the labels; likewise.
        labels: whether they are needed. Rows without a text or a label are then left out, and their number is said on
            standard error; else every row is kept, an empty text being "", and no label is read.

    Raises:
        InputError: naming the file, and the line or the columns, of what cannot be read.

    >>> read_labelled(pl.DataFrame({"review": ["good", "bad"], "stars": [5, 1]}))
    LabelledTexts(name='data frame', texts=['good', 'bad'], labels=['5', '1'])
    """
    if isinstance(source, LabelledTexts):
        return source
    name, frame = _frame(source, encoding)
    if frame.height == 0:
        raise InputError(f"{name}: holds no rows")
    texts = frame[LINE if frame.columns == [LINE] else _column(frame, name, text, "text", TEXT_NAMES)].cast(pl.String)
    if not labels:
        return LabelledTexts(name, texts.fill_null("").to_list())
    answers = frame[_column(frame, name, label, "label", LABEL_NAMES)].cast(pl.String).str.strip_chars()
    full = pl.DataFrame({"text": texts, "label": answers}).with_row_index("row", offset=1)
    kept = full.filter((pl.col("text").str.strip_chars() != "") & (pl.col("label") != ""))
    if kept.height == 0:
        raise InputError(f"{name}: no row has both a text and a label")
    if skipped := full.height - kept.height:
        first = full.join(kept, on="row", how="anti")["row"][0]
        rows = "1 row" if skipped == 1 else f"{skipped} rows"
        say(f"{name}: {rows} without text or label left out, the first one being row {first}")
    return LabelledTexts(name, kept["text"].to_list(), kept["label"].to_list())


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
        return *held_out(_polarity_lines(folder / "rt-polarity.all", "latin-1"), fold), None
    reviews = read_labelled(folder / "ChnSentiCorp_htl_all.csv")
    rest, test = held_out(reviews.named(_POLARITY), fold)
    train, valid = held_out(rest, 0, 9)
    return train, test, valid


def held_out(examples: LabelledTexts, fold: int, folds: int = 10) -> tuple[LabelledTexts, LabelledTexts]:
    """What remains, and one of so many folds.

    Raises:
        InputError: a class that has too few examples to be in both parts.
    """
    if not 0 <= fold < folds:
        raise InputError(f"fold must be from 0 to {folds - 1}, got {fold}")
    examples.require(2)
    parts = examples.folds(folds)
    test = parts.pop(fold)
    return joined(parts), test


def _polarity_lines(path: Path, encoding: str) -> LabelledTexts:
    """A line is 0 or 1, a space, and the text."""
    rows = [line.split(" ", 1) for line in read_lines(path, encoding)]
    return LabelledTexts(str(path), [row[1].strip() for row in rows], [row[0] for row in rows]).named(_POLARITY)


def _order(label: str) -> tuple[float, str]:
    try:
        return float(label), label
    except ValueError:
        return float("inf"), label


def _column(frame: pl.DataFrame, name: str, given: str | None, option: str, common: Sequence[str]) -> str:
    likely = [column for column in frame.columns if column.strip().lower() in common]
    if given is None and likely:
        return min(likely, key=lambda column: common.index(column.strip().lower()))
    if given in frame.columns:
        return str(given)
    wanted = f"no column {given!r}" if given else f"no column for the {option}"
    has = ", ".join(map(repr, frame.columns))
    raise InputError(f"{name}: {wanted}; it has {has} (name the right one with --set {option}=COLUMN)")


# -- from a file to columns of text --------------------------------------------------------------------------


def _frame(source: Any, encoding: str) -> tuple[str, pl.DataFrame]:
    if isinstance(source, list):
        return "list", pl.DataFrame({LINE: source}, schema={LINE: pl.String})
    if not isinstance(source, str | Path):
        try:
            return "data frame", nw.from_native(source, eager_only=True).to_polars()
        except TypeError:
            raise InputError(f"a {type(source).__name__} is neither a path, a data frame nor a list of texts") from None
    path = Path(source)
    kinds = {suffix.lower() for suffix in path.suffixes}
    if kinds & {".jsonl", ".ndjson"}:
        return str(path), _json_lines(path, encoding)
    if ".txt" in kinds:
        return str(path), pl.DataFrame({LINE: read_lines(path, encoding)})
    return str(path), _csv(path, encoding, tabs=".tsv" in kinds)


def _json_lines(path: Path, encoding: str) -> pl.DataFrame:
    rows = []
    for number, line in enumerate(read_lines(path, encoding), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not readable as JSON ({error})") from None
        if not isinstance(row, dict):
            raise InputError(f'{path}, line {number}: expected an object such as {{"text": "...", "label": "..."}}')
        rows.append({key: value if value is None else str(value) for key, value in row.items()})
    columns = dict.fromkeys(key for row in rows for key in row)
    return pl.DataFrame(
        {key: [row.get(key) for row in rows] for key in columns}, schema=dict.fromkeys(columns, pl.String)
    )


def _csv(path: Path, encoding: str, tabs: bool) -> pl.DataFrame:
    content = read_text(path, encoding)
    header = content.split("\n", 1)[0]
    separator = "\t" if tabs else max(",;\t", key=header.count)
    try:
        return pl.read_csv(content.encode(), infer_schema=False, separator=separator, quote_char=None if tabs else '"')
    except pl.exceptions.PolarsError as error:
        fields = header.count(separator)
        longer = (n for n, line in enumerate(content.split("\n"), start=1) if line.count(separator) > fields)
        line = next(longer, None) if '"' not in content else None
        where = "" if line is None else f", line {line}"
        raise InputError(f"{path}{where}: not readable as CSV ({str(error).strip().splitlines()[0]})") from None
