"""Which annotation files a path holds, of which format, and which parts of a split they are."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from memfold.data.annotations.coco import is_coco, json_of, read_coco
from memfold.data.annotations.cvat import cvat_parts, is_cvat, read_cvat
from memfold.data.annotations.keras_yolo import reader_of_text
from memfold.data.annotations.labelme import is_labelme, read_labelme
from memfold.data.annotations.source import REMEDY, Reader, Source
from memfold.data.annotations.table import is_table_of_boxes, read_table_of_boxes, table_parts
from memfold.data.annotations.voc import read_voc, voc_names
from memfold.data.annotations.yolo_sets import find_set_file, find_yolo, parts_of_set
from memfold.data.folders import PARTS, by_part, is_file, is_folder, part_named, visible_folders
from memfold.data.labels import listed
from memfold.display import say
from memfold.errors import InputError

__all__ = ["find_parts", "read_source"]

JSON_FOLDERS = ("annotations", "Annotations", "labels")  # of JSON files, beside folders of images
YAML = (".yaml", ".yml", ".data")
TABLES = (".csv", ".tsv")
EXPECTED = (
    "a file or a folder of COCO, Pascal VOC, YOLO (data.yaml), keras-yolo3, CVAT or labelme, or a table of boxes with "
    "columns such as filename,class,xmin,ymin,xmax,ymax"
)


def read_source(path: Path, images: str | Path | None = None) -> Source:
    """What a file or a folder of boxes says.

    Args:
        images: the folder of the images; None looks in and beside the source.

    Raises:
        InputError: naming the file, and the line or the entry, of what cannot be read; or what is there instead.
    """
    if is_file(path):
        return _read_file(path, images)
    if not is_folder(path):
        raise InputError(f"{path}: no such file or folder")
    reader = find_source(path, images)
    if reader is None:
        raise InputError(f"{path}: {_what_else(path)}")
    source = reader()
    source.alone = True
    return source


def _read_file(path: Path, images: str | Path | None) -> Source:
    kind = path.suffix.lower()
    if kind == ".json":
        return read_labelme([path], images, str(path)) if _has_shapes(path) else read_coco(path, images)
    if kind in YAML:
        parts = parts_of_set(path)
        if len(parts) > 1:
            raise InputError(f"{path}: names the parts {listed(parts)} of a split; give it alone")
        return next(iter(parts.values()))()
    if kind == ".xml":
        return read_cvat(path, images) if is_cvat(path) else read_voc(path.parent, [path.stem], images)
    if kind in TABLES:
        return read_table_of_boxes(path, images)
    if kind == ".txt":
        if (reader := reader_of_text(path, images)) is not None:
            return reader()
        if is_table_of_boxes(path):
            return read_table_of_boxes(path, images)
    remedy = "; unpack it first" if kind in (".zip", ".tar", ".gz", ".7z", ".rar", ".tgz") else ""
    raise InputError(f"{path}: expected {EXPECTED}{remedy}")


def find_source(root: Path, images: str | Path | None = None) -> Reader | None:
    """How to read the boxes that lie in a folder; None where there are none, or several files of them."""
    formats: dict[str, Callable[[Path, str | Path | None], Reader | None]] = {
        "XML files": _xml_in,
        "JSON files": _json_in,
        "YOLO's text files": find_yolo,
        "tables": _table_in,
        "lines of boxes": _lines_in,
    }
    there = {name: reader for name, find in formats.items() if (reader := find(root, images)) is not None}
    if there:
        name, *others = there
        if "JSON files" not in there and len(_coco_files(root)) > 1:
            others.append("several JSON files")
        if others:
            say(f"{root}: the boxes are read from its {name}; {listed(others)} there are left out")
        return there[name]
    below = visible_folders(root)
    return find_source(below[0], images) if len(below) == 1 and not _json_files(root) else None


def _xml_in(root: Path, images: str | Path | None) -> Reader | None:
    names = voc_names(root)
    if not names:
        return None
    folder = root / "Annotations" if is_folder(root / "Annotations") else root
    files = [path for path in sorted(folder.glob("*.[xX][mM][lL]")) if is_cvat(path)] if len(names) < 5 else []
    if len(files) == 1 == len(names):
        return partial(read_cvat, files[0], images)
    return partial(read_voc, root, names, images)


def _json_in(root: Path, images: str | Path | None) -> Reader | None:
    for folder in (root, *(root / name for name in JSON_FOLDERS)):
        files = _json_files(folder) if is_folder(folder) else []
        shapes = [file for file in files if _has_shapes(file)]
        if shapes:
            return partial(read_labelme, shapes, images, str(root))
        if len(files) > 1:
            files = _coco_files(folder)
        if files:
            return partial(read_coco, files[0], images) if len(files) == 1 else None
    return None


def _coco_files(folder: Path) -> list[Path]:
    return [file for file in _json_files(folder) if is_coco(_peek(file))]


def _has_shapes(file: Path) -> bool:
    """Whether a JSON file is labelme's."""
    try:
        return b'"shapes"' in file.read_bytes() and is_labelme(_peek(file))
    except OSError:
        return False


def _table_in(root: Path, images: str | Path | None) -> Reader | None:
    files = _tables_in(root)
    return partial(read_table_of_boxes, files[0], images) if len(files) == 1 else None


def _tables_in(root: Path) -> list[Path]:
    files = (path for path in sorted(root.iterdir()) if path.suffix.lower() in TABLES and path.name[0] != ".")
    return [path for path in files if is_table_of_boxes(path)]


