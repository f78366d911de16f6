"""The detector: it learns, predicts boxes, is saved and loaded, reports, and names what it cannot work with."""

import base64
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch.nn.utils import parameters_to_vector

import memfold
from memfold.cli import run
from memfold.data.box_files import read_boxes
from memfold.errors import InputError
from memfold.tasks import ObjectDetector
from memfold.tasks.detect.baselines import MEAN_BOX
from memfold.tasks.detect.scores import overlaps
from tasks.detect.scenes import CLASSES, scenes, voc_object, write_coco, write_voc

SMALL = {"size": 80, "channels": 24, "blocks": 1, "hidden_size": 8, "lr": 4e-3, "batch_size": 4}


def small(**changes: object) -> ObjectDetector:
    return ObjectDetector(**{**SMALL, **changes})  # type: ignore[arg-type]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``call("fit", ...)`` runs the command and gives what it printed."""

    def output(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["memfold", *arguments])
        assert run() == 0
        return capsys.readouterr().out

    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(tmp_path_factory.mktemp("scenes"), scenes(24))


@pytest.fixture(scope="module")
def fitted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ObjectDetector:
    valid = write_voc(tmp_path_factory.mktemp("valid"), scenes(12, seed=1))
    return small().fit(folder, budget="60ep", valid=valid, progress=False)


def test_it_learns_squares_and_discs(fitted: ObjectDetector, tmp_path: Path) -> None:
    report = fitted.evaluate(write_coco(tmp_path, scenes(16, seed=5)))
    assert report.metrics["map50"] > 0.8
    assert report.metrics["map50"] > report.metrics["map"] > report.baselines[MEAN_BOX]["map"]
    shown = Console(width=100, file=io.StringIO())
    for item in report.shown:
        shown.print(item)
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert "By class; precision and recall" in text
    assert "images a second, reading apart" in text
    for label in CLASSES:
        assert label in text


def test_answers_are_a_table_of_boxes_in_the_images_own_pixels(fitted: ObjectDetector, tmp_path: Path) -> None:
    made = scenes(8, seed=6)
    write_coco(tmp_path, made)
    big = tmp_path / "big"
    big.mkdir()
    for path in tmp_path.glob("*.png"):
        with Image.open(path) as image:
            image.resize((3 * image.width, 3 * image.height), Image.Resampling.NEAREST).save(big / path.name)
    table = fitted.predict([big])
    assert table.columns == ["image", "label", "score", "x", "y", "width", "height"]
    good = 0
    for number, (_, things) in enumerate(made):
        own = table.filter(pl.col("image") == str(big / f"{number:03}.png"))
        assert own["score"].is_sorted(descending=True)
        corners = 3 * np.array([box for _, box in things], np.float32).reshape(-1, 4)
        true = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
        good += int((overlaps(own.select("x", "y", "width", "height").to_numpy(), true) > 0.5).any(0).sum())
    assert good > 0.7 * sum(len(things) for _, things in made)


