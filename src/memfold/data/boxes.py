"""Images with boxes around the things in them: COCO's JSON, and Pascal VOC's XML."""

import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, product
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memfold.data.datasets import find
from memfold.data.images import SUFFIXES, UNREADABLE, reason_of
from memfold.data.unreadable import leave_out
from memfold.display import say
from memfold.errors import InputError, shown

__all__ = ["BoxedImages", "boxed", "joined", "load_bccd", "read_boxes", "read_splits", "unboxed"]

VOC_FOLDERS = ("JPEGImages", "images", "")  # below the root, where VOC's images may be
COCO_FOLDERS = ("", "images", "../images")  # beside the JSON file
CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class BoxedImages:
    """Images, and boxes of some classes in each.

    Attributes:
        name: of the source, for errors.
        paths: the image files.
        sizes: width and height of each, in pixels.
        boxes: x, y, width and height of the boxes of each, in pixels, (N, 4); all inside the image.
        labels: the classes of the boxes of each, (N,).
        pixels: red, green and blue of each at a working size, (3, H, W), once `at` has read them.
    """

    name: str
    paths: list[Path]
    sizes: list[tuple[int, int]]
    boxes: list[NDArray[np.float32]]
    labels: list[list[str]]
    pixels: list[NDArray[np.uint8]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def classes(self) -> list[str]:
        """The distinct labels in order."""
        return sorted(set(chain.from_iterable(self.labels)))

    def take(self, rows: Sequence[int]) -> "BoxedImages":
        """Some of the images."""
        return BoxedImages(
            self.name,
            [self.paths[row] for row in rows],
            [self.sizes[row] for row in rows],
            [self.boxes[row] for row in rows],
            [self.labels[row] for row in rows],
            [self.pixels[row] for row in rows] if self.pixels else [],
        )

    def at(self, size: int) -> "BoxedImages":
        """These images with their pixels, ``size`` of them along the longer side.

        Those that cannot be read are left out, and named on standard error.

        Raises:
            InputError: none of them can be read.
        """
        if self.pixels and max(self.pixels[0].shape) == size:
            return self
        pixels: list[NDArray[np.uint8]] = []
        kept: list[int] = []
        broken: list[str] = []
        for row, path in enumerate(self.paths):
            try:
                pixels.append(_scaled(path, self.sizes[row], size))
                kept.append(row)
            except UNREADABLE as error:
                broken.append(f"{path} ({reason_of(error)})")
        leave_out(broken, len(self), "images")
        return replace(self.take(kept), pixels=pixels)

    def numbers(self, classes: Sequence[str]) -> list[NDArray[np.int64]]:
        """The labels by their places among some classes.

        Raises:
            InputError: naming an image with another class.
        """
        places = {label: place for place, label in enumerate(classes)}
        for path, labels in zip(self.paths, self.labels, strict=True):
            for label in labels:
                if label not in places:
                    raise InputError(f"{path}: the class {label!r} was not trained on; known are {', '.join(classes)}")
        return [np.array([places[label] for label in names], np.int64) for names in self.labels]

    def require(self, images: int = 1) -> None:
        """Raise InputError unless so many images have boxes, one or two."""
        count = sum(map(bool, self.labels))
        if not count:
            raise InputError(f"{self.name}: there is no box in any image")
        if count < images:
            raise InputError(f"{self.name}: one image has boxes; two are needed, to learn from one and hold one out")

    def split(self, share: float = 0.1) -> tuple["BoxedImages", "BoxedImages"]:
        """What remains, and a share held out of the images with boxes, one at least, and of those without.

        No class is only among those held out.

        Raises:
            InputError: no or one image with boxes, or in every image a class that no other has.
        """
        self.require(2)
        order = np.random.default_rng(0).permutation(len(self)).tolist()
        boxed = [row for row in order if self.labels[row]]
        empty = [row for row in order if not self.labels[row]]
        held = self._spared(boxed, max(1, round(share * len(boxed)))) + empty[: round(share * len(empty))]
        return self.take([row for row in range(len(self)) if row not in held]), self.take(sorted(held))

    def _spared(self, rows: Sequence[int], count: int) -> list[int]:
        """The first so many rows without which every class remains."""
        left = Counter(label for labels in self.labels for label in set(labels))
        spared: list[int] = []
        for row in rows:
            if len(spared) < count and all(left[label] > 1 for label in self.labels[row]):
                left.subtract(set(self.labels[row]))
                spared.append(row)
        if not spared:
            raise InputError(f"{self.name}: every image has a class that no other has; add images of each class")
        return spared


def joined(parts: Sequence[BoxedImages]) -> BoxedImages:
    """All images of several, without their pixels."""
    return BoxedImages(
        " ".join(dict.fromkeys(part.name for part in parts)),
        [path for part in parts for path in part.paths],
        [size for part in parts for size in part.sizes],
        [boxes for part in parts for boxes in part.boxes],
        [labels for part in parts for labels in part.labels],
    )


def unboxed(paths: Sequence[Path]) -> BoxedImages:
    """Images in which no box is known; those that cannot be read are left out, and named on standard error.

    Raises:
        InputError: none of them can be read.
    """
    return boxed(paths, [[]] * len(paths))


def boxed(paths: Sequence[Path], boxes: Sequence[Any]) -> BoxedImages:
    """Images, and of each a list of its boxes: label, x, y, width and height in pixels.

    Raises:
        InputError: a box of another form, or none of the images can be read.
    """
    gathered = _Gathered("the images")
    for number, (path, given) in enumerate(zip(paths, boxes, strict=True)):
        where = f"boxes of image {number}"
        try:
            things = [(str(label), numbers) for label, *numbers in given]
        except (TypeError, ValueError):
            raise InputError(f"{where}: expected a list of (label, x, y, width, height), got {shown(given)}") from None
        gathered.add(path, None, [(label, _corners(numbers, where)) for label, numbers in things], where)
    return gathered.finished()


def read_boxes(source: str | Path, images: str | Path | None = None) -> BoxedImages:
    """Read images' boxes; of the images themselves only the sizes.

    Boxes are clipped to their image, and those without an area left out, as are COCO's crowds; how many is said on
    standard error, and which images cannot be read and are left out.

    Args:
        source: a COCO file, a folder with one, or a folder in Pascal VOC's layout: XML files in ``Annotations`` and
            images in ``JPEGImages``, or both in one folder. VOC's corners are taken as edges, 0 to width.
        images: the folder of the images; None looks in and beside the source.

    Raises:
        InputError: naming the file, and the line or the entry, of what cannot be read.
    """
    path = Path(source)
    if path.is_file():
        if path.suffix.lower() != ".json":
            raise InputError(f"{path}: expected a COCO file that ends in .json, or a folder of Pascal VOC's XML files")
        return _read_coco(path, images)
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder")
    if names := _voc_names(path):
        return _read_voc(path, names, images)
    files = sorted(path.glob("*.json"))
    if len(files) != 1:
        holds = "several JSON files: name one of them" if files else "no boxes: neither XML nor JSON files"
        raise InputError(f"{path}: holds {holds}")
    return _read_coco(files[0], images)


def read_splits(source: str | Path, images: str | Path | None = None) -> dict[str, BoxedImages]:
    """The parts that VOC's ``ImageSets/Main`` lists: those of ``train``, ``val`` and ``test`` that are there.

    Raises:
        InputError: as `read_boxes`, or a list that names an image without XML.
    """
    root, parts = Path(source), {}
    for split in ("train", "val", "test"):
        file = root / "ImageSets" / "Main" / f"{split}.txt"
        if file.is_file():
            names = [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
            parts[split] = _read_voc(root, names, images, listed=file)
    return parts


def load_bccd() -> tuple[BoxedImages, BoxedImages, BoxedImages]:
    """The official training, test and validation part of the Blood Cell Count and Detection data set.

    Raises:
        InputError: the files are not there.
    """
    folder = find("bccd") / "BCCD"
    parts = read_splits(folder)
    if set(parts) != {"train", "val", "test"}:
        raise InputError(f"{folder / 'ImageSets' / 'Main'}: train.txt, val.txt and test.txt are needed")
    named = {split: replace(part, name=f"@bccd {split}") for split, part in parts.items()}
    return named["train"], named["test"], named["val"]


def _size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from a file's first bytes."""
    with Image.open(path) as image:
        return image.size


def _scaled(path: Path, full: tuple[int, int], size: int) -> NDArray[np.uint8]:
    """An image of a width and a height in red, green and blue, ``size`` pixels along the longer side, (3, H, W)."""
    scale = max(full) / size
    shape = max(1, round(full[0] / scale)), max(1, round(full[1] / scale))
    with Image.open(path) as image:
        image.draft("RGB", shape)  # a JPEG is decoded at a fraction of its size where that is enough
        pixels = np.asarray(image.convert("RGB").resize(shape, Image.Resampling.BILINEAR))
    return pixels.transpose(2, 0, 1).copy()


# -- boxes of one image ----------------------------------------------------------------------------------------

Entry = tuple[str, NDArray[np.float64]]  # a class, and left, top, right and bottom


class _Gathered:
    """What has been read, image by image, and what was not kept."""

    def __init__(self, name: str) -> None:
        self.images = BoxedImages(name, [], [], [], [])
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []

    def add(self, path: Path, declared: tuple[int, int] | None, entries: Sequence[Entry], where: str) -> None:
        try:
            size = _size(path)
        except UNREADABLE as error:
            self.broken.append(f"{path} ({reason_of(error)})")
            return
        if declared is not None and declared != size:
            raise InputError(
                f"{where}: the boxes are for an image of {declared[0]}x{declared[1]} pixels; {path} has "
                f"{size[0]}x{size[1]}"
            )
        boxes, labels = [], []
        for label, corners in entries:
            clipped = np.clip(corners, 0, [*size, *size])
            width, height = clipped[2:] - clipped[:2]
            if width <= 0 or height <= 0:
                self.counts["without an area left out"] += 1
                continue
            self.counts["clipped to the image"] += bool((clipped != corners).any())
            boxes.append([*clipped[:2], width, height])
            labels.append(label)
        self.images.paths.append(path)
        self.images.sizes.append(size)
        self.images.boxes.append(np.array(boxes, np.float32).reshape(-1, 4))
        self.images.labels.append(labels)

    def finished(self) -> BoxedImages:
        """The images; says what was not kept as it was.

        Raises:
            InputError: none of the images can be read.
        """
        leave_out(self.broken, len(self.broken) + len(self.images), "images")
        changes = [f"{count} {'box' if count == 1 else 'boxes'} {what}" for what, count in self.counts.items() if count]
        if changes:
            say(f"{self.images.name}: {', '.join(changes)}")
        return self.images


def _numbers(values: Any, where: str) -> NDArray[np.float64]:
    try:
        numbers = np.array([float(value) for value in values])
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if len(numbers) != 4 or not np.isfinite(numbers).all():
        raise InputError(f"{where}: expected a box of four numbers, got {values}")
    return numbers


def _corners(values: Any, where: str) -> NDArray[np.float64]:
    """Left, top, right and bottom of a box given by its left, top, width and height."""
    x, y, width, height = _numbers(values, where)
    return np.array([x, y, x + width, y + height])


# -- Pascal VOC ------------------------------------------------------------------------------------------------


def _voc_folder(root: Path) -> Path:
    return root / "Annotations" if (root / "Annotations").is_dir() else root


def _voc_names(root: Path) -> list[str]:
    return sorted(path.stem for path in _voc_folder(root).glob("*.xml") if not path.name.startswith("."))


def _read_voc(root: Path, names: Sequence[str], images: str | Path | None, listed: Path | None = None) -> BoxedImages:
    folder = _voc_folder(root)
    places = [root / place for place in VOC_FOLDERS] if images is None else [Path(images)]
    gathered = _Gathered(str(root if listed is None else listed))
    for name in names:
        file = folder / f"{name}.xml"
        if listed is not None and not file.is_file():
            raise InputError(f"{listed}: names {name}, but there is no {file}")
        try:
            tree = ElementTree.parse(file).getroot()
        except ElementTree.ParseError as error:
            raise InputError(f"{file}, line {error.position[0]}: not readable as XML ({error.msg})") from None
        image = _voc_image(file, tree.findtext("filename") or "", places)
        gathered.add(image, _voc_size(tree), list(_voc_entries(file, tree)), str(file))
    return gathered.finished()


def _voc_image(file: Path, name: str, places: Sequence[Path]) -> Path:
    """The image that an XML file names, or else one of the file's own name."""
    wanted = PureWindowsPath(name).name  # which splits at both kinds of slashes
    names = [wanted] if wanted else []
    for suffix in sorted(SUFFIXES):
        names += [file.stem + suffix, file.stem + suffix.upper()]
    for candidate, place in product(names, places):
        if (place / candidate).is_file():
            return place / candidate
    where = ", ".join(str(place) for place in places)
    raise InputError(
        f"{file}: its image {wanted or file.stem} is not in {where} (name the folder with --set images=FOLDER)"
    )


def _voc_size(tree: ElementTree.Element) -> tuple[int, int] | None:
    """As written in the file; None where nothing is, or 0."""
    texts = [tree.findtext(f"size/{name}") or "" for name in ("width", "height")]
    width, height = (int(text) if text.strip().isdigit() else 0 for text in texts)
    return (width, height) if width and height else None


def _voc_entries(file: Path, tree: ElementTree.Element) -> Iterator[Entry]:
    for number, thing in enumerate(tree.iter("object"), start=1):
        where = f"{file}, object {number}"
        label = (thing.findtext("name") or "").strip()
        if not label:
            raise InputError(f"{where}: has no class; expected <name>")
        yield label, _numbers([thing.findtext(f"bndbox/{corner}") for corner in CORNERS], where)


# -- COCO ------------------------------------------------------------------------------------------------------


def _read_coco(path: Path, images: str | Path | None) -> BoxedImages:
    content = _coco_content(path)
    names = {
        _value(entry, "id", path, "category"): _value(entry, "name", path, "category")
        for entry in content["categories"]
    }
    files = {_value(entry, "id", path, "image"): entry for entry in content["images"]}
    entries: dict[Any, list[Entry]] = {key: [] for key in files}
    gathered = _Gathered(str(path))
    for number, annotation in enumerate(content["annotations"], start=1):
        where = f"{path}, annotation {number}"
        image, kind = (_value(annotation, key, path, "annotation") for key in ("image_id", "category_id"))
        if image not in files:
            raise InputError(f"{where}: is for the image {image}, which is not among the images")
        if kind not in names:
            raise InputError(f"{where}: is of the category {kind}, which is not among the categories")
        if annotation.get("iscrowd"):
            gathered.counts["around crowds left out"] += 1
            continue
        entries[image].append((names[kind], _corners(_value(annotation, "bbox", path, "annotation"), where)))
    places = [path.parent / place for place in COCO_FOLDERS] if images is None else [Path(images)]
    for key, entry in files.items():
        file = str(_value(entry, "file_name", path, "image"))
        image_file = next((place / file for place in places if (place / file).is_file()), None)
        if image_file is None:
            where = ", ".join(str(place) for place in places)
            raise InputError(f"{path}: the image {file} is not in {where} (name the folder with --set images=FOLDER)")
        declared = (entry["width"], entry["height"]) if entry.get("width") and entry.get("height") else None
        gathered.add(image_file, declared, entries[key], f"{path}, image {file}")
    return gathered.finished()


def _coco_content(path: Path) -> dict[str, list[Mapping[str, Any]]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path}{where}: not readable as JSON ({error})") from None
    for name in ("images", "annotations", "categories"):
        entries = content.get(name) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InputError(f"{path}: is no COCO file; expected a list of objects {name!r}")
    if not content["images"]:
        raise InputError(f"{path}: names no image")
    return content  # type: ignore[no-any-return]


def _value(entry: Mapping[str, Any], key: str, path: Path, what: str) -> Any:
    if key not in entry:
        raise InputError(f"{path}: the {what} {json.dumps(dict(entry))[:60]} has no {key!r}")
    return entry[key]
