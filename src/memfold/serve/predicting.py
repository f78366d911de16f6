"""Whole inputs by HTTP: what ``memfold predict`` answers to a file, of a request's body."""

import csv
import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memfold.data.containers import HEAD, container_of
from memfold.errors import InputError, shown
from memfold.extras import TASKS_OF
from memfold.serve.hosting import Version
from memfold.tasks.parameters import keywords_of, parse_settings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TAKES", "answered", "predicted"]

# What the body of a request may be, by the extra that a task is in. A table never names files of the server: a model of
# sound or pictures takes the sound or the picture itself.
TAKES = {
    "series": ("text/csv", "application/json", "application/vnd.apache.parquet"),
    "text": ("text/plain", "text/csv", "application/json"),
    "audio": ("audio/wav", "audio/flac", "audio/mpeg", "audio/ogg"),
    "vision": ("image/png", "image/jpeg", "image/webp", "image/bmp"),
}
TABLES = {
    "text/csv": ".csv",
    "text/plain": ".txt",
    "application/json": ".csv",
    "application/vnd.apache.parquet": ".parquet",
}
PICTURES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp", b"BM": ".bmp"}
SOUNDS = {"WAV": ".wav", "FLAC": ".flac", "MP3": ".mp3", "Ogg": ".ogg"}
NAME = "input"


def predicted(version: Version, body: bytes, kind: str, options: Mapping[str, str]) -> dict[str, Any]:
    """A model's answer to a request: ``rows`` of a table or ``text``.

    Args:
        kind: the content's type, without parameters.
        options: of the address, as ``--set`` takes them.

    Raises:
        InputError: it is nothing that the model takes, or an option that it does not have.
    """
    task = version.task
    family = next(extra for extra, names in TASKS_OF.items() if task.name in names)
    suffix = _suffix(body, kind, family)
    # A text might be the name of a file of the server.
    texts = ("prompt", "stop")  # which are none
    allowed = {n: hint for n, hint in keywords_of(task.answers).items() if "str" not in str(hint) or n in texts}
    settings = parse_settings(allowed, f"a request to a {task.name} model", [f"{k}={v}" for k, v in options.items()])
    with tempfile.TemporaryDirectory(prefix="memfold-") as folder:
        if kind == "application/json":
            body, suffix = _from_json(body, family)
        file = Path(folder) / f"{NAME}{suffix}"
        file.write_bytes(body)
        try:
            with version.busy:
                return answered(task.answers([str(file)], **settings), str(file))
        except InputError as error:
            raise InputError(str(error).replace(str(file), NAME).replace(folder, "")) from None


def answered(answers: "pl.DataFrame | Iterator[str]", file: str) -> dict[str, Any]:
    """A table as ``rows``, pieces as ``text``; the name of the file they come from is of no use to a client."""
    if isinstance(answers, Iterator):
        return {"text": "".join(answers)}
    rows: list[dict[str, Any]] = answers.to_dicts()
    return {"rows": [{key: NAME if value == file else value for key, value in row.items()} for row in rows]}


def _suffix(body: bytes, kind: str, family: str) -> str:
    """Of the file that a body is written to: by its type, of sound and pictures by its first bytes."""
    if not body:
        raise InputError("the body is empty")
    suffix: str | None = TABLES.get(kind) if kind in TAKES[family] else None
    if family == "vision":
        suffix = next((suffix for head, suffix in PICTURES.items() if body.startswith(head)), None)
        suffix = None if suffix == ".webp" and body[8:12] != b"WEBP" else suffix
    elif family == "audio":
        container = container_of(body[:HEAD])
        suffix = SOUNDS.get(container.name) if container else None
    if suffix is None:
        what = f"Content-Type {shown(kind)}" if family in ("series", "text") else "what the body holds"
        raise InputError(f"{what} is not taken; expected one of {', '.join(TAKES[family])}")
    return suffix


def _from_json(body: bytes, family: str) -> tuple[bytes, str]:
    """JSON as a file that the task reads, and its suffix: rows with the same names, or of text also strings."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is not readable as JSON ({str(error)[:100]})") from None
    rows = given.get("rows", given.get("texts")) if isinstance(given, dict) else given
    if not isinstance(rows, list) or not rows:
        raise InputError('expected {"rows": [{"NAME": VALUE, ...}, ...]}, or of texts {"texts": ["...", ...]}')
    if family == "text" and all(isinstance(row, str) for row in rows):
        return "".join(f"{' '.join(row.splitlines())}\n" for row in rows).encode(), ".txt"
    if not all(isinstance(row, dict) for row in rows):
        raise InputError("expected rows that are objects with the same names")
    names = list(rows[0])
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    for number, row in enumerate(rows, start=1):
        if list(row) != names and set(row) != set(names):
            raise InputError(f"row {number} has other names than the first one")
        if any(isinstance(value, list | dict) for value in row.values()):
            raise InputError(f"row {number} holds more than texts and numbers")
        writer.writerow([_cell(row[name]) for name in names])
    return text.getvalue().encode(), ".csv"


def _cell(value: Any) -> Any:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value
