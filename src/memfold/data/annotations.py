"""Files that say where things are in images: COCO's JSON, and Pascal VOC's XML, as they are written."""

import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import isfinite
from pathlib import Path, PureWindowsPath
from typing import Any

from memfold.data.folders import by_part, is_file, is_folder, part_named, visible_folders
from memfold.data.labels import listed
from memfold.data.pictures import FOREIGN, SUFFIXES
from memfold.errors import InputError, shown

__all__ = ["Annotated", "Source", "box_of", "find_parts", "find_source", "read_source"]

VOC_FOLDERS = ("JPEGImages", "images", "")  # below the root, where VOC's images may be
COCO_FOLDERS = ("annotations", "Annotations", "labels")  # of JSON files, beside folders of images
CORNERS = ("xmin", "ymin", "xmax", "ymax")
FAULTS = 5  # that are named at once
MOST_PIXELS = 1e9  # of a side
CONVERT = "export it as COCO (one JSON file) or as Pascal VOC (XML files), as annotation programs and Roboflow can"


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


@dataclass
class Source:
    """What annotation files say.

    Attributes:
        name: of the file or folder, for errors.
        images: with their boxes.
        layout: of the four numbers, where the format says it: ``xyxy``; else ``auto``.
        whole: whether every number is written as a whole one.
        broken: XML files, and images that are not there or other ones, each with the reason.
        unreadable: images that cannot be read, each with the reason.
        counts: of boxes that are not kept as they are written, by what is done.
        notes: what else there is to say.
        places: in which images were looked for.
        alone: whether no other source says anything of the images there.
        stems: the names of the XML files, those that cannot be read among them.
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


# -- where they are --------------------------------------------------------------------------------------------

Reader = Callable[[], Source]


def read_source(path: Path, images: str | Path | None = None) -> Source:
    """What a COCO file, a folder with one, or a folder of Pascal VOC's XML files says.

    Args:
        images: the folder of the images; None looks in and beside the source.

    Raises:
        InputError: naming the file, and the line or the entry, of what cannot be read; or what is there instead.
    """
    if is_file(path):
        if path.suffix.lower() != ".json":
            remedy = f"; {CONVERT}" if path.suffix.lower() in (".csv", ".txt", ".yaml", ".yml", ".xml", ".zip") else ""
            raise InputError(
                f"{path}: expected a COCO file that ends in .json, or a folder of Pascal VOC's XML files{remedy}"
            )
        return _read_coco(path, images)
    if not is_folder(path):
        raise InputError(f"{path}: no such file or folder")
    reader = find_source(path, images)
    if reader is None:
        raise InputError(f"{path}: {_what_else(path)}")
    source = reader()
    source.alone = True
    return source


def find_source(root: Path, images: str | Path | None = None) -> Reader | None:
    """How to read the boxes that lie in a folder; None where there are none, or several JSON files."""
    if names := _voc_names(root):
        return lambda: _read_voc(root, names, images)
    for folder in (root, *(root / name for name in COCO_FOLDERS)):
        files = _json_files(folder) if is_folder(folder) else []
        if files:
            return _coco_reader(files[0], images) if len(files) == 1 else None
    below = visible_folders(root)
    return find_source(below[0], images) if len(below) == 1 else None


def find_parts(root: Path, images: str | Path | None = None) -> dict[str, Reader]:
    """How to read the parts of a split, by `memfold.data.folders.PARTS`; nothing where a folder is no split.

    Lists in VOC's ``ImageSets/Main`` name the images of each, or files such as ``instances_train.json`` hold its boxes,
    or folders such as ``train``, ``valid`` and ``test`` do, or the folders in ``annotations`` or ``labels``.

    Raises:
        InputError: two stand for the same part.
    """
    if not is_folder(root):
        return {}
    lists = _named_by_part((root / "ImageSets" / "Main").glob("*.txt"), root)
    if len(lists) > 1 and _voc_names(root):
        return {part: _voc_reader(root, file, images) for part, file in lists.items()}
    for folder in (root, *(root / name for name in COCO_FOLDERS)):
        files = _json_files(folder) if is_folder(folder) else []
        things = [file for file in files if file.stem.startswith("instances")]  # beside captions and key points
        parts = _named_by_part(things or files, root)
        if len(parts) > 1:
            return {part: _coco_reader(file, images) for part, file in parts.items()}
    if find_source(root) is not None:
        return {}
    for folder in (root, *(root / name for name in (*COCO_FOLDERS, "images"))):
        if is_folder(folder):
            readers = {path: find_source(path, _images_beside(path, root, images)) for path in visible_folders(folder)}
            parts = by_part([path for path, reader in readers.items() if reader is not None], root)
            if parts:
                return {part: reader for part, path in parts.items() if (reader := readers[path]) is not None}
    below = visible_folders(root)
    return find_parts(below[0], images) if len(below) == 1 else {}


def _images_beside(folder: Path, root: Path, images: str | Path | None) -> str | Path | None:
    """The images of a part whose boxes are in a folder apart: ``images/train`` for ``annotations/train``."""
    beside = root / "images" / folder.name
    return beside if images is None and folder.parent not in (root, root / "images") and is_folder(beside) else images


def _named_by_part(files: Iterable[Path], root: Path) -> dict[str, Path]:
    """Files by the part that a word in their names stands for; lists of single classes are not among them."""
    named: dict[str, Path] = {}
    for file in sorted(files):
        words = file.stem.replace("-", "_").replace(".", "_").split("_")
        if file.suffix == ".txt":
            words = [file.stem]
        for word in words:
            if part := part_named(word):
                if part in named:
                    raise InputError(f"{root}: {named[part].name} and {file.name} both name a part; give one by one")
                named[part] = file
                break
    return named


def _voc_reader(root: Path, file: Path, images: str | Path | None) -> Reader:
    return lambda: _read_voc(root, _names_in(file), images, listed_in=file)


def _coco_reader(file: Path, images: str | Path | None) -> Reader:
    return lambda: _read_coco(file, images)


def _json_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))


def _what_else(root: Path) -> str:
    """What a folder without boxes that can be read holds instead."""
    files = _json_files(root)
    if files and "shapes" in _peek(files[0]):
        return f"holds labelme's files, not read: {CONVERT}"
    if files:
        return f"holds several JSON files: name one of them: {listed(file.name for file in files)}"
    for pattern, kind in (("*.txt", "text files of boxes, as YOLO has them"), ("*.csv", "a table")):
        if (other := next(iter(sorted(root.rglob(pattern))), None)) is not None:
            return f"holds {kind} ({other.name}), not read: {CONVERT}"
    below = [path.name for path in visible_folders(root) if find_source(path) is not None]
    found = f"; name one of the folders {listed(below)}" if below else ""
    return f"holds no boxes: neither XML nor JSON files{found}"


def _peek(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ()


# -- Pascal VOC ------------------------------------------------------------------------------------------------


def _voc_folder(root: Path) -> Path:
    return root / "Annotations" if is_folder(root / "Annotations") else root


def _voc_names(root: Path) -> list[str]:
    return sorted(path.stem for path in _voc_folder(root).glob("*.xml") if not path.name.startswith("."))


def _names_in(file: Path) -> list[str]:
    """The first word of every line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable ({error})") from None
    return [line.split()[0] for line in lines if line.strip()]


