"""YOLO's data sets: data.yaml or obj.data, which name the images of the parts and the classes, or folders alone."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

from memfold.data.annotations.source import Reader
from memfold.data.annotations.yolo import (
    ClassNames,
    classes_beside,
    is_labels,
    label_files,
    pictures_below,
    read_yolo,
)
from memfold.data.folders import PARTS, is_file, is_folder, part_named
from memfold.data.labels import listed
from memfold.data.pictures import SUFFIXES
from memfold.data.texts import read_lines, read_text
from memfold.errors import InputError, shown

__all__ = ["find_set_file", "find_yolo", "parts_of_set"]

KEYS = {"train": ("train",), "valid": ("val", "valid", "validation"), "test": ("test",)}
MOST_CLASSES = 100_000


def find_set_file(root: Path) -> Path | None:
    """The file in a folder that describes a data set, such as data.yaml; None where there is none.

    Raises:
        InputError: there are several.
    """
    files = [path for path in sorted(root.iterdir()) if is_file(path) and not path.name.startswith(".")]
    sets = [path for path in files if path.suffix.lower() in (".yaml", ".yml") and _describes(path)]
    sets = sets or [path for path in files if path.suffix.lower() == ".data" and _describes(path)]
    if len(sets) > 1:
        raise InputError(f"{root}: holds several data sets' files: name one of them: {listed(p.name for p in sets)}")
    return sets[0] if sets else None


def _describes(path: Path) -> bool:
    try:
        return bool({"train", "val", "names"} & _content(path).keys())
    except InputError:
        return False


def parts_of_set(file: Path) -> dict[str, Reader]:
    """How to read the parts that a data set's file names, by `memfold.data.folders.PARTS`.

    Args:
        file: ``data.yaml``, or ``obj.data`` as Darknet has it.

    Raises:
        InputError: naming the key that does not fit, or an image list that is not there.
    """
    content = _content(file)
    root, notes = _root(file, content)
    readers: dict[str, Reader] = {}
    said: list[str]
    names = _names(content, file, root)
    keypoints = _keypoints(content)
    for part in PARTS:
        values = [content[key] for key in KEYS[part] if content.get(key)]
        if not values:
            continue
        said = list(notes)
        pictures: list[Path] = []
        missing: list[str] = []
        for written in values[0] if isinstance(values[0], list) else [values[0]]:
            if not isinstance(written, str):
                raise InputError(f"{file}: expected a folder or a list of images as {part!r}, got {shown(written)}")
            place = _place(written, file.parent, root)
            if place is None:
                missing.append(written)
                continue
            if not any(place == folder / written for folder in (root, file.parent)):
                said.append(f"{written} is not there; {place} is taken")
            pictures += _pictures(place, root)
        if missing and not pictures:
            if part != "train":
                notes.append(f"its part {part} is not there and is left out: {listed(missing)}")
                continue
            raise InputError(f"{file}: its part {part}, {listed(missing)}, is not there; correct the path in the file")
        if missing:
            said.append(f"of its part {part} is not there and left out: {listed(missing)}")
        if not pictures:
            raise InputError(f"{file}: its part {part} holds no images")
        readers[part] = partial(_read, file, part, pictures, names, keypoints, said)
    if not readers:
        raise InputError(f"{file}: names no images; expected train and val, each a folder or a list of images")
    return readers


def _read(
    file: Path, part: str, pictures: Sequence[Path], names: dict[int, str], keypoints: int, notes: Sequence[str]
) -> Any:
    return read_yolo(f"{file} {part}", pictures, ClassNames(names, keypoints), notes)


def find_yolo(root: Path, images: str | Path | None = None) -> Reader | None:
    """How to read a folder of images and the text files of their boxes; None where it is none.

    The files lie beside the images, or below ``labels`` as the images do below ``images``.
    """
    folder = root / "images" if is_folder(root / "images") else root
    if images is not None:
        folder = Path(images)
    pictures = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES] if is_folder(folder) else []
    if not pictures:
        return None
    beside = [folder, root / "labels", folder.parent / "labels", folder.parent.parent / "labels" / folder.name]
    if not any(is_labels(file) for place in beside for file in label_files(place)):
        return None
    named = [root, *(place for place in beside if is_folder(place)), root.parent, folder.parent, root.parent.parent]
    classes = classes_beside([*named, root.parent / "labels", root.parent.parent / "labels"])
    if not classes.names:
        described = (find_set_file(place) for place in dict.fromkeys([root, *root.parents[:2]]))
        classes = next((ClassNames(_names(_content(file), file, file.parent)) for file in described if file), classes)
    return lambda: read_yolo(str(root), pictures_below(folder), classes)


# -- what the file says ----------------------------------------------------------------------------------------


def _content(path: Path) -> dict[str, Any]:
    text = read_text(path)
    if path.suffix.lower() == ".data":
        pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
        return {key.strip(): value.strip() for key, value in pairs}
    import yaml  # type: ignore[import-untyped]  # pictures in folders are read without it

    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)  # every value a text, so that a class may be called no
    except (yaml.YAMLError, ValueError, RecursionError, LookupError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        reason = getattr(error, "problem", None) or type(error).__name__
        raise InputError(f"{path}{line}: not readable as YAML ({reason})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected the keys train, val and names of YOLO's data.yaml, got {shown(content)}")
    return {str(key): value for key, value in content.items() if value not in ("", "~", "null", "None")}


def _root(file: Path, content: dict[str, Any]) -> tuple[Path, list[str]]:
    """The folder that paths start at, and what to say of it."""
    path = content.get("path")
    if not isinstance(path, str) or not path.strip():
        return file.parent, []
    for place in (file.parent / path, Path(path)):
        if is_folder(place):
            return place, []
    name = PureWindowsPath(path.replace("\\", "/").rstrip("/")).name
    if name and is_folder(file.parent / name):
        return file.parent / name, []
    return file.parent, [f"its path {path} is not there; the file's folder is taken"]


def _place(written: str, beside: Path, root: Path) -> Path | None:
    """The folder or file that a path means: from the root or beside the file, or, of one that was written for another
    place, what its end names there."""
    candidates = [root / written, beside / written]
    parts = [part for part in PureWindowsPath(written.strip()).parts if part not in (".", "..")]
    for start in range(len(parts)):
        alone = start == len(parts) - 1 > 0  # a name such as images may be that of any part
        if not alone or part_named(parts[start]) or "." in parts[start]:
            candidates += [root / Path(*parts[start:]), beside / Path(*parts[start:])]
    return next((place for place in candidates if is_folder(place) or is_file(place)), None)


def _pictures(place: Path, root: Path) -> list[Path]:
    """The images in a folder, or those that a list names."""
    if is_folder(place):
        below = place / "images" if is_folder(place / "images") and not _any_picture(place) else place
        return pictures_below(below)
    if place.suffix.lower() in SUFFIXES:
        return [place]
    pictures = []
    for line in read_lines(place):
        if line.strip():
            found_at = _place(line, place.parent, root)
            pictures.append(found_at if found_at is not None else root / line.strip())  # which is named as missing
    return pictures


def _any_picture(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())


def _names(content: dict[str, Any], file: Path, root: Path) -> dict[int, str]:
    """The names of the classes by number."""
    given = content.get("names")
    if isinstance(given, str):  # a file of names, as Darknet has it
        place = _place(given, file.parent, root)
        if place is None or not is_file(place):
            raise InputError(f"{file}: its names, {given}, are not there")
        given = [line.strip() for line in read_lines(place) if line.strip()]
    if given is None:
        return classes_beside([root, file.parent]).names
    if isinstance(given, list):
        given = dict(enumerate(given))
    fits = isinstance(given, dict) and 0 < len(given) <= MOST_CLASSES
    fits = fits and all(isinstance(name, str) for name in given.values())
    if not fits or not all(str(key).isdecimal() for key in given):
        raise InputError(f"{file}: expected the names of the classes as a list or by number, got {shown(given)}")
    names = {int(key): str(name).strip() for key, name in given.items()}
    count = content.get("nc", content.get("classes"))
    if str(count).isdecimal() and int(str(count)) != len(names):
        raise InputError(
            f"{file}: {int(str(count)):,} classes by nc, and {len(names):,} names; correct one of them: "
            f"{listed(names.values())}"
        )
    if twice := sorted({name for name in names.values() if list(names.values()).count(name) > 1}):
        raise InputError(f"{file}: several classes are called {listed(twice)}; give each a name of its own")
    return names


def _keypoints(content: dict[str, Any]) -> int:
    """How many numbers of key points follow each box."""
    shape = content.get("kpt_shape")
    if not isinstance(shape, list) or len(shape) != 2 or not all(str(n).isdecimal() and len(n) < 4 for n in shape):
        return 0
    return int(shape[0]) * int(shape[1])
