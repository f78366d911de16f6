"""Labels: as numbers, and what is odd about those of a file."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.delimited import Column
from memfold.data.numbers import read_numbers
from memfold.errors import InputError

__all__ = [
    "check_labels",
    "counted",
    "listed",
    "not_trained_on",
    "numbers_of",
    "plural_of",
    "same_label",
    "spellings",
    "with_counts",
]

NAMED = 20  # the first ones
PLURALS = {"class": "classes", "person": "people"}
MOST_FRACTIONS = 12  # numbers with fractions that may be classes, such as half stars
MOST_NUMBERS = 30  # whole ones, where they do not follow one another
SEPARATORS = (";", "|", ",", "/", "&", "+")  # between the labels of a row that has several


def numbers_of(labels: Sequence[str], classes: Sequence[str], name: str, what: str = "class") -> NDArray[np.int64]:
    """The place of each label among the classes, ``(N,)``.

    Args:
        name: of the data, for errors.
        what: a label is, for errors.

    Raises:
        InputError: naming all labels that are none of the classes.

    >>> numbers_of(["b", "a", "b"], ["a", "b"], "texts.csv").tolist()
    [1, 0, 1]
    """
    places = {label: place for place, label in enumerate(classes)}
    if unknown := sorted(set(labels) - places.keys()):
        raise InputError(
            f"{name}: {not_trained_on(unknown, what)}; the model knows {listed(classes)}; correct "
            "the labels, leave those out, or fit the model with them"
        )
    return np.array([places[label] for label in labels], np.int64)


def not_trained_on(unknown: Sequence[str], what: str = "class") -> str:
    """Which labels a model does not know, in words.

    >>> not_trained_on(["a"]), not_trained_on(["a", "b"])
    ("the class 'a' was not trained on", "the classes 'a', 'b' were not trained on")
    """
    if len(unknown) == 1:
        return f"the {what} {unknown[0]!r} was not trained on"
    return f"the {plural_of(what)} {listed(map(repr, unknown))} were not trained on"


def plural_of(what: str) -> str:
    """Of what a label is, such as a class or a person."""
    return PLURALS.get(what, f"{what}s")


def listed(names: Iterable[str]) -> str:
    """Names one after another, the first `NAMED` and how many more there are."""
    every = list(names)
    more = len(every) - NAMED
    return ", ".join(every[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


_COUNTED = 12  # labels that are counted one by one


def counted(labels: Iterable[str], what: str = "classes") -> str:
    """How many there are of each label, those of the most first.

    >>> counted(["b", "a", "b"])
    '2 classes: b 2, a 1'
    """
    counts = Counter(labels).most_common()
    named = ", ".join(f"{label} {count:,}" for label, count in counts[:_COUNTED])
    rest = sum(count for _, count in counts[_COUNTED:])
    return f"{len(counts):,} {what}: {named}" + (f", others {rest:,}" if rest else "")


def with_counts(counts: Mapping[str, int], what: str = "time") -> str:
    """Labels with how many there are of each, the first ones by name.

    >>> with_counts({"odd": 1, "even": 2})
    "'even' (2 times), 'odd' (1 time)"
    """
    named = [f"{label!r} ({count} {what}{'s' * (count != 1)})" for label, count in sorted(counts.items())[:NAMED]]
    more = len(counts) - NAMED
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def same_label(label: str) -> str:
    """What labels have in common that differ in case or in white space alone."""
    return " ".join(label.casefold().split())


def spellings(labels: Sequence[str]) -> list[dict[str, int]]:
    """Labels that differ in case or in white space alone, each group with how many rows have which.

    >>> spellings(["pos", "Pos", "pos", "neg"])
    [{'pos': 2, 'Pos': 1}]
    """
    groups: dict[str, dict[str, int]] = {}
    for label, count in Counter(labels).most_common():
        groups.setdefault(same_label(label), {})[label] = count
    return [group for group in groups.values() if len(group) > 1]


def check_labels(at: Column) -> pl.Series:
    """A column of labels as texts, once each of them is one label and they are not measurements.

    Raises:
        InputError: what is no label, rows with several, or more different numbers than classes have.
    """
    values = at.values
    if isinstance(values.dtype, pl.List | pl.Array):
        lengths = values.list.len() if isinstance(values.dtype, pl.List) else values.arr.to_list().list.len()
        several = lengths.fill_null(0) > 1
        if several.any():
            raise _several(at, int(several.sum()), str(values.filter(several)[0].to_list()))
        values = values.list.first() if isinstance(values.dtype, pl.List) else values.arr.first()
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        raise InputError(f"{at}: {values.dtype} where labels are expected; make a text of each")
    labels = values.cast(pl.String)
    known = labels.drop_nulls()
    known = known.filter(known.str.strip_chars() != "")
    lists = known.filter(known.str.contains(r"^\s*\[.*,.*\]\s*$"))
    if 2 * len(lists) > len(known):
        raise _several(at, len(lists), lists[0])
    for separator in SEPARATORS:
        together = known.filter(known.str.contains(separator, literal=True))
        if 2 * len(together) > len(known) and _are_labels(known, separator):
            raise _several(at, len(together), repr(together[0]))
    _refuse_measurements(Column(at.name, at.title, known, None, at.separator))
    return labels


def _are_labels(labels: pl.Series, separator: str) -> bool:
    """Whether every part of labels is one that stands alone or together with different others."""
    distinct = [[part.strip() for part in label.split(separator)] for label in labels.unique().to_list()]
    counts = Counter(part for parts in distinct for part in set(parts))
    alone = {parts[0] for parts in distinct if len(parts) == 1}
    return all(part and (counts[part] > 1 or part in alone) for parts in distinct if len(parts) > 1 for part in parts)


def _several(at: Column, rows: int, example: str) -> InputError:
    return InputError(
        f"{at}: {rows:,} row{'s' * (rows != 1)} with several labels, such as {example}; each has one class here: "
        "keep one label a row, or fit a model for each label with yes and no"
    )


def _refuse_measurements(at: Column) -> None:
    try:
        numbers, _ = read_numbers(at)
    except InputError:
        return
    distinct = numbers.drop_nulls().unique().sort()
    count = len(distinct)
    if count == 0:
        return
    whole = bool((distinct == distinct.round()).all())
    dense = whole and distinct[-1] - distinct[0] < 2 * count and len(numbers) >= 5 * count
    if count <= (MOST_NUMBERS if whole else MOST_FRACTIONS) or dense:
        return
    raise InputError(
        f"{at}: {count:,} different numbers from {distinct[0]:g} to {distinct[-1]:g}, which look like measurements; "
        "each would be a class. Make a few bins of them, such as low, middle and high, or name another column with "
        "--set label=COLUMN"
    )
