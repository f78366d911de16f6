"""Which files a bulk run is about, and what their answers are called."""

import glob
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memfold.bulk.scoring import Unit, names_of
from memfold.data.datasets import names_set
from memfold.display import say
from memfold.errors import InputError

__all__ = ["expanded", "is_pattern", "units_of"]

NAMED = 20  # of the files that match a pattern


def is_pattern(text: str) -> bool:
    """Whether an input is a pattern of names; a path that exists is that path."""
    return glob.has_magic(text) and not os.path.lexists(text)


def expanded(inputs: Sequence[str], out: Path) -> list[str]:
    """The files that paths and patterns name, each once, from the root; what matched a pattern is said.

    Args:
        out: folder for the answers, which no pattern reaches into.

    Raises:
        InputError: a pattern that nothing matches, something else than a file, or a known data set.
    """
    files: dict[str, None] = {}
    for text in inputs:
        if names_set(text):
            raise InputError(f"{text}: a known data set is no file; leave out what makes a run of many files")
        if is_pattern(text):
            matched = _matched(text, out)
            more = f" and {len(matched) - NAMED:,} more" if len(matched) > NAMED else ""
            say(f"{text}: {len(matched):,} files: {', '.join(matched[:NAMED])}{more}")
        else:
            matched = [text]
        for path in matched:
            if os.path.isdir(path):
                raise InputError(f"{path}: is a folder; give its files, such as {glob.escape(path.rstrip('/'))}/*")
            if not os.path.exists(path):
                raise InputError(f"{path}: no such file")
            files[os.path.abspath(path)] = None
    if not files:
        raise InputError("no file is given")
    return list(files)


def _matched(pattern: str, out: Path) -> list[str]:
    within = out.resolve()
    matched = [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
    outside = [path for path in matched if within not in Path(path).resolve().parents]
    if not outside:
        inside = f" but {len(matched):,} files with answers in {out}" if matched else ""
        raise InputError(f"{pattern}: no file matches{inside}; put a pattern between quotes")
    return sorted(outside)


def units_of(files: Sequence[str], earlier: Mapping[str, Mapping[str, Any]]) -> list[Unit]:
    """The units of work, with names of answers that do not overwrite one another.

    The name is that of the file; where another file's answers have it, or had it in an earlier run, a part of the hash
    of the path is put before the ending.

    Args:
        earlier: what the manifest has of files, by path.
    """
    taken = {str(line["output"]).casefold(): path for path, line in earlier.items() if "output" in line}
    units = []
    for path in files:
        name = os.path.basename(path)
        if any(taken.get(each.casefold(), path) != path for each in names_of(name)):  # as some file systems compare
            stem, ending = os.path.splitext(name)
            name = f"{stem}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}{ending}"
        taken |= {each.casefold(): path for each in names_of(name)}
        units.append(Unit(path, name, earlier.get(path)))
    return units
