import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
import polars as pl
import pytest

from memfold.data import grid
from memfold.data.readings import read_readings
from memfold.data.tables import ID, TARGET, TIME, read_series
from memfold.errors import InputError


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "series.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


DAYS = "ds,y\n2020-01-01,1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("unique_id,ds,y\n", "holds no rows"),
        ("when;what\nx;1\n", r"no column for the time; it has 'when', 'what' \(name the right one with --set time"),
        ("ds;a;b\n1;1;2\n", r"no column for the target; it has 'ds', 'a', 'b' \(name the right one with --set target"),
        (DAYS + "2020-01-02,x\n", "row 3, column 'y': 'x' is not a number"),
        ("ds;y\n1;1,5\n2;1.5\n", r"column 'y': '1\.5', where others have ',' before the fraction"),
        (DAYS + "2020-13-02,3\n", "row 3, column 'ds': '2020-13-02' is not a date"),
        (DAYS + "yesterday,3\n", "row 3, column 'ds': 'yesterday' is not a date"),
        (DAYS + ",3\n", "row 3, column 'ds': empty"),
        (DAYS + "2020-01-02,inf\n", "row 3, column 'y': not a finite number"),
        ("ds,y\n2020-01-01,1\n2020-01-02,caf\xe9\n".encode("latin-1"), "row 3, column 'y': 'caf\xe9' is not a number"),
        ("ds,y\n1,x\n".encode("utf-16"), "row 2, column 'y': 'x' is not a number"),
        (b"ds,y\n1,\xd0\xd1\xd2\xd3\xd4\n", "line 2: byte 0xd0 is neither UTF-8 nor GB18030 nor Latin-1"),
        (DAYS + "2020-01-02,1,5\n", "row 3: 3 fields, the header has 2"),
        (DAYS + "2020-01-02,NaN\n2020-01-03,2\n", "series 'y' has no value at 2020-01-02.*missing=interpolate"),
        (DAYS + "2020-01-02,1\n2020-01-04,2\n", "series 'y' has no row for 2020-01-03.*missing=interpolate"),
        (DAYS + "2020-01-01,1\n2020-01-02,2\n", "row 3: series 'y' has 2020-01-01 00:00:00 twice.*--set id=COLUMN"),
        (DAYS, "every series has one row"),
        ("unique_id,ds,y\na,1,1\na,2,2\nb,1,\nb,2,\n", "series 'b' has no value"),
        ("unique_id,ds,y\na,1,1\na,2,2\n,3,1\n", "row 4, column 'unique_id': empty"),
    ],
)
def test_bad_tables_are_refused_in_one_line_that_says_where(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_series(write(tmp_path, text))
    assert "\n" not in str(error.value)
    assert "series.csv" in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        read_series(tmp_path / "none.csv")


ODD_NAMES = ["a[b]", "a[0-9]", "s*", "w?", "{a,b}", "~", "%7e", "a b#c", "x**"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_path_that_exists_is_that_path_whatever_characters_it_has(tmp_path: Path, name: str, kind: str) -> None:
    def write_as(path: Path, values: list[float]) -> None:
        frame = pl.DataFrame({"ds": [1, 2, 3], "y": values})
        with open(path, "wb") as file:
            frame.write_csv(file) if kind == "csv" else frame.write_parquet(file)

    for other in ("ab", "a1", "a", "b", "s1", "s2", "wx", "xyz"):
        write_as(tmp_path / f"{other}.{kind}", [7.0, 7.0, 7.0])
    folder = tmp_path / name  # the folder's name holds them as well
    folder.mkdir()
    for path in (tmp_path / f"{name}.{kind}", folder / f"{name}.{kind}"):
        write_as(path, [1.0, 2.0, 4.0])
        assert read_series(path).values[0].tolist() == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("name", ["s*.csv", "s[0-9].csv", "s?.csv", "*", "s*.parquet"])
def test_a_pattern_is_no_file(tmp_path: Path, name: str) -> None:
    for other in ("s1.csv", "s2.csv", "s1.parquet"):
        (tmp_path / other).write_text("ds,y\n1,1\n2,2\n3,3\n")
    with pytest.raises(InputError, match=f"{re.escape(name)}: no such file$"):
        read_series(tmp_path / name)


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(InputError, match="not readable as Parquet"):
        read_series(tmp_path / "a.parquet")


def test_something_that_is_no_table_is_refused() -> None:
    with pytest.raises(InputError, match="got int, which is neither a path nor a data frame"):
        read_series([1, 2, 3])


@pytest.mark.parametrize(
    ("times", "step"),
    [
        (["2020-01-01", "2020-01-02", "2020-01-03"], "1d"),
        (["2020-01-01 00:00", "2020-01-01 00:30", "2020-01-01 01:00"], "30m"),
        (["2020-01-31", "2020-02-29", "2020-03-31"], "1mo"),
        (["2020-01-01", "2020-04-01", "2020-07-01"], "3mo"),
        (["2020-01-01", "2021-01-01", "2022-01-01"], "1y"),
        (["2020-01-06", "2020-01-13", "2020-01-20"], "1w"),
        (["2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z", "2020-01-01T00:00:02Z"], "1s"),
        ([10, 20, 30], "10"),
    ],
)
def test_the_step_is_found_and_continued(times: list[object], step: str) -> None:
    table = read_series(pl.DataFrame({"ds": times, "y": [1.0, 2.0, 3.0]}))
    assert table.step == step
    after = table.times_after(2)[TIME].to_list()
    assert after[1] > after[0] > table.frame[TIME][-1]


@pytest.mark.parametrize("days", [28, 30, 31, 91, 92, 365])
@pytest.mark.parametrize("missing", [None, 7])
def test_rows_so_many_days_apart_are_no_months(days: int, missing: int | None) -> None:
    times = [datetime(2020, 1, 1) + timedelta(days=days * k) for k in range(20) if k != missing]
    table = read_series(pl.DataFrame({"ds": times, "y": [float(k) for k in range(len(times))]}), missing="keep")
    assert table.step == (f"{days // 7}w" if days % 7 == 0 else f"{days}d")
    assert len(table.values[0]) == 20


@pytest.mark.parametrize("interval", ["1mo", "3mo", "1y"])
@pytest.mark.parametrize("first", [datetime(1899, 1, 31), datetime(1999, 2, 1), datetime(2019, 11, 28)])
def test_a_few_months_quarters_or_years_are_such(interval: str, first: datetime) -> None:
    every = pl.Series([first]).dt.offset_by(pl.Series([f"{k}{interval[1:]}" for k in range(0, 60, int(interval[0]))]))
    for begin in range(0, len(every) - 4, 5):
        for rows in (2, 3, 5):
            frame = pl.DataFrame({"ds": every[begin : begin + rows], "y": [1.0, 2.0, 3.0, 4.0, 5.0][:rows]})
            assert read_series(frame).step == interval


@pytest.mark.parametrize("interval", ["1mo", "3mo", "1y"])
@pytest.mark.parametrize("first", [datetime(2020, 2, 1), datetime(2021, 4, 1), datetime(2021, 11, 1, 6)])
def test_ends_of_months_stay_ends_of_months(interval: str, first: datetime) -> None:
    apart = pl.Series([f"{k * int(interval[0])}{interval[1:]}" for k in range(12)])
    ends = pl.Series([first]).dt.offset_by(apart).dt.month_end().to_list()
    table = read_series(pl.DataFrame({"ds": ends[:8], "y": [float(k) for k in range(8)]}))
    assert table.step == interval
    assert table.head(3).times_after(7)[TIME].to_list() == ends[5:]
    gap = read_series(pl.DataFrame({"ds": [*ends[:4], *ends[5:]], "y": [1.0] * 11}), missing="keep")
    assert gap.frame[TIME].to_list() == ends


def test_series_are_sorted_and_kept_apart() -> None:
    frame = pl.DataFrame({"unique_id": ["b", "a", "b", "a"], "ds": [2, 1, 1, 2], "y": [4.0, 1.0, 3.0, 2.0]})
    table = read_series(frame)
    assert table.ids == ["a", "b"]
    assert [values.tolist() for values in table.values] == [[1.0, 2.0], [3.0, 4.0]]
    assert table.head(1).frame[TARGET].to_list() == [1.0, 3.0]
    assert table.tail(1).frame[TARGET].to_list() == [2.0, 4.0]


def test_a_series_shorter_than_what_is_dropped_leaves_the_table() -> None:
    frame = pl.DataFrame({"unique_id": ["a", "b", "b"], "ds": [1, 1, 2], "y": [1.0, 2.0, 3.0]})
    assert read_series(frame).head(1).ids == ["b"]


SECONDS = "ds,y\n2024-01-01 00:00:00,1\n2024-01-01 00:00:01,2\n"
FAR_TIMES = {
    "a mistyped year": (
        SECONDS + "9024-01-01 00:00:02,3\n",
        r"row 4, column 'ds': 9024-01-01 00:00:02 is 220,898,620,801 steps of 1s away from 2024-01-01 00:00:01, "
        "the nearest time of series 'y'; correct the time, or leave the row out",
    ),
    "a mistyped integer": ("ds,y\n0,1\n1,2\n1000000000000,3\n", "row 4, column 'ds': 1000000000000 is 999,999,999,999"),
    "a smaller one": ("ds,y\n0,1\n1,2\n400000000,3\n", "row 4, column 'ds': 400000000 is 399,999,999 steps of 1 away"),
    "a year too early": (
        "ds,y\n0024-01-03,3\n" + "".join(f"2024-01-0{day},1\n" for day in (1, 2, 4, 5)),
        "row 2, column 'ds': 0024-01-03 00:00:00 is 730,483 steps of 1d away from 2024-01-01 00:00:00",
    ),
    "a row out of order": (
        "unique_id,ds,y\nb,7,1\na,1,1\na,-30000000,2\na,2,3\nb,8,1\na,3,1\n",
        "row 4, column 'ds': -30000000 is 30,000,001 steps of 1 away from 1, the nearest time of series 'a'",
    ),
    "most rows close together": (
        "ds,y\n2019-12-31,1\n2020-01-31,1\n2020-02-29,1\n2020-03-31,1\n"
        "2020-03-31 00:00:00.000001,2\n2020-03-31 00:00:00.000002,2\n",
        "most often 1us apart; with one at every 1us there would be 7,862,400,000,003 in place of 6; --set every=",
    ),
    "the ends of 64 bits": (
        "ds,y\n-9223372036854775808,1\n9223372036854775807,2\n",
        "row 2, column 'ds': -9223372036854775808 is not an integer time from -4611686018427387903 to .*; correct it",
    ),
    "the year 0": (
        "ds,y\n2024-01-01,1\n0000-01-02,2\n",
        "row 3, column 'ds': 0000-.* is not a date of the years 1 to 9999",
    ),
}


@pytest.mark.parametrize("missing", ["error", "interpolate"])
@pytest.mark.parametrize("case", FAR_TIMES)
def test_a_time_out_of_all_proportion_is_named_before_a_grid_is_made(tmp_path: Path, case: str, missing: Any) -> None:
    text, message = FAR_TIMES[case]
    with pytest.raises(InputError, match=message) as error:
        read_series(write(tmp_path, text), missing=missing)
    assert "\n" not in str(error.value)
    assert "series.csv" in str(error.value)


def test_a_long_gap_in_proportion_is_filled() -> None:
    frame = pl.DataFrame({"ds": [0, 1, 2, 90_000], "y": [0.0, 1.0, 2.0, 90_000.0]})
    assert read_series(frame, missing="interpolate").values[0].tolist() == [*map(float, range(90_001))]


def test_a_grid_beyond_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"ds": [0, 1, 2, 9_000], "y": [0.0, 1.0, 2.0, 3.0]})
    monkeypatch.setattr(grid, "_memory", lambda: 1e6)
    with pytest.raises(InputError, match="data frame: row 5, column 'ds': 9000 is 8,998 steps of 1 away from 2"):
        read_series(frame, missing="interpolate")
    assert read_series(frame.head(3)).lengths.tolist() == [3]


