"""The same table in every dialect that people write: it is read back equal, or refused with both readings named."""

import csv
import io
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memfold.data.delimited import Column, decoded, read_delimited
from memfold.data.numbers import read_numbers
from memfold.data.readings import read_readings
from memfold.data.sources import read_table
from memfold.data.tables import read_series
from memfold.data.times import follow_clock, read_times
from memfold.errors import InputError

SEPARATORS = [",", ";", "\t", "|"]
DATES = {
    "%Y-%m-%d": False,
    "%Y/%m/%d": False,
    "%d.%m.%Y": False,
    "%d/%m/%Y": True,  # may be read in two ways
    "%m/%d/%Y": True,
    "%m-%d-%Y": True,
    "%Y%m%d": False,
    "%d %b %Y": False,
    "%Y年%m月%d日": False,
}
ZONES = ["", "Z", "+01:00", "-03:30"]


def number(value: float, decimal: str, thousands: str) -> str:
    whole, fraction = f"{value:,.2f}".split(".")
    return whole.replace(",", thousands) + decimal + fraction


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    separator=st.sampled_from(SEPARATORS),
    signs=st.sampled_from([(".", ""), (".", ","), (",", ""), (",", "."), (",", " "), (".", "'")]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    form=st.sampled_from(sorted(DATES)),
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(lambda t: t.replace(microsecond=0, second=0)),
    days=st.integers(2, 40),
    values=st.lists(st.floats(-99_999, 99_999, allow_nan=False).map(lambda v: round(v, 2)), min_size=40, max_size=40),
    preamble=st.sampled_from(["", "Export of the week\n\n"]),
    ends=st.sampled_from(["\n", "\r\n"]),
)
def test_a_table_is_read_back_or_refused_with_both_readings(
    tmp_path: Path,
    separator: str,
    signs: tuple[str, str],
    encoding: str,
    form: str,
    zone: str,
    start: datetime,
    days: int,
    values: list[float],
    preamble: str,
    ends: str,
) -> None:
    clock = "" if form in ("%Y%m%d", "%d %b %Y", "%Y年%m月%d日") else " %H:%M"
    if not clock:
        start = start.replace(hour=0, minute=0)
        zone = ""
    times = [start + timedelta(days=k) for k in range(days)]
    texts = [t.strftime(form + clock) + zone for t in times]
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, lineterminator=ends)
    writer.writerow(["日期", "销量"])
    writer.writerows(zip(texts, (number(v, *signs) for v in values), strict=False))
    path = tmp_path / "table.csv"
    path.write_bytes((preamble + written.getvalue()).encode(encoding))

    table = read_delimited(path)
    assert table.frame.columns == ["日期", "销量"]
    assert table.frame.height == days
    y, _ = read_numbers(table.column("销量"))
    assert y.to_list() == pytest.approx(values[:days])

    two_ways = DATES[form] and all(t.day <= 12 for t in times)
    if two_ways and not all(t.day == t.month for t in times):
        with pytest.raises(InputError, match=r"day-first.*month-first"):
            read_times(table.column("日期"))
        order = "day-first" if form.startswith("%d") else "month-first"
        ds, how = read_times(table.column("日期"), order)
    elif two_ways:
        return
    else:
        ds, how = read_times(table.column("日期"))
    assert ds.to_list() == times
    assert how.written(ds).cast(pl.String).to_list() == texts


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("Größe;Käse\nschön;Öl\n", "latin-1"), ("评论,标签\n很好，推荐,好\n", "gb18030"), ("a,b\nnaïve,“x”\n", "cp1252")],
)
def test_an_encoding_is_found(text: str, encoding: str) -> None:
    assert decoded(text.encode(encoding), "file")[0] == text


def test_bytes_of_no_known_encoding_are_refused() -> None:
    with pytest.raises(InputError, match=r"line 1.*neither UTF-8 nor GB18030 nor Latin-1.*encoding=NAME"):
        decoded("текст на русском языке, довольно длинный\n".encode("cp1251"), "file")
    with pytest.raises(InputError, match="is not gb18030"):
        decoded(b"\xff\xff\xff", "file", "gb18030")


def test_bytes_of_two_encodings_are_refused_with_both() -> None:
    with pytest.raises(InputError, match=r"GB18030.*Latin-1.*encoding=gb18030 or --set encoding=latin-1"):
        decoded("Name,Wert\nÄÖ und so weiter,1\n".encode("latin-1"), "file")


