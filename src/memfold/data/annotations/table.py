"""Tables with a box in each row, under any of the usual headers or none."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import polars as pl

from memfold.data.annotations.source import Annotated, ImageFinder, Source, number_of, size_of
from memfold.data.delimited import Table, decoded, read_delimited, unpacked
from memfold.data.folders import PARTS, is_file, part_named
from memfold.data.pictures import FOREIGN, SUFFIXES
from memfold.errors import InputError, shown

__all__ = ["is_table_of_boxes", "read_table_of_boxes", "table_parts"]

# What a column holds -> its names, without case, spaces and underscores.
NAMES: dict[str, tuple[str, ...]] = {
    "file": ("filename", "file", "image", "imageid", "path", "imagepath", "filepath", "imagename", "imagefile", "img",
             "imgname", "imgpath", "imgid", "imagefilename", "externalid", "frame"),
    "label": ("class", "label", "labelname", "classname", "category", "categoryname", "object", "objectclass",
              "labels", "classes", "type", "name", "classid", "labelid", "categoryid"),
    "left": ("xmin", "x0", "x1", "left", "xtl", "bboxxmin", "boxxmin", "minx", "bboxx1", "xlo", "xtopleft"),
    "top": ("ymin", "y0", "y1", "top", "ytl", "bboxymin", "boxymin", "miny", "bboxy1", "ylo", "ytopleft"),
    "right": ("xmax", "x2", "x1", "right", "xbr", "bboxxmax", "boxxmax", "maxx", "bboxx2", "xhi", "xbottomright"),
    "bottom": ("ymax", "y2", "y1", "bottom", "ybr", "bboxymax", "boxymax", "maxy", "bboxy2", "yhi", "ybottomright"),
    "middle across": ("xcenter", "xcentre", "cx", "centerx", "centrex", "xc", "bboxxcenter"),
    "middle down": ("ycenter", "ycentre", "cy", "centery", "centrey", "yc", "bboxycenter"),
    "x": ("x", "bboxx", "boxx", "xleft"),
    "y": ("y", "bboxy", "boxy", "ytop"),
    "box width": ("bboxwidth", "boxwidth", "bboxw", "w", "width"),
    "box height": ("bboxheight", "boxheight", "bboxh", "h", "height"),
    "width": ("imagewidth", "imgwidth", "imagew", "imgw", "width"),
    "height": ("imageheight", "imgheight", "imageh", "imgh", "height"),
    "box": ("bbox", "box", "boundingbox", "bndbox"),
    "crowd": ("isgroupof", "iscrowd"),
    "difficult": ("difficult", "isdifficult"),
    "part": ("split", "subset", "set", "partition", "part"),
}  # fmt: skip
KINDS = {  # of boxes, by the columns that they take
    "corners": ("left", "top", "right", "bottom"),
    "middles": ("middle across", "middle down", "box width", "box height"),
    "sides": ("x", "y", "box width", "box height"),
    "box": ("box",),
}
HEADERLESS = {  # by how many columns there are, and which names an image
    (6, 0): ("file", "left", "top", "right", "bottom", "label"),  # RetinaNet
    (8, 5): ("label", "x", "y", "box width", "box height", "file", "width", "height"),  # makesense.ai
}
ONE_CLASS = "object"  # of boxes of which no class is written
FAULTS = 5  # that are named at once
SUFFIXES_OF_TABLES = (".csv", ".tsv", ".txt")
HEADERS = "filename,class,xmin,ymin,xmax,ymax"


@dataclass(frozen=True)
class Columns:
    """Which column holds what.

    Attributes:
        titles: by what a column holds.
        kind: one of `KINDS`.
    """

    titles: Mapping[str, str]
    kind: str

    @classmethod
    def of(cls, titles: Sequence[str]) -> "Columns | None":
        """Of a header; None where it names no image or no box."""
        plain = {re.sub(r"[\s_\-#.]+", "", title).lower(): title for title in reversed(titles)}
        chosen = {
            what: plain[name] for what, names in NAMES.items() if (name := next((n for n in names if n in plain), ""))
        }
        if "x0" in plain and "x2" not in plain and "xmax" not in plain:  # x0, y0, x1, y1
            chosen |= {what: plain[name] for what, name in (("right", "x1"), ("bottom", "y1")) if name in plain}
        elif chosen.get("left") == chosen.get("right"):
            chosen.pop("right", None)
        kind = next((kind for kind, needed in KINDS.items() if set(needed) <= chosen.keys()), "")
        if not kind or "file" not in chosen:
            return None
        if kind in ("middles", "sides"):  # in which width and height are the box's
            for what, side in (("width", "box width"), ("height", "box height")):
                if chosen.get(what) == chosen[side]:
                    chosen.pop(what)
        return cls(chosen, kind)


def is_table_of_boxes(file: Path) -> bool:
    """Whether a text file is a table of boxes, by its header, or by its first row."""
    try:
        return _header_of(file) is not None
    except InputError:
        return False


def _header_of(file: Path) -> tuple[Columns, bool] | None:
    """The columns of a table of boxes, and whether it has a header; None of another table."""
    with_head, line = _first_line(file)
    if with_head is None:
        return None
    columns = Columns.of(with_head)
    if columns is not None:
        return columns, True
    places = [k for k, field in enumerate(line) if Path(field.strip()).suffix.lower() in {*SUFFIXES, *FOREIGN}]
    names = HEADERLESS.get((len(line), places[0])) if places else None
    if names is None:
        return None
    kind = "corners" if "left" in names else "sides"
    return Columns({what: f"column {k}" for k, what in enumerate(names, 1)}, kind), False


def _first_line(file: Path) -> tuple[list[str] | None, list[str]]:
    head = b""
    try:
        with open(file, "rb") as opened:
            head = opened.read(1 << 16)
        text, _ = decoded(head if head[:2] != b"\x1f\x8b" else unpacked(file)[: 1 << 16], str(file))
    except (OSError, ValueError):  # InputError is one: cut within a character, or no text
        text = head.decode("utf-8", "replace")
    line = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t|", key=line.count)
    fields = next(csv.reader([line], delimiter=separator), [])
    return (fields, fields) if len(fields) > 1 else (None, [])


def table_parts(file: Path) -> list[str]:
    """The parts of a split that a column of a table names, where there are several."""
    header = _header_of(file)
    if header is None or "part" not in header[0].titles:
        return []
    values = _read(file, header[1]).frame[header[0].titles["part"]].drop_nulls().unique().to_list()
    named = {part for value in values if (part := part_named(value))}
    return [part for part in PARTS if part in named] if len(named) > 1 else []


def _read(file: Path, header: bool) -> Table:
    return read_delimited(file, missing=(), header=header)


def read_table_of_boxes(file: Path, images: str | Path | None = None, part: str = "") -> Source:
    """What a table of boxes says; a row whose box is empty is an image without one.

    Args:
        images: the folder of the images; None looks beside the file, in ``images`` there, and below by name.
        part: of a split, of which the rows are read; "" reads all.

    Raises:
        InputError: it is no such table, or naming the rows that cannot be used.
    """
    header = _header_of(file)
    if header is None:
        titles = ", ".join(map(repr, _first_line(file)[1][:12])) or "nothing"
        raise InputError(f"{file}: is no table of boxes; expected columns such as {HEADERS}, got {titles}")
    columns, has_header = header
    table = _read(file, has_header)
    folder, stem = file.parent, file.stem.split("_")[0].split("-")[0]
    places = [
        folder,
        folder / "images",
        folder.parent,
        folder.parent / "images",
        folder / stem,
        folder / "images" / stem,
    ]
    source = Source(str(file), places=places if images is None else [Path(images)], notes=list(table.notes))
    source.layout = {"corners": "xyxy", "middles": "xyxy", "sides": "xywh", "box": "auto"}[columns.kind]
    if not has_header:
        source.notes.append(f"has no header; its columns are read as {', '.join(columns.titles)}")
    if columns.kind == "sides":
        source.notes.append("x and y are read as the upper left corner")
    if "label" not in columns.titles:
        source.notes.append(f"no column of classes, so that all boxes are of one, {ONE_CLASS!r}")
    finder = ImageFinder(source.places, folder if images is None else None)
    rows = _Rows(table, columns, source, _descriptions(file))
    entries = [_found(annotated, finder, source) for annotated in rows.by_image(part)]
    source.put_together([annotated for annotated in entries if annotated is not None])
    source.notes += finder.notes()
    return source


def _found(annotated: Annotated, finder: ImageFinder, source: Source) -> Annotated | None:
    """With the file of the image in place of what is written."""
    try:
        annotated.image = finder.find(str(annotated.image), annotated.where)
    except InputError as error:
        source.broken.append(str(error))
        return None
    return annotated


class _Rows:
    """The rows of a table, put together by image."""

    def __init__(self, table: Table, columns: Columns, source: Source, names: Mapping[str, str]) -> None:
        self.table, self.columns, self.source, self.names = table, columns, source, names
        self.values = {what: self._column(title) for what, title in columns.titles.items()}

    def _column(self, title: str) -> list[str]:
        if title not in self.table.frame.columns:  # a column that is empty throughout
            return [""] * self.table.frame.height
        return [("" if value is None else value.strip()) for value in self.table.frame[title].cast(pl.String).to_list()]

    def by_image(self, part: str) -> list[Annotated]:
        """Each image with its boxes; the path as it is written."""
        images: dict[str, Annotated] = {}
        faults: list[str] = []
        for place, file in enumerate(self.values["file"]):
            if part and part_named(self._value("part", place)) != part:
                continue
            where = f"{self.table.name}, row {self.table.row(place)}"
            try:
                if not file:
                    raise InputError(f"{where}: names no image")
                sides = [self._value("width", place), self._value("height", place)]
                known = size_of(sides, where) if all(sides) else None
                annotated = images.setdefault(file, Annotated(Path(file), known, where))
                self._add(annotated, place, where)
            except InputError as error:
                faults.append(str(error).removeprefix(f"{self.table.name}, "))
        if faults:
            more = f"; and {len(faults) - FAULTS:,} more" if len(faults) > FAULTS else ""
            raise InputError(f"{self.table.name}, {'; '.join(faults[:FAULTS])}{more}")
        return list(images.values())

    def _value(self, what: str, place: int) -> str:
        return self.values[what][place] if what in self.values else ""

    def _add(self, annotated: Annotated, place: int, where: str) -> None:
        texts = self._texts(place)
        if not any(texts):
            return
        numbers = [number_of(text.replace(",", ".")) for text in texts]
        if len(numbers) != 4 or not all(map(isfinite, numbers)):
            raise InputError(f"{where}: expected a box of four numbers, got {shown(texts)}")
        label = self._value("label", place) if "label" in self.values else ONE_CLASS
        if not label:
            raise InputError(f"{where}: has a box without a class")
        if self._value("crowd", place).lower() in ("1", "1.0", "true"):
            self.source.counts["around groups left out"] += 1
            return
        if self.columns.kind == "middles":
            x, y, width, height = numbers
            numbers = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
        difficult = self._value("difficult", place).lower() in ("1", "1.0", "true")
        annotated.add(self.names.get(label, label), numbers, difficult=difficult)
        self.source.whole = self.source.whole and all("." not in text for text in texts)

    def _texts(self, place: int) -> list[str]:
        """The four numbers of a box as they are written."""
        if self.columns.kind == "box":
            return re.split(r"[\s,;]+", self._value("box", place).strip("[](){} ")) if self._value("box", place) else []
        return [self._value(what, place) for what in KINDS[self.columns.kind]]


def _descriptions(file: Path) -> dict[str, str]:
    """The names of classes that Open Images gives by codes such as /m/01g317."""
    for folder in (file.parent, file.parent.parent):
        for path in sorted(folder.glob("*class-descriptions*.csv")):
            if is_file(path):
                rows = csv.reader(decoded(unpacked(path), str(path))[0].splitlines())
                return {row[0].strip(): row[1].strip() for row in rows if len(row) > 1 and row[0].startswith("/")}
    return {}
