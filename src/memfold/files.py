"""Files and folders that are whole or absent, whatever interrupts their writing; imports nothing heavy.

A file is filled in a folder ``.NAME.PID`` beside its place, and moved there once it is on the disk. A folder's files
are filled in ``.writing.PID`` inside it, which becomes ``.written`` once all of them are on the disk. From then on they
are the folder's files: whoever reads or writes it next moves the rest of them into place. As the folder itself is never
moved, it may be the current one, a mount point, or behind a symlink.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from memfold.errors import InputError, shown
from memfold.system import process_runs, sync, sync_names

__all__ = [
    "FolderKind",
    "check_file",
    "check_folder",
    "check_new_folder",
    "read_json",
    "settle",
    "sha256",
    "sweep",
    "write_file",
    "write_folder",
    "write_into",
]

CONFIG = "config.json"
_WRITING, _WRITTEN, _REMOVED = "writing", ".written", ".removed"


@dataclass(frozen=True)
class FolderKind:
    """Which folders may be written over.

    Attributes:
        what: they hold, for a person.
        owns: whether a ``config.json``, an object of JSON, is one of theirs.
        names: the files that they may hold.
        unfinished: a file that marks a folder without ``config.json`` as one of them.
    """

    what: str
    owns: Callable[[dict[str, Any]], bool]
    names: frozenset[str]
    unfinished: str | None = None


def sha256(file: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def read_json(file: Path) -> Any:
    """The value in a file of JSON that says nothing twice.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file cannot be read, is not JSON, is nested too deep, or gives a name two values.
    """
    try:
        return json.loads(file.read_bytes(), object_pairs_hook=_once)
    except FileNotFoundError:
        raise
    except RecursionError:
        raise InputError(f"{file}: not readable as JSON (nested too deep)") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable as JSON ({error})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{shown(next(name for name in names if names.count(name) > 1))} is given twice")
    return entries


def check_file(path: Path) -> None:
    """Make sure, before the work, that a file can be written at ``path``.

    Raises:
        InputError: its folder is not there or not writable, or something else than a file has its name.
    """
    with _as_input_errors(path):
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "no ordinary file"
            raise InputError(f"{path}: is {what}; give the name of a file to write")
        folder = path.resolve().parent  # a symlink stays one, and what it names is written
        if not folder.is_dir():
            raise InputError(f"{path}: there is no folder {folder}; make it first, or choose another")
        _probe(folder)


def check_new_folder(path: Path) -> None:
    """Make sure, before the work, that nothing is at ``path`` but perhaps an empty folder.

    Raises:
        InputError: something is there, or the folder around it cannot be written to.
    """
    with _as_input_errors(path):
        if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
            raise InputError(f"{path}: is there already; give the name of a new or an empty folder")
        _probe(path if path.exists() else next(p for p in path.absolute().parents if p.exists()))


def write_into(path: Path, content: bytes) -> None:
    """Write a file into a folder, which is made where it is not there.

    Raises:
        InputError: it cannot be written.
    """
    with _as_input_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def check_folder(path: Path, kind: FolderKind) -> None:
    """Make sure, before the work, that a folder of this kind can be written at ``path``.

    What an interrupted writing left there is brought to its end where all of it was on the disk, else removed.

    Raises:
        InputError: something else is there, or it cannot be written.
    """
    with _as_input_errors(path):
        if path.is_symlink() and not path.exists():
            raise InputError(
                f"{path}: is a symlink to {os.readlink(path)}, which is not there; make that folder, or choose another"
            )
        if path.exists():
            if not path.is_dir():
                raise InputError(f"{path}: is a file; give the name of a folder")
            _refuse_foreign(path, kind)
            _probe(path)
            settle(path)
            sweep(path, {*kind.names, _WRITING})
        else:
            nearest = next(p for p in path.absolute().parents if p.exists() or p.is_symlink())
            if not nearest.is_dir():
                raise InputError(f"{path}: {nearest} is not a folder; choose another")
            _probe(nearest)


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Have ``write`` fill a file in a folder beside ``path``, sync it to the disk, and only then move it to its place.

    The folder also takes what ``write`` puts beside its file, as safetensors does while it writes.

    Raises:
        InputError: the file could not be written; what stood at ``path`` before is untouched.
    """
    check_file(path)
    place = path.resolve()
    sweep(place.parent, {place.name})
    aside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        aside.mkdir()
        write(aside / place.name)
        sync(aside / place.name)
        os.replace(aside / place.name, place)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be written ({error}); what was there before is untouched") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    sync_names(place.parent)


