"""Files of boxes, and images that are given themselves, brought to boxes in pixels as a viewer shows the images."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from memfold.data.annotations import Annotated, Source, box_of, find_parts, read_source
from memfold.data.annotations.source import PIXELS, SHARES
from memfold.data.boxes import BoxedImages, Given
from memfold.data.datasets import find
from memfold.data.folders import PARTS
from memfold.data.layouts import Form, Rows, corners_of, form_of, refuse_middles
from memfold.data.pictures import FOREIGN, SUFFIXES, UNREADABLE, image_of, opened, reason_of
from memfold.data.tones import Deep
from memfold.data.unreadable import leave_out
from memfold.display import say
from memfold.errors import InputError, shown

__all__ = ["boxed", "load_bccd", "read_boxes", "read_splits", "unboxed"]

ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)  # what a camera noted, and the notes by which width and height change places
KNOWN = {PIXELS: Form("xyxy"), SHARES: Form("xyxy", shares=True)}


def unboxed(items: Sequence[Any]) -> BoxedImages:
    """Images, as files or themselves, in which no box is known.

    Files that cannot be read are left out, and named on standard error.

    Raises:
        InputError: none of them can be read, or something is no image.
    """
    return boxed(items, [[]] * len(items))


def boxed(items: Sequence[Any], boxes: Sequence[Any], layout: str = "auto") -> BoxedImages:
    """Images, as files or themselves, and of each a list of its boxes: label, x, y, width and height.

    Args:
        layout: ``xyxy`` where right and bottom stand in the place of width and height.

    Raises:
        InputError: a box of another form, something that is no image, or none of the images can be read.
    """
    source = Source("the images")
    given: dict[int, Given] = {}
    for number, (item, things) in enumerate(zip(items, boxes, strict=True)):
        where = f"boxes of image {number}"
        if isinstance(item, str | Path):
            annotated = Annotated(Path(item), None, where)
        else:
            given[number] = image_of(item, number)
            annotated = Annotated(Path(f"image {number}"), None, where)
        try:
            labelled = [(str(label), list(numbers)) for label, *numbers in things]
        except (TypeError, ValueError):
            raise InputError(f"{where}: expected a list of (label, x, y, width, height), got {shown(things)}") from None
        for label, numbers in labelled:
            annotated.add(label, box_of(numbers, where))
            source.whole = source.whole and all(float(number).is_integer() for number in annotated.numbers[-1])
        source.images.append(annotated)
    (images,) = _gathered([source], layout, "xywh", given)
    return images


def read_boxes(
    source: str | Path, images: str | Path | None = None, layout: str = "auto", usual: str = ""
) -> BoxedImages:
    """Read images' boxes; of the images themselves only the sizes.

    Boxes are in the image as a viewer shows it, turned as its camera noted. They are clipped to it, and those without
    an area left out, as are COCO's crowds; how many is said on standard error, and which images and files of boxes
    cannot be read and are left out.

    Args:
        source: a file or a folder of COCO, Pascal VOC, YOLO, keras-yolo3, CVAT or labelme, or a table of boxes, as
            `memfold.data.annotations.read_source` takes it. VOC's corners are taken as edges, 0 to width.
        images: the folder of the images; None looks in and beside the source.
        layout: of COCO's four numbers: ``xywh``, ``xyxy``, or ``auto``, which looks at them.
        usual: the layout that is taken where both fit; without one that is refused.

    Raises:
        InputError: naming the file, and the line or the entry, of what cannot be read.
    """
    return _gathered([read_source(Path(source), images)], layout, usual)[0]


def read_splits(
    source: str | Path, images: str | Path | None = None, layout: str = "auto", usual: str = ""
) -> dict[str, BoxedImages]:
    """The parts of a split, by `memfold.data.folders.PARTS`: those that are there; nothing where it is no split.

    Args:
        source: a folder or a file as `memfold.data.annotations.find_parts` takes it.

    Raises:
        InputError: as `read_boxes`, or a list that names an image without XML.
    """
    readers = find_parts(Path(source), images)
    sources = [reader() for reader in readers.values()]
    return dict(zip(readers, _gathered(sources, layout, usual), strict=True)) if sources else {}


def load_bccd() -> tuple[BoxedImages, BoxedImages, BoxedImages]:
    """The official training, test and validation part of the Blood Cell Count and Detection data set.

    Raises:
        InputError: the files are not there.
    """
    folder = find("bccd") / "BCCD"
    parts = read_splits(folder)
    if set(parts) != set(PARTS):
        raise InputError(f"{folder / 'ImageSets' / 'Main'}: train.txt, val.txt and test.txt are needed")
    names = {"train": "train", "test": "test", "valid": "val"}
    named = {part: replace(images, name=f"@bccd {names[part]}") for part, images in parts.items()}
    return named["train"], named["test"], named["valid"]


def _size(source: Path | Given) -> tuple[int, int]:
    """Width and height in pixels as a viewer shows an image; of a file, from its first bytes."""
    if isinstance(source, Deep):
        return source.values.shape[2], source.values.shape[1]
    if isinstance(source, Path):
        with opened(source) as image:
            return _size(image)
    width, height = source.size
    turned = source.format != "TIFF" and source.getexif().get(ORIENTATION) in TURNED  # a TIFF file's is turned already
    return (height, width) if turned else (width, height)


# -- boxes -----------------------------------------------------------------------------------------------------


def _gathered(
    sources: Sequence[Source], layout: str = "auto", usual: str = "", given: dict[int, Given] | None = None
) -> list[BoxedImages]:
    """The images of each source with their boxes in pixels; what is not kept as it is written is said.

    The sources are written alike: what their numbers mean is found by looking at the boxes of all of them.

    Raises:
        InputError: of a source no image can be read, or the boxes can be read in two ways.
    """
    given = given or {}
    kept = [_usable(source, _sizes(source, given)) for source in sources]
    forms: dict[str, Form] = {}
    for written in dict.fromkeys(source.layout for source in sources):
        if written in KNOWN:
            forms[written] = KNOWN[written]
            continue
        alike = [place for place, source in enumerate(sources) if source.layout == written]
        name = " ".join(sources[place].name for place in alike)
        rows = _rows([sources[place] for place in alike], [kept[place] for place in alike])
        if written == "xywh":
            refuse_middles(rows, name)
        forms[written] = form_of(rows, name, layout if written == "auto" else written, usual)
    return [
        _placed(source, own, forms[source.layout], given, layout) for source, own in zip(sources, kept, strict=True)
    ]


Kept = list[tuple[int, Annotated, tuple[int, int]]]  # the row in the source, the boxes, and the image's size


def _sizes(source: Source, given: dict[int, Given]) -> list[tuple[int, int] | None]:
    """Width and height of every image; None of one that cannot be read."""
    sizes: list[tuple[int, int] | None] = []
    for row, annotated in enumerate(source.images):
        try:
            sizes.append(_size(given.get(row, annotated.image)))
        except UNREADABLE as error:
            source.unreadable.append(f"{annotated.image} ({reason_of(error, annotated.image)})")
            sizes.append(None)
    return sizes


def _usable(source: Source, sizes: Sequence[tuple[int, int] | None]) -> Kept:
    """The images that can be read and are those that the boxes are for; the others are named.

    Raises:
        InputError: there is none.
    """
    kept: Kept = []
    for row, (annotated, size) in enumerate(zip(source.images, sizes, strict=True)):
        if size is None:
            continue
        if annotated.declared is not None and annotated.declared != size:
            wide, high = annotated.declared
            turned = annotated.declared == size[::-1]
            note = " as a viewer shows it, turned as its camera noted; draw the boxes in that" if turned else ""
            source.broken.append(
                f"{annotated.where}: the boxes are for an image of {wide:g}x{high:g} pixels; {annotated.image} has "
                f"{size[0]}x{size[1]}{note}"
            )
            continue
        kept.append((row, annotated, size))
    if source.broken and not kept:
        others = len(source.broken) + len(source.unreadable) - 1
        raise InputError(source.broken[0] + (f"; nor can any of the {others} others be used" if others else ""))
    bad = [*source.broken, *source.unreadable]
    leave_out(bad, len(bad) + len(kept), "images")
    return kept


def _rows(sources: Sequence[Source], kept: Sequence[Kept]) -> Rows:
    numbers = [row for images in kept for _, annotated, _ in images for row in annotated.numbers]
    sizes = [size for images in kept for _, annotated, size in images for _ in annotated.numbers]
    areas = [area for images in kept for _, annotated, _ in images for area in annotated.areas]
    return Rows(
        np.array(numbers, np.float64).reshape(-1, 4),
        np.array(sizes, np.float64).reshape(-1, 2),
        np.array(areas, np.float64),
        all(source.whole for source in sources),
    )


def _placed(source: Source, kept: Kept, form: Form, given: dict[int, Given], asked: str) -> BoxedImages:
    """The boxes in pixels, their corners in order, clipped to their images."""
    images = BoxedImages(source.name, [], [], [], [])
    counts = source.counts
    arrays: dict[int, Given] = {}
    for row, annotated, size in kept:
        corners = corners_of(np.array(annotated.numbers, np.float64).reshape(-1, 4), form, size)
        low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
        swapped = (corners[:, 2:] < corners[:, :2]).any(1)
        ordered = np.concatenate([low, high], 1)
        clipped = np.clip(ordered, 0, [*size, *size])
        has_area = (clipped[:, 2:] > clipped[:, :2]).all(1)
        counts["with swapped corners put right"] += int((swapped & has_area).sum())
        counts["clipped to the image"] += int(((clipped != ordered).any(1) & has_area).sum())
        counts["without an area left out"] += int((~has_area).sum())
        clipped[:, 2:] -= clipped[:, :2]
        if row in given:
            arrays[len(images.paths)] = given[row]
        images.paths.append(annotated.image)
        images.sizes.append(size)
        images.boxes.append(clipped[has_area].astype(np.float32))
        images.labels.append([label for label, fits in zip(annotated.labels, has_area, strict=True) if fits])
        images.difficult.append(np.array(annotated.difficult, bool)[has_area])
    changes = [f"{count:,} {'box' if count == 1 else 'boxes'} {what}" for what, count in counts.items() if count]
    notes = [*([", ".join(changes)] if changes else []), *source.notes, *_unlisted(source, images.paths)]
    if notes:
        say(f"{source.name}: {'; '.join(notes)}")
    looked_at = source.layout == asked == "auto" and any(map(len, images.labels))
    return replace(images, given=arrays, layout=form.layout if looked_at else "")


def _unlisted(source: Source, paths: Sequence[Path]) -> list[str]:
    """What to say of images that lie beside those with boxes, and of which nothing is written."""
    listed_files = {path.resolve() for path in paths} | {annotated.image.resolve() for annotated in source.images}
    folders = {path.parent for path in listed_files} if source.alone else set()
    beside = [file for folder in folders for file in folder.iterdir()]
    others = [file for file in beside if file.suffix.lower() in {*SUFFIXES, *FOREIGN} and file not in listed_files]
    visible = [file for file in others if file.stem not in source.stems and not file.name.startswith(".")]
    if not visible:
        return []
    them = "1 image lies" if len(visible) == 1 else f"{len(visible):,} images lie"
    return [f"{them} beside these without a word on boxes and {'is' if len(visible) == 1 else 'are'} left out"]
