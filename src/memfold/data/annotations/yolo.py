"""YOLO's annotations: a text file for each image, with the centres and sides of boxes as shares of the image."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from memfold.data.annotations.source import SHARES, Annotated, Source, around, number_of
from memfold.data.folders import files_below, is_file, is_folder
from memfold.data.labels import with_counts
from memfold.data.pictures import FOREIGN, SUFFIXES
from memfold.data.texts import read_lines
from memfold.errors import InputError

__all__ = ["CLASS_LISTS", "ClassNames", "classes_beside", "is_labels", "label_files", "pictures_below", "read_yolo"]

# files of class names, a line a class, which are no labels of an image
CLASS_LISTS = ("classes.txt", "_classes.txt", "obj.names", "_darknet.labels", "class_names.txt", "labels.txt",
               "predefined_classes.txt", "names.txt", "coco.names", "voc.names", "classes.names")  # fmt: skip
NOT_LABELS = {*CLASS_LISTS, "readme.txt", "readme.roboflow.txt", "readme.dataset.txt", "notes.txt", "train.txt",
              "val.txt", "valid.txt", "test.txt", "_annotations.txt"}  # fmt: skip
SLACK = 0.1  # of a share beyond 0 and 1, as boxes reach beyond their image
NAMED = 3  # files, the first ones


@dataclass
class ClassNames:
    """The names of classes that files give by their numbers.

    Attributes:
        names: by number; empty where nothing names them, and the numbers are the names.
        keypoints: how many numbers of key points follow each box.
        beyond: the numbers that have no name, with how many boxes.
    """

    names: dict[int, str] = field(default_factory=dict)
    keypoints: int = 0
    beyond: Counter[str] = field(default_factory=Counter)

    def of(self, text: str) -> str | None:
        """The name of a class given by its number or its name; None, and counted, where there is none."""
        number = number_of(text)
        if not isfinite(number) and text in self.names.values():
            return text
        if isfinite(number) and number == int(number) >= 0:
            name = self.names.get(int(number)) if self.names else str(int(number))
            if name is not None:
                return name
        self.beyond[text] += 1
        return None

    def notes(self) -> list[str]:
        """What to say of boxes of classes without a name."""
        if not self.beyond:
            return []
        what = f"{self.beyond.total():,} boxes of classes without a name are left out: {with_counts(self.beyond)}"
        return [what.replace("1 boxes of classes", "1 box of a class", 1) if self.beyond.total() == 1 else what]


def classes_beside(folders: Iterable[Path]) -> ClassNames:
    """The names in the first list of classes in one of some folders."""
    for folder in folders:
        for file in sorted(folder.iterdir()) if is_folder(folder) else ():
            listed = file.name.lower() in CLASS_LISTS or file.suffix.lower() == ".names"
            if listed and is_file(file) and not is_labels(file):
                lines = [line.strip() for line in read_lines(file)]
                return ClassNames(dict(enumerate(line for line in lines if line)))
    return ClassNames()


def is_labels(file: Path) -> bool:
    """Whether the first line of a text file is that of a box or a polygon."""
    try:
        with open(file, encoding="utf-8-sig") as opened:
            line = next((line for line in opened if line.strip()), "")
    except (OSError, ValueError):
        return False
    fields = line.split()
    return len(fields) >= 5 and all(isfinite(number_of(text)) for text in fields[1:])


def label_files(folder: Path) -> list[Path]:
    """The text files of a folder that may hold the labels of an image."""
    if not is_folder(folder):
        return []
    files = (path for path in folder.iterdir() if path.suffix.lower() == ".txt" and not path.name.startswith("."))
    return sorted(path for path in files if path.name.lower() not in NOT_LABELS)


def labels_of(image: Path) -> Path:
    """Where the labels of an image are: below ``labels`` in place of the last ``images``, else beside it."""
    parts = [part.lower() for part in image.parts[:-1]]
    if "images" in parts:
        place = len(parts) - 1 - parts[::-1].index("images")
        below = image.parts[place + 1 : -1]
        for name in ("labels", "Labels"):
            folder = Path(*image.parts[:place], name, *below)
            if is_folder(folder):
                return folder / f"{image.stem}.txt"
    return image.with_suffix(".txt")


def read_yolo(name: str, pictures: Sequence[Path], classes: ClassNames, notes: Sequence[str] = ()) -> Source:
    """The boxes of images, of each those in the text file of its name.

    An image without such a file has no boxes, as YOLO takes it; which they are is said.

    Args:
        name: of the source.
        pictures: the images, files.
        classes: their names.
        notes: what else there is to say.
    """
    source = Source(name, layout=SHARES, notes=list(notes))
    source.places = list(dict.fromkeys(picture.parent for picture in pictures))
    unlabelled: list[Path] = []
    used: set[Path] = set()
    there: dict[Path, dict[str, Path]] = {}
    for picture in pictures:
        labels = labels_of(picture)
        if labels.parent not in there:
            there[labels.parent] = {path.stem: path for path in label_files(labels.parent)}
        file = there[labels.parent].get(picture.stem)
        annotated = Annotated(picture, None, str(file or picture))
        source.stems.add(picture.stem)
        if file is None:
            unlabelled.append(picture)
        else:
            used.add(file)
            try:
                _add_boxes(annotated, file, classes, source)
            except InputError as error:
                source.broken.append(str(error))
                continue
        source.images.append(annotated)
    labels_there = {file for files in there.values() for file in files.values()}
    alone = sorted(file for file in labels_there - used if is_labels(file))
    source.notes += _of_files(unlabelled, "image", "no file of labels, and is taken as without a thing in it")
    source.notes += _of_files(alone, "file of labels", "no image, and is left out")
    source.notes += classes.notes()
    if not classes.names and any(annotated.labels for annotated in source.images):
        source.notes.append(f"no names of the classes were found, so that their numbers are their names ({_lists()})")
    return source


def _lists() -> str:
    return "data.yaml or classes.txt would hold them"


def _of_files(files: Sequence[Path], what: str, has: str) -> list[str]:
    """How many files have something, the first of them by name."""
    if not files:
        return []
    more = ", ..." if len(files) > NAMED else ""
    named = ", ".join(map(str, files[:NAMED])) + more
    if len(files) == 1:
        return [f"1 {what} has {has}: {named}"]
    plural = what.replace("file ", "files ") if " " in what else f"{what}s"
    return [f"{len(files):,} {plural} have {has.replace('and is', 'and are')}: {named}"]


def _add_boxes(annotated: Annotated, file: Path, classes: ClassNames, source: Source) -> None:
    """Add the boxes in a file of labels."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable ({error})") from None
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        where = f"{file}, line {number}"
        values = [number_of(text) for text in fields[1:]]
        if len(values) < 4 or not all(map(isfinite, values)):
            raise InputError(f"{where}: expected a class and the shares x y width height, got {line.strip()[:60]!r}")
        corners = _corners(values, classes, source, where)
        label = classes.of(fields[0])
        if label is not None:
            annotated.add(label, corners)


def _corners(values: list[float], classes: ClassNames, source: Source, where: str) -> list[float]:
    """Left, top, right and bottom as shares, of a centre and sides or of a polygon."""
    polygon = len(values) >= 6 and len(values) % 2 == 0 and len(values) != 4 + classes.keypoints
    shares = values if polygon else values[:4]
    if min(shares) < -SLACK or max(shares) > 1 + SLACK:
        raise InputError(
            f"{where}: expected shares of the image from 0 to 1, as YOLO has them, got {max(shares, key=abs):g}; "
            "boxes in pixels can be read as a table with xmin, ymin, xmax, ymax"
        )
    if polygon:
        source.counts["drawn around polygons"] += 1
        return around(list(zip(values[::2], values[1::2], strict=True)))
    if len(values) == 5:
        source.counts["with a further number (such as a score), which is not used"] += 1
    elif len(values) > 5 and not classes.keypoints:
        raise InputError(f"{where}: expected a box (5 numbers) or a polygon, got {1 + len(values)} numbers")
    x, y, width, height = shares
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def pictures_below(folder: Path) -> list[Path]:
    """The images in a folder and below it, those of kinds that are not read among them, to be named."""
    return files_below(folder, {*SUFFIXES, *FOREIGN})