def test_missing_values_and_rows_are_interpolated_on_demand(tmp_path: Path) -> None:
    path = write(tmp_path, "ds,y,x\n1,,1\n2,1,\n3,NaN,3\n5,4,5\n6,5,6\n")
    table = read_series(path, missing="interpolate", covariates=["x"])
    assert table.frame[TIME].to_list() == [2, 3, 4, 5, 6]
    assert table.frame[TARGET].to_list() == [1, 2, 3, 4, 5]
    assert table.frame["x"].to_list() == [3, 3, 4, 5, 6]


def test_rows_ahead_carry_covariates_and_no_value() -> None:
    frame = pl.DataFrame({"ds": [1, 2, 3], "y": [1.0, 2.0, None], "x": [0.0, 1.0, 1.0]})
    table = read_series(frame, covariates=["x"])
    assert table.lengths.tolist() == [2]
    assert table.ahead["x"].to_list() == [1.0]


def test_every_kind_of_data_frame_reads_alike(tmp_path: Path) -> None:
    frame = pl.DataFrame({"unique_id": ["a", "a"], "ds": [datetime(2020, 1, 1), datetime(2020, 1, 2)], "y": [1, 2]})
    expected = read_series(frame).frame
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_csv(tmp_path / "a.csv")
    pandas = pd.DataFrame({name: frame[name].to_list() for name in frame.columns})
    for source in (tmp_path / "a.parquet", str(tmp_path / "a.csv"), pandas, frame.to_arrow(), nw.from_native(frame)):
        assert read_series(source).frame.equals(expected)
    assert expected.columns == [ID, TIME, TARGET]


