"""One table, written by one hand in each format that people export: read back to the same content."""

import gzip
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from memfold.data.readings import read_readings
from memfold.data.sources import read_table
from memfold.data.tables import SeriesTable, read_series

Rows = list[dict[str, Any]]


def text_of(frame: pl.DataFrame, separator: str) -> bytes:
    return frame.write_csv(separator=separator, datetime_format="%Y-%m-%d %H:%M:%S").encode()


def csv(path: Path, frame: pl.DataFrame) -> None:
    path.write_bytes(text_of(frame, ","))


def tsv(path: Path, frame: pl.DataFrame) -> None:
    path.write_bytes(text_of(frame, "\t"))


def packed(path: Path, frame: pl.DataFrame) -> None:
    path.write_bytes(gzip.compress(text_of(frame, ";")))


def rows_of(frame: pl.DataFrame) -> Rows:
    return frame.with_columns(pl.col(pl.Datetime).dt.strftime("%Y-%m-%d %H:%M:%S")).to_dicts()


def jsonl(path: Path, frame: pl.DataFrame) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows_of(frame)), encoding="utf-8")


def array(path: Path, frame: pl.DataFrame) -> None:
    path.write_text(json.dumps(rows_of(frame), ensure_ascii=False), encoding="utf-8")


def parquet(path: Path, frame: pl.DataFrame) -> None:
    frame.write_parquet(path)


def xlsx(path: Path, frame: pl.DataFrame) -> None:
    book = openpyxl.Workbook()
    book.active.append(frame.columns)
    for row in frame.iter_rows():
        book.active.append([f"'{cell}" if isinstance(cell, str) and cell.startswith("=") else cell for cell in row])
    book.save(path)


WRITERS: dict[str, Callable[[Path, pl.DataFrame], None]] = {
    "t.csv": csv,
    "t.TSV": tsv,
    "t.csv.gz": packed,
    "t.jsonl": jsonl,
    "t.json": array,
    "t.parquet": parquet,
    "T.XLSX": xlsx,
}
VALUES = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))
NAMES = st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=1, max_size=6).map(lambda name: f"s {name}")
MANY = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def same(one: SeriesTable, other: SeriesTable) -> None:
    assert_frame_equal(one.frame, other.frame, abs_tol=1e-9)
    assert (one.step, one.target) == (other.step, other.target)


@pytest.mark.parametrize("name", WRITERS)
@MANY
@given(
    names=st.lists(NAMES, min_size=1, max_size=3, unique_by=str.casefold),
    values=st.lists(VALUES, min_size=24, max_size=24),
    begin=st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)),
    hours=st.sampled_from([1, 24]),
    words=st.lists(st.sampled_from(["sun", "rain", "雪", "a b"]), min_size=8, max_size=8),
)
def test_series_in_each_format_are_the_same(
    tmp_path: Path, name: str, names: list[str], values: list[float], begin: datetime, hours: int, words: list[str]
) -> None:
    begin = begin.replace(microsecond=0, second=0, minute=0)
    parts = [
        {"unique_id": one, "ds": begin + timedelta(hours=hours * k), "y": values[8 * at + k], "weather": words[k]}
        for at, one in enumerate(names)
        for k in range(8)
    ]
    frame = pl.DataFrame(parts).with_columns(pl.col("ds").cast(pl.Datetime("us")))
    WRITERS[name](tmp_path / name, frame)
    same(read_series(tmp_path / name, covariates=["weather"]), read_series(frame, covariates=["weather"]))


@pytest.mark.parametrize("name", WRITERS)
@MANY
@given(
    columns=st.lists(
        st.lists(st.floats(100, 900).map(lambda v: round(v, 2)), min_size=9, max_size=9), min_size=2, max_size=4
    ),
    begun=st.integers(0, 3),
)
def test_a_wide_table_is_the_long_one(tmp_path: Path, name: str, columns: list[list[float]], begun: int) -> None:
    days = [datetime(2024, 2, 26) + timedelta(days=k) for k in range(9)]
    late = [None] * begun + columns[0][begun:]  # a series that begins later
    columns = [late, *columns[1:]]  # type: ignore[list-item]
    wide = pl.DataFrame({"date": days, **{f"shop {k}": column for k, column in enumerate(columns)}})
    long = wide.unpivot(index="date", variable_name="unique_id", value_name="y").drop_nulls()
    WRITERS[name](tmp_path / name, wide)
    read = read_series(tmp_path / name)
    assert_frame_equal(read.frame, read_series(long).frame, abs_tol=1e-9)
    assert read.wide


@pytest.mark.parametrize("name", WRITERS)
def test_missing_cells_are_missing_in_each_format(tmp_path: Path, name: str) -> None:
    times = [datetime(2024, 1, 1, 0, 10 * k) for k in range(4)]
    frame = pl.DataFrame(
        {"time": times, "temp": [20.5, None, 21, 22], "flow": [None, 3.5, 4, None], "state": ["a"] * 4}
    )
    WRITERS[name](tmp_path / name, frame)
    (series,) = read_readings(tmp_path / name)
    assert series.variables == ("temp", "flow")
    assert [[None if v != v else v for v in row] for row in series.values.tolist()] == [
        [20.5, None],
        [None, 3.5],
        [21, 4],
        [22, None],
    ]


def test_rows_are_those_of_the_file(tmp_path: Path) -> None:
    frame = pl.DataFrame({"ds": ["2024-01-01", "2024-01-02"], "y": [1.0, 2.0]})
    for name, first in (("t.csv", 2), ("T.XLSX", 2), ("t.jsonl", 1)):
        WRITERS[name](tmp_path / name, frame)
        assert read_table(tmp_path / name).row(0) == first
