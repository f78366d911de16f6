"""What annotation files of every format say: images, and four numbers a box as they are written."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import isfinite
from pathlib import Path, PureWindowsPath
from typing import Any

from memfold.data.folders import is_file
from memfold.data.labels import listed
from memfold.data.pictures import FOREIGN, SUFFIXES
from memfold.errors import InputError, shown

__all__ = [
    "IMAGES_ELSEWHERE",
    "MOST_PIXELS",
    "PIXELS",
    "REMEDY",
    "SHARES",
    "Annotated",
    "ImageFinder",
    "Reader",
    "Source",
    "around",
    "box_of",
    "number_of",
    "size_of",
]

# layouts of left, top, right and bottom whose unit the format says
PIXELS, SHARES = "pixels", "shares"
MOST_PIXELS = 1e9  # of a side
REMEDY = "export it as COCO (one JSON file) or as Pascal VOC (XML files), as annotation programs and Roboflow can"
IMAGES_ELSEWHERE = "(name the folder with --set images=FOLDER)"
LARGEST_INDEX = 1_000_000  # files that are looked through for images that are not where they should be


@dataclass
class Annotated:
    """An image and its boxes.

    Attributes:
        image: the file.
        declared: its width and height as written beside the boxes; None where they are not.
        where: the boxes are written, for errors.
        labels: of the boxes.
        numbers: four of each, as they are written.
        areas: of each as written; NaN where there is none.
        difficult: whether each is marked so.
    """

    image: Path
    declared: tuple[float, float] | None
    where: str
    labels: list[str] = field(default_factory=list)
    numbers: list[list[float]] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    difficult: list[bool] = field(default_factory=list)

    def add(self, label: str, numbers: list[float], area: float = float("nan"), difficult: bool = False) -> None:
        """Add a box."""
        self.labels.append(label)
        self.numbers.append(numbers)
        self.areas.append(area)
        self.difficult.append(difficult)

    def add_all(self, other: "Annotated") -> None:
        """Add the boxes of another."""
        for name in ("labels", "numbers", "areas", "difficult"):
            getattr(self, name).extend(getattr(other, name))


@dataclass
class Source:
    """What annotation files say.

    Attributes:
        name: of the file or folder, for errors.
        images: with their boxes.
        layout: of the four numbers, where the format says it: ``xyxy``, ``xywh``, `PIXELS` or `SHARES`; else ``auto``.
        whole: whether every number is written as a whole one.
        broken: files of boxes, and images that are not there or other ones, each with the reason.
        unreadable: images that cannot be read, each with the reason.
        counts: of boxes that are not kept as they are written, by what is done.
        notes: what else there is to say.
        places: in which images were looked for.
        alone: whether no other source says anything of the images there.
        stems: the names of the files of boxes, those that cannot be read among them.
    """

    name: str
    images: list[Annotated] = field(default_factory=list)
    layout: str = "auto"
    whole: bool = True
    broken: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    places: list[Path] = field(default_factory=list)
    alone: bool = False
    stems: set[str] = field(default_factory=set)

    def put_together(self, entries: Sequence[Annotated]) -> None:
        """Take images with their boxes, those of a file that is listed twice together."""
        by_file: dict[Path, Annotated] = {}
        twice: set[Path] = set()
        for annotated in entries:
            first = by_file.setdefault(annotated.image.resolve(), annotated)
            if first is not annotated:
                twice.add(annotated.image)
                first.add_all(annotated)
        self.images = list(by_file.values())
        if twice:
            self.notes.append(f"the boxes of images listed twice are put together: {listed(map(str, sorted(twice)))}")


Reader = Callable[[], Source]


def box_of(values: Any, where: str) -> list[float]:
    """Four numbers.

    Raises:
        InputError: they are something else.
    """
    try:
        numbers = [float(value) for value in values if not isinstance(value, bool | str | bytes)]
        fits = not isinstance(values, str | bytes | Mapping) and len(values) == 4
    except (TypeError, ValueError, OverflowError):
        numbers, fits = [], False
    if not fits or len(numbers) != 4 or not all(map(isfinite, numbers)):
        raise InputError(f"{where}: expected a box of four numbers, got {shown(values)}")
    return numbers


def number_of(text: str | None) -> float:
    """A number in plain digits; NaN where a text is none.

    >>> number_of("1.5"), number_of("1_0")
    (1.5, nan)
    """
    try:
        return float(text) if text is not None and text.isascii() and "_" not in text else float("nan")
    except ValueError:
        return float("nan")


def size_of(texts: Sequence[str | None], where: str) -> tuple[float, float] | None:
    """Width and height as written; None where nothing is, or 0.

    Raises:
        InputError: something else than numbers is written.
    """
    width, height = (number_of(text.strip()) if text and text.strip() else 0.0 for text in texts)
    if not (isfinite(width) and isfinite(height) and width >= 0 and height >= 0):
        raise InputError(f"{where}: expected width and height in pixels, got {shown(list(texts))}")
    return (width, height) if width and height else None


def around(points: Sequence[Sequence[float]]) -> list[float]:
    """Left, top, right and bottom of points ``(x, y)``.

    >>> around([(3, 4), (1, 9), (2, 2)])
    [1, 2, 3, 9]
    """
    across, down = [point[0] for point in points], [point[1] for point in points]
    return [min(across), min(down), max(across), max(down)]


class ImageFinder:
    """Looks for images by what annotation files call them.

    Args:
        places: folders that they are looked for in, by the path that is written and then by the file's name.
        root: a folder through which an image is looked for that is in none of these; None for none.
    """

    def __init__(self, places: Sequence[Path], root: Path | None = None) -> None:
        self.places = list(dict.fromkeys(places))
        self.root = root
        self.elsewhere: set[Path] = set()  # folders that images were found in by their names alone
        self._index: dict[str, list[Path]] | None = None

    def find(self, written: str, where: str, stem: str = "", what: str = "the image") -> Path:
        """The file of an image.

        Args:
            written: its path, of whatever system.
            where: it is written, for errors.
            stem: a name without its ending, which serves where there is no such path; a written path without one too.
            what: it is, for errors.

        Raises:
            InputError: there is none, or two of the name.
        """
        plain = written.strip().removeprefix("file://")
        name = PureWindowsPath(plain).name  # which splits at both kinds of slashes
        names = list(dict.fromkeys(each for each in (plain, plain.replace("\\", "/"), name) if each))
        stems = [stem] if stem else []
        if name and PureWindowsPath(name).suffix.lower() not in {*SUFFIXES, *FOREIGN}:
            stems.insert(0, name)
        for base, suffix in product(stems, (*sorted(SUFFIXES), *FOREIGN)):
            names += [base + suffix, base + suffix.upper()]
        for candidate, place in product(names, self.places):
            if is_file(place / candidate):
                return place / candidate
        if below := self._below(names):
            return below
        places = ", ".join(str(place) for place in self.places)
        missing = shown(written.strip() or stem).strip("'")
        raise InputError(f"{where}: {what} {missing} is not in {places} {IMAGES_ELSEWHERE}")

    def _below(self, names: Sequence[str]) -> Path | None:
        """A file of one of the names somewhere below the root."""
        if self.root is None:
            return None
        if self._index is None:
            self._index = {}
            for count, path in enumerate(self.root.rglob("*")):
                if count > LARGEST_INDEX:
                    break
                if path.suffix.lower() in SUFFIXES:
                    self._index.setdefault(path.name, []).append(path)
        for name in names:
            paths = self._index.get(PureWindowsPath(name).name, [])
            if len(paths) > 1:
                tail = Path(name.replace("\\", "/")).parts
                paths = [path for path in paths if len(tail) > 1 and path.parts[-2:] == tail[-2:]] or paths
            if len(paths) > 1:
                raise InputError(
                    f"{listed(map(str, sorted(paths)))}: all bear the name {name}; {IMAGES_ELSEWHERE[1:-1]}"
                )
            if paths:
                self.elsewhere.add(paths[0].parent)
                return paths[0]
        return None

    def notes(self) -> list[str]:
        """What to say of images that were not where they should be."""
        if not self.elsewhere:
            return []
        return [f"images are taken by their names from {listed(map(str, sorted(self.elsewhere)))}"]
