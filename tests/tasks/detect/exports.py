"""The scenes as annotation programs export them: YOLO, keras-yolo3, tables, CVAT, labelme and Roboflow's folders."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tasks.detect.scenes import CLASSES, Scene, coco_of, write_coco, write_voc

Write = Callable[[Path, list[Scene]], Path]


def pictures(folder: Path, made: list[Scene], suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, (pixels, _) in enumerate(made):
        Image.fromarray(pixels).save(folder / f"{number:03}{suffix}")


def shares_of(scene: Scene) -> list[tuple[int, float, float, float, float]]:
    """Class, centre and sides of each box, as shares."""
    pixels, things = scene
    high, wide = pixels.shape[:2]
    return [
        (
            CLASSES.index(label),
            (left + right) / 2 / wide,
            (top + low) / 2 / high,
            (right - left) / wide,
            (low - top) / high,
        )
        for label, (left, top, right, low) in things
    ]


def write_labels(folder: Path, made: list[Scene]) -> None:
    """YOLO's text files, with the line ends of Windows."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(made):
        lines = [" ".join([str(kind), *(f"{share:.8f}" for share in box)]) for kind, *box in shares_of(scene)]
        (folder / f"{number:03}.txt").write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def write_yolo(folder: Path, made: list[Scene]) -> Path:
    """One folder of images, one of labels, and the names beside the labels, as LabelImg leaves them."""
    pictures(folder / "images", made)
    write_labels(folder / "labels", made)
    (folder / "labels" / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return folder


def write_yolo_beside(folder: Path, made: list[Scene]) -> Path:
    """Images and labels in one folder, as Darknet has them."""
    pictures(folder, made)
    write_labels(folder, made)
    (folder / "_darknet.labels").write_text("\n".join(CLASSES))
    return folder


def write_polygons(folder: Path, made: list[Scene]) -> Path:
    """Segmentation labels: the corners of each box as a polygon."""
    write_yolo(folder, made)
    for number, (pixels, things) in enumerate(made):
        high, wide = pixels.shape[:2]
        lines = []
        for label, (left, top, right, bottom) in things:
            corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, (top + bottom) / 2)]
            points = " ".join(f"{x / wide:.8f} {y / high:.8f}" for x, y in corners)
            lines.append(f"{CLASSES.index(label)} {points}")
        (folder / "labels" / f"{number:03}.txt").write_text("\n".join(lines))
    return folder


def write_keras(folder: Path, made: list[Scene]) -> Path:
    """keras-yolo3's lines, with paths of another machine."""
    pictures(folder / "images", made)
    lines = []
    for number, (_, things) in enumerate(made):
        boxes = [",".join(map(str, [*corners, CLASSES.index(label)])) for label, corners in things]
        lines.append(" ".join([f"D:\\my data\\{number:03}.png", *boxes]))
    (folder / "annotations.txt").write_text("\n".join(lines), encoding="utf-8-sig")
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    return folder / "annotations.txt"


def write_table(folder: Path, header: list[str], rows: list[list[object]], delimiter: str = ",") -> Path:
    file = folder / "boxes.csv"
    with open(file, "w", newline="", encoding="utf-8") as opened:
        csv.writer(opened, delimiter=delimiter).writerows([header, *rows] if header else rows)
    return file


def rows_of(made: list[Scene]) -> list[tuple[str, int, int, str, int, int, int, int]]:
    """File, width and height of its image, class, left, top, right and bottom of each box; "" and 0 without one."""
    rows = []
    for number, (pixels, things) in enumerate(made):
        size = (pixels.shape[1], pixels.shape[0])
        rows += [(f"{number:03}.png", *size, label, *corners) for label, corners in things]
    return rows


def write_tf(folder: Path, made: list[Scene]) -> Path:
    """The header of TensorFlow's and Roboflow's tables."""
    pictures(folder / "images", made)
    header = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]
    return write_table(folder, header, [list(row) for row in rows_of(made)])


