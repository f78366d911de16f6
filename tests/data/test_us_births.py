"""The calendar beside the bundled births, held against that of pandas."""

import pandas as pd
import polars as pl
import pytest
from pandas.tseries import holiday as rules

from memfold.data.datasets import dataset, find, load_split

DAY = pd.Timedelta(days=1)
FIRST, LAST = "1993-12-01", "2015-01-31"


class Holidays(rules.AbstractHolidayCalendar):
    rules = [  # noqa: RUF012
        *(rules.Holiday(str(day), month=month, day=day) for month, day in ((1, 1), (7, 4), (12, 25))),
        *(
            rules.Holiday(f"{day} observed", month=month, day=day, observance=rules.nearest_workday)
            for month, day in ((1, 1), (7, 4), (12, 25))
        ),
        rules.USMemorialDay,
        rules.USLaborDay,
        rules.USThanksgivingDay,
    ]


class Lesser(rules.AbstractHolidayCalendar):
    rules = [  # noqa: RUF012
        rules.USMartinLutherKingJr,
        rules.USPresidentsDay,
        rules.USColumbusDay,
        rules.Holiday("Veterans", month=11, day=11),
        rules.Holiday("Veterans observed", month=11, day=11, observance=rules.nearest_workday),
    ]


class Easter(rules.AbstractHolidayCalendar):
    rules = [rules.GoodFriday, rules.EasterMonday]  # noqa: RUF012


@pytest.fixture(scope="module")
def births() -> pd.DataFrame:
    return pd.read_csv(find("us-births") / "us_births.csv", parse_dates=["date"], index_col="date")


def test_every_day_is_there_once(births: pd.DataFrame) -> None:
    assert births.index.equals(pd.date_range("1994-01-01", "2014-12-31", name="date"))
    assert births["births"].between(5_000, 17_000).all()


@pytest.mark.parametrize("column", [*dataset("us-births").parameters["future"]])
def test_every_column_is_the_calendars(births: pd.DataFrame, column: str) -> None:
    days, kinds = births.index, {"holiday": Holidays, "lesser": Lesser, "easter": Easter}
    dates = {name: set(kind().holidays(FIRST, LAST)) for name, kind in kinds.items()}
    dates["eve"] = {day - DAY for day in dates["holiday"]}
    dates["after"] = {day + DAY for day in dates["holiday"]}
    expected = {
        "christmas": lambda day: (day.month, day.day) in {(12, 23), (12, 24), (12, 25)},
        "year_end": lambda day: f"{day:%m-%d}" >= "12-26" or f"{day:%m-%d}" <= "01-02",
        "avoided": lambda day: (
            f"{day:%m-%d}" in {"04-01", "02-29", "10-31"}
            or f"{day:%a %d}" == "Fri 13"
            or (f"{day:%m-%d}" == "09-11" and day.year > 2001)
        ),
        "wished": lambda day: f"{day:%m-%d}" == "02-14" or f"{day:%d}" == f"{day:%m}" == f"{day:%y}",
    }.get(column, lambda day: day in dates[column])
    assert births[column].tolist() == [int(expected(day)) for day in days]
    assert births[column].sum() >= 12


def test_the_last_year_is_the_test_part() -> None:
    split = load_split("us-births")
    assert split.whole.step == "1d"
    assert split.whole.lengths.tolist() == [7670]
    assert split.train.lengths.tolist() == [7670 - 364]
    assert split.train.known.equals(split.whole.known.head(7670 - 364))
    assert set(split.whole.known.columns) >= {*dataset("us-births").parameters["future"]}
    assert split.whole.known.select(pl.col("y").is_null().any()).item() is False