def test_a_threshold_says_how_sure_a_box_must_be(fitted: ObjectDetector, folder: Path) -> None:
    images = [folder / "JPEGImages"]
    counts = [fitted.predict(images, threshold).height for threshold in (0.0, 0.3, 0.6, 1.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2] > counts[3] == 0
    things = fitted.predict(images)
    for label, least in zip(fitted.classes_, fitted.thresholds_, strict=True):
        assert things.filter(pl.col("label") == label)["score"].min() >= least
    with pytest.raises(InputError, match=r"threshold must be from 0 to 1, got 1\.5"):
        fitted.predict(images, 1.5)


def test_an_image_has_its_boxes_whatever_others_are_beside_it(fitted: ObjectDetector, tmp_path: Path) -> None:
    write_coco(tmp_path, scenes(3, seed=7))
    with Image.open(tmp_path / "002.png") as image:
        image.crop((0, 0, 50, 64)).save(tmp_path / "narrow.png")
    together = fitted.predict([tmp_path])
    for name in ("001.png", "narrow.png"):
        alone = fitted.predict([tmp_path / name])
        beside = together.filter(pl.col("image") == str(tmp_path / name))
        assert alone["label"].to_list() == beside["label"].to_list()
        np.testing.assert_allclose(alone[:, 2:].to_numpy(), beside[:, 2:].to_numpy(), atol=1e-3)


@pytest.mark.release
def test_sequences_of_boxes_are_learnt_saved_and_loaded(folder: Path, tmp_path: Path, call: Callable[..., str]) -> None:
    data, model = write_coco(tmp_path / "new", scenes(16, seed=5)), str(tmp_path / "m")
    sets = [word for name, value in {**SMALL, "head": "sequence"}.items() for word in ("--set", f"{name}={value}")]
    call("fit", "detect", str(folder), "--out", model, "--budget", "40ep", "--json", *sets)
    scores = json.loads(call("evaluate", model, str(data), "--json"))
    assert scores["metrics"]["map50"] > 0.4 > 4 * scores["baseline"]["map50"]
    image = tmp_path / "new" / "000.png"
    table = pl.read_csv(io.StringIO(call("predict", model, str(image), "--set", "threshold=0.0")))
    assert 4 < table.height <= 100
    loaded = memfold.load(model)
    assert isinstance(loaded, ObjectDetector)
    assert loaded.head == "sequence"
    loaded.save(tmp_path / "again")
    again = memfold.load(tmp_path / "again")
    assert again.predict([image]).equals(loaded.predict([image]))  # type: ignore[attr-defined]
    np.testing.assert_allclose(loaded.predict([image], 0.0)[:, 2:].to_numpy(), table[:, 2:].to_numpy(), atol=1e-3)


def test_the_same_seed_gives_the_same_model(folder: Path) -> None:
    some, image = read_boxes(folder).take(range(6)), folder / "JPEGImages" / "000.png"

    first, same, other = (small(seed=seed).fit(some, budget="1ep", progress=False) for seed in (4, 4, 5))
    assert first.predict([image], threshold=0.0).equals(same.predict([image], threshold=0.0))
    weights = [parameters_to_vector(model.network_.parameters()) for model in (first, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])  # in so short a training the common boxes answer


def test_official_parts_are_used(folder: Path, tmp_path: Path) -> None:
    own = write_voc(tmp_path, scenes(6, seed=8))
    lists = own / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("000\n001\n002\n")
    (lists / "val.txt").write_text("003\n")
    two = small().parts([str(own)])
    assert [len(two.train), len(two.test), two.valid] == [3, 1, None]
    (lists / "test.txt").write_text("004\n005\n")
    three = small().parts([str(own)])
    assert [len(three.train), len(three.test), len(three.valid)] == [3, 2, 1]
    assert [len(part) for part in (small().parts([str(folder)]).train, small().parts([str(folder)]).test)] == [22, 2]
    (lists / "train.txt").write_text("004\n")
    file = own / "Annotations" / "005.xml"
    file.write_text(file.read_text().replace("disc", "ring").replace("square", "ring"))
    with pytest.raises(InputError, match=r"005\.png: the class 'ring' was not trained on; known are"):
        small().parts([str(own)])


def test_the_page_shows_pictures_with_boxes(fitted: ObjectDetector, folder: Path, tmp_path: Path) -> None:
    fitted.evaluate(folder, "scenes", report=tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.split("</head>")[1].count(";base64,") == 6
    for text in ("Boxes in scenes", "Among the worst: ", "Typical: ", "Precision and recall", MEAN_BOX, "missed: "):
        assert text in page
    with pytest.raises(InputError, match="there is no folder"):
        fitted.evaluate(folder, report=tmp_path / "none" / "a.html")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be at least 1"),
        ({"size": 8}, "size must be at least 32"),
        ({"flips": "sideways"}, "flips is 'sideways', expected none or horizontal or all"),
        ({"head": "corners"}, "head is 'corners', expected centres or sequence"),
    ],
)
def test_parameters_out_of_range_are_named(folder: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**changes).fit(folder, budget="1ep", progress=False)


def test_what_cannot_be_worked_with_is_named(fitted: ObjectDetector, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "000.png").write_bytes((folder / "JPEGImages" / "000.png").read_bytes()[:300])
    with pytest.raises(InputError, match=r"000\.png \(.*\): cannot be read"):
        fitted.predict(tmp_path)
    with pytest.raises(InputError, match=r"image 0: expected numbers of \(H, W\) or \(H, W, 3\), got uint8 of \(8,\)"):
        fitted.predict([np.zeros(8, np.uint8)])
    with pytest.raises(InputError, match="predict needs images"):
        fitted.answers([])
    with pytest.raises(InputError, match=r"none\.png: no such file or folder"):
        fitted.predict([tmp_path / "none.png"])


