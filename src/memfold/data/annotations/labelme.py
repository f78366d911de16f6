"""labelme's annotations: a JSON file for each image, with shapes of points."""

from math import hypot, isfinite
from pathlib import Path
from typing import Any

from memfold.data.annotations.coco import json_of
from memfold.data.annotations.source import PIXELS, Annotated, ImageFinder, Source, around, size_of
from memfold.errors import InputError, shown

__all__ = ["is_labelme", "read_labelme"]

LEAST = {"rectangle": 2, "polygon": 3, "circle": 2, "mask": 2, "rotation": 4}  # points that make a shape
NO_AREA = {"point", "points", "line", "linestrip"}


def is_labelme(content: Any) -> bool:
    """Whether the content of a JSON file is labelme's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read_labelme(files: list[Path], images: str | Path | None, name: str) -> Source:
    """What labelme's files say: around every rectangle, polygon, circle and mask the box that holds it.

    Args:
        images: the folder of the images; None looks beside the files.
        name: of the source.
    """
    folders = dict.fromkeys(file.parent for file in files)
    places = [place for folder in folders for place in (folder, folder / "images", folder / "../images")]
    source = Source(name, layout=PIXELS, places=places if images is None else [Path(images)])
    source.stems = {file.stem for file in files}
    finder = ImageFinder(source.places)
    entries = []
    for file in files:
        try:
            content = json_of(file)
            if not is_labelme(content):
                raise InputError(f"{file}: is none of labelme's files, which hold a list of 'shapes'")
            entries.append(_image(content, file, finder, source))
        except InputError as error:
            source.broken.append(str(error))
    source.put_together(entries)
    return source


def _image(content: dict[str, Any], file: Path, finder: ImageFinder, source: Source) -> Annotated:
    path = content.get("imagePath")
    image = finder.find(path if isinstance(path, str) else "", str(file), file.stem, "its image")
    sides = [content.get(key) for key in ("imageWidth", "imageHeight")]
    declared = size_of([None if side is None else str(side) for side in sides], str(file))
    annotated = Annotated(image, declared, str(file))
    for number, shape in enumerate(content["shapes"], start=1):
        where = f"{file}, shape {number}"
        label = shape.get("label") if isinstance(shape, dict) else None
        if not isinstance(label, str | int) or not str(label).strip():
            raise InputError(f"{where}: expected an object with a 'label', got {shown(shape)}")
        kind = shape.get("shape_type") or "polygon"
        if kind in NO_AREA:
            source.counts[f"of a {kind} left out, which has no area"] += 1
            continue
        annotated.add(str(label).strip(), _corners(kind, shape.get("points"), where))
        source.counts[f"drawn around a {kind}"] += kind != "rectangle"
    return annotated


def _corners(kind: Any, points: Any, where: str) -> list[float]:
    """Left, top, right and bottom of a shape."""
    fits = isinstance(points, list) and all(
        isinstance(point, list) and len(point) == 2 and all(type(n) in (int, float) and isfinite(n) for n in point)
        for point in points
    )
    if kind not in LEAST or not fits or len(points) < LEAST[kind]:
        raise InputError(f"{where}: expected the points of a rectangle, polygon or circle, got {kind} {shown(points)}")
    if kind == "circle":
        (across, down), edge = points[:2]
        radius = hypot(edge[0] - across, edge[1] - down)
        return [across - radius, down - radius, across + radius, down + radius]
    return [float(number) for number in around(points)]