def write_open_images(folder: Path, made: list[Scene]) -> Path:
    """Open Images: shares, codes in place of names, files without endings, groups."""
    pictures(folder / "images", made)
    codes = {label: f"/m/0{number}x" for number, label in enumerate(CLASSES)}
    header = ["ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax", "IsOccluded", "IsGroupOf"]
    rows: list[list[object]] = [
        [file[:3], "xclick", codes[label], 1, left / wide, right / wide, top / high, bottom / high, 0, 0]
        for file, wide, high, label, left, top, right, bottom in rows_of(made)
    ]
    (folder / "class-descriptions-boxable.csv").write_text("".join(f"{code},{name}\n" for name, code in codes.items()))
    return write_table(folder, header, rows)


def write_retinanet(folder: Path, made: list[Scene]) -> Path:
    """Without a header; an image without boxes has a row of empty cells."""
    pictures(folder, made)
    rows = [[f"/data/x/{file}", *corners, label] for file, _, _, label, *corners in rows_of(made)]
    return write_table(folder, [], rows)


def write_sides(folder: Path, made: list[Scene]) -> Path:
    """As memfold predict writes boxes, and with semicolons."""
    pictures(folder, made)
    rows = [
        [file, label, 0.9, left, top, right - left, bottom - top]
        for file, _, _, label, left, top, right, bottom in rows_of(made)
    ]
    return write_table(folder, ["image", "label", "score", "x", "y", "width", "height"], rows, ";")  # type: ignore


def write_middles(folder: Path, made: list[Scene]) -> Path:
    pictures(folder, made)
    rows = [
        [file, label, (left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        for file, _, _, label, left, top, right, bottom in rows_of(made)
    ]
    return write_table(folder, ["Image Path", "Class Name", "x_center", "y_center", "w", "h"], rows, "\t")  # type: ignore


def write_cvat(folder: Path, made: list[Scene]) -> Path:
    """ "CVAT for images 1.1"."""
    pictures(folder / "images", made)
    elements = []
    for number, (pixels, things) in enumerate(made):
        boxes = "".join(
            f'<box label="{label}" source="manual" occluded="0" xtl="{x}.0" ytl="{y}.0" xbr="{to_x}.0" ybr="{to_y}.0"/>'
            for label, (x, y, to_x, to_y) in things
        )
        size = f'width="{pixels.shape[1]}" height="{pixels.shape[0]}"'
        elements.append(f'<image id="{number}" name="{number:03}.png" {size}>{boxes}</image>')
    text = f"<annotations><version>1.1</version><meta/>{''.join(elements)}</annotations>"
    (folder / "annotations.xml").write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{text}', encoding="utf-8")
    return folder


def write_labelme(folder: Path, made: list[Scene]) -> Path:
    """A file each, whose rectangles begin at any corner."""
    pictures(folder, made)
    for number, (pixels, things) in enumerate(made):
        shapes = [
            {"label": label, "points": [[to_x, to_y], [x, y]], "shape_type": "rectangle", "group_id": None}
            for label, (x, y, to_x, to_y) in things
        ]
        size = {"imageHeight": pixels.shape[0], "imageWidth": pixels.shape[1]}
        content = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": f"..\\x\\{number:03}.png", **size}
        (folder / f"{number:03}.json").write_text(json.dumps(content))
    return folder


def write_outlines(folder: Path, made: list[Scene]) -> Path:
    """COCO with polygons alone, and images in a folder deeper, as CVAT exports them."""
    folder.mkdir(parents=True, exist_ok=True)
    content = coco_of(made)
    for annotation in content["annotations"]:
        left, top, width, height = annotation.pop("bbox")  # type: ignore[misc]
        right, bottom = left + width, top + height
        annotation["segmentation"] = [[left, top, right, top, right, bottom, left, bottom]]
    pictures(folder / "images" / "default", made)
    (folder / "annotations").mkdir()
    (folder / "annotations" / "instances_default.json").write_text(json.dumps(content))
    return folder


FORMATS: dict[str, Write] = {
    "VOC": write_voc,
    "COCO": write_coco,
    "COCO's polygons": write_outlines,
    "YOLO": write_yolo,
    "YOLO beside": write_yolo_beside,
    "YOLO's polygons": write_polygons,
    "keras-yolo3": write_keras,
    "TensorFlow's table": write_tf,
    "Open Images": write_open_images,
    "RetinaNet": write_retinanet,
    "sides": write_sides,
    "middles": write_middles,
    "CVAT": write_cvat,
    "labelme": write_labelme,
}
