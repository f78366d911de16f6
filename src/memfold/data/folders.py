"""Files of a kind in folders, and folders that name what is in them."""

from collections.abc import Collection, Iterator
from pathlib import Path

from memfold.errors import InputError

__all__ = ["files_at", "files_below", "labelled_folders"]


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files in a folder and below it whose names end so, in order; hidden ones are left out.

    Args:
        suffixes: in lower case, with their dots; of a file's name the case does not matter.
    """
    files = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return sorted(path for path in files if path.is_file())


def files_at(path: Path, suffixes: Collection[str], what: str) -> list[Path]:
    """A file itself, whatever its name; of a folder `files_below` it.

    Args:
        what: is sought, for errors.

    Raises:
        InputError: there is nothing, or a folder without any.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder")
    if files := files_below(path, suffixes):
        return files
    raise InputError(f"{path}: holds no {what}")


def labelled_folders(root: Path, suffixes: Collection[str]) -> Iterator[tuple[str, list[Path]]]:
    """The folders in a folder by name, each with its `files_below`; hidden ones are left out."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        yield folder.name, files_below(folder, suffixes)