def test_what_is_left_out_of_a_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "sap.csv"
    path.write_text("Export from SAP\nby: X\n\nds;y;\n2023-01-01;1;\n;;\n2023-01-02;2;\n", encoding="utf-8")
    table = read_delimited(path)
    assert table.frame.to_dict(as_series=False) == {"ds": ["2023-01-01", "2023-01-02"], "y": ["1", "2"]}
    assert table.notes == (
        "fields separated by semicolons",
        "2 lines before the header left out: 'Export from SAP', 'by: X'",
        "1 empty row left out",
    )


def test_a_row_has_the_number_of_its_line_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("made by hand\n\nds,y\n1,2\n\n3,4\n", encoding="utf-8")
    table = read_delimited(path)
    assert [table.row(k) for k in range(table.frame.height)] == [4, 6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,a\n1,2,3\n", "the header has the column 'a' twice"),
        ("a,b\n1,2\n1,2,3\n1,2\n1,2\n1,2\n1,2\n1,2\n1,2\n1,2\n1,2\n1,2\n", "row 3: 3 fields, the header has 2"),
        ("", "the file is empty"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_delimited(path)


def test_quotes_that_do_not_hold_fields_together_are_text(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text('text\tlabel\n"Well, well" he said\tpos\n"No" she said\tneg\n', encoding="utf-8")
    assert read_delimited(path).frame["text"].to_list() == ['"Well, well" he said', '"No" she said']


def test_a_quoted_field_may_hold_line_ends_and_separators(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('text,label\n"one\ntwo, three",pos\nfour,neg\n', encoding="utf-8")
    assert read_delimited(path).frame["text"].to_list() == ["one\ntwo, three", "four"]


@pytest.mark.parametrize(
    ("column", "dates", "expected", "note"),
    [
        ([202401, 202402], None, ["2024-01-01", "2024-02-01"], "months"),
        ([20240131, 20240201], None, ["2024-01-31", "2024-02-01"], "days"),
        ([1950, 1951], None, ["1950-01-01", "1951-01-01"], "years"),
        ([1675209600, 1675213200], None, ["2023-02-01 00:00", "2023-02-01 01:00"], "seconds since 1970"),
        ([1675209600000, 1675213200000], None, ["2023-02-01 00:00", "2023-02-01 01:00"], "milliseconds since 1970"),
        (["1/13/2024", "2/1/2024"], None, ["2024-01-13", "2024-02-01"], "month-first dates, by row 2"),
        (["02-13-2024", "02-14-2024"], None, ["2024-02-13", "2024-02-14"], "month-first"),
        (["1/2/2024", "2/2/2024"], "month-first", ["2024-01-02", "2024-02-02"], ""),
        (["02|01|2024", "02|13|2024"], "%d|%m|%Y", None, ""),
        (["2010-01", "2010-02"], None, ["2010-01-01", "2010-02-01"], ""),
        (["02|01|2024", "02|02|2024"], "%d|%m|%Y", ["2024-01-02", "2024-02-02"], ""),
    ],
)
def test_times_are_read_and_written_back(
    column: list[int] | list[str], dates: str | None, expected: list[str] | None, note: str
) -> None:
    if expected is None:
        with pytest.raises(InputError, match=r"row 3.*'02\|13\|2024' is not a date as in --set dates="):
            read_times(Column("file", "ds", pl.Series(column)), dates)
        return
    times, how = read_times(Column("file", "ds", pl.Series(column)), dates)
    assert times.to_list() == [datetime.fromisoformat(t) for t in expected]
    assert note in how.note
    assert how.written(times).to_list() == column


def test_of_two_orders_the_one_with_even_steps_is_taken() -> None:
    quarters = pl.Series(["1/1/2000", "4/1/2000", "7/1/2000", "10/1/2000"])

    def even(times: pl.Series) -> bool:
        return times.dt.day().n_unique() == 1

    times, how = read_times(Column("file", "ds", quarters), even=even)
    assert times.dt.month().to_list() == [1, 4, 7, 10]
    assert "month-first" in how.note


def test_local_midnights_over_a_clock_change_stay_midnights() -> None:
    column = pl.Series(["2023-03-25T00:00:00+01:00", "2023-03-26T00:00:00+01:00", "2023-03-27T00:00:00+02:00"])
    times, how = read_times(Column("file", "ds", column))
    assert times.dt.hour().to_list() == [0, 0, 0]
    assert how.written(times).to_list() == column.to_list()


def test_hours_over_a_clock_change_are_an_hour_apart() -> None:
    utc = pl.datetime_range(datetime(2023, 10, 28, 12), datetime(2023, 10, 29, 12), "1h", time_zone="UTC", eager=True)
    aware = utc.dt.convert_time_zone("America/New_York")
    for column in (aware, utc.dt.convert_time_zone("Europe/Berlin"), aware.dt.strftime("%Y-%m-%dT%H:%M:%S%:z")):
        times, how = read_times(Column("file", "ds", column))
        assert times.diff().drop_nulls().n_unique() == 1
        assert how.written(times).to_list() == column.to_list()


def test_clocks_without_a_zone_are_followed_over_their_changes() -> None:
    utc = pl.datetime_range(datetime(2023, 3, 1), datetime(2023, 12, 1), "1h", time_zone="UTC", eager=True)
    for zone in ("Europe/Berlin", "America/New_York", "Australia/Sydney", "Europe/London"):
        local = utc.dt.convert_time_zone(zone).dt.replace_time_zone(None)
        again = local.is_duplicated() & ~local.is_first_distinct()
        followed = follow_clock(local, again)
        assert followed is not None
        assert followed[0].diff().drop_nulls().n_unique() == 1
        back = followed[0].dt.replace_time_zone("UTC").dt.convert_time_zone(followed[1]).dt.replace_time_zone(None)
        assert back.to_list() == local.to_list()


def test_some_times_with_a_zone_and_some_without_are_refused() -> None:
    with pytest.raises(InputError, match=r"row 2 has a time zone.*row 3 has none"):
        read_times(Column("file", "ds", pl.Series(["2023-01-01T00:00:00Z", "2023-01-01 01:00"])))


@pytest.mark.parametrize(
    ("column", "options", "expected"),
    [
        (["$1,507.54", "$977.14"], {}, [1507.54, 977.14]),
        (["1,507", "12,345"], {"decimal": "."}, [1507.0, 12345.0]),
        (["1,507", "12,345"], {"decimal": ","}, [1.507, 12.345]),
        (["1.507", "2.345"], {}, [1.507, 2.345]),
        (["1,234,567", "12"], {}, [1234567.0, 12.0]),
        (["5 %", "6%"], {}, [5.0, 6.0]),
        (["(12.5)", "3 EUR"], {}, [-12.5, 3.0]),
        (["1e5", "nan", None], {}, [1e5, None, None]),
    ],
)
def test_numbers_are_read(column: list[str], options: dict[str, str], expected: list[float]) -> None:
    assert read_numbers(Column("file", "y", pl.Series(column)), **options)[0].to_list() == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("column", "separator", "message"),
    [
        (["1,507", "12,345"], ",", "1,507 can be 1.507 or 1507.*decimal="),
        (["1.507", "2.345"], ";", "1.507 can be 1.507 or 1507.*decimal="),
        (["1,5", "2.5"], ";", "'2.5', where others have ',' before the fraction"),
        (["5%", "6"], ",", "some numbers have a per cent sign, '6' has none"),
        (["1", "x"], ",", "row 3, column 'y': 'x' is not a number"),
        (["inf"], ",", "row 2, column 'y': not a finite number"),
    ],
)
def test_what_is_no_number_or_may_be_two_is_refused(column: list[str], separator: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_numbers(Column("file", "y", pl.Series(column), separator=separator))


def hours(zone: str, begin: datetime, end: datetime) -> list[str]:
    """Local times of every hour, as clocks show them."""
    utc = pl.datetime_range(begin, end, "1h", time_zone="UTC", eager=True)
    return utc.dt.convert_time_zone(zone).dt.strftime("%Y-%m-%d %H:%M").to_list()


def test_a_series_follows_clocks_that_were_changed(tmp_path: Path) -> None:
    path = tmp_path / "local.csv"
    for begin, end in ((datetime(2023, 3, 20), datetime(2023, 3, 28)), (datetime(2023, 10, 20), datetime(2023, 11, 2))):
        times = hours("Europe/Berlin", begin, end)
        path.write_text("ds,y\n" + "".join(f"{time},{k}\n" for k, time in enumerate(times)), encoding="utf-8")
        table = read_series(path)
        assert table.step == "1h"
        assert table.values[0].tolist() == list(range(len(times)))
        assert "clocks of Europe/Berlin" in table.notes[0]
        ahead = table.times.written(table.times_after(2)["ds"]).to_list()
        assert ahead == hours("Europe/Berlin", end + timedelta(hours=1), end + timedelta(hours=2))


def test_an_hour_that_is_missing_on_another_night_is_a_gap(tmp_path: Path) -> None:
    times = [time for time in hours("UTC", datetime(2023, 5, 1), datetime(2023, 5, 9)) if time != "2023-05-07 02:00"]
    path = tmp_path / "gap.csv"
    path.write_text("ds,y\n" + "".join(f"{time},1\n" for time in times), encoding="utf-8")
    with pytest.raises(InputError, match="has no row for 2023-05-07 02:00:00"):
        read_series(path)


def test_columns_are_found_by_what_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "takings.csv"
    path.write_text("Tag;Filiale;Kasse\n01.02.2024;Nord;1,5\n02.02.2024;Nord;2,5\n", encoding="utf-8")
    table = read_series(path)
    assert table.titles == ("unique_id", "Tag")
    assert table.values[0].tolist() == [1.5, 2.5]
    (readings,) = read_readings(path)
    assert readings.variables == ("Kasse",)


def test_a_row_of_data_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("2024-01-01,1.5\n2024-01-02,2.5\n2024-01-03,2.5\n", encoding="utf-8")
    for read in (read_series, read_readings):
        with pytest.raises(InputError, match=r"the first row.*looks like data and not like a header"):
            read(path)


def test_rows_out_of_order_are_put_into_it_and_named() -> None:
    frame = pl.DataFrame({"ds": ["2024-01-02", "2024-01-01", "2024-01-03"], "y": [2.0, 1.0, 3.0]})
    assert read_series(frame).notes == ("rows that were not in the order of time were put into it",)
    assert read_readings(frame)[0].values[:, 0].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"ds": "2024-01-01", "d": {"y": 1}}\n{"ds": "2024-01-02", "d": {"y": 2.5}}\n'),
        ("a.json", '[{"ds": "2024-01-01", "d": {"y": 1}}, {"ds": "2024-01-02", "d": {"y": 2.5}}]'),
        ("b.json", '{"rows": [{"ds": "2024-01-01", "d": {"y": 1}}, {"ds": "2024-01-02", "d": {"y": 2.5}}]}'),
        ("c.json", '{"ds": ["2024-01-01", "2024-01-02"], "d.y": [1, 2.5]}'),
    ],
)
def test_json_is_a_table_with_the_fields_of_objects(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    frame = read_table(path).frame
    assert frame["ds"].to_list() == ["2024-01-01", "2024-01-02"]
    assert frame["d.y"].to_list() == [1.0, 2.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "not readable as JSON"),
        ('{"a": ' * 50 + "1" + "}" * 50, "objects in objects, too deep"),
        ('{"a": "\\ud800"}', "not readable as JSON"),
        ('{"a": Infinity}', "Infinity is not JSON"),
        ("[1, 2]", "expected an object"),
    ],
)
def test_json_that_is_no_table_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_table(path)


