"""Times in columns of their own, as fractions of years, and columns that count the rows."""

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from memfold.data.ahead import is_ahead, with_ahead
from memfold.data.columns import holds_times
from memfold.data.delimited import Column, Table
from memfold.data.readings import read_readings
from memfold.data.sources import read_table
from memfold.data.splits import TimeSplit
from memfold.data.tables import read_series
from memfold.data.time_columns import of_one_column, with_times
from memfold.errors import InputError


def file(folder: Path, text: str) -> Path:
    path = folder / "sales.csv"
    path.write_text(text, encoding="utf-8")
    return path


def months(first: int, count: int, form: str) -> str:
    """Rows of a time and a value, the times being years with fractions."""
    return "".join(f"{first + k / 12:{form}},{k % 7}\n" for k in range(count))


# -- an index written with the table -------------------------------------------------------------------------


def test_an_index_without_a_name_is_not_taken_for_the_values(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=20)
    frame = pd.DataFrame({"day": days, "sold": np.arange(20) % 7})
    frame.to_csv(tmp_path / "sales.csv")
    table = read_series(tmp_path / "sales.csv")
    assert table.target == "sold"
    assert table.lengths.tolist() == [20]
    assert "not read: 'column 1'" in table.notes


def test_values_that_count_are_values_where_there_is_no_other_column(tmp_path: Path) -> None:
    path = file(tmp_path, "date,index\n" + "".join(f"2024-01-{k:02},{k}\n" for k in range(1, 9)))
    assert read_series(path).target == "index"


def test_an_index_counts_the_steps_of_the_only_other_column(tmp_path: Path) -> None:
    pd.Series([5.0, 6.0, 5.5, 5.0], name="load").to_csv(tmp_path / "load.csv")
    table = read_series(tmp_path / "load.csv")
    assert table.frame["ds"].to_list() == [0, 1, 2, 3]
    assert table.frame["y"].to_list() == [5.0, 6.0, 5.5, 5.0]
    assert "no column of times; column 'column 1' counts the steps" in table.notes
    (readings,) = read_readings(tmp_path / "load.csv")
    assert readings.variables == ("load",)
    assert not readings.dates


def test_an_index_beside_several_columns_is_no_time(tmp_path: Path) -> None:
    pd.DataFrame({"shop": [1, 2, 1, 2], "sold": [5, 6, 7, 8]}).to_csv(tmp_path / "sales.csv")
    with pytest.raises(InputError, match="no column for the time"):
        read_series(tmp_path / "sales.csv")


def test_a_column_of_lists_is_no_column_of_numbers() -> None:
    frame = pl.DataFrame({"ds": [1, 2, 3], "sold": [1.0, 2.0, 4.0], "tags": [["a"], ["b"], ["c"]]})
    assert read_series(frame).target == "sold"


# -- years with fractions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [".11f", ".3f", ".2f"])
def test_fractions_of_years_are_months(form: str, tmp_path: Path) -> None:
    table = read_series(file(tmp_path, "time,passengers\n" + months(1949, 40, form)))
    assert table.step == "1mo"
    assert str(table.frame["ds"][13])[:10] == "1950-02-01"
    assert table.notes[0].startswith("column 'time': numbers such as 1949.0")
    given = pl.read_csv(StringIO("time,passengers\n" + months(1949, 43, form)))["time"]
    ahead = table.times.written(table.times_after(3)["ds"])
    assert ahead.to_list() == given[40:].to_list()


def test_fractions_of_years_may_be_quarters(tmp_path: Path) -> None:
    rows = "".join(f"{1960 + k / 4},{k}\n" for k in range(20))
    table = read_series(file(tmp_path, f"time,gas\n{rows}"))
    assert table.step == "3mo"
    assert table.times.written(table.times_after(1)["ds"]).to_list() == [1965.0]


def test_fractions_of_years_in_a_data_frame() -> None:
    table = read_series(pd.DataFrame({"time": [1949.0, 1949.25, 1949.5, 1949.75], "y": [1.0, 2.0, 3.0, 4.0]}))
    assert table.step == "3mo"


@pytest.mark.parametrize("values", ["1949.1 1949.2 1949.3", "1949.01 1949.02 1949.03", "949.25 949.5 949.75"])
def test_other_decimals_are_no_times(values: str, tmp_path: Path) -> None:
    rows = "".join(f"{value},{k}\n" for k, value in enumerate(values.split()))
    with pytest.raises(InputError, match="is not a date such as"):
        read_series(file(tmp_path, f"time,y\n{rows}"))


def test_prices_in_quarters_are_no_times() -> None:
    rng = np.random.default_rng(0)
    prices = pl.Series([f"{price:.2f}" for price in 1700 + rng.integers(0, 800, 300) / 4])
    assert not holds_times(Column("gold.csv", "price", prices))
    assert holds_times(Column("gold.csv", "when", pl.Series([f"{1950 + k / 4:.2f}" for k in range(300)])))