def _lines_in(root: Path, images: str | Path | None) -> Reader | None:
    readers = _readers_of_lines(root, images)
    return next(iter(readers.values())) if len(readers) == 1 else None


def _readers_of_lines(root: Path, images: str | Path | None) -> dict[Path, Reader]:
    """How to read the text files of a folder whose lines are paths and boxes."""
    files = (path for path in sorted(root.iterdir()) if path.suffix.lower() == ".txt" and is_file(path))
    few = [path for path in files if part_named(path.stem) or "annotation" in path.stem.lower()]
    if not few:
        few = [path for path in sorted(root.glob("*.txt")) if is_file(path)][:5]
    return {path: reader for path in few if (reader := reader_of_text(path, images)) is not None}


def find_parts(root: Path, images: str | Path | None = None) -> dict[str, Reader]:
    """How to read the parts of a split, by `memfold.data.folders.PARTS`; nothing where a path is no split.

    A data.yaml of YOLO names them; lists in VOC's ``ImageSets/Main`` name the images of each, or files such as
    ``instances_train.json`` or ``train_labels.csv`` hold its boxes, or folders such as ``train``, ``valid`` and
    ``test`` do, or the folders in ``annotations`` or ``labels``; a column ``split`` of a table or CVAT's subsets do.

    Raises:
        InputError: two stand for the same part.
    """
    if not is_folder(root):
        return _parts_of_file(root, images) if is_file(root) else {}
    lists = _named_by_part((root / "ImageSets" / "Main").glob("*.txt"), root)
    if len(lists) > 1 and voc_names(root):
        return {part: _voc_reader(root, file, images) for part, file in lists.items()}
    for folder in (root, *(root / name for name in JSON_FOLDERS)):
        files = _json_files(folder) if is_folder(folder) else []
        things = [file for file in files if file.stem.startswith("instances")]  # beside captions and key points
        parts = _named_by_part(things or files, root) if len(files) < 10 or things else {}
        if len(parts) > 1:
            return {part: partial(read_coco, file, images) for part, file in parts.items()}
    if (described := find_set_file(root)) is not None:
        return parts_of_set(described)
    for found_parts in (_parts_of_tables(root, images), _parts_of_lines(root, images)):
        if found_parts:
            return found_parts
    if find_source(root, images) is not None:
        return {}
    for folder in (root, *(root / name for name in (*JSON_FOLDERS, "images"))):
        if is_folder(folder):
            readers = {path: find_source(path, _images_beside(path, root, images)) for path in visible_folders(folder)}
            parts = by_part([path for path, reader in readers.items() if reader is not None], root)
            if parts:
                return {part: reader for part, path in parts.items() if (reader := readers[path]) is not None}
    below = visible_folders(root)
    return find_parts(below[0], images) if len(below) == 1 else {}


def _parts_of_file(file: Path, images: str | Path | None) -> dict[str, Reader]:
    """The parts of a split that one file names."""
    kind = file.suffix.lower()
    if kind in YAML:
        parts = parts_of_set(file)
        return parts if len(parts) > 1 else {}
    if kind in TABLES:
        return {part: partial(read_table_of_boxes, file, images, part) for part in table_parts(file)}
    if kind == ".xml" and is_cvat(file):
        return {part: partial(read_cvat, file, images, part) for part in cvat_parts(file)}
    return {}


def _parts_of_tables(root: Path, images: str | Path | None) -> dict[str, Reader]:
    files = _tables_in(root)
    if len(files) == 1:
        return _parts_of_file(files[0], images)
    named = _named_by_part(files, root)
    return {part: partial(read_table_of_boxes, file, images) for part, file in named.items()} if len(named) > 1 else {}


def _parts_of_lines(root: Path, images: str | Path | None) -> dict[str, Reader]:
    readers = _readers_of_lines(root, images)
    named = _named_by_part(readers, root)
    return {part: readers[file] for part, file in named.items()} if len(named) > 1 else {}


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
    return {part: named[part] for part in PARTS if part in named}


def _voc_reader(root: Path, file: Path, images: str | Path | None) -> Reader:
    return lambda: read_voc(root, _names_in(file), images, listed_in=file)


def _names_in(file: Path) -> list[str]:
    """The first word of every line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable ({error})") from None
    return [line.split()[0] for line in lines if line.strip()]


def _json_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".json" and path.name[0] != ".")


def _what_else(root: Path) -> str:
    """What a folder without boxes that can be read holds instead."""
    if files := _json_files(root):
        return f"holds several JSON files: name one of them: {listed(file.name for file in files)}"
    if len(files := _tables_in(root)) > 1:
        return f"holds several tables of boxes: name one of them: {listed(file.name for file in files)}"
    below = [path.name for path in visible_folders(root) if find_source(path) is not None]
    if below:
        return f"holds no boxes itself; name one of the folders {listed(below)}"
    for pattern, kind in (("*.txt", "text files"), ("*.csv", "tables"), ("*.xml", "XML files")):
        if (other := next(iter(sorted(root.rglob(pattern))), None)) is not None:
            return f"holds {kind} ({other.name}), but no boxes in a form that is known: expected {EXPECTED}; {REMEDY}"
    return f"holds no boxes; expected {EXPECTED}"


def _peek(file: Path) -> Any:
    try:
        return json_of(file)
    except InputError:
        return ()
