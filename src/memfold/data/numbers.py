"""Columns of numbers as people write them: a decimal comma, thousands, signs of currencies and per cent."""

from typing import Literal

import polars as pl

from memfold.data.delimited import MISSING, Column
from memfold.errors import InputError

__all__ = ["Decimal", "read_numbers"]

Decimal = Literal[".", ","]

_PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:nan|inf|infinity)$"
# Signs that may stand around a number, with spaces that hold it together and the apostrophe of Swiss thousands.
_SIGNS = r"(?i)[$€£¥￥₹₩元円]|\b(USD|EUR|GBP|CHF|JPY|CNY|RMB|SEK|NOK|DKK|PLN|INR)\b|\bkr\.?"
_SPACES = r"(?P<a>\d)[\s\x{00a0}\x{202f}'’](?P<b>\d{3})"
_GROUPS = {",": r"^\d{1,3}(,\d{3})+$", ".": r"^\d{1,3}(\.\d{3})+$"}


def read_numbers(at: Column, decimal: Decimal | None = None) -> tuple[pl.Series, str]:
    """The numbers of a column, and how they were read where that is worth a word.

    Args:
        at: a column of numbers, or of texts; where semicolons are between the fields of its file, a point may hold
            thousands together.
        decimal: the sign before a fraction; None finds it, for the column as a whole.

    Returns:
        Float64; empty cells and those of nan are null.

    Raises:
        InputError: naming the row of what is no finite number, or both readings of what can be read in two ways.

    >>> read_numbers(Column("sales.csv", "y", pl.Series(["1.507,54", "12,5"])))[0].to_list()
    [1507.54, 12.5]
    """
    column = at.values
    if column.dtype == pl.Boolean:
        column = column.cast(pl.Int8)
    note = ""
    if column.dtype == pl.String:
        column = column.str.strip_chars()
        column = column.set(column.is_in(MISSING), None)
        if (
            decimal == ","
            or not column.drop_nulls().str.contains(_PLAIN).all()
            or _may_be_thousands(column, at.separator)
        ):
            plain, note = _plain(column, decimal, at)
        else:
            plain = column
    else:
        plain = column
    numbers = plain.cast(pl.Float64, strict=False)
    unread = (numbers.is_null() & column.is_not_null()).arg_true()
    if len(unread):
        row = int(unread[0])
        raise InputError(f"{at.cell(row)}: {column[row]!r} is not a number such as 12.5")
    infinite = numbers.is_infinite().fill_null(False).arg_true()
    if len(infinite):
        raise InputError(f"{at.cell(int(infinite[0]))}: not a finite number")
    return numbers.fill_nan(None), note


def _plain(column: pl.Series, decimal: Decimal | None, at: Column) -> tuple[pl.Series, str]:
    """Texts of numbers without signs and thousands, with a point before the fraction."""
    bare = column.str.replace_all(_SIGNS, "").str.strip_chars()
    percent = bare.str.contains(r"\d\s*%$").fill_null(False)
    bare = bare.str.replace(r"\s*%$", "")
    bare = bare.str.replace(r"^\((.*)\)$", "-${1}").str.replace(r"^([+-])\s+", "${1}").str.replace("−", "-")
    for _ in range(2):  # groups may follow each other
        bare = bare.str.replace_all(_SPACES, "${a}${b}")
    found = [] if (bare == column).fill_null(True).all() else ["signs around the numbers left out"]
    if percent.any():
        if not (percent | column.is_null()).all():
            row = (~percent & column.is_not_null()).arg_true()[0]
            raise InputError(f"{at}: some numbers have a per cent sign, {column[int(row)]!r} has none")
        found = ["read as per cent"]
    digits = bare.str.strip_chars_start("+-").drop_nulls()
    sign = decimal or _decimal(digits, at)
    other = "," if sign == "." else "."
    if digits.str.contains(other, literal=True).any():
        grouped = digits.filter(digits.str.contains(other, literal=True))
        whole = grouped.str.split(sign).list.first()
        if not whole.str.contains(_GROUPS[other]).all():
            odd = grouped.filter(~whole.str.contains(_GROUPS[other]))[0]
            raise InputError(f"{at}: {odd!r}, where others have {sign!r} before the fraction; correct it")
        bare = bare.str.replace_all(other, "", literal=True)
        found.append("thousands with commas" if other == "," else "thousands with points")
    if sign == "," and digits.str.contains(",", literal=True).any():
        bare = bare.str.replace_all(",", ".", literal=True)
        found.append("decimal comma")
    return bare, f"{at.short}: {', '.join(found)}" if found else ""


def _decimal(digits: pl.Series, at: Column) -> Decimal:
    """The sign before a fraction.

    Raises:
        InputError: the column may be read in two ways.
    """
    points, commas = digits.str.count_matches(".", literal=True), digits.str.count_matches(",", literal=True)
    both = digits.filter((points > 0) & (commas > 0))
    if len(both):  # the later of the two
        return "," if both.str.contains(r"\..*,").all() else "."
    for sign, counts, other in ((",", commas, "."), (".", points, ",")):
        if not (counts > 0).any() or (sign == "." and at.separator != ";" and (counts < 2).all()):
            continue
        if (counts > 1).any():
            return other  # type: ignore[return-value]
        if not digits.filter(counts > 0).str.contains(r"^[1-9]\d{0,2}[.,]\d{3}$").all():
            return sign  # type: ignore[return-value]
        text = digits.filter(counts > 0)[0]
        fraction, thousands = text.replace(sign, "."), text.replace(sign, "")
        raise InputError(
            f"{at}: {text} can be {fraction} or {thousands}; say which sign is before a fraction "
            "with --set decimal=, or --set decimal=."
        )
    return "."


def _may_be_thousands(column: pl.Series, separator: str) -> bool:
    """Whether points may hold thousands together, as they do where semicolons are between the fields."""
    pointed = column.filter(column.str.contains(".", literal=True).fill_null(False))
    return separator == ";" and len(pointed) > 0 and bool(pointed.str.contains(r"^[+-]?[1-9]\d{0,2}(\.\d{3})+$").all())
