"""Tables of series as people export them: wide ones, workdays, uneven times, words, what is known ahead."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import holidays as holidays_package
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.data.ahead import is_ahead, with_ahead
from memfold.data.resampling import every_near
from memfold.data.sources import read_table
from memfold.data.tables import read_series
from memfold.data.workdays import next_workdays, step_of_weekdays
from memfold.errors import InputError


def daily(first: date, last: date, but: Any = lambda day: False, **columns: Any) -> pl.DataFrame:
    days = pl.date_range(first, last, eager=True).filter(
        [not but(day) for day in pl.date_range(first, last, eager=True)]
    )
    values = {name: [make(k) for k in range(len(days))] for name, make in columns.items()}
    return pl.DataFrame({"ds": days, **(values or {"y": np.arange(len(days)) % 7 + 1.0})})


def ahead(table: Any, rows: int) -> list[date]:
    return [day.date() for day in table.times_after(rows)["ds"]]


# -- wide tables ---------------------------------------------------------------------------------------------


def wide(**columns: list[Any]) -> pl.DataFrame:
    return pl.DataFrame({"date": [date(2024, 1, 1) + timedelta(days=k) for k in range(6)], **columns})


def test_columns_of_one_quantity_are_series() -> None:
    table = read_series(wide(north_kWh=[1, 2, 3, 4, 5, 6], south_kWh=[90, 80, 70, 60, 50, 40]))
    assert table.ids == ["north_kWh", "south_kWh"]
    assert table.notes[0].startswith("a column each read as 2 series: 'north_kWh', 'south_kWh'; --set target=COLUMN")


@pytest.mark.parametrize(
    "columns",
    [
        {"sales": [900, 800, 950, 990, 870, 860], "price": [1.5, 1.6, 1.5, 1.5, 1.6, 1.4]},  # of unlike sizes
        {"sales": [9, 8, 9, 9, 8, 8], "promotion": [0, 1, 0, 0, 1, 0]},  # one is a flag
        {"cost": [9, 8, 9, 9, 8, 8], "sales": [9, 8, 9, 9, 8, 8], "region": ["a"] * 6},  # a text stands beside them
    ],
)
def test_what_may_be_one_series_with_others_beside_it_is_refused_with_both_settings(columns: dict[str, Any]) -> None:
    with pytest.raises(
        InputError, match=r"--set target=COLUMN.* or read each column of numbers as a series with --set wide=true"
    ):
        read_series(wide(**columns))
    numbers = [name for name, values in columns.items() if not isinstance(values[0], str)]
    assert read_series(wide(**columns), wide=True).ids == sorted(numbers)
    assert read_series(wide(**columns), target=numbers[0]).ids == [numbers[0]]


def test_an_index_and_an_empty_column_are_no_series() -> None:
    columns = {"": [0, 1, 2, 3, 4, 5], "a1": [3, 4, 3, 4, 3, 4], "a2": [4, 3, 4, 3, 4, 3], "note": [None] * 6}
    table = read_series(wide(**columns))
    assert table.ids == ["a1", "a2"]
    assert "not read: ''" in table.notes


def test_wide_and_a_target_do_not_go_together() -> None:
    with pytest.raises(InputError, match="leave out target, id and covariates"):
        read_series(wide(a=[1, 2, 3, 4, 5, 6]), wide=True, target="a")


# -- workdays ------------------------------------------------------------------------------------------------


def test_a_series_without_weekends_goes_on_without_them() -> None:
    table = read_series(daily(date(2024, 1, 1), date(2024, 2, 1), lambda day: day.weekday() > 4))
    assert table.step == "1b"
    assert table.notes == ("no row on any Sat or Sun: steps are workdays",)
    assert ahead(table, 3) == [date(2024, 2, 2), date(2024, 2, 5), date(2024, 2, 6)]


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, 6), min_size=2, max_size=6), st.integers(0, 6))
def test_any_week_is_found(there: set[int], begin: int) -> None:
    first = date(2024, 1, 1) + timedelta(days=begin)
    frame = daily(first, first + timedelta(days=40), lambda day: day.weekday() not in there)
    days = frame["ds"].to_numpy().astype("datetime64[D]")
    step = step_of_weekdays(days)
    assert step == ("1b" if there == {0, 1, 2, 3, 4} else "1b" + "".join(str(int(k in there)) for k in range(7)))
    table = read_series(frame) if len(there) > 1 else None
    if table is not None and table.step == step:
        assert all(day.weekday() in there for day in ahead(table, 12))


def test_a_table_of_few_days_or_of_all_weekdays_has_no_workdays() -> None:
    assert read_series(daily(date(2024, 1, 1), date(2024, 1, 5))).step == "1d"
    assert read_series(daily(date(2024, 1, 1), date(2024, 2, 5))).step == "1d"


def test_a_row_on_another_day_than_those_of_the_fit_is_refused() -> None:
    frame = daily(date(2024, 1, 1), date(2024, 2, 2), lambda day: day.weekday() > 4 and day != date(2024, 1, 20))
    with pytest.raises(InputError, match="has a row on 2024-01-20, and the model was fitted to workdays"):
        read_series(frame, step="1b")


def test_every_makes_days_of_workdays() -> None:
    frame = daily(date(2024, 1, 1), date(2024, 2, 2), lambda day: day.weekday() > 4)
    table = read_series(frame, every="1d")
    assert (table.step, table.frame.height) == ("1d", 33)
    assert any("8 steps without a reading filled" in note for note in table.notes)


def test_workdays_that_no_series_has_are_days_off_and_are_named() -> None:
    off = {date(2024, 1, 17), date(2024, 3, 6)}
    frame = daily(date(2024, 1, 1), date(2024, 3, 29), lambda day: day.weekday() > 4 or day in off)
    table = read_series(frame)
    assert table.frame.height == frame.height
    assert "2 workdays without a row taken for days off: 2024-01-17, 2024-03-06" in table.notes[1]
    filled = read_series(frame, missing="interpolate")
    assert filled.frame.height == frame.height + 2
    two = pl.concat([frame.with_columns(unique_id=pl.lit("a")), frame.slice(0, 20).with_columns(unique_id=pl.lit("b"))])
    gone = two.filter(~((pl.col("unique_id") == "b") & (pl.col("ds") == date(2024, 1, 9))))
    with pytest.raises(InputError, match="series 'b' has no row for 2024-01-09"):
        read_series(gone)


def test_holidays_that_the_history_skips_are_skipped_ahead() -> None:
    free = holidays_package.country_holidays("US", years=[2023, 2024])
    shut = lambda day: day.weekday() > 4 or (day in free and "Columbus" not in free[day])  # noqa: E731
    table = read_series(daily(date(2023, 1, 2), date(2024, 6, 28), shut), holidays="US")
    assert date(2024, 7, 4) not in ahead(table, 10)
    assert ahead(table, 4)[-1] == date(2024, 7, 5)
    later = ahead(table, 90)
    assert date(2024, 10, 14) in later  # Columbus Day, on which there were rows
    assert date(2024, 11, 28) not in later
    assert table.off.country == "US"
    assert "no steps, as the series have none on such days" in table.notes[0]


def test_holidays_of_daily_rows_are_known_and_no_day_is_left_out() -> None:
    table = read_series(daily(date(2023, 11, 1), date(2024, 6, 28)), holidays="DE-BY")
    assert "2024-05-30" in table.off.holidays
    assert table.off.closed == ()
    assert ahead(table, 5)[-1] == date(2024, 7, 3)


@pytest.mark.parametrize("country", ["XX", "DE-QQ", ""])
def test_a_country_that_is_none_is_refused(country: str) -> None:
    with pytest.raises(InputError, match="knows no such country, part or exchange"):
        read_series(daily(date(2023, 11, 1), date(2024, 6, 28)), holidays=country)


def test_workdays_go_on_from_any_day() -> None:
    closed = np.array(["2024-12-25"], "datetime64[D]")
    assert [str(day)[:10] for day in next_workdays("2024-12-24", 2, "1111100", closed)] == ["2024-12-26", "2024-12-27"]
    assert [str(day)[:10] for day in next_workdays("2024-12-25", 1, "1111100", closed)] == ["2024-12-26"]


# -- uneven times --------------------------------------------------------------------------------------------


def uneven(step: timedelta, offset: timedelta = timedelta(0), rows: int = 60) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    times = [
        datetime(2024, 1, 1) + offset + k * step + timedelta(seconds=int(rng.integers(-3, 4))) for k in range(rows)
    ]
    return pl.DataFrame({"ds": times, "y": np.arange(float(rows))}).with_columns(pl.col("ds").cast(pl.Datetime("us")))


def test_uneven_times_are_refused_with_the_setting_for_them() -> None:
    with pytest.raises(InputError, match="--set every=10m puts them on even times"):
        read_series(uneven(timedelta(minutes=10)))


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(minutes=5), timedelta(minutes=7, seconds=30)])
def test_readings_beside_a_step_are_put_on_it(offset: timedelta) -> None:
    table = read_series(uneven(timedelta(minutes=10), offset), every="10m")
    assert (table.step, table.frame["y"].to_list()) == ("10m", [float(k) for k in range(60)])
    assert abs(table.frame["ds"][0] - datetime(2024, 1, 1) - offset) <= timedelta(seconds=10)
    assert table.notes[0].startswith("every=10m: 60 readings put on 60 steps, each to the nearest step")


def test_readings_that_meet_are_merged_and_gaps_are_filled() -> None:
    frame = pl.concat([uneven(timedelta(minutes=1)), uneven(timedelta(minutes=1), timedelta(hours=3))])
    table = read_series(frame, every="30m")
    assert table.frame["ds"].dt.minute().is_in([0, 30]).all()
    assert any("merged with others by their mean" in note for note in table.notes)
    assert any(note.endswith("steps without a reading filled by straight lines") for note in table.notes)


def test_months_and_whole_numbers_can_be_steps() -> None:
    frame = daily(date(2024, 1, 1), date(2024, 4, 30))
    assert read_series(frame, every="1mo").frame.height == 4
    whole = pl.DataFrame({"ds": [0, 9, 21, 30], "y": [1.0, 2, 3, 4]})
    assert read_series(whole, every="10").frame["ds"].to_list() == [0, 10, 20, 30]


@pytest.mark.parametrize("every", ["10", "m", "10 parsecs", "0m", "-5m"])
def test_what_is_no_interval_is_refused(every: str) -> None:
    with pytest.raises(InputError, match="expected an interval such as 10m"):
        read_series(uneven(timedelta(minutes=10)), every=every)


def test_a_usual_interval_is_suggested() -> None:
    assert every_near(timedelta(seconds=58)) == "1m"
    assert every_near(timedelta(hours=1, seconds=4)) == "1h"
    assert every_near(timedelta(seconds=47)) == "47s"


# -- words and what is known ahead ---------------------------------------------------------------------------

DAYS = [date(2024, 1, 1) + timedelta(days=k) for k in range(8)]


def test_words_are_kept_and_an_empty_cell_is_none_of_them() -> None:
    frame = pl.DataFrame({"ds": DAYS, "y": range(8), "event": ["sale", None, "fair", "", "x", None, None, "sale"]})
    table = read_series(frame, covariates=["event"])
    assert table.frame["event"].to_list() == ["sale", "", "fair", "", "x", "", "", "sale"]
    assert table.notes == ("column 'event': 3 words, none in 4 rows",)


def test_a_number_that_is_none_is_no_word() -> None:
    frame = pl.DataFrame({"ds": DAYS, "y": range(8), "price": ["1.5", "2", "oops", *["3"] * 5]})
    with pytest.raises(InputError, match=r"row 4, column 'price': 'oops' is not a number"):
        read_series(frame, covariates=["price"])


def past_and_ahead(folder: Path, past: str, later: str) -> tuple[Any, Any]:
    (folder / "past.csv").write_text(past, encoding="utf-8")
    (folder / "ahead.csv").write_text(later, encoding="utf-8")
    return read_table(folder / "past.csv"), read_table(folder / "ahead.csv")


def test_what_is_known_ahead_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    past, later = past_and_ahead(
        tmp_path, "ds,y,promo\n2024-01-01,1,0\n2024-01-02,2,1\n", "promo,ds\n0,2024-01-02\n1,2024-01-03\n"
    )
    assert is_ahead(later, "y", ["promo"])
    assert not is_ahead(past, "y", ["promo"])
    table = read_series(
        with_ahead(past, later, ["promo"], id="unique_id", time=None, target="y", dates=None), covariates=["promo"]
    )
    assert table.ahead["promo"].to_list() == [1.0]
    assert any("1 row at times of the past left out" in note for note in table.notes)


def test_a_table_of_values_under_any_name_is_no_table_ahead(tmp_path: Path) -> None:
    rows = "Tag,Umsatz,promo\n2024-01-01,5.5,0\n2024-01-02,6,1\n"
    past, later = past_and_ahead(tmp_path, rows, "Tag,promo\n2024-01-03,1\n")
    assert not is_ahead(past, None, ["promo"])
    assert is_ahead(later, None, ["promo"])
    table = read_series(
        with_ahead(past, later, ["promo"], id="unique_id", time=None, target="y", dates=None), covariates=["promo"]
    )
    assert (table.target, table.ahead.height) == ("Umsatz", 1)


def test_rows_ahead_without_a_name_hold_for_each_series(tmp_path: Path) -> None:
    rows = "unique_id,ds,y,promo\n" + "".join(f"{name},2024-01-0{k},{k},0\n" for name in "ab" for k in (1, 2))
    past, later = past_and_ahead(tmp_path, rows, "ds,promo\n2024-01-03,1\n")
    table = read_series(
        with_ahead(past, later, ["promo"], id="unique_id", time=None, target="y", dates=None), covariates=["promo"]
    )
    assert table.ahead["unique_id"].to_list() == ["a", "b"]


def test_rows_that_are_not_ahead_are_refused(tmp_path: Path) -> None:
    past, later = past_and_ahead(tmp_path, "ds,y,promo\n2024-01-01,1,0\n2024-01-02,2,1\n", "ds,promo\n2024-01-02,1\n")
    with pytest.raises(InputError, match="holds no row after the last one"):
        with_ahead(past, later, ["promo"], id="unique_id", time=None, target="y", dates=None)


@pytest.mark.parametrize("months", [("2023-01", "2023-02", "2023-03"), ("01.01.2023", "01.02.2023", "01.03.2023")])
def test_a_row_a_series_is_refused_with_what_to_do(tmp_path: Path, months: tuple[str, ...]) -> None:
    (tmp_path / "across.csv").write_text(f"product,{','.join(months)}\nbolt,3,4,5\nnut,8,9,7\n")
    with pytest.raises(InputError, match=r"3 columns are called by times, .* a row a series; turn the table"):
        read_series(tmp_path / "across.csv")