def _read_voc(root: Path, names: Sequence[str], images: str | Path | None, listed_in: Path | None = None) -> Source:
    folder = _voc_folder(root)
    places = [root / place for place in VOC_FOLDERS] if images is None else [Path(images)]
    source = Source(str(root if listed_in is None else listed_in), layout="xyxy", places=places, stems=set(names))
    if listed_in is not None:
        missing = [name for name in names if not is_file(folder / f"{name}.xml")]
        if missing:
            what = f"{listed(missing)}, but there is no {folder / f'{missing[0]}.xml'}"
            raise InputError(f"{listed_in}: names {what}")
    for name in names:
        file = folder / f"{name}.xml"
        try:
            source.images.append(_voc_image(file, places, source))
        except InputError as error:
            source.broken.append(str(error))
    return source


def _voc_image(file: Path, places: Sequence[Path], source: Source) -> Annotated:
    try:
        tree = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{file}, line {error.position[0]}: not readable as XML ({error.msg})") from None
    except (OSError, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"{file}: not readable as XML ({error})") from None
    image = _voc_file(file, tree.findtext("filename") or "", places)
    annotated = Annotated(image, _voc_size(file, tree), str(file))
    for number, thing in enumerate(tree.iter("object"), start=1):
        where = f"{file}, object {number}"
        label = (thing.findtext("name") or "").strip()
        if not label:
            raise InputError(f"{where}: has no class; expected <name>")
        texts = [thing.findtext(f"bndbox/{corner}") for corner in CORNERS]
        numbers = [_number(text) for text in texts]
        if not all(isfinite(number) for number in numbers):
            raise InputError(f"{where}: expected a box of four numbers, got {shown(texts)}")
        annotated.labels.append(label)
        annotated.numbers.append(numbers)
        annotated.areas.append(float("nan"))
        annotated.difficult.append((thing.findtext("difficult") or "").strip().lower() in ("1", "true", "yes"))
        source.whole = source.whole and all(number == int(number) for number in numbers)
    return annotated


