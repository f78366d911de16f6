"""Tables of answers, and scores, as the commands write and print them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from memfold.display import Terminal, answer, score_table
from memfold.errors import InputError

if TYPE_CHECKING:
    import polars as pl

    from memfold.tasks.report import Report
    from memfold.tasks.updating.outcome import Outcome

__all__ = ["check_table", "print_report", "print_update", "write_table", "write_text"]


def check_table(out: Path | None) -> None:
    """Refuse a name that says of no kind of table."""
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise InputError(f"{out}: expected a name that ends in .csv or .parquet")


def write_table(answers: "pl.DataFrame", out: Path | None) -> None:
    """Write answers into a file, or as CSV on standard output."""
    from memfold.files import write_file

    if out is None:
        answer(answers.write_csv())
        return
    write_file(out, answers.write_parquet if out.suffix == ".parquet" else answers.write_csv)


def write_text(path: Path, pieces: Iterator[str]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(pieces)


def print_report(report: "Report", as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.as_json()))
        return
    console = Terminal()
    console.print(score_table({"memfold": report.metrics, **report.baselines}, report.data, report.better))
    for item in report.shown:
        console.print(item)


def print_update(report: "Report | None", compared: "Outcome | None", as_json: bool) -> None:
    """The scores of an update beside the baselines, and before and after."""
    if compared is None:
        return
    if as_json:
        print(json.dumps({**({} if report is None else report.as_json()), "from": compared.as_json()}))
        return
    if report is not None:
        print_report(report, as_json=False)
    if rows := compared.rows():
        Terminal().print(score_table(rows, f"went on from {compared.model}", compared.better))