def test_several_files_are_one_table_when_they_have_one_form(tmp_path: Path) -> None:
    paths = [tmp_path / "1.csv", tmp_path / "2.csv"]
    paths[0].write_text("ds,y\n2024-01-01,1\n", encoding="utf-8")
    paths[1].write_text("y;ds\n2;2024-01-02\n", encoding="utf-8")
    assert read_series([str(path) for path in paths]).values[0].tolist() == [1.0, 2.0]
    paths[1].write_text("ds,z\n2024-01-02,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"2\.csv: has the columns 'ds', 'z'.*1\.csv has 'ds', 'y'"):
        read_series(paths)


def test_pandas_indices_of_times_are_columns() -> None:
    index = pd.date_range("2024-01-01", periods=3, freq="D", tz="Europe/Berlin")
    series = pd.DataFrame({"y": [1.0, 2.0, 3.0]}, index=index)
    table = read_series(series)
    assert table.times.zone == "Europe/Berlin"
    assert str(table.times.written(table.times_after(1)["ds"])[0]) == "2024-01-04 00:00:00+01:00"
    periods = pd.DataFrame({"y": [1.0, 2.0, 3.0]}, index=pd.period_range("2024-01", periods=3, freq="M"))
    assert read_series(periods).step == "1mo"


def test_an_index_with_the_name_of_a_column_is_refused() -> None:
    frame = pd.DataFrame({"ds": [1, 2], "y": [1.0, 2.0]}, index=pd.Index([1, 2], name="ds"))
    with pytest.raises(InputError, match="'ds' as a column and in its index"):
        read_series(frame)
