"""COCO's annotations: one JSON file for many images."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from memfold.data.annotations.source import MOST_PIXELS, Annotated, ImageFinder, Source, around, box_of
from memfold.data.folders import is_folder
from memfold.errors import InputError, shown

__all__ = ["is_coco", "json_of", "read_coco"]

FAULTS = 5  # that are named at once
AROUND_POLYGONS = "drawn around polygons, as they stand without a box"


def is_coco(content: Any) -> bool:
    """Whether the content of a JSON file is COCO's."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def read_coco(path: Path, images: str | Path | None) -> Source:
    """What a COCO file says.

    Args:
        images: the folder of the images; None looks in and beside the folder of the file, and below it by name.

    Raises:
        InputError: naming the file, and the entries of it, that cannot be used.
    """
    content = _content(path)
    faults: list[str] = []
    names = _categories(content["categories"], path)
    files = _by_id(content["images"], "image", path)
    boxes: dict[Any, Annotated] = {key: Annotated(path, None, "") for key in files}
    source = Source(str(path), places=_places(path) if images is None else [Path(images)])
    for number, annotation in enumerate(content["annotations"], start=1):
        try:
            _add_annotation(annotation, path, f"{path}, annotation {number}", names, boxes, source)
        except InputError as error:
            faults.append(str(error).removeprefix(f"{path}, ").removeprefix(f"{path}: "))
    if faults:
        more = len(faults) - FAULTS
        raise InputError(f"{path}, " + "; ".join(faults[:FAULTS]) + (f"; and {more:,} more" if more > 0 else ""))
    if 0 < source.counts[AROUND_POLYGONS] == sum(len(annotated.labels) for annotated in boxes.values()):
        source.layout = "xywh"
    finder = ImageFinder(source.places, path.parent if images is None else None)
    entries: list[Annotated] = []
    for key, entry in files.items():
        annotated = boxes[key]
        try:
            annotated.image = _image_file(entry, path, finder)
            annotated.declared = _declared(entry, path)
        except InputError as error:
            source.broken.append(str(error))
            continue
        annotated.where = f"{path}, image {entry['file_name']}"
        entries.append(annotated)
    source.put_together(entries)
    source.notes += finder.notes()
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
    polygons = _around_polygons(annotation)
    outlined = not annotation.get("bbox") and polygons is not None
    values = polygons if outlined else _value(annotation, "bbox", path, "annotation")
    numbers = box_of(values, where)
    if annotation.get("iscrowd"):
        source.counts["around crowds left out"] += 1
        return
    source.counts[AROUND_POLYGONS] += outlined
    area = annotation.get("area")
    try:
        size = float(area) if isinstance(area, int | float) and not outlined else float("nan")
    except OverflowError:
        size = float("nan")
    boxes[image].add(names[kind], numbers, size)
    source.whole = source.whole and all(isinstance(value, int) for value in values or ())


def _around_polygons(annotation: Mapping[str, Any]) -> list[float] | None:
    """Left, top, width and height of an annotation's polygons; None where it has none."""
    outlines = annotation.get("segmentation")
    if not isinstance(outlines, list):
        return None
    numbers = [number for outline in outlines if isinstance(outline, list) for number in outline]
    if len(numbers) < 6 or len(numbers) % 2 or not all(type(n) in (int, float) and isfinite(n) for n in numbers):
        return None
    left, top, right, bottom = around(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return [left, top, right - left, bottom - top]


def _places(path: Path) -> list[Path]:
    """Where the images of a COCO file may be: beside it, or beside its folder, in a folder of the part's name."""
    folder = path.parent
    part = path.stem.removeprefix("instances_")
    places = [folder, folder / "images", folder / "../images", folder / "../images" / part, folder / ".." / part]
    places += [folder / ".." / ".." / "images" / folder.name]
    return places[:3] + [place for place in places[3:] if is_folder(place)]


def _image_file(entry: Mapping[str, Any], path: Path, finder: ImageFinder) -> Path:
    file = _value(entry, "file_name", path, "image")
    if not isinstance(file, str) or not file.strip():
        raise InputError(f"{path}: expected a file's name, got {shown(file)}")
    return finder.find(file, str(path))


def _declared(entry: Mapping[str, Any], path: Path) -> tuple[float, float] | None:
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


def json_of(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: naming the file and the line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise InputError(f"{path}: not readable as JSON (nested too deep)") from None
    except (OSError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path}{where}: not readable as JSON ({error})") from None


def _content(path: Path) -> dict[str, list[Mapping[str, Any]]]:
    content = json_of(path)
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