def write_folder(path: Path, kind: FolderKind, write: Callable[[Path], None], *, keep: Collection[str] = ()) -> None:
    """Have ``write`` fill an empty folder; its files then take the place of those that ``path`` held.

    Args:
        keep: files in ``path`` that stay when ``write`` makes none of that name.

    Raises:
        InputError: ``path`` holds something else, or cannot be written; what stood there before is untouched.
    """
    check_folder(path, kind)
    made = not path.exists()
    aside = path / f".{_WRITING}.{os.getpid()}"
    try:
        aside.mkdir(parents=True)
        write(aside)
        for name in kind.names - {file.name for file in aside.iterdir()} - set(keep):
            if (path / name).exists():
                (aside / f"{name}{_REMOVED}").touch()
        for file in aside.iterdir():
            sync(file)
        sync_names(aside)
        os.replace(aside, path / _WRITTEN)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be written ({error}); what was there before is untouched") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if made:
            with suppress(OSError):  # holds the files, unless they could not be written
                path.rmdir()
    sync_names(path)
    settle(path)


def settle(path: Path) -> None:
    """Bring the writing of a folder to its end that was interrupted after all of it had reached the disk.

    Raises:
        InputError: it was, and the folder cannot be written now.
    """
    written = path / _WRITTEN
    if written.is_symlink() or not written.is_dir():
        return
    try:
        for file in sorted(written.iterdir()):
            with suppress(FileNotFoundError):  # another process is at it as well
                if file.suffix == _REMOVED:
                    (path / file.stem).unlink(missing_ok=True)
                    file.unlink()
                else:
                    os.replace(file, path / file.name)
        with suppress(FileNotFoundError):
            written.rmdir()
    except OSError as error:
        raise InputError(
            f"{path}: its writing was interrupted and cannot be brought to its end ({error}); make it writable"
        ) from None
    sync_names(path)


@contextmanager
def _as_input_errors(path: Path) -> Iterator[None]:
    """What the system refuses while a path is looked at, as an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be used ({error.strerror or error}); choose another") from None


def _refuse_foreign(path: Path, kind: FolderKind) -> None:
    left = {file.name for file in _leftovers(path, {*kind.names, _WRITING})}
    present = {file.name for file in path.iterdir()} - left
    if _WRITTEN in present and not (path / _WRITTEN).is_symlink() and (path / _WRITTEN).is_dir():
        present.remove(_WRITTEN)
        present |= {file.name.removesuffix(_REMOVED) for file in (path / _WRITTEN).iterdir()}
    foreign = sorted(present - kind.names)
    if not foreign and present and kind.unfinished not in present and not _is_owned(path, kind):
        foreign = [CONFIG if CONFIG in present else min(present)]
    if foreign:
        raise InputError(f"{path}: holds {foreign[0]!r}, which is not part of a {kind.what}; choose another folder")


def _is_owned(path: Path, kind: FolderKind) -> bool:
    for file in (path / _WRITTEN / CONFIG, path / CONFIG):
        if file.is_file():
            try:
                config = read_json(file)
            except InputError:
                return False
            return isinstance(config, dict) and kind.owns(config)
    return False


def _probe(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{folder}: nothing can be written there ({error.strerror}); make it writable, or choose another folder"
        ) from None


def _leftovers(folder: Path, names: Collection[str]) -> Iterator[Path]:
    """What writings of files by these names have not yet moved to its place."""
    for file in folder.iterdir():
        match = re.fullmatch(r"\.(.+)\.\d+", file.name)
        if match and match[1] in names and not file.is_symlink():
            yield file


def sweep(folder: Path, names: Collection[str]) -> None:
    """Remove what processes that are no more left of writing files by these names into a folder."""
    for file in list(_leftovers(folder, names)):
        if not _runs(int(file.suffix[1:])):
            if file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Whether another process than this one has this number."""
    return process != os.getpid() and process_runs(process)
