"""The lists by which Speech Commands is split: the files to validate on and to score, by command and name."""

from dataclasses import replace
from pathlib import Path

from memfold.data.commands import Recordings
from memfold.data.folders import is_file, is_folder
from memfold.data.texts import read_lines
from memfold.display import say
from memfold.errors import InputError

__all__ = ["LISTS", "parts_by_lists"]

LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}  # Warden 2018, sec. 7
NAMED = 3  # files, the first ones


def parts_by_lists(recordings: Recordings, root: Path) -> dict[str, Recordings]:
    """The parts of a split that lists in a folder name; nothing where there are none.

    All of the background is with what is to train on.

    Raises:
        InputError: two lists name a file, or nothing is left to train on.
    """
    lists = {part: root / name for part, name in LISTS.items() if is_folder(root) and is_file(root / name)}
    if not lists:
        return {}
    places = {"/".join(Path(str(path)).parts[-2:]): row for row, path in enumerate(recordings.paths)}
    rows: dict[str, set[int]] = {}
    for part, file in lists.items():
        names = [line.strip().replace("\\", "/").removeprefix("./") for line in read_lines(file) if line.strip()]
        missing = [name for name in names if name not in places]
        rows[part] = {places[name] for name in names if name in places}
        if missing:
            more = ", ..." if len(missing) > NAMED else ""
            named = ", ".join(missing[:NAMED]) + more
            say(f"{file}: {len(missing):,} of {len(names):,} recordings are not there: {named}")
    if both := sorted(rows.get("valid", set()) & rows.get("test", set())):
        raise InputError(f"{root}: both lists name {recordings.paths[both[0]]}; a recording is in one part")
    listed = set().union(*rows.values())
    rest = [row for row in range(len(recordings.paths)) if row not in listed]
    if not rest:
        raise InputError(f"{root}: its lists name every recording, and none is left to train on")
    chosen = {"train": rest, **{part: sorted(its) for part, its in rows.items() if its}}
    return {
        part: replace(recordings.take(its), background=recordings.background if part == "train" else ())
        for part, its in chosen.items()
    }
