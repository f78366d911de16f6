"""Boxes as annotation programs export them: each format written and read back, its splits, and what is left out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from memfold.data.box_files import read_boxes, read_splits
from memfold.data.boxes import BoxedImages
from memfold.errors import InputError
from tasks.detect.exports import (
    FORMATS,
    pictures,
    rows_of,
    write_cvat,
    write_keras,
    write_labelme,
    write_labels,
    write_sides,
    write_table,
    write_tf,
    write_yolo,
)
from tasks.detect.scenes import CLASSES, Scene, scenes, write_coco


def holds(read: BoxedImages, made: list[Scene]) -> None:
    """What was written is what was read."""
    assert [path.stem for path in read.paths] == [f"{number:03}" for number in range(len(made))]
    for (pixels, things), size, boxes, labels in zip(made, read.sizes, read.boxes, read.labels, strict=True):
        assert size == (pixels.shape[1], pixels.shape[0])
        assert labels == [label for label, _ in things]
        expected = [(left, top, right - left, bottom - top) for _, (left, top, right, bottom) in things]
        np.testing.assert_allclose(boxes, expected, atol=1e-3)


@pytest.mark.parametrize("name", FORMATS)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_format_reads_back_to_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int
) -> None:
    made = scenes(5, seed)
    holds(read_boxes(FORMATS[name](tmp_path_factory.mktemp("made"), made)), made)


# -- splits ----------------------------------------------------------------------------------------------------


def write_data_yaml(folder: Path, made: list[Scene], text: str, places: dict[str, str]) -> Path:
    for part, place in places.items():
        pictures(folder / "images" / part if place == "by kind" else folder / part / "images", made)
        write_labels(folder / "labels" / part if place == "by kind" else folder / part / "labels", made)
    (folder / "data.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("path: .\ntrain: images/train\nval: images/val\nnames: [disc, square]\n", "by kind"),
        (
            "# x\npath: ../datasets/x\ntrain: images/train  # 1\nval: images/val\nnames:\n  0: disc\n  1: square\n",
            "by kind",
        ),
        (
            "names:\n- disc\n- square\nnc: 2\nroboflow:\n  version: 1\ntrain: ../train/images\nval: ../val/images\n",
            "by part",
        ),
        (
            "train: C:/work/x/train/images\nval: [/content/x/val/images]\nnc: 2\nnames: ['disc', \"square\"]\n",
            "by part",
        ),
        ("train: train\nval: val\nnames: {0: disc, 1: square}\n", "by part"),
    ],
)
def test_a_data_yaml_names_the_parts_and_the_classes(tmp_path: Path, text: str, place: str) -> None:
    made = scenes(3)
    folder = write_data_yaml(tmp_path, made, text, {"train": place, "val": place})
    for source in (folder, folder / "data.yaml"):
        parts = read_splits(source)
        assert list(parts) == ["train", "valid"]
        for images in parts.values():
            holds(images, made)
    assert {path.parts[-3] for path in parts["valid"].paths} & {"val", "images"}


def test_lists_of_images_are_followed(tmp_path: Path) -> None:
    made = scenes(4)
    write_yolo(tmp_path / "data", made)
    for part, rows in (("train", (0, 1, 2)), ("val", (3,))):
        (tmp_path / "data" / f"{part}.txt").write_text("".join(f"./images/{row:03}.png\n" for row in rows))
    (tmp_path / "data" / "obj.names").write_text("disc\nsquare\n")
    (tmp_path / "obj.data").write_text(
        "classes = 2\ntrain = data/train.txt\nvalid = data/val.txt\nnames = data/obj.names\n"
    )
    (tmp_path / "data.yaml").write_text("path: data\ntrain: train.txt\nval: val.txt\nnames: [disc, square]\n")
    for source in (tmp_path / "obj.data", tmp_path / "data.yaml", tmp_path / "data"):
        parts = read_splits(source)
        assert {part: len(images) for part, images in parts.items()} == {"train": 3, "valid": 1}, source
        assert parts["train"].classes == list(CLASSES)


def test_roboflows_folders_are_a_split_in_every_format(tmp_path: Path) -> None:
    made = scenes(3)
    for name, file in (
        ("coco", "_annotations.coco.json"),
        ("table", "_annotations.csv"),
        ("keras", "_annotations.txt"),
    ):
        for part in ("train", "valid", "test"):
            folder = tmp_path / name / part
            if name == "coco":
                write_coco(folder, made).rename(folder / file)
            elif name == "table":
                pictures(folder, made)
                write_tf(folder, made).rename(folder / file)
                shutil.rmtree(folder / "images")
            else:
                write_keras(folder, made).rename(folder / file)
                (folder / "classes.txt").rename(folder / "_classes.txt")
        (tmp_path / name / "README.roboflow.txt").write_text("exported by roboflow.com")
        parts = read_splits(tmp_path / name)
        assert list(parts) == ["train", "valid", "test"]
        for images in parts.values():
            holds(images, made)


def test_tables_and_cvat_may_name_the_parts_themselves(tmp_path: Path) -> None:
    made = scenes(4)
    pictures(tmp_path, made)
    rows = [
        [file, label, *corners, "train" if file < "003" else "test"] for file, _, _, label, *corners in rows_of(made)
    ]
    file = write_table(tmp_path, ["image", "label", "x1", "y1", "x2", "y2", "split"], rows)
    assert {part: len(images) for part, images in read_splits(file).items()} == {"train": 3, "test": 1}
    cvat = write_cvat(tmp_path / "cvat", made)
    text = (cvat / "annotations.xml").read_text()
    for number in range(4):
        text = text.replace(f'id="{number}"', f'id="{number}" subset="{"Train" if number else "Test"}"')
    (cvat / "annotations.xml").write_text(text)
    parts = read_splits(cvat / "annotations.xml")
    assert {part: len(images) for part, images in parts.items()} == {"train": 3, "test": 1}
    for part in ("train", "test"):
        (tmp_path / "images" / part).mkdir(parents=True)
        header = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]
        write_table(tmp_path, header, [list(row) for row in rows_of(made)]).rename(tmp_path / f"{part}_labels.csv")
    assert list(read_splits(tmp_path)) == ["train", "test"]


# -- what is left out, and said --------------------------------------------------------------------------------


def test_yolos_files_that_do_not_fit_together_are_named_with_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = scenes(5)
    folder = write_yolo(tmp_path, made)
    (folder / "labels" / "001.txt").unlink()
    (folder / "labels" / "999.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (folder / "labels" / "002.txt").write_text("7 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.2 0.2 0.87\n")
    (folder / "labels" / "003.txt").write_text("0 0.5 0.5 0.1\n")
    (folder / "labels" / "004.txt").write_text("")
    read = read_boxes(folder)
    assert [path.stem for path in read.paths] == ["000", "001", "002", "004"]
    assert [len(labels) for labels in read.labels[1:]] == [0, 1, 0]
    err = capsys.readouterr().err
    for words in (
        "1 image has no file of labels, and is taken as without a thing in it: ",
        "1 file of labels has no image, and is left out: ",
        "1 box of a class without a name",
        "'7' (1 time)",
        "1 box with a further number (such as a score), which is not used",
        "003.txt, line 1: expected a class and the shares x y width height, got '0 0.5 0.5 0.1'",
    ):
        assert words in err, words


def test_labels_in_pixels_and_faulty_sets_are_refused(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "pixels", scenes(1))
    (folder / "labels" / "000.txt").write_text("0 40 30 10 10\n")
    with pytest.raises(InputError, match=r"000\.txt, line 1: expected shares of the image from 0 to 1.*got 40"):
        read_boxes(folder)
    for text, message in (
        ("train: nowhere\nnames: [a]\n", "its part train, nowhere, is not there"),
        ("names: [a, b]\n", "names no images; expected train and val"),
        ("train: images\nnc: 3\nnames: [disc, square]\n", "3 classes by nc, and 2 names"),
        ("train: images\nnames: [a, a]\n", "several classes are called a"),
        ("train: images\nnames: 5x\n", "its names, 5x, are not there"),
        ("train: [images\n", r"line 2: not readable as YAML"),
        ("- a\n- b\n", "expected the keys train, val and names"),
    ):
        (folder / "data.yaml").write_text(text)
        with pytest.raises(InputError, match=message):
            read_splits(folder / "data.yaml")


def test_numbers_are_names_where_nothing_names_the_classes_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = scenes(2)
    folder = write_yolo(tmp_path / "yolo", made)
    (folder / "labels" / "classes.txt").unlink()
    assert set(read_boxes(folder).classes) <= {"0", "1"}
    assert "their numbers are their names (data.yaml or classes.txt would hold them)" in capsys.readouterr().err
    file = write_keras(tmp_path / "keras", made)
    (file.parent / "classes.txt").unlink()
    assert set(read_boxes(file).classes) <= {"0", "1"}
    assert "no classes.txt lies beside it" in capsys.readouterr().err


def test_yolos_key_points_follow_their_boxes(tmp_path: Path) -> None:
    pictures(tmp_path / "images", scenes(1))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "000.txt").write_text("0 0.5 0.5 0.2 0.4 " + "0.9 0.9 2 " * 3)
    (tmp_path / "data.yaml").write_text("train: images\nnames: [a]\nkpt_shape: [3, 3]\n")
    (images,) = read_splits(tmp_path).values()
    np.testing.assert_allclose(images.boxes[0], [[32, 19.2, 16, 25.6]], atol=1e-3)


def test_tables_say_what_they_are_taken_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scenes(2)
    read_boxes(write_sides(tmp_path, made))
    assert "x and y are read as the upper left corner" in capsys.readouterr().err
    rows = [
        [file, f"[{left}, {top}, {right - left}, {bottom - top}]"]
        for file, _, _, _, left, top, right, bottom in rows_of(made)
    ]
    read = read_boxes(write_table(tmp_path, ["image_id", "bbox"], rows), layout="xywh")
    assert read.classes == ["object"]
    assert "all boxes are of one, 'object'" in capsys.readouterr().err
    file = write_table(
        tmp_path,
        ["filename", "class", "xmin", "ymin", "xmax", "ymax"],
        [["000.png", "", "", "", "", ""], ["001.png", "NA", 1, 2, 3, 4]],
    )
    assert read_boxes(file).labels == [[], ["NA"]]
    edges = [[f"{number:03}.png", "a", 70, 50, 20, 20] for number in range(2)]
    with pytest.raises(InputError, match=r"100% of the boxes reach beyond.*call the columns cx and cy"):
        read_boxes(write_table(tmp_path, ["image", "label", "x", "y", "w", "h"], edges))


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (
            "filename,class,xmin,ymin,xmax,ymax",
            "000.png,a,1,2,x,4",
            r"row 2: expected a box of four numbers, got \['1', '2', 'x', '4'\]",
        ),
        ("filename,class,xmin,ymin,xmax,ymax", "000.png,,1,2,3,4", "row 2: has a box without a class"),
        ("filename,class,xmin,ymin,xmax,ymax", ",a,1,2,3,4", "row 2: names no image"),
        (
            "filename,class,xmin,ymin,xmax,ymax",
            "other.png,a,1,2,3,4",
            r"row 2: the image other\.png is not in .*--set images=FOLDER",
        ),
        (
            "filename,class,x,y",
            "000.png,a,1,2",
            r"is no table of boxes; expected columns such as filename,class.*got 'filename'",
        ),
    ],
)
def test_bad_rows_of_a_table_are_named(tmp_path: Path, header: str, row: str, message: str) -> None:
    pictures(tmp_path, scenes(1))
    (tmp_path / "b.csv").write_text(f"{header}\n{row}\n")
    with pytest.raises(InputError, match=message):
        read_boxes(tmp_path / "b.csv")


def test_cvats_other_shapes_are_boxes_around_them_or_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (100, 80)).save(tmp_path / "a.png")
    shapes = (
        '<polygon label="a" points="10,20;30,20;30.5,50"/><ellipse label="a" cx="50" cy="40" rx="10" ry="5"/>'
        '<mask label="b" rle="1" left="5" top="6" width="7" height="8"/><points label="b" points="1,2"/>'
        '<box label="b" xtl="40" ytl="30" xbr="60" ybr="40" rotation="90"/><tag label="night"/>'
    )
    text = f'<annotations><image id="0" name="deep/a.png" width="100" height="80">{shapes}</image></annotations>'
    (tmp_path / "x.xml").write_text(text)
    read = read_boxes(tmp_path / "x.xml")
    expected = [[10, 20, 20.5, 30], [40, 35, 20, 10], [5, 6, 7, 8], [45, 25, 10, 20]]
    np.testing.assert_allclose(read.boxes[0], expected, atol=1e-4)
    err = capsys.readouterr().err
    for words in ("drawn around a polygon", "drawn around turned boxes", "of points left out"):
        assert words in err
    (tmp_path / "x.xml").write_text('<annotations><track id="0"><box frame="0"/></track></annotations>')
    with pytest.raises(InputError, match=r"tracks of a video; export it from CVAT as 'CVAT for images 1\.1'"):
        read_boxes(tmp_path / "x.xml")


def test_labelmes_other_shapes_are_boxes_around_them_or_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (100, 80)).save(tmp_path / "a.JPG")
    shapes = [
        {"label": "a", "points": [[50, 40], [53, 44]], "shape_type": "circle"},
        {"label": "a", "points": [[1, 2], [9, 2], [5, 12]], "shape_type": "polygon"},
        {"label": "b", "points": [[1, 2]], "shape_type": "point"},
    ]
    content = {"shapes": shapes, "imagePath": "gone.jpg", "imageData": None}
    (tmp_path / "a.json").write_text(json.dumps(content))
    np.testing.assert_allclose(read_boxes(tmp_path).boxes[0], [[45, 35, 10, 10], [1, 2, 8, 10]])
    assert "1 box of a point left out, which has no area" in capsys.readouterr().err
    shapes[0]["points"] = [[1, "x"]]
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"a\.json, shape 1: expected the points of a rectangle, polygon or circle"):
        read_boxes(tmp_path)


def test_an_image_that_is_elsewhere_is_found_by_its_name_and_two_of_a_name_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = scenes(1)
    file = write_tf(tmp_path, made)
    (tmp_path / "images").rename(tmp_path / "pictures")
    holds(read_boxes(file), made)
    assert f"images are taken by their names from {tmp_path / 'pictures'}" in capsys.readouterr().err
    shutil.copytree(tmp_path / "pictures", tmp_path / "more")
    with pytest.raises(InputError, match=r"000\.png, .*000\.png: all bear the name 000\.png; name the folder"):
        read_boxes(file)


def test_boxes_that_are_there_in_two_formats_are_read_from_one_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = scenes(2)
    write_labelme(tmp_path, made)
    write_labels(tmp_path, made)
    holds(read_boxes(tmp_path), made)
    assert "are read from its JSON files; YOLO's text files there are left out" in capsys.readouterr().err
