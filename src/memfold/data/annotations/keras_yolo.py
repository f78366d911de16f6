"""The annotations of keras-yolo3 and its kin: a line for each image, its path and then its boxes."""

import re
from functools import partial
from math import isfinite
from pathlib import Path

from memfold.data.annotations.source import PIXELS, Annotated, ImageFinder, Reader, Source, number_of
from memfold.data.annotations.yolo import classes_beside, read_yolo
from memfold.data.pictures import FOREIGN, SUFFIXES
from memfold.data.texts import read_lines
from memfold.errors import InputError

__all__ = ["is_lines", "is_list", "read_lines_of_boxes", "reader_of_text"]

BOX = r"-?[\d.]+(?:,-?[\d.]+){3},[^\s,]+"
LINE = re.compile(rf"(?P<path>\S.*?)(?P<boxes>(?:\s+{BOX})*)\s*", re.ASCII)
LOOKED_AT = 20  # lines


def is_lines(file: Path) -> bool:
    """Whether one of the first lines of a text file is a path and boxes."""
    return any(match["boxes"] for line in _first(file) if (match := LINE.fullmatch(line)))


def is_list(file: Path) -> bool:
    """Whether the first lines of a text file are paths of images alone."""
    lines = _first(file)
    return bool(lines) and all(Path(line.strip()).suffix.lower() in {*SUFFIXES, *FOREIGN} for line in lines)


def _first(file: Path) -> list[str]:
    try:
        with open(file, encoding="utf-8-sig", errors="replace") as opened:
            lines = [opened.readline(1 << 16) for _ in range(LOOKED_AT)]
    except (OSError, ValueError):
        return []
    return [line for line in lines if line.strip()]


def reader_of_text(file: Path, images: str | Path | None = None) -> Reader | None:
    """How to read a text file of lines of boxes, or a list of images that have YOLO's labels; None if it is neither."""
    if is_lines(file):
        return partial(read_lines_of_boxes, file, images)
    return partial(_read_list, file, images) if is_list(file) else None


def read_lines_of_boxes(file: Path, images: str | Path | None = None) -> Source:
    """What a file says whose lines are ``path x1,y1,x2,y2,class x1,y1,x2,y2,class``.

    Args:
        images: the folder of the images; None starts from the file's folder, and looks below it by name.
    """
    classes = classes_beside([file.parent, file.parent / "model_data", file.parent.parent])
    source = Source(str(file), layout=PIXELS, places=_places(file, images))
    finder = ImageFinder(source.places, file.parent if images is None else None)
    entries = []
    for number, line in enumerate(read_lines(file), start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        match = LINE.fullmatch(line)
        try:
            if match is None:
                raise InputError(f"{where}: expected a path and boxes x1,y1,x2,y2,class, got {line[:60]!r}")
            annotated = Annotated(finder.find(match["path"], where), None, where)
            for box in match["boxes"].split():
                *corners, label = box.split(",")
                numbers = [number_of(corner) for corner in corners]
                if not all(map(isfinite, numbers)):
                    raise InputError(f"{where}: expected four numbers and a class, got {box[:60]!r}")
                name = classes.of(label) if classes.names or isfinite(number_of(label)) else label
                if name is not None:
                    annotated.add(name, numbers)
        except InputError as error:
            source.broken.append(str(error))
            continue
        entries.append(annotated)
    source.put_together(entries)
    source.notes += [*finder.notes(), *classes.notes()]
    labels = {label for annotated in entries for label in annotated.labels}
    if labels and not classes.names and all(label.isdecimal() for label in labels):
        source.notes.append("no classes.txt lies beside it, so that the numbers of the classes are their names")
    return source


def _places(file: Path, images: str | Path | None) -> list[Path]:
    return [file.parent, file.parent / "images", file.parent.parent] if images is None else [Path(images)]


def _read_list(file: Path, images: str | Path | None = None) -> Source:
    """A list of images, whose boxes are in YOLO's text files."""
    finder = ImageFinder(_places(file, images), file.parent if images is None else None)
    pictures: list[Path] = []
    missing: list[str] = []
    for number, line in enumerate(read_lines(file), start=1):
        if line.strip():
            try:
                pictures.append(finder.find(line, f"{file}, line {number}"))
            except InputError as error:
                missing.append(str(error))
    folders = dict.fromkeys(folder for picture in pictures for folder in (picture.parent, *picture.parents[1:3]))
    classes = classes_beside([file.parent, *folders])
    source = read_yolo(str(file), pictures, classes, finder.notes())
    source.broken += missing
    return source
