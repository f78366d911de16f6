"""Tables that say what pictures show, beside folders in which these lie: a file and its class in each row."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from memfold.data.annotations.source import ImageFinder
from memfold.data.delimited import Table, read_delimited
from memfold.data.folders import PARTS, by_part, files_below, is_file, is_folder, part_named, visible_folders
from memfold.data.labels import check_labels, listed
from memfold.data.pictures import FOREIGN, SUFFIXES
from memfold.errors import InputError, shown

__all__ = ["PictureList", "pictures_listed"]

TABLES = (".csv", ".tsv")
FILE_NAMES = ("file", "filename", "image", "imageid", "path", "imagepath", "filepath", "imagename", "imagefile", "img",
              "imgname", "imgpath", "imgid", "id", "name", "文件", "文件名", "图片", "图像")  # fmt: skip
LABEL_NAMES = ("label", "class", "category", "target", "classname", "labelname", "categoryname", "species", "breed",
               "diagnosis", "dx", "labels", "classes", "person", "identity", "name", "y", "classid", "标签", "类别",
               "分类")  # fmt: skip
PART_NAMES = ("split", "subset", "set", "partition", "part")
NAMED = 5  # rows and files, the first ones
SAMPLE = 200  # values that are looked at


@dataclass(frozen=True)
class PictureList:
    """Pictures and what each shows, as a table says.

    Attributes:
        name: of the table, and the part of it.
        files: of the pictures.
        labels: as many.
        notes: what there is to say of the table; each a sentence.
    """

    name: str
    files: list[Path]
    labels: list[str]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def pictures_listed(path: Path) -> dict[str, PictureList]:
    """The pictures that a table lists, by the part of a split; all by ``""`` where it names no parts.

    Nothing where a path is no table, nor a folder with one beside pictures that lie in no folders of classes.

    Args:
        path: a table, or a folder with one, or with one for each part, such as ``train.csv`` and ``test.csv``.

    Raises:
        InputError: a table without a column of files or of classes, or whose rows contradict each other.
    """
    if is_file(path):
        return _parts_of(path) if path.suffix.lower() in TABLES else {}
    if not is_folder(path) or _has_classes(path):
        return {}
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in TABLES and file.name[0] != "."]
    tables = [file for file in files if is_file(file) and _lists_pictures(file, path)]
    if len(tables) == 1:
        return _parts_of(tables[0])
    parts = by_part([file.with_name(file.stem) for file in tables], path)
    if tables and len(parts) != len(tables):
        names = listed(table.name for table in tables)
        raise InputError(f"{path}: holds several tables of pictures; name one of them: {names}")
    read = {part: _parts_of(next(t for t in tables if t.stem == stem.name)) for part, stem in parts.items()}
    return {part: next(iter(lists.values())) for part, lists in read.items()}


def _has_classes(root: Path) -> bool:
    """Whether folders in a folder are classes, or parts with such."""
    folders = [folder for folder in visible_folders(root) if files_below(folder, SUFFIXES)]
    deep = any(files_below(sub, SUFFIXES) for folder in folders for sub in visible_folders(folder))
    return deep or sum(part_named(folder.name) is None for folder in folders) > 1


def _lists_pictures(file: Path, folder: Path) -> bool:
    """Whether a table names pictures that are in its folder."""
    try:
        table, columns = _read(file)
    except InputError:
        return False
    finder = _finder(file)
    for value in table.frame[columns["file"]].drop_nulls().head(NAMED).to_list():
        try:
            finder.find(str(value), str(file))
        except InputError:
            continue
        return True
    return False


def _finder(file: Path) -> ImageFinder:
    folder, stem = file.parent, file.stem.split("_")[0]
    return ImageFinder([folder, folder / "images", folder / stem, folder / "train", folder.parent / "images"], folder)


def _read(file: Path) -> tuple[Table, dict[str, str]]:
    """A table, and the columns that hold files and classes.

    Raises:
        InputError: there are none such.
    """
    table = read_delimited(file, missing=())
    if any(Path(title).suffix.lower() in {*SUFFIXES, *FOREIGN} for title in table.frame.columns):
        table = read_delimited(file, missing=(), header=False)
    frame = table.frame
    plain = {re.sub(r"[\s_\-#.]+", "", title).lower(): title for title in reversed(frame.columns)}
    files = next((plain[name] for name in FILE_NAMES if name in plain), None) or _first_with_files(frame)
    if files is None:
        raise InputError(f"{file}: has no column of files, such as 'file'; it has {_titles(frame)}")
    label = next((plain[name] for name in LABEL_NAMES if name in plain and plain[name] != files), None)
    part = next((plain[name] for name in PART_NAMES if name in plain), None)
    others = [title for title in frame.columns if title not in (files, part)]
    columns = {"file": files} | ({"part": part} if part else {})
    if label is None and len(others) == 1:
        label = others[0]
    if label is None and not _marks(frame, others):
        raise InputError(f"{file}: has no column of classes, such as 'label'; it has {_titles(frame)}")
    return table, columns if label is None else {**columns, "label": label}


def _titles(frame: pl.DataFrame) -> str:
    return listed(map(repr, frame.columns))


def _first_with_files(frame: pl.DataFrame) -> str | None:
    """The first column whose values are names of pictures."""
    for title in frame.columns:
        values = frame[title].drop_nulls().head(SAMPLE).to_list()
        if values and all(Path(value).suffix.lower() in {*SUFFIXES, *FOREIGN} for value in values):
            return title
    return None


def _marks(frame: pl.DataFrame, titles: Collection[str]) -> bool:
    """Whether columns hold a mark for each class, 0 or 1."""
    values = {value for title in titles for value in frame[title].to_list()}
    return len(titles) > 1 and bool(values) and values <= {"0", "1", "0.0", "1.0"}


def _labels(table: Table, columns: Mapping[str, str], file: Path) -> list[str]:
    """The class of each row; "" where there is none."""
    frame = table.frame
    if "label" in columns:
        labels = check_labels(table.column(columns["label"])).to_list()
        return ["" if value is None else value.strip() for value in labels]
    titles = [title for title in frame.columns if title not in columns.values()]
    labels = []
    for place, row in enumerate(frame.select(titles).iter_rows()):
        marked = [title.strip() for title, value in zip(titles, row, strict=True) if value in ("1", "1.0")]
        if len(marked) > 1:
            raise InputError(
                f"{file}: row {table.row(place)}: is of several classes, {listed(marked)}; each has one class here: "
                "keep one a row, or fit a model for each class with yes and no"
            )
        labels.append(marked[0] if marked else "")
    return labels


def _parts_of(file: Path) -> dict[str, PictureList]:
    table, columns = _read(file)
    labelled = f"classes in {columns['label']!r}" if "label" in columns else "a column for each class, with its marks"
    notes = [*table.notes, f"files are in column {columns['file']!r}, {labelled}"]
    names = [("" if value is None else value.strip()) for value in table.frame[columns["file"]].to_list()]
    labels = _labels(table, columns, file)
    finder = _finder(file)
    where: dict[Path, int] = {}
    missing: list[str] = []
    empty: list[int] = []
    for place, (name, label) in enumerate(zip(names, labels, strict=True)):
        if not name or not label:
            empty.append(place)
            continue
        try:
            picture = finder.find(name, str(file))
        except InputError as error:
            if "all bear the name" in str(error):
                raise
            missing.append(f"{name} (row {table.row(place)})")
            continue
        first = where.setdefault(picture, place)
        if labels[first] != label:
            say_of = f"say {shown(labels[first])} and {shown(label)} of {name}; keep one"
            raise InputError(f"{file}: rows {table.row(first)} and {table.row(place)} {say_of}")
    if not where:
        such = f", such as {missing[0]}" if missing else ""
        raise InputError(f"{file}: none of its {len(names):,} pictures is there{such}")
    notes += [*_left_out(table, missing, empty, set(where)), *finder.notes()]
    parts = _parts(table, columns)
    read: dict[str, PictureList] = {}
    for part in [part for part in PARTS if part in parts] or [""]:
        rows = [(picture, place) for picture, place in where.items() if not part or parts[place] == part]
        files = [picture for picture, _ in rows]
        read[part] = PictureList(f"{file} {part}".strip(), files, [labels[place] for _, place in rows], tuple(notes))
        notes = []
    return read


def _parts(table: Table, columns: Mapping[str, str]) -> list[str]:
    """The part of each row; nothing where the table names none, or one alone."""
    if "part" not in columns:
        return []
    parts = [part_named(value or "") or "" for value in table.frame[columns["part"]].to_list()]
    return parts if len(set(parts) - {""}) > 1 else []


def _left_out(table: Table, missing: Sequence[str], empty: Sequence[int], listed_files: Collection[Path]) -> list[str]:
    """What to say of rows without a picture or a class, and of pictures of which the table says nothing."""
    notes = []
    if missing:
        notes.append(f"{len(missing):,} of its pictures are not there and are left out: {_first_of(missing)}")
    if empty:
        rows = _first_of([str(table.row(place)) for place in empty])
        notes.append(f"rows without a file or a class are left out, {len(empty):,} of them: {rows}")
    folders = {picture.parent for picture in listed_files}
    beside = [path for folder in folders for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    if others := sorted(path.name for path in beside if path not in listed_files and path.name[0] != "."):
        notes.append(
            f"pictures beside these that are not in it are left out, {len(others):,} of them: {_first_of(others)}"
        )
    return notes


def _first_of(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
