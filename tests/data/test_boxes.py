"""Readers of images with boxes: both formats, what is mended, what is refused."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from memfold.data.box_files import read_boxes, read_splits, unboxed
from memfold.data.boxes import BoxedImages, joined
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
    assert read.boxes[0].tolist() == [[0, 10, 20, 30], [20, 10, 10, 10], [1, 2, 2, 2]]
    changes = "1 box with swapped corners put right, 1 box clipped to the image, 2 boxes without an area left out"
    assert capsys.readouterr().err == f"{tmp_path}: {changes}\n"


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
        "valid": ["002"],
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
    with pytest.raises(InputError, match=r"0\.png: the classes 'a', 'b' were not trained on; known are c"):
        both.numbers(["c"])


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
def test_bad_xml_and_images_are_left_out_and_named(
    made: list[Scene],
    tmp_path: Path,
    damage: Callable[[Path], None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(write_voc(tmp_path, made))
    assert len(read_boxes(tmp_path)) == 5
    err = capsys.readouterr().err
    assert err.startswith("1 of 6 images cannot be read and are left out: ")
    assert re.search(message, err)
    bad = re.search(r"/(00\d)\.xml", err)
    assert bad
    for path in (tmp_path / "Annotations").iterdir():
        if path.stem != bad[1]:
            path.unlink()
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
        (changed("annotations", bbox="1144"), "annotation 1: expected a box of four numbers, got '1144'"),
        (
            changed("annotations", bbox=[1, 1, "4", 4]),
            "annotation 1: expected a box of four numbers, got .1, 1, '4', 4.",
        ),
        (changed("annotations", bbox=[1, 1, True, 4]), "annotation 1: expected a box of four numbers"),
        (changed("annotations", bbox=[10**400, 1, 4, 4]), "annotation 1: expected a box of four numbers, got .1000"),
        (changed("annotations", bbox={"x": 1, "y": 1, "w": 4, "h": 4}), "annotation 1: expected a box of four"),
        (
            changed("annotations", category_id=None),
            "expected a number or a text as 'category_id' of the annotation, got",
        ),
        (changed("annotations", image_id=[1]), "expected a number or a text as 'image_id' of the annotation, got"),
        (changed("images", id=[1]), r"expected a number or a text as 'id' of the image, got \[1\]"),
        (changed("images", id=101), "two of the image entries have the id 101"),
        (changed("categories", id={}), "expected a number or a text as 'id' of the category"),
        (changed("categories", name=None), "expected the name of the category 7, got None"),
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
    with pytest.raises(InputError, match=message) as error:
        read_boxes(file)
    assert len(str(error.value)) < 1000


def test_all_bad_annotations_are_named_at_once(made: list[Scene], tmp_path: Path) -> None:
    file, content = write_coco(tmp_path, made), coco_of(made)
    for annotation in content["annotations"][:7]:
        annotation["category_id"] = 99
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"annotation 1: is of the category 99.*annotation 5: .*; and 2 more$"):
        read_boxes(file)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"file_name": "none.png"}, r"the image none\.png is not in "),
        ({"file_name": "a\0b.png"}, "the image a.*b.png is not in "),
        ({"file_name": "x" * 5000}, "the image x*.* is not in "),
        ({"file_name": ["a.png"]}, r"expected a file's name, got \['a.png'\]"),
        ({"width": 81}, r"image 000\.png: the boxes are for an image of 81x64 pixels"),
        ({"width": "80"}, r"expected width and height in pixels, got \['80', 64\]"),
        ({"width": 10**400}, r"expected width and height in pixels, got \[1000"),
    ],
)
def test_an_entry_that_is_for_no_image_is_left_out_and_named(
    made: list[Scene], tmp_path: Path, values: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, content = write_coco(tmp_path, made), coco_of(made)
    content["images"][0].update(values)
    file.write_text(json.dumps(content))
    assert len(read_boxes(file)) == 5
    err = capsys.readouterr().err
    assert err.startswith("1 of 6 images cannot be read and are left out: ")
    assert re.search(message, err)
    assert len(err) < 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "not readable as JSON"),
        ('{"images": ' + "9" * 10_000 + "}", "not readable as JSON"),
        ('{"images": [1], "annotations": [], "categories": []}', "is no COCO file"),
        ('{"shapes": [], "imagePath": "a.png"}', r"its image a\.png is not in "),
    ],
)
def test_json_that_is_no_coco_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_boxes(tmp_path / "a.json")
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("side", ["²", "9" * 5000, "-3", "many", "1_0"])
def test_sizes_in_xml_are_numbers(
    made: list[Scene], tmp_path: Path, side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_voc(tmp_path, made)
    file = tmp_path / "Annotations" / "000.xml"
    file.write_text(file.read_text().replace("<width>80<", f"<width>{side}<"), encoding="utf-8")
    assert len(read_boxes(tmp_path)) == 5
    assert "000.xml: expected width and height in pixels, got" in capsys.readouterr().err


def test_an_image_that_is_listed_twice_has_the_boxes_of_both(
    made: list[Scene], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, content = write_coco(tmp_path, made), coco_of(made)
    content["images"].append({"id": 9, "file_name": "000.png"})
    content["annotations"].append({"id": 999, "image_id": 9, "category_id": 7, "bbox": [1, 2, 3, 4]})
    file.write_text(json.dumps(content))
    read = read_boxes(file)
    assert len(read) == 6
    assert read.boxes[0][-1].tolist() == [1, 2, 3, 4]
    assert len(read.boxes[0]) == len(made[0][1]) + 1
    assert "the boxes of images listed twice are put together" in capsys.readouterr().err


# -- what four numbers are -------------------------------------------------------------------------------------


def rewritten(made: list[Scene], change: Callable[[list[float], dict[str, Any]], list[float]]) -> dict[str, Any]:
    """The content of a COCO file whose boxes are written in another way."""
    content = coco_of(made)
    shapes = {image["id"]: image for image in content["images"]}
    for annotation in content["annotations"]:
        box = annotation["bbox"]
        annotation["bbox"] = change([float(value) for value in box], shapes[annotation["image_id"]])  # type: ignore
    return content


def shares(box: list[float], image: dict[str, Any]) -> list[float]:
    return [box[k] / image["width" if k % 2 == 0 else "height"] for k in range(4)]


def corners(box: list[float], image: dict[str, Any]) -> list[float]:
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda box, image: box, []),
        (shares, ["read as shares"]),
        (corners, ["read as left, top, right, bottom"]),
        (lambda box, image: shares(corners(box, image), image), ["read as shares", "read as left, top, right, bottom"]),
    ],
)
@given(seed=st.integers(0, 1000))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_boxes_are_read_whichever_way_they_are_written(
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[list[float], dict[str, Any]], list[float]],
    said: list[str],
    seed: int,
) -> None:
    made, folder = scenes(12, seed), tmp_path_factory.mktemp("way")
    file = write_coco(folder, made)
    expected = read_boxes(write_voc(folder / "voc", made))
    capsys.readouterr()
    file.write_text(json.dumps(rewritten(made, change)))
    read = read_boxes(file)
    for one, other in zip(read.boxes, expected.boxes, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    err = capsys.readouterr().err
    for words in said:
        assert words in err
    assert err.count("\n") == len(said)


def write_one(folder: Path, boxes: list[list[float]], width: int = 100, height: int = 100, **values: Any) -> Path:
    """A COCO file with one image and some boxes."""
    Image.new("RGB", (width, height)).save(folder / "a.png")
    entries = [{"image_id": 1, "category_id": 1, "bbox": box, **values} for box in boxes]
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": entries}
    file = folder / "one.json"
    file.write_text(json.dumps({**content, "categories": [{"id": 1, "name": "a"}]}))
    return file


def test_what_can_be_read_in_two_ways_is_refused_or_decided_by_areas_or_a_setting(tmp_path: Path) -> None:
    file = write_one(tmp_path, [[10, 10, 40, 50], [5, 6, 30, 40]])
    with pytest.raises(InputError, match=r"in two ways.*\(xywh\).*\(xyxy\); say which: --set boxes=xywh\|xyxy$"):
        read_boxes(file)
    assert read_boxes(file, layout="xywh").boxes[0][0].tolist() == [10, 10, 40, 50]
    assert read_boxes(file, layout="xyxy").boxes[0][0].tolist() == [10, 10, 30, 40]
    assert read_boxes(file, usual="xyxy").layout == "xyxy"
    assert read_boxes(write_one(tmp_path, [[10, 10, 40, 50]], area=2000)).boxes[0].tolist() == [[10, 10, 40, 50]]
    assert read_boxes(write_one(tmp_path, [[10, 10, 40, 50]], area=1200)).boxes[0].tolist() == [[10, 10, 30, 40]]
    with pytest.raises(InputError, match=r"every number of the boxes is 0 or 1, .*shares.*pixels; write shares"):
        read_boxes(write_one(tmp_path, [[0, 0, 1, 1]]))
    whole = write_one(tmp_path, [[0.0, 0.0, 1.0, 1.0]])
    assert read_boxes(whole, layout="xywh").boxes[0].tolist() == [[0, 0, 100, 100]]


def test_a_few_boxes_beyond_the_image_or_swapped_do_not_decide(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    plain = [[*rng.integers(0, 70, 2).tolist(), *rng.integers(5, 30, 2).tolist()] for _ in range(20)]
    read = read_boxes(write_one(tmp_path, [*plain, [80, 80, 40, 10]]))
    assert read.layout == "xywh"
    assert read.boxes[0][-1].tolist() == [80, 80, 20, 10]
    assert "1 box clipped to the image" in capsys.readouterr().err
    read = read_boxes(write_one(tmp_path, [*([x, y, x + w, y + h] for x, y, w, h in plain), [50, 50, 20, 30]]))
    assert read.layout == "xyxy"
    assert read.boxes[0][0].tolist() == plain[0]
    assert read.boxes[0][-1].tolist() == [20, 30, 30, 20]
    assert "1 box with swapped corners put right" in capsys.readouterr().err


# -- the picture as a viewer shows it --------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
def test_boxes_are_in_the_picture_as_a_viewer_shows_it(tmp_path: Path, orientation: int, kind: str) -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[5:15, 30:50] = 255
    stored = Image.fromarray(picture)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions back
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"a.{kind}", exif=exif)
    content = {
        "images": [{"id": 1, "file_name": f"a.{kind}", "width": 60, "height": 40}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [30, 5, 20, 10]}],
        "categories": [{"id": 1, "name": "a"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    read = read_boxes(tmp_path).at(60)
    assert read.sizes == [(60, 40)]
    left, top, width, height = read.boxes[0][0].astype(int)
    inside = read.pixels[0][:, top : top + height, left : left + width]
    assert inside.mean() > 230
    assert read.pixels[0].sum() < 1.15 * 255 * 3 * 200
    if orientation > 4:
        content["images"][0].update(width=40, height=60)
        (tmp_path / "a.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=r"for an image of 40x60 pixels; .* has 60x40 as a viewer shows it"):
            read_boxes(tmp_path)


# -- objects marked as difficult -------------------------------------------------------------------------------


def test_difficult_objects_are_marked_and_not_trained_on_unless_there_are_no_others(tmp_path: Path) -> None:
    write_voc(tmp_path, [(np.zeros((40, 60, 3), np.uint8), [])])
    hard = "<difficult>1</difficult></object>"
    objects = [voc_object("a", 1, 1, 9, 9), voc_object("a", 20, 20, 30, 30).replace("</object>", hard)]
    objects += [voc_object("b", 40, 20, 50, 30).replace("</object>", hard)]
    (tmp_path / "Annotations" / "000.xml").write_text(f"<annotation>{''.join(objects)}</annotation>")
    read = read_boxes(tmp_path)
    assert read.difficult[0].tolist() == [False, True, True]
    assert read.ignored()[0].tolist() == [False, True, True]
    trained_on = read.without_difficult()
    assert trained_on.labels == [["a", "b"]]
    assert trained_on.boxes[0].tolist() == [[1, 1, 8, 8], [40, 20, 10, 10]]
    (tmp_path / "Annotations" / "000.xml").write_text(f"<annotation>{''.join(objects[1:])}</annotation>")
    only = read_boxes(tmp_path)
    assert only.without_difficult().labels == [["a", "b"]]
    assert not only.ignored()[0].any()


# -- splits ----------------------------------------------------------------------------------------------------


def test_folders_of_an_export_are_the_parts_of_a_split(made: list[Scene], tmp_path: Path) -> None:
    """As Roboflow, COCO and annotation programs lay them out."""
    roboflow, official, beside, voc = (tmp_path / name for name in ("roboflow", "official", "beside", "voc"))
    for part, count in (("train", 4), ("valid", 1), ("test", 2)):
        file = write_coco(roboflow / part, made[:count])
        file.rename(file.with_name("_annotations.coco.json"))
        file = write_coco(official / f"{part.replace('valid', 'val')}2017", made[:count])
        (official / "annotations").mkdir(exist_ok=True)
        file.rename(official / "annotations" / f"instances_{part.replace('valid', 'val')}2017.json")
        write_voc(voc / "data" / part.upper(), made[:count])
        scenes_ = write_voc(tmp_path / "aside" / part, made[:count])
        for name, kind in (("labels", "Annotations"), ("images", "JPEGImages")):
            (beside / name).mkdir(parents=True, exist_ok=True)
            (scenes_ / kind).rename(beside / name / part)
    (official / "annotations" / "captions_train2017.json").write_text("{}")
    for root in (roboflow, official, beside, voc):
        parts = read_splits(root)
        assert {part: len(images) for part, images in parts.items()} == {"train": 4, "valid": 1, "test": 2}
        assert same(parts["train"], read_boxes(write_voc(tmp_path / f"expected-{root.name}", made[:4])))
    assert read_splits(roboflow / "train") == {}
    assert read_splits(tmp_path / "none") == {}


def test_images_without_a_word_on_boxes_are_counted(
    made: list[Scene], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_voc(tmp_path, made)
    (tmp_path / "Annotations" / "001.xml").unlink()
    (tmp_path / "JPEGImages" / "b.HEIC").touch()
    assert len(read_boxes(tmp_path)) == 5
    assert "2 images lie beside these without a word on boxes and are left out" in capsys.readouterr().err


def test_images_may_be_given_themselves() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:20, 30:50] = 200
    for array in (pixels, pixels / 255, Image.fromarray(pixels), pixels[:, :, 0], pixels.astype(np.uint16)):
        images = unboxed([array]).at(60).toned({})
        assert images.sizes == [(60, 40)]
        assert [str(path) for path in images.paths] == ["image 0"]
        np.testing.assert_array_equal(images.pixels[0], pixels.transpose(2, 0, 1))
        assert images.at(30).pixels[0].shape == (3, 20, 30)
    with pytest.raises(InputError, match=r"image 1: expected numbers of \(H, W\) or \(H, W, 3\)"):
        unboxed([pixels, pixels[0, 0]])


def test_copies_of_an_image_are_held_out_together() -> None:
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (3, 9, 9), np.uint8) for _ in range(20)] * 2
    images = replace(named([["a"]] * 40), pixels=pixels)
    rest, held = images.split()
    assert not set(rest.prints) & set(held.prints)
    assert len(held) >= 4


def test_what_holds_no_boxes_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.json").write_text('{"images": [],\n oops}')
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "a.csv").write_text("x,y\n")
    for path, message in (
        ("none", "none: no such file or folder"),
        ("empty", "empty: holds no boxes; expected a file or a folder of COCO, Pascal VOC, YOLO"),
        ("a.json", r"a\.json, line 2: not readable as JSON"),
        ("list.json", r"list\.json: is no COCO file"),
        ("a.csv", r"a\.csv: is no table of boxes; expected columns such as filename,class,xmin"),
        ("", "holds several JSON files: name one of them"),
    ):
        with pytest.raises(InputError, match=message):
            read_boxes(tmp_path / path)
    with pytest.raises(InputError, match=r"a\.csv \(not an image\): cannot be read"):
        unboxed([tmp_path / "a.csv"])