# -- a year, a month, a day ... in columns of their own ------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "row", "title", "first", "step"),
    [
        ("year,month", lambda k: f"{2001 + k // 12},{k % 12 + 1}", "year-month", "2001-01", "1mo"),
        ("Month,Year", lambda k: f"{k % 12 + 1},{2001 + k // 12}", "Year-Month", "2001-01", "1mo"),
        (
            "year,month",
            lambda k: f"{2001 + k // 12},{pd.Timestamp(2001, k % 12 + 1, 1):%B}",
            "year-month",
            "2001-01",
            "1mo",
        ),
        ("year,quarter", lambda k: f"{1959 + k // 4},Q{k % 4 + 1}", "year-quarter", "1959-01", "3mo"),
        ("year,month,day", lambda k: f"2024,1,{k + 1}", "year-month-day", "2024-01-01", "1d"),
        ("year,month,day,hour", lambda k: f"2024,1,1,{k}", "year-month-day-hour", "2024-01-01 00:00", "1h"),
        ("年,月", lambda k: f"{2001 + k // 12},{k % 12 + 1}", "年-月", "2001-01", "1mo"),
    ],
)
def test_a_time_in_several_columns_is_one(
    header: str, row: Any, title: str, first: str, step: str, tmp_path: Path
) -> None:
    rows = "".join(f"{k},{row(k)},{k * k % 11}\n" for k in range(24))
    table = read_series(file(tmp_path, f",{header},sold\n{rows}"))
    assert table.titles[1] == title
    assert table.step == step
    assert table.target == "sold"
    assert table.times.written(table.frame["ds"])[0] == first
    assert any(f"are one time, such as {first}" in note for note in table.notes)
    (readings,) = read_readings(tmp_path / "sales.csv")
    assert readings.dates
    assert readings.variables == ("sold",)


def test_months_of_a_data_frame_may_be_categories() -> None:
    names = pd.date_range("1949-01-01", periods=24, freq="MS").strftime("%b")
    frame = pd.DataFrame({"year": np.repeat([1949, 1950], 12), "month": pd.Categorical(names), "y": np.arange(24.0)})
    assert read_series(frame).step == "1mo"


def test_a_year_and_a_month_without_rows_are_no_time() -> None:
    frame = pl.DataFrame(
        {"year": [], "month": [], "price": []}, schema=dict.fromkeys(("year", "month", "price"), pl.Int64)
    )
    assert of_one_column(Table("ahead.csv", frame)).frame.columns == ["year", "month", "price"]


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"{1949 + k / 12:.3f},{k},{k + 1}\n" for k in range(24))
    with pytest.raises(InputError, match=r"the first row, with '1949\.000', looks like data"):
        read_series(file(tmp_path, rows))


def test_a_column_of_dates_goes_before_a_year_and_a_month(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{k:02},2024,1,{k}\n" for k in range(1, 20))
    assert read_series(file(tmp_path, f"date,year,month,y\n{rows}")).titles[1] == "date"


def test_dates_beside_a_year_and_a_month_are_not_passed_over(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{k:02},2024,1,{k}\n" for k in range(1, 20))
    path = file(tmp_path, f"order day,year,month,y\n{rows}")
    with pytest.raises(InputError, match="no column for the time; it has 'order day', 'year'"):
        read_series(path)
    assert read_series(path, time="order day").lengths.tolist() == [19]


def test_a_month_that_is_an_input_stays_one(tmp_path: Path) -> None:
    rows = "".join(f"{2001 + k // 12},{k % 12 + 1},{k}\n" for k in range(24))
    table = read_series(file(tmp_path, f"year,month,y\n{rows}"), covariates=["month"])
    assert table.step == "1mo"
    assert table.frame["month"].to_list()[:3] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("month", ["13", "spring", ""])
def test_what_is_no_month_is_no_part_of_a_time(month: str) -> None:
    frame = pl.DataFrame({"year": ["2001", "2002"], "month": ["1", month], "y": ["1", "2"]})
    assert with_times(Table("sales.csv", frame), None)[1] == "year"


def test_years_of_long_ago_are_times_by_their_name(tmp_path: Path) -> None:
    rows = "".join(f"{1700 + k},{k % 11}\n" for k in range(130))
    table = read_series(file(tmp_path, f"YEAR,SUNACTIVITY\n{rows}"))
    assert table.titles[1] == "YEAR"
    assert table.step == "1"


def test_rows_ahead_and_splits_read_such_times_too(tmp_path: Path) -> None:
    past = Table(
        "past.csv", pl.DataFrame({"year": [2001] * 3, "month": [1, 2, 3], "y": [1.0, 2.0, 3.0], "price": [1, 1, 2]})
    )
    ahead = Table("ahead.csv", pl.DataFrame({"year": [2001] * 2, "month": [4, 5], "price": [1, 2]}))
    assert is_ahead(ahead, None, ["price"])
    whole = with_ahead(past, ahead, ["price"], id="unique_id", time=None, target="y", dates=None)
    assert whole.frame["year-month"].to_list() == ["2001-01", "2001-02", "2001-03", "2001-04", "2001-05"]
    ((train, test),) = TimeSplit(1, 1).split(past.frame)
    assert (train.tolist(), test.tolist()) == ([0, 1], [2])


# -- several series without a column of names ----------------------------------------------------------------


def test_a_time_that_comes_twice_names_what_may_tell_the_series_apart(tmp_path: Path) -> None:
    rows = "".join(f"{s},2024-01-{k:02},{k},x\n" for s in ("MSFT", "IBM") for k in range(1, 9))
    with pytest.raises(InputError, match=r"need a column of names, such as --set id=symbol\)$"):
        read_series(file(tmp_path, f"symbol,date,price,note\n{rows}"), target="price")
    assert read_table(tmp_path / "sales.csv").frame.height == 16