def test_static_columns_are_read_once_a_series(tmp_path: Path) -> None:
    rows = "b,1,2,south,3\na,1,2, north ,1.5\na,2,3,north,1.5\nb,2,2,south,3\na,3,,,\n"
    table = read_series(write(tmp_path, "unique_id,ds,y,region,size\n" + rows), static=["region", "size"])
    assert table.static is not None
    assert table.static.rows() == [("a", "north", "1.5"), ("b", "south", "3")]
    assert table.head(1).static is table.static
    assert "region" not in table.frame.columns


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,1,2,north\na,2,3,south\n", "series 'a' has both 'north' and 'south' in column 'region'; a static column"),
        ("a,1,2,\na,2,3,\n", "series 'a' has no 'region'"),
    ],
)
def test_a_static_column_that_changes_or_is_empty_is_named(tmp_path: Path, rows: str, message: str) -> None:
    path = write(tmp_path, "unique_id,ds,y,region\n" + rows)
    with pytest.raises(InputError, match=message):
        read_series(path, static=["region"])


def test_a_column_cannot_be_two_things() -> None:
    frame = pl.DataFrame({"unique_id": "a", "ds": [1, 2], "y": [1.0, 2.0], "x": [0.0, 1.0]})
    for options, message in (
        ({"static": ["unique_id"]}, "column 'unique_id' is named twice, as static and as id"),
        ({"covariates": ["x", "x"]}, "column 'x' is named twice, as covariates and as covariates"),
        ({"covariates": ["y"]}, "column 'y' is named twice, as target and as covariates"),
    ):
        with pytest.raises(InputError, match=message):
            read_series(frame, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["row", "*", "^.*$", "ds", "y"])
def test_a_covariate_with_a_name_that_means_something_here_is_refused(name: str) -> None:
    frame = pl.DataFrame({"t": [1, 2], "sales": [1.0, 2.0]}).with_columns(pl.Series(name, [0.0, 1.0]))
    with pytest.raises(InputError, match=re.escape(f"cannot be called {name!r} here; rename it")):
        read_series(frame, time="t", target="sales", covariates=[name])


@pytest.mark.parametrize("names", [[b"\xff", b"\xfe"], [[1], [2]]])
def test_names_of_series_that_are_no_names_are_refused(names: list[object]) -> None:
    frame = pl.DataFrame({"ds": [1, 2], "y": [1.0, 2.0], "unique_id": names})
    for read in (read_series, read_readings):
        with pytest.raises(InputError, match=r"column 'unique_id' holds .*; expected the names of series"):
            read(frame)
