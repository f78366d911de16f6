"""CVAT's annotations: one XML file for many images, as "CVAT for images" exports it."""

import xml.etree.ElementTree as ElementTree
from math import cos, isfinite, radians, sin
from pathlib import Path

from memfold.data.annotations.source import PIXELS, Annotated, ImageFinder, Source, around, number_of, size_of
from memfold.data.annotations.voc import parsed_xml
from memfold.data.folders import part_named
from memfold.errors import InputError, shown

__all__ = ["cvat_parts", "is_cvat", "read_cvat"]

SHAPES = ("box", "polygon", "mask", "ellipse", "polyline", "points", "cuboid", "skeleton")
HEAD = 4096  # bytes in which the root of an XML file is looked for


def is_cvat(file: Path) -> bool:
    """Whether an XML file is CVAT's rather than one of VOC's, by its beginning."""
    try:
        with open(file, "rb") as opened:
            head = opened.read(HEAD)
    except (OSError, ValueError):
        return False
    return b"<annotations" in head


def cvat_parts(file: Path) -> list[str]:
    """The subsets of images that are parts of a split, where there are several."""
    try:
        subsets = {image.get("subset") or "" for image in parsed_xml(file).iter("image")}
    except InputError:
        return []
    named = {part for subset in subsets if (part := part_named(subset))}
    return sorted(named) if len(named) > 1 else []


def read_cvat(file: Path, images: str | Path | None, part: str = "") -> Source:
    """What a file of CVAT's says.

    Args:
        images: the folder of the images; None looks beside the file, in ``images`` there, and below by name.
        part: of a split, of which the images are read; "" reads all.

    Raises:
        InputError: it is no such file, or one of a video.
    """
    tree = parsed_xml(file)
    if tree.tag != "annotations":
        raise InputError(f"{file}: is no file of CVAT's; expected <annotations>, got <{tree.tag}>")
    if tree.find("track") is not None and tree.find("image") is None:
        raise InputError(f"{file}: holds the tracks of a video; export it from CVAT as 'CVAT for images 1.1'")
    places = [file.parent, file.parent / "images"] if images is None else [Path(images)]
    source = Source(str(file), layout=PIXELS, places=places)
    finder = ImageFinder(places, file.parent if images is None else None)
    entries = []
    for number, element in enumerate(tree.iter("image"), start=1):
        if part and part_named(element.get("subset") or "") != part:
            continue
        try:
            entries.append(_image(element, f"{file}, image {number}", finder, source))
        except InputError as error:
            source.broken.append(str(error))
    if not entries and not source.broken:
        raise InputError(f"{file}: names no image")
    source.put_together(entries)
    source.notes += finder.notes()
    return source


def _image(element: ElementTree.Element, where: str, finder: ImageFinder, source: Source) -> Annotated:
    image = finder.find(element.get("name") or "", where)
    annotated = Annotated(image, size_of([element.get("width"), element.get("height")], where), where)
    shapes = [shape for shape in element if shape.tag in SHAPES]
    for number, shape in enumerate(shapes, start=1):
        label = (shape.get("label") or "").strip()
        if not label:
            raise InputError(f"{where}, shape {number}: has no label")
        if shape.tag in ("polyline", "points", "cuboid", "skeleton"):
            source.counts[f"of {shape.tag} left out"] += 1
            continue
        numbers = _corners(shape, f"{where}, {shape.tag} {number}")
        annotated.add(label, numbers)
        turned = shape.tag == "box" and number_of(shape.get("rotation") or "0") != 0
        source.counts["drawn around turned boxes"] += turned
        source.counts[f"drawn around a {shape.tag}"] += shape.tag != "box"
    return annotated


def _corners(shape: ElementTree.Element, where: str) -> list[float]:
    """Left, top, right and bottom of a shape."""
    if shape.tag == "polygon":
        points = [
            [number_of(text.strip()) for text in pair.split(",")] for pair in (shape.get("points") or "").split(";")
        ]
        if all(len(point) == 2 and all(map(isfinite, point)) for point in points):
            return around(points)
        raise InputError(f"{where}: expected points x,y;x,y, got {shown(shape.get('points'))}")
    names = {
        "box": ("xtl", "ytl", "xbr", "ybr"),
        "mask": ("left", "top", "width", "height"),
        "ellipse": ("cx", "cy", "rx", "ry"),
    }[shape.tag]
    first, second, third, fourth = numbers = [number_of(shape.get(name)) for name in names]
    if not all(map(isfinite, numbers)):
        raise InputError(f"{where}: expected {', '.join(names)}, got {shown([shape.get(name) for name in names])}")
    if shape.tag == "mask":
        return [first, second, first + third, second + fourth]
    if shape.tag == "ellipse":
        numbers = [first - third, second - fourth, first + third, second + fourth]
    return _turned(numbers, number_of(shape.get("rotation") or "0"))


def _turned(corners: list[float], degrees: float) -> list[float]:
    """The box around one that is turned about its middle."""
    if not degrees or not isfinite(degrees):
        return corners
    left, top, right, bottom = corners
    cosine, sine = abs(cos(radians(degrees))), abs(sin(radians(degrees)))
    across, down = (right - left) / 2, (bottom - top) / 2
    wide, high = across * cosine + down * sine, across * sine + down * cosine
    x, y = (left + right) / 2, (top + bottom) / 2
    return [x - wide, y - high, x + wide, y + high]
