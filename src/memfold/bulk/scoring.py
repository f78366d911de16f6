"""One file of a bulk run: read, answered, written, and described in a line for the manifest."""

import copy
import io
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memfold import engine
from memfold.bulk.loading import loaded, one_thread
from memfold.errors import InputError
from memfold.files import sha256, write_file

if TYPE_CHECKING:
    from memfold.tasks.model import Task

__all__ = ["Scored", "Scoring", "SeriesNames", "Unit", "is_done", "names_of"]

TABLES = (".csv", ".parquet")  # that answers are written as
SUBTITLES = ("srt", "vtt")
SAME = ("size", "sha256", "model", "settings")  # of an input, in two lines of the manifest


@dataclass(frozen=True)
class Unit:
    """A file to answer to.

    Attributes:
        path: of the file, from the root.
        name: of the file with the answers, to which an ending is added where it says of no table or text.
        earlier: what the manifest has of it.
    """

    path: str
    name: str
    earlier: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Scored:
    """What was done.

    Attributes:
        line: for the manifest.
        again: whether the answers were there already.
    """

    line: Mapping[str, Any]
    again: bool = False


@dataclass(frozen=True)
class Scoring:
    """The work on each file.

    Attributes:
        model, fingerprint: its folder, and its SHA-256.
        out: folder for the answers.
        settings: of the task's ``answers``.
    """

    model: str
    fingerprint: str
    out: str
    settings: Mapping[str, Any]

    def __call__(self, unit: Unit) -> Scored:
        """Answer to a file, unless that was done before.

        Raises:
            InputError: the model cannot be loaded.
            ModuleNotFoundError: a package is not installed.
        """
        one_thread()
        begun = time.perf_counter()
        path, notes = Path(unit.path), io.StringIO()
        line: dict[str, Any] = {"input": unit.path}
        try:
            line |= {"size": path.stat().st_size, "sha256": sha256(path)}
        except OSError as error:
            line["error"] = f"{path}: cannot be read ({error.strerror or error})"
        line |= {"model": self.fingerprint, "settings": dict(self.settings)}
        if unit.earlier is not None and is_done(unit.earlier, line, Path(self.out)):
            return Scored(unit.earlier, again=True)
        if "error" not in line:
            task = loaded(self.model, self.fingerprint)
            one_thread()  # once more: the model may have brought torch
            if "gallery" in self.settings:  # which is added to the model
                task = copy.deepcopy(task)
            with redirect_stderr(notes):
                line |= self._answered(task, unit)
        if said := notes.getvalue().splitlines():
            line["notes"] = said
        seconds = round(time.perf_counter() - begun, 4)
        return Scored({**line, "isa": engine.isa(), "seconds": seconds, "host": socket.gethostname()})

    def _answered(self, task: "Task", unit: Unit) -> dict[str, Any]:
        """Have the answers written; what the manifest says of them, or the error."""
        try:
            answers = task.answers([unit.path], **self.settings)
            kind = str(self.settings.get("times", ""))
            ending = f".{kind}" if kind in SUBTITLES else ".txt"
            place = Path(self.out) / output_name(unit.name, text=isinstance(answers, Iterator), ending=ending)
            if isinstance(answers, Iterator):
                rows = _write_text(place, answers)
            else:
                rows = answers.height
                write_file(place, answers.write_parquet if place.suffix == ".parquet" else answers.write_csv)
        except ModuleNotFoundError:
            raise
        except InputError as error:
            return {"error": str(error)}
        except Exception as error:
            return {"error": f"{unit.path}: {type(error).__name__}: {error}"}
        return {"rows": rows, "output": place.name, "output_size": place.stat().st_size, "output_sha256": sha256(place)}


def is_done(earlier: Mapping[str, Any], line: Mapping[str, Any], out: Path) -> bool:
    """Whether an earlier line says of the same file, model and settings, and its answers are still there and whole."""
    if any(earlier.get(name) != line.get(name) for name in SAME) or not isinstance(earlier.get("output"), str):
        return False
    place = out / earlier["output"]
    try:
        return place.stat().st_size == earlier.get("output_size") and sha256(place) == earlier.get("output_sha256")
    except OSError:
        return False


def output_name(name: str, *, text: bool, ending: str = ".txt") -> str:
    """The name of a file with answers: that of the input where it fits what is written.

    Args:
        ending: of a text.

    >>> output_name("a.parquet", text=False), output_name("a.png", text=False), output_name("a.txt", text=True)
    ('a.parquet', 'a.png.csv', 'a.txt')
    """
    if text:
        return name if Path(name).suffix == ending else f"{name}{ending}"
    return name if Path(name).suffix in TABLES else f"{name}.csv"


def names_of(name: str) -> set[str]:
    """The names that answers to a file of this name may have."""
    endings = (".txt", *(f".{kind}" for kind in SUBTITLES))
    return {output_name(name, text=False), *(output_name(name, text=True, ending=ending) for ending in endings)}


def _write_text(place: Path, pieces: Iterator[str]) -> int:
    """Write pieces of text; returns the number of lines."""
    content = "".join(pieces)
    write_file(place, lambda aside: _fill(aside, content))
    return content.count("\n")


def _fill(file: Path, content: str) -> None:
    file.write_text(content, encoding="utf-8", newline="")


@dataclass(frozen=True)
class SeriesNames:
    """The work on each file before the scoring: the names of the series in it.

    Attributes:
        column: that holds them.
        encoding: of text files; None finds it.
        sheet: of workbooks; None takes the only one that holds anything.
    """

    column: str
    encoding: str | None = None
    sheet: str | None = None

    def __call__(self, unit: Unit) -> Sequence[str]:
        """The names; none where the file has no such column, or cannot be read, which the scoring will say."""
        import polars as pl

        from memfold.data.sources import read_table

        try:
            if os.path.splitext(unit.path)[1].lower() == ".parquet":
                with open(unit.path, "rb") as file:
                    names = pl.read_parquet(file, columns=[self.column])[self.column]
            else:
                with redirect_stderr(io.StringIO()):
                    frame = read_table(unit.path, self.encoding, sheet=self.sheet).frame
                if self.column not in frame.columns:
                    return ()
                names = frame[self.column]
        except (InputError, OSError, pl.exceptions.PolarsError):
            return ()
        return names.cast(pl.String, strict=False).drop_nulls().unique().to_list()
