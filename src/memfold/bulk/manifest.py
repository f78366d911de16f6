"""The record of a bulk run: ``_manifest.jsonl``, a line for each file, written once its answers are on the disk."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memfold.display import say
from memfold.errors import InputError
from memfold.system import sync_names

__all__ = ["MANIFEST", "Manifest"]

MANIFEST = "_manifest.jsonl"


class Manifest:
    """The manifest of a folder, which is read and then added to.

    What a crash left of a last line is cut off.

    Attributes:
        lines: the last line of each input, by its path.

    Raises:
        InputError: it cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST
        self.lines: dict[str, dict[str, Any]] = {}
        try:
            content = self.path.read_bytes() if self.path.exists() else b""
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(self.path, whole)
            self._file = open(self.path, "ab")  # noqa: SIM115
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be used ({error.strerror or error}); choose another folder"
            ) from None
        sync_names(folder)
        for number, text in enumerate(content[:whole].splitlines(), 1):
            try:
                line = json.loads(text)
                self.lines[str(line["input"])] = line
            except (ValueError, TypeError, LookupError, RecursionError):
                say(f"{self.path}, line {number}: is no line of a manifest and is passed over")

    def add(self, line: Mapping[str, Any]) -> None:
        """Add a line and have it reach the disk."""
        try:
            text = json.dumps(line, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # a path that is no text
            text = json.dumps(line).encode()
        self._file.write(text + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.lines[str(line["input"])] = dict(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