def _number(text: str | None) -> float:
    """A number in plain digits; NaN where a text is none."""
    try:
        return float(text) if text is not None and text.isascii() and "_" not in text else float("nan")
    except ValueError:
        return float("nan")


def _voc_file(file: Path, name: str, places: Sequence[Path]) -> Path:
    """The image that an XML file names, or else one of the file's own name."""
    wanted = PureWindowsPath(name).name  # which splits at both kinds of slashes
    names = [wanted] if wanted else []
    for suffix in (*sorted(SUFFIXES), *FOREIGN):
        names += [file.stem + suffix, file.stem + suffix.upper()]
    for candidate, place in product(names, places):
        if is_file(place / candidate):
            return place / candidate
    where = ", ".join(str(place) for place in places)
    missing = shown(wanted or file.stem).strip("'")
    raise InputError(f"{file}: its image {missing} is not in {where} (name the folder with --set images=FOLDER)")


def _voc_size(file: Path, tree: ElementTree.Element) -> tuple[float, float] | None:
    """As written in the file; None where nothing is, or 0.

    Raises:
        InputError: something else than numbers is written.
    """
    texts = [(tree.findtext(f"size/{name}") or "").strip() for name in ("width", "height")]
    width, height = (_number(text) if text else 0.0 for text in texts)
    if not (isfinite(width) and isfinite(height) and width >= 0 and height >= 0):
        raise InputError(f"{file}: expected width and height in pixels, got {shown(texts)}")
    return (width, height) if width and height else None


# -- COCO ------------------------------------------------------------------------------------------------------


def _read_coco(path: Path, images: str | Path | None) -> Source:
    content = _coco_content(path)
    faults: list[str] = []
    names = _categories(content["categories"], path)
    files = _by_id(content["images"], "image", path)
    boxes: dict[Any, Annotated] = {key: Annotated(path, None, "") for key in files}
    source = Source(str(path), places=_coco_places(path) if images is None else [Path(images)])
    for number, annotation in enumerate(content["annotations"], start=1):
        try:
            _add_annotation(annotation, path, f"{path}, annotation {number}", names, boxes, source)
        except InputError as error:
            faults.append(str(error).removeprefix(f"{path}, ").removeprefix(f"{path}: "))
    if faults:
        more = len(faults) - FAULTS
        raise InputError(f"{path}, " + "; ".join(faults[:FAULTS]) + (f"; and {more:,} more" if more > 0 else ""))
    by_file: dict[Path, Annotated] = {}
    twice: set[Path] = set()
    for key, entry in files.items():
        annotated = boxes[key]
        try:
            annotated.image = _coco_file(entry, path, source.places)
            annotated.declared = _coco_size(entry, path)
        except InputError as error:
            source.broken.append(str(error))
            continue
        annotated.where = f"{path}, image {entry['file_name']}"
        first = by_file.setdefault(annotated.image.resolve(), annotated)
        if first is not annotated:
            twice.add(annotated.image)
            for name in ("labels", "numbers", "areas", "difficult"):
                getattr(first, name).extend(getattr(annotated, name))
    source.images = list(by_file.values())
    if twice:
        source.notes.append(f"the boxes of images listed twice are put together: {listed(map(str, sorted(twice)))}")
    return source