def test_images_that_cannot_be_read_are_left_out_and_named(
    fitted: ObjectDetector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_coco(tmp_path, scenes(5))
    (tmp_path / "001.png").write_bytes((tmp_path / "001.png").read_bytes()[:300])  # its size is still there
    (tmp_path / "003.png").write_text("no image")
    expected = {"000.png", "002.png", "004.png"}
    for read, source in ((fitted.inputs, tmp_path), (fitted.read, file)):
        assert {path.name for path in read(source).paths} == expected
        err = capsys.readouterr().err
        assert "2 of 5 images cannot be read and are left out: " in err
        assert f"{tmp_path / '003.png'} (not an image)" in err
        assert f"{tmp_path / '001.png'} (" in err
    assert {Path(image).name for image in fitted.predict(tmp_path, threshold=0.0)["image"]} == expected


def test_images_and_their_boxes_may_come_apart(folder: Path, tmp_path: Path) -> None:
    read = read_boxes(folder)
    boxes = [
        [(label, *box) for label, box in zip(*own, strict=True)] for own in zip(read.labels, read.boxes, strict=True)
    ]
    expected = small().fit(folder, budget="1ep", progress=False)
    files = np.array(read.paths, object)
    model = small().fit(files, pd.Series(boxes), budget="1ep", progress=False)
    images = folder / "JPEGImages"
    assert model.predict(images, threshold=0.0).equals(expected.predict(images, threshold=0.0))
    assert model.score(files, boxes) == model.evaluate(folder).metrics["map50"]
    with pytest.raises(InputError, match="24 images in X, but boxes of 1 in y"):
        small().fit(files, boxes[:1], budget="1ep")
    with pytest.raises(InputError, match=r"boxes of image 1: expected a list of \(label, x, y, width, height\), got 7"):
        small().fit(files[:2], [boxes[0], 7], budget="1ep")
    with pytest.raises(InputError, match=r"boxes of image 0: expected a box of four numbers, got \[1, 2, 3\]"):
        small().fit(files[:1], [[("disc", 1, 2, 3)]], budget="1ep")


def test_an_image_read_for_another_size_is_read_again(fitted: ObjectDetector, folder: Path) -> None:
    large = ObjectDetector(size=160).read(folder)
    assert max(large.pixels[0].shape) == 160
    again = fitted.read(large)
    assert max(again.pixels[0].shape) == SMALL["size"]
    assert fitted.read(again) is again


def test_the_folders_of_a_split_are_its_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scenes(9, seed=8)
    for part, first, last in (("train", 0, 4), ("valid", 4, 6), ("test", 6, 9)):
        write_coco(tmp_path / part, made[first:last])
    parts = small().parts([str(tmp_path)])
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [4, 2, 3]
    assert "a split: images to train on 4, to validate on 2, to score 3" in capsys.readouterr().err
    model = small().fit(tmp_path, budget="1ep", progress=False)
    assert "a split: images to train on 4, to validate on 2" in capsys.readouterr().err
    assert {path.parent.name for path in model.read(tmp_path).paths} == {"test"}
    train, valid = small().split(small().read(tmp_path))
    assert [{path.parent.name for path in part.paths} for part in (train, valid)] == [{"train"}, {"valid"}]
    (tmp_path / "test" / "000.png").write_bytes((tmp_path / "train" / "000.png").read_bytes())
    small().parts([str(tmp_path)])
    err = capsys.readouterr().err
    assert "1 of 3 images to score are among those to train on too" in err
    assert f"{tmp_path / 'test' / '000.png'} = {tmp_path / 'train' / '000.png'}" in err


def test_it_finds_things_in_pictures_that_a_camera_turned(fitted: ObjectDetector, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = scenes(12, seed=5)
    write_coco(tmp_path / "plain", made)
    (tmp_path / "turned").mkdir()
    for path in (tmp_path / "plain").glob("*.png"):
        with Image.open(path) as image:
            image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned" / path.name, exif=exif)
    (tmp_path / "turned" / "boxes.json").write_bytes((tmp_path / "plain" / "boxes.json").read_bytes())
    plain, turned = (fitted.evaluate(tmp_path / name).metrics for name in ("plain", "turned"))
    assert turned == plain
    fitted.evaluate(tmp_path / "turned", report=tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    shown = re.search(r"jpeg;base64,([^\"]+)", page.split("</head>")[1])
    assert shown
    with Image.open(io.BytesIO(base64.b64decode(shown[1].replace("\\u002f", "/")))) as image:
        assert image.width > image.height


def test_it_takes_images_themselves(fitted: ObjectDetector, tmp_path: Path) -> None:
    pixels = scenes(1, seed=6)[0][0]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = fitted.predict(tmp_path / "a.png", threshold=0.0)
    assert expected.height
    for given in (pixels, [pixels], pixels / 255, Image.fromarray(pixels), str(tmp_path / "a.png"), tmp_path):
        found = fitted.predict(given, threshold=0.0)
        assert found.drop("image").equals(expected.drop("image"))
    assert set(fitted.predict([pixels, pixels], threshold=0.0)["image"]) == {"image 0", "image 1"}
    assert fitted.predict(pixels[:, :, 0], threshold=0.0).height


def test_numbers_of_sixteen_bits_are_scaled_as_in_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_coco(tmp_path, scenes(8, seed=9))
    for path in tmp_path.glob("*.png"):
        grey = np.asarray(Image.open(path).convert("L")).astype(np.uint16)
        Image.fromarray((1000 + 2 * grey).astype(np.uint16)).save(path)
    model = small().fit(file, budget="1ep", progress=False)
    assert "images of more than 8 bits, scaled here and in predicting: 16-bit: " in capsys.readouterr().err
    black, white = model.tones_["16-bit"]
    assert 1000 < black < 1150
    assert 1300 < white < 1520
    (pixels,) = model.inputs(tmp_path / "000.png").pixels
    assert pixels.max() > 230
    assert pixels.min() < 25
    model.save(tmp_path / "m")
    again = memfold.load(tmp_path / "m")
    assert isinstance(again, ObjectDetector)
    assert again.tones_ == model.tones_
    assert again.predict(tmp_path / "000.png", 0.0).equals(model.predict(tmp_path / "000.png", 0.0))


def test_what_numbers_mean_is_kept_with_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_coco(tmp_path, scenes(8, seed=9))
    content = json.loads(file.read_text())
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        annotation["bbox"] = [x, y, x + width, y + height]
    file.write_text(json.dumps(content))
    model = small().fit(file, budget="1ep", progress=False)
    assert model.layout_ == "xyxy"
    one = next(entry for entry in content["annotations"] if entry["bbox"][2] + entry["bbox"][0] < 80)
    one["bbox"][1::2] = [5, 30]  # fits both ways
    content["annotations"] = [one]
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"--set boxes=xywh\|xyxy"):
        small().read(file)
    capsys.readouterr()
    boxes = [box.tolist() for boxes in model.read(file).boxes for box in boxes]
    left, top, right, bottom = one["bbox"]
    assert boxes == [[left, top, right - left, bottom - top]]
    assert "they are read as xyxy" in capsys.readouterr().err


def test_difficult_objects_count_neither_way(fitted: ObjectDetector, tmp_path: Path) -> None:
    made = scenes(10, seed=5)
    plain, marked = (write_voc(tmp_path / name, made) for name in ("plain", "marked"))
    for path in (marked / "Annotations").iterdir():
        extra = voc_object("disc", 0, 0, 12, 8).replace("</object>", "<difficult>1</difficult></object>")
        path.write_text(path.read_text().replace("</annotation>", f"{extra}</annotation>"))
    assert fitted.evaluate(marked).metrics == fitted.evaluate(plain).metrics


def test_pictures_of_nothing_give_an_empty_table(fitted: ObjectDetector, tmp_path: Path) -> None:
    Image.new("L", (200, 30), 90).save(tmp_path / "grey.png")
    table = fitted.predict([tmp_path / "grey.png"], threshold=1.0)
    assert table.height == 0
    assert table.schema["label"] == pl.String


def test_the_command_line_from_end_to_end(folder: Path, tmp_path: Path, call: Callable[..., str]) -> None:
    model, page = str(tmp_path / "m"), str(tmp_path / "page.html")
    sets = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    report = json.loads(call("fit", "detect", str(folder), "--out", model, "--budget", "1ep", "--json", *sets))
    assert report["baseline"]["name"] == MEAN_BOX
    assert "By class" in call("evaluate", model, str(folder), "--report", page)
    assert Path(page).exists()
    out = call("predict", model, str(folder / "JPEGImages" / "000.png"), "--set", "threshold=0.0")
    assert out.splitlines()[0] == "image,label,score,x,y,width,height"
    read = read_boxes(folder)
    table = pl.read_csv(io.StringIO(out))
    assert (table["x"] + table["width"] <= read.sizes[0][0] + 1e-3).all()
    assert torch.is_grad_enabled()
