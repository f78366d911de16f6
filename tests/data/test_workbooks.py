"""Workbooks: the sheet with the table is found, and its header; cells are what they are."""

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from memfold.data import workbooks
from memfold.data.labelled import read_labelled
from memfold.data.parallel import pairs_of_table
from memfold.data.readings import read_readings
from memfold.data.sources import read_table
from memfold.data.tables import read_series
from memfold.errors import InputError

DAYS = [date(2024, 1, 30) + timedelta(days=k) for k in range(5)]
SALES = [["date", "sales"], *([day, 10.5 + k] for k, day in enumerate(DAYS))]


def workbook(folder: Path, sheets: dict[str, Sequence[Sequence[Any]]], name: str = "book.xlsx") -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
    book.save(folder / name)
    return folder / name


def test_a_series_is_read_with_its_dates(tmp_path: Path) -> None:
    table = read_series(workbook(tmp_path, {"Sheet": SALES}, "BOOK.XLSX"))
    assert (table.step, table.values[0].tolist(), table.target) == ("1d", [10.5 + k for k in range(5)], "sales")
    assert table.times.written(table.times_after(1)["ds"]).to_list() == [date(2024, 2, 4)]
    assert table.notes == ()


def test_rows_around_the_header_are_left_out_and_named(tmp_path: Path) -> None:
    above = [["Sales of the year"], [], ["Station", "Berlin"], []]
    path = workbook(tmp_path, {"Notes": [], "Data": [*above, *SALES[:3], [], *SALES[3:]]})
    table = read_table(path)
    assert table.frame["sales"].to_list() == [10.5 + k for k in range(5)]
    assert (table.row(0), table.row(4)) == (6, 11)
    assert table.notes == (
        "sheet 'Data', the only one that holds anything",
        "2 rows before the header left out: 'Sales of the year', 'Station Berlin'",
        "1 empty row left out",
    )


def test_units_below_the_header_are_left_out(tmp_path: Path) -> None:
    rows = [[datetime(2024, 1, 1, 0, 10 * k), 20 + k, 0.5] for k in range(5)]
    path = workbook(tmp_path, {"S": [["time", "temp", "flow"], ["[s]", "°C", "l"], *rows]})
    (series,) = read_readings(path, values=["temp", "flow"])
    assert series.values[:, 0].tolist() == [20, 21, 22, 23, 24]
    assert "1 row below the header left out: '[s] °C l'" in series.notes


def test_numbers_may_be_titles(tmp_path: Path) -> None:
    rows = [["date", 101, 102], *([day, k, 2 * k] for k, day in enumerate(DAYS))]
    assert read_table(workbook(tmp_path, {"S": rows})).frame.columns == ["date", "101", "102"]


def test_errors_are_missing_values_and_are_counted(tmp_path: Path) -> None:
    rows = [*SALES[:2], [DAYS[1], "#N/A"], [DAYS[2], "#DIV/0!"], [DAYS[3], 5], ["#REF!", 6]]
    table = read_table(workbook(tmp_path, {"S": rows}))
    assert table.frame["sales"].to_list() == [10.5, None, None, 5.0, 6.0]
    assert table.frame["date"].null_count() == 1
    assert table.notes == ("3 cells with errors (#N/A, #DIV/0!, #REF!) read as empty",)


def test_formulas_have_the_values_that_were_stored_with_them(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"S": [SALES[0], *([day, "=1+1"] for day in DAYS)]})
    with pytest.raises(InputError, match=r"column 'sales' holds formulas without values \(=1\+1\); open the workbook"):
        read_table(path)
    computed = tmp_path / "computed.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(computed, "w") as new:
        for part in old.infolist():
            content = old.read(part)
            new.writestr(
                part, content.replace(b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>").replace(b"<v />", b"<v>2</v>")
            )
    assert read_table(computed).frame["sales"].to_list() == [2] * 5


def test_one_of_several_sheets_is_named(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"Nord": SALES, "Süd": [["date", "sales"], [DAYS[0], 1], [DAYS[1], 2]]})
    with pytest.raises(
        InputError, match=r"it has 'Nord' \(6 rows\), 'Süd' \(3 rows\); say which with --set sheet=NAME"
    ):
        read_table(path)
    assert read_series(path, sheet="süd").values[0].tolist() == [1, 2]
    with pytest.raises(InputError, match="no sheet 'West'; it has 'Nord'"):
        read_table(path, sheet="West")
    one = read_table(workbook(tmp_path, {"Sheet1": SALES}), sheet="Nord")
    assert one.notes == ("sheet 'Sheet1', as there is no 'Nord'",)


def test_texts_with_labels_and_translations_are_read(tmp_path: Path) -> None:
    rows = [["Reviews of 2024"], [], ["review", "stars"], ["good film", 5], ["bad film", 1], [":-)", 5]]
    texts = read_labelled(workbook(tmp_path, {"S": rows}))
    assert (texts.texts, texts.labels) == (["good film", "bad film", ":-)"], ["5", "1", "5"])
    pairs = [["en", "de"], *([f"A sentence number {k}.", f"Ein Satz Nummer {k}."] for k in range(6))]
    assert pairs_of_table(workbook(tmp_path, {"S": pairs})).target[0] == "Ein Satz Nummer 0."


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"PK\x03\x04 no zip", "not readable as a workbook"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "has a password, or is a workbook of an old kind"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a workbook of another kind than .xlsx"),
        ("a.xls", b"<html><table>", "a workbook of another kind than .xlsx"),
        ("a.xlsx", b"date,sales\n", "not readable as a workbook"),
    ],
)
def test_what_is_no_workbook_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_table(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_zip_that_is_no_workbook_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "table.ods", "w") as packed:
        packed.writestr("content.xml", "<office/>")
    with pytest.raises(InputError, match=r"no workbook in \.xlsx"):
        read_table(tmp_path / "table.ods")
    with pytest.raises(InputError, match="no sheet holds anything"):
        read_table(workbook(tmp_path, {"S": []}))


def test_text_that_a_program_calls_xls_is_read_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "export.xls").write_text("date\tsales\n2024-01-01\t5\n2024-01-02\t6\n", encoding="utf-8")
    assert read_series(tmp_path / "export.xls").values[0].tolist() == [5, 6]


def test_without_openpyxl_it_is_one_line_with_the_command_that_installs_it(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"S": SALES})
    code = (
        "import sys; sys.modules['openpyxl'] = None\n"
        "from memfold.data.sources import read_table; from memfold.errors import InputError\n"
        f"try: read_table({str(path)!r})\nexcept InputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(
        "a workbook, which takes openpyxl: pip install 'memfold[excel]'; or save the sheet as CSV"
    )


def test_several_workbooks_of_one_form_are_one_table(tmp_path: Path) -> None:
    first = workbook(tmp_path, {"S": SALES[:3]}, "a.xlsx")
    second = workbook(tmp_path, {"S": [SALES[0], *SALES[3:]]}, "b.xlsx")
    assert read_table([first, second]).frame.height == 5
    assert isinstance(read_table(first).frame.schema["date"], pl.Date)


def test_a_sheet_with_cells_far_to_the_right_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = openpyxl.Workbook()
    for row in range(1, 4):
        book.active.cell(row, 500, 1.0)
    book.save(tmp_path / "far.xlsx")
    monkeypatch.setattr(workbooks, "MOST_CELLS", 1000)
    with pytest.raises(InputError, match="sheet 'Sheet' has more than 1,000 cells"):
        workbooks.read_workbook(tmp_path / "far.xlsx")
