"""Pascal VOC's annotations: an XML file for each image."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from memfold.data.annotations.source import Annotated, ImageFinder, Source, number_of, size_of
from memfold.data.folders import is_file, is_folder
from memfold.data.labels import listed
from memfold.errors import InputError, shown

__all__ = ["parsed_xml", "read_voc", "voc_names"]

FOLDERS = ("JPEGImages", "images", "")  # below the root, where the images may be
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def parsed_xml(file: Path) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        InputError: naming the file and the line.
    """
    try:
        return ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{file}, line {error.position[0]}: not readable as XML ({error.msg})") from None
    except (OSError, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"{file}: not readable as XML ({error})") from None


def voc_names(root: Path) -> list[str]:
    """The names of the XML files in a folder, or in ``Annotations`` there, without their endings."""
    folder = _folder(root)
    files = (path for path in folder.iterdir() if path.suffix.lower() == ".xml") if is_folder(folder) else ()
    return sorted(path.stem for path in files if not path.name.startswith("."))


def read_voc(root: Path, names: Sequence[str], images: str | Path | None, listed_in: Path | None = None) -> Source:
    """What XML files say; those that cannot be read are kept as broken.

    Args:
        names: of the files, without their endings.
        images: the folder of the images; None looks in `FOLDERS`.
        listed_in: the file that names them.

    Raises:
        InputError: a list names a file that is not there.
    """
    folder = _folder(root)
    places = [root / place for place in FOLDERS] if images is None else [Path(images)]
    source = Source(str(root if listed_in is None else listed_in), layout="xyxy", places=places, stems=set(names))
    if listed_in is not None:
        missing = [name for name in names if not is_file(folder / f"{name}.xml")]
        if missing:
            what = f"{listed(missing)}, but there is no {folder / f'{missing[0]}.xml'}"
            raise InputError(f"{listed_in}: names {what}")
    finder = ImageFinder(places)
    for name in names:
        file = folder / f"{name}.xml"
        try:
            source.images.append(_image(file if is_file(file) else folder / f"{name}.XML", finder, source))
        except InputError as error:
            source.broken.append(str(error))
    return source


def _folder(root: Path) -> Path:
    return root / "Annotations" if is_folder(root / "Annotations") else root


def _image(file: Path, finder: ImageFinder, source: Source) -> Annotated:
    tree = parsed_xml(file)
    image = finder.find(tree.findtext("filename") or "", str(file), file.stem, "its image")
    declared = size_of([tree.findtext(f"size/{name}") for name in ("width", "height")], str(file))
    annotated = Annotated(image, declared, str(file))
    for number, thing in enumerate(tree.iter("object"), start=1):
        where = f"{file}, object {number}"
        label = (thing.findtext("name") or "").strip()
        if not label:
            raise InputError(f"{where}: has no class; expected <name>")
        texts = [thing.findtext(f"bndbox/{corner}") for corner in CORNERS]
        numbers = [number_of(text) for text in texts]
        if not all(isfinite(number) for number in numbers):
            raise InputError(f"{where}: expected a box of four numbers, got {shown(texts)}")
        difficult = (thing.findtext("difficult") or "").strip().lower() in ("1", "true", "yes")
        annotated.add(label, numbers, difficult=difficult)
        source.whole = source.whole and all(number == int(number) for number in numbers)
    return annotated
