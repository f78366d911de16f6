"""Readers of images with boxes: both formats, what is mended, what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from memfold.data.boxes import BoxedImages, joined, read_boxes, read_splits, unboxed
from memfold.errors import InputError
from tasks.detect.scenes import Scene, coco_of, scenes, voc_object, write_coco, write_voc


@pytest.fixture
def made() -> list[Scene]:
    return scenes(6)


def same(one: BoxedImages, two: BoxedImages) -> bool:
    return one.labels == two.labels and all(np.array_equal(a, b) for a, b in zip(one.boxes, two.boxes, strict=True))


def test_both_formats_give_the_boxes_that_were_written(made: list[Scene], tmp_path: Path) -> None:
    voc, coco = read_boxes(write_voc(tmp_path / "voc", made)), read_boxes(write_coco(tmp_path / "coco", made))
    assert same(voc, coco)
    for (pixels, things), size, boxes, labels in zip(made, voc.sizes, voc.boxes, voc.labels, strict=True):
        assert size == (pixels.shape[1], pixels.shape[0])
        assert labels == [label for label, _ in things]
        expected = [(left, top, right - left, bottom - top) for _, (left, top, right, bottom) in things]
        assert boxes.tolist() == [list(map(float, box)) for box in expected]


def test_images_are_found_beside_their_boxes_or_where_it_is_said(made: list[Scene], tmp_path: Path) -> None:
    expected = read_boxes(write_voc(tmp_path / "voc", made))
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in [*(tmp_path / "voc").glob("*/*.xml"), *(tmp_path / "voc").glob("*/*.png")]:
        path.rename(flat / path.name)
    assert same(read_boxes(flat), expected)
    file = write_coco(tmp_path / "coco", made)
    assert same(read_boxes(file.parent), expected)
    (tmp_path / "pictures").mkdir()
    for path in file.parent.glob("*.png"):
        path.rename(tmp_path / "pictures" / path.name)
    assert same(read_boxes(file, images=tmp_path / "pictures"), expected)
    with pytest.raises(InputError, match=r"boxes\.json: the image 000\.png is not in .*--set images=FOLDER"):
        read_boxes(file)


def test_an_image_is_found_by_its_xml_files_name_when_the_one_inside_is_wrong(
    made: list[Scene], tmp_path: Path
) -> None:
    folder = write_voc(tmp_path, made[:1])
    file = folder / "Annotations" / "000.xml"
    file.write_text(file.read_text().replace("000.png", "D:\\old\\first.jpg"))
    assert read_boxes(folder).paths == [folder / "JPEGImages" / "000.png"]


def test_boxes_are_clipped_and_those_without_an_area_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_voc(tmp_path, [(np.zeros((40, 60, 3), np.uint8), [])])
    corners = [(-5, 10, 20, 90), (10, 10, 10, 30), (30, 20, 20, 10), (70, 5, 90, 20), (1, 2, 3, 4)]
    boxes = "".join(voc_object("cell", *own) for own in corners)
    (tmp_path / "Annotations" / "000.xml").write_text(f"<annotation>{boxes}</annotation>")
    read = read_boxes(tmp_path)
    assert read.boxes[0].tolist() == [[0, 10, 20, 30], [1, 2, 2, 2]]
    assert capsys.readouterr().err == f"{tmp_path}: 1 box clipped to the image, 3 boxes without an area left out\n"


def test_crowds_are_left_out_and_counted(made: list[Scene], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, content = write_coco(tmp_path, made), coco_of(made)
    content["annotations"][0]["iscrowd"] = 1
    file.write_text(json.dumps(content))
    assert sum(map(len, read_boxes(file).labels)) == len(content["annotations"]) - 1
    assert capsys.readouterr().err == f"{file}: 1 box around crowds left out\n"


def test_lists_of_parts_are_followed(made: list[Scene], tmp_path: Path) -> None:
    lists = write_voc(tmp_path, made) / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name, rows in (("train", "000\n001\n\n"), ("val", "002 1\n"), ("disc_train", "003 -1\n")):
        (lists / f"{name}.txt").write_text(rows)
    parts = read_splits(tmp_path)
    assert {name: [path.stem for path in part.paths] for name, part in parts.items()} == {
        "train": ["000", "001"],
        "val": ["002"],
    }
    (lists / "test.txt").write_text("099\n")
    with pytest.raises(InputError, match=r"test\.txt: names 099, but there is no .*099\.xml"):
        read_splits(tmp_path)


def named(labels: list[list[str]]) -> BoxedImages:
    boxes = [np.ones((len(own), 4), np.float32) for own in labels]
    return BoxedImages("these", [Path(f"{k}.png") for k in range(len(labels))], [(9, 9)] * len(labels), boxes, labels)


def test_no_class_is_only_among_those_held_out() -> None:
    for rare in range(20):
        images = named([["a"] if k != rare else ["a", "b"] for k in range(20)])
        rest, held = images.split()
        assert rest.classes == ["a", "b"]
        assert held.classes == ["a"]
        assert [len(rest), len(held)] == [18, 2]
        assert not set(rest.paths) & set(held.paths)
    with pytest.raises(InputError, match="these: every image has a class that no other has"):
        named([["a"], ["b"], ["c"]]).split()


def test_what_is_held_out_has_boxes_and_its_share_of_images_without() -> None:
    rest, held = named([["a"]] * 10 + [[]] * 90).split()
    assert [len(rest), len(held)] == [90, 10]
    assert sum(map(len, held.labels)) == 1
    with pytest.raises(InputError, match="these: one image has boxes; two are needed"):
        named([["a"], [], []]).split()
    with pytest.raises(InputError, match="these: there is no box in any image"):
        named([[], []]).split()


def test_several_sources_are_joined_and_a_strange_class_is_named() -> None:
    both = joined([named([["a"]]), named([["b"], []])])
    assert both.labels == [["a"], ["b"], []]
    assert [own.tolist() for own in both.numbers(["a", "b"])] == [[0], [1], []]
    with pytest.raises(InputError, match=r"0\.png: the class 'b' was not trained on; known are a"):
        both.numbers(["a"])


def broken_xml(folder: Path) -> None:
    (folder / "Annotations" / "000.xml").write_text("<annotation>\n<object>\n</annotation>")


def no_image(folder: Path) -> None:
    (folder / "JPEGImages" / "001.png").unlink()


def another_size(folder: Path) -> None:
    Image.new("RGB", (33, 44)).save(folder / "JPEGImages" / "001.png")


def objects(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "Annotations" / "002.xml").write_text(f"<annotation>{text}</annotation>")

    return write


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (broken_xml, r"000\.xml, line 3: not readable as XML \(mismatched tag"),
        (no_image, r"001\.xml: its image 001\.png is not in .*JPEGImages"),
        (another_size, r"001\.xml: the boxes are for an image of 80x64 pixels; .*001\.png has 33x44"),
        (objects("<object/>"), r"002\.xml, object 1: has no class"),
        (objects(voc_object("a", 1, 2, 3, 4) + "<object><name>b</name></object>"), r"object 2: expected a box of four"),
        (objects(voc_object("a", 1, 2, 3, float("nan"))), r"object 1: expected a box of four numbers, got .*nan"),
    ],
)
def test_bad_xml_and_images_are_named(
    made: list[Scene], tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(write_voc(tmp_path, made))
    with pytest.raises(InputError, match=message):
        read_boxes(tmp_path)


def changed(part: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content[part][0].update(values)


def without(part: str, key: str | None = None) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.pop(part) if key is None else content[part][0].pop(key)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (changed("annotations", image_id=5), "annotation 1: is for the image 5, which is not among the images"),
        (changed("annotations", category_id=1), "annotation 1: is of the category 1, which is not among"),
        (
            changed("annotations", bbox=[1, 2, "x", 4]),
            "annotation 1: expected a box of four numbers, got .1, 2, 'x', 4.",
        ),
        (changed("annotations", bbox=None), "annotation 1: expected a box of four numbers, got None"),
        (changed("images", width=81), r"image 000\.png: the boxes are for an image of 81x64 pixels"),
        (without("annotations", "bbox"), r'the annotation \{"id": 0, .* has no \'bbox\''),
        (without("categories"), "is no COCO file; expected a list of objects 'categories'"),
        (lambda content: content.update(images=[]), "names no image"),
    ],
)
def test_bad_coco_files_are_named(
    made: list[Scene], tmp_path: Path, damage: Callable[[dict[str, Any]], None], message: str
) -> None:
    file, content = write_coco(tmp_path, made), coco_of(made)
    damage(content)
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_boxes(file)


def test_what_holds_no_boxes_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.json").write_text('{"images": [],\n oops}')
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "a.csv").write_text("x,y\n")
    for path, message in (
        ("none", "none: no such file or folder"),
        ("empty", "empty: holds no boxes: neither XML nor JSON"),
        ("a.json", r"a\.json, line 2: not readable as JSON"),
        ("list.json", r"list\.json: is no COCO file"),
        ("a.csv", r"a\.csv: expected a COCO file that ends in \.json"),
        ("", "holds several JSON files: name one of them"),
    ):
        with pytest.raises(InputError, match=message):
            read_boxes(tmp_path / path)
    with pytest.raises(InputError, match=r"a\.csv \(not an image\): cannot be read"):
        unboxed([tmp_path / "a.csv"])
