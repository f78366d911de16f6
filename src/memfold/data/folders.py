"""Files of a kind in folders, folders that name what is in them, and folders that are the parts of a split."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from memfold.data.labels import plural_of
from memfold.display import say
from memfold.errors import InputError

__all__ = [
    "KEPT_APART",
    "PARTS",
    "by_part",
    "files_at",
    "files_below",
    "is_file",
    "is_folder",
    "labelled_folders",
    "left_out_below",
    "part_named",
    "say_parts",
    "split_folders",
    "visible_folders",
]

PARTS = {"train": "to train on", "valid": "to validate on", "test": "to score"}
KEPT_APART = ", and the part to score is kept apart"
PART_NAMES = re.compile(
    r"(?:(?P<train>train(?:ing)?)|(?P<valid>val(?:id(?:ation)?)?|dev)|(?P<test>test(?:ing)?))"
    r"(?:[ _-]?(?:set|data|images|\d{4}))?"
)
SUFFIXES_SHOWN = 4  # kinds of files that are left out, the most frequent ones


def is_file(path: Path) -> bool:
    """Whether there is a file; there is none by a name that no file system takes."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder; there is none by a name that no file system takes."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files in a folder and below it whose names end so, in order; hidden files and folders are left out.

    Args:
        suffixes: in lower case, with their dots; of a file's name the case does not matter.
    """
    return [path for path in _files_below(folder) if path.suffix.lower() in suffixes and not _hidden(path, folder)]


def left_out_below(folder: Path, suffixes: Collection[str]) -> str:
    """How many files there are that `files_below` does not give, and of which kinds; nothing where there are none."""
    others = [path for path in _files_below(folder) if path.suffix.lower() not in suffixes or _hidden(path, folder)]
    if not others:
        return ""
    kinds = Counter("hidden" if _hidden(path, folder) else path.suffix.lower() or "no suffix" for path in others)
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(SUFFIXES_SHOWN))
    more = ", ..." if len(kinds) > SUFFIXES_SHOWN else ""
    return f"{len(others)} other {'file' if len(others) == 1 else 'files'} ({shown}{more})"


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_file_or_dangles(path))


def _is_file_or_dangles(path: Path) -> bool:
    """Whether there is a file, or a link to one that is not there, which is named when it cannot be read."""
    return is_file(path) or (path.is_symlink() and not is_folder(path))


def _hidden(path: Path, root: Path) -> bool:
    return any(name.startswith(".") for name in path.relative_to(root).parts)


def files_at(path: Path, suffixes: Collection[str], what: str) -> list[Path]:
    """A file itself, whatever its name; of a folder `files_below` it.

    Args:
        what: is sought, for errors.

    Raises:
        InputError: there is nothing, or a folder without any.
    """
    if is_file(path):
        return [path]
    if not is_folder(path):
        raise InputError(f"{path}: no such file or folder")
    if files := files_below(path, suffixes):
        return files
    raise InputError(f"{path}: holds no {what}")


def visible_folders(root: Path) -> list[Path]:
    """The folders in a folder by name; hidden ones are left out."""
    return sorted(path for path in root.iterdir() if is_folder(path) and not path.name.startswith("."))


def labelled_folders(root: Path, suffixes: Collection[str]) -> Iterator[tuple[str, list[Path]]]:
    """The folders in a folder by name, each with its `files_below`; hidden ones are left out."""
    for folder in visible_folders(root):
        yield folder.name, files_below(folder, suffixes)


# -- splits --------------------------------------------------------------------------------------------------


def part_named(name: str) -> str | None:
    """The part of a split that a name stands for, one of `PARTS`.

    >>> [part_named(name) for name in ("Train", "val2017", "validation_set", "dev", "testing", "trainer")]
    ['train', 'valid', 'valid', 'valid', 'test', None]
    """
    match = PART_NAMES.fullmatch(name.strip().casefold())
    return next(part for part in PARTS if match[part]) if match else None


def by_part(paths: Sequence[Path], root: Path) -> dict[str, Path]:
    """Files or folders by the part of a split that their names stand for; others are not among them.

    Raises:
        InputError: two stand for the same part.
    """
    parts: dict[str, Path] = {}
    for path in paths:
        if (part := part_named(path.name)) is None:
            continue
        if part in parts:
            raise InputError(
                f"{root}: {parts[part].name!r} and {path.name!r} are both the part {PARTS[part]}; "
                "put them together, or give their folders one by one"
            )
        parts[part] = path
    return {part: parts[part] for part in PARTS if part in parts}


def split_folders(
    root: Path, suffixes: Collection[str], what: str, kind: str, flat: bool = False, apart: Collection[Path] = ()
) -> dict[str, Path]:
    """The folders that are the parts of a split, such as ``train``, ``val`` and ``test``; none where it is no split.

    They are looked for in a folder, or one deeper where nothing else is in it.

    Args:
        suffixes: of the files.
        what: these files hold, such as images, for errors.
        kind: what a folder in a part stands for, such as a class, for errors.
        flat: whether a part holds its files directly, as their names say what is in them, rather than in folders.
        apart: folders that are neither parts nor classes.

    Raises:
        InputError: the folders may as well be classes that bear these names, or two are the same part.
    """
    aside = {path.resolve() for path in apart}
    folders = [folder for folder in visible_folders(root) if folder.resolve() not in aside and _holds(folder, suffixes)]
    named = [folder for folder in folders if part_named(folder.name)]
    others = [folder for folder in folders if folder not in named]
    beside = _files_directly(root, suffixes)
    if not named:
        only = len(others) == 1 and not beside
        return split_folders(others[0], suffixes, what, kind, flat, apart) if only else {}
    if flat:
        return {} if beside or (others and len(named) == 1) else by_part(named, root)
    deep = [folder for folder in named if any(_holds(sub, suffixes) for sub in visible_folders(folder))]
    shallow = [folder for folder in named if folder not in deep]
    if not deep and others and not any(part_named(folder.name) == "test" for folder in shallow):
        return {}  # such as the class of trains, beside that of buses
    if not deep or (others and len(deep) == 1):
        names = " and ".join(repr(folder.name) for folder in named)
        other = f" beside {others[0].name!r}" if others else ""
        labels = plural_of(kind)
        raise InputError(
            f"{root}: {names}{other} can be read in two ways: as parts of a split, with a folder for each {kind}, "
            f"or as {labels} of these names, with {what} inside; put a folder for each {kind} into each part and "
            "nothing beside the parts, or rename the folders"
        )
    for folder in shallow:
        say(f"{folder}: holds {what} without a folder for each {kind} and is left out; memfold predict takes it")
    if others:
        names = ", ".join(folder.name for folder in others)
        say(f"{root}: a split; beside its parts, {names} {'is' if len(others) == 1 else 'are'} left out")
    return by_part(deep, root)


def _holds(folder: Path, suffixes: Collection[str]) -> bool:
    """Whether there are `files_below` a folder."""
    files = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and not _hidden(path, folder))
    return any(is_file(path) for path in files)


def _files_directly(folder: Path, suffixes: Collection[str]) -> bool:
    files = (path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return any(is_file(path) for path in files)


def say_parts(root: Path | str, counts: Mapping[str, int], what: str, more: str = "") -> None:
    """Show which parts of a split are used for what."""
    shown = ", ".join(f"{PARTS[part]} {count:,}" for part, count in counts.items())
    say(f"{root}: a split: {what} {shown}{more}")