def _add_annotation(
    annotation: Mapping[str, Any],
    path: Path,
    where: str,
    names: Mapping[Any, str],
    boxes: Mapping[Any, Annotated],
    source: Source,
) -> None:
    image, kind = (_id(annotation, key, path, "annotation") for key in ("image_id", "category_id"))
    if image not in boxes:
        raise InputError(f"{where}: is for the image {shown(image)}, which is not among the images")
    if kind not in names:
        raise InputError(f"{where}: is of the category {shown(kind)}, which is not among the categories")
    values = _value(annotation, "bbox", path, "annotation")
    numbers = box_of(values, where)
    if annotation.get("iscrowd"):
        source.counts["around crowds left out"] += 1
        return
    area = annotation.get("area")
    try:
        size = float(area) if isinstance(area, int | float) else float("nan")
    except OverflowError:
        size = float("nan")
    annotated = boxes[image]
    annotated.labels.append(names[kind])
    annotated.numbers.append(numbers)
    annotated.areas.append(size)
    annotated.difficult.append(False)
    source.whole = source.whole and all(isinstance(value, int) for value in values)


def _coco_places(path: Path) -> list[Path]:
    """Where the images of a COCO file may be: beside it, or beside its folder, in a folder of the part's name."""
    folder = path.parent
    part = path.stem.removeprefix("instances_")
    places = [folder, folder / "images", folder / "../images", folder / "../images" / part, folder / ".." / part]
    places += [folder / ".." / ".." / "images" / folder.name]
    return places[:3] + [place for place in places[3:] if is_folder(place)]


def _coco_file(entry: Mapping[str, Any], path: Path, places: Sequence[Path]) -> Path:
    file = _value(entry, "file_name", path, "image")
    if not isinstance(file, str) or not file.strip():
        raise InputError(f"{path}: expected a file's name, got {shown(file)}")
    names: list[str] = list(dict.fromkeys((file, file.replace("\\", "/"), PureWindowsPath(file).name)))
    for name, place in product(names, places):
        if is_file(place / name):
            return place / name
    where = ", ".join(str(place) for place in places)
    missing = shown(file).strip("'")
    raise InputError(f"{path}: the image {missing} is not in {where} (name the folder with --set images=FOLDER)")


def _coco_size(entry: Mapping[str, Any], path: Path) -> tuple[float, float] | None:
    width, height = entry.get("width"), entry.get("height")
    if not width or not height:
        return None
    for side in (width, height):
        if isinstance(side, bool) or not isinstance(side, int | float) or not 0 < side <= MOST_PIXELS:
            raise InputError(f"{path}: expected width and height in pixels, got {shown([width, height])}")
    return width, height


def _categories(entries: Sequence[Mapping[str, Any]], path: Path) -> dict[Any, str]:
    names = {}
    for key, entry in _by_id(entries, "category", path).items():
        name = _value(entry, "name", path, "category")
        if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
            raise InputError(f"{path}: expected the name of the category {shown(key)}, got {shown(name)}")
        names[key] = str(name).strip()
    return names


def _by_id(entries: Sequence[Mapping[str, Any]], what: str, path: Path) -> dict[Any, Mapping[str, Any]]:
    by_id: dict[Any, Mapping[str, Any]] = {}
    for entry in entries:
        key = _id(entry, "id", path, what)
        if key in by_id:
            raise InputError(f"{path}: two of the {what} entries have the id {shown(key)}")
        by_id[key] = entry
    return by_id


def _id(entry: Mapping[str, Any], key: str, path: Path, what: str) -> int | str:
    value = _value(entry, key, path, what)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InputError(f"{path}: expected a number or a text as {key!r} of the {what}, got {shown(value)}")
    return value


def _coco_content(path: Path) -> dict[str, list[Mapping[str, Any]]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise InputError(f"{path}: not readable as JSON (nested too deep)") from None
    except (OSError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path}{where}: not readable as JSON ({error})") from None
    if isinstance(content, dict) and "shapes" in content:
        raise InputError(f"{path}: is one of labelme's files, not read: {CONVERT}")
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
