"""The classifier of images: folders in, classes out, its baseline, its report, its errors."""

import gzip
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.metrics import f1_score

import memfold
from memfold.cli import run
from memfold.data.images import Images, read_classes
from memfold.errors import InputError
from memfold.tasks import ImageClassifier
from memfold.tasks.classes import with_none
from memfold.tasks.classify.network import ClassifyNetwork, ClassifyProblem
from memfold.tasks.classify.report import Judged
from memfold.tasks.classify.task import PCA
from memfold.tasks.vision.augment import Augmentation
from memfold.tasks.vision.network import BackboneSize
from tasks.vision.shapes import SHAPES, SIZE, write_shapes

SETTINGS = {"size": SIZE, "channels": 16, "blocks": 1, "hidden_size": 8, "stem_stride": 2, "lr": 1e-2, "batch_size": 16}


def small(**changes: object) -> ImageClassifier:
    return ImageClassifier(**{**SETTINGS, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"), 30)


@pytest.fixture(scope="module")
def fitted(folder: Path) -> ImageClassifier:
    return small().fit(folder, budget="20ep", progress=False)


def test_it_learns_shapes_wherever_they_are(fitted: ImageClassifier, tmp_path: Path) -> None:
    report = fitted.evaluate(read_classes(write_shapes(tmp_path, 10, seed=5), SIZE))
    assert set(report.metrics) == {"accuracy", "macro_f1", "ece"}
    assert set(report.baselines[PCA]) == {"accuracy", "macro_f1"}
    assert report.metrics["accuracy"] > 90 > report.baselines[PCA]["accuracy"]
    assert any("images a second" in str(item) for item in report.shown)


def test_an_answer_that_is_not_sure_is_none_of_these_where_that_is_asked_for(
    fitted: ImageClassifier, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = pl.DataFrame({"label": ["a", "b", None], "p_a": [0.9, 0.4, None], "p_b": [0.1, 0.6, None]})
    assert with_none(answers, ["a", "b"], 0.7)["label"].to_list() == ["a", "none of these", None]
    assert capsys.readouterr().err == "1 of 3 answers are less probable than 0.7: none of these\n"
    assert fitted.answers([str(folder / "disc" / "0.png")], none=0.4)["label"].to_list() == ["disc"]  # type: ignore
    with pytest.raises(InputError, match=r"probability above that of chance, 0\.33, and below 1, got 0\.2"):
        fitted.answers([str(folder)], none=0.2)


def test_answers_are_a_table_of_files_labels_and_probabilities(fitted: ImageClassifier, folder: Path) -> None:
    table = fitted.predict([folder / "bar", folder / "disc" / "0.png"])
    assert table.columns == ["file", "label", "p_bar", "p_disc", "p_post"]
    assert table.height == 31
    np.testing.assert_allclose(table.select("p_bar", "p_disc", "p_post").sum_horizontal(), 1, atol=1e-5)
    assert table["label"].to_list()[-1] == "disc"


def test_a_model_of_grey_images_takes_colour_and_any_size(
    fitted: ImageClassifier, folder: Path, tmp_path: Path
) -> None:
    with Image.open(folder / "bar" / "3.png") as image:
        image.convert("RGB").resize((64, 64), Image.Resampling.NEAREST).save(tmp_path / "large.webp", lossless=True)
    assert fitted.predict([tmp_path / "large.webp"])["label"].item() == "bar"


def test_colour_is_learnt_where_there_is_some(tmp_path: Path) -> None:
    """The same grey, so that only colour decides."""
    for name, colour in (("red", (200, 60, 60)), ("blue", (60, 60, 200))):
        (tmp_path / name).mkdir()
        for number in range(12):
            Image.new("RGB", (8, 8), colour).save(tmp_path / name / f"{number}.png")
    model = small(size=8).fit(tmp_path, budget="10ep", progress=False)
    assert model.colours_ == 3
    assert set(model.predict([tmp_path / "red"])["label"]) == {"red"}
    assert set(model.predict([tmp_path / "blue"])["label"]) == {"blue"}


def test_a_fit_holds_a_tenth_of_every_class_out(folder: Path) -> None:
    parts = small(fold=2).parts([str(folder)])
    assert sorted(parts.test.labels) == sorted(list(SHAPES) * 3)
    assert not set(parts.test.files) & set(parts.train.files)
    assert len(parts.train.files) == 81


def test_the_report_shows_the_worst_mistakes_as_pictures(fitted: ImageClassifier, folder: Path, tmp_path: Path) -> None:
    images = read_classes(folder, SIZE)
    wrong = Images("shapes", images.pixels, ["bar", *images.labels[1:-1], "disc"], images.files)
    wrong.labels[0] = "post"
    report = fitted.evaluate(wrong, "shapes", report=tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    captions = re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", page)
    assert any(caption.startswith("post taken for bar (") for caption in captions)
    assert any(caption.startswith("disc taken for post (") for caption in captions)
    mistakes = round((1 - report.metrics["accuracy"] / 100) * 90)
    assert len(captions) == page.count('<img src="data:image/png;base64,') == mistakes
    assert "Answers by true class" in page
    assert not re.search(r"(src|href)=\"http", re.sub(r"<script>.*?</script>", "", page, flags=re.S))


def test_mistakes_come_in_order_and_pairs_are_counted() -> None:
    images = Images("x", np.zeros((4, 1, 2, 2), np.uint8), ["a", "a", "b", "a"], ["0", "1", "2", "3"])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]], np.float32)
    answers = Judged(images, ["a", "b"], np.array([0, 0, 1, 0]), probabilities)
    assert answers.worst() == [3, 1]
    assert answers.confusion().tolist() == [[1, 2], [0, 1]]
    assert answers.confused() == [(2, "a", "b")]


def test_macro_f1_is_that_of_scikit_learn(fitted: ImageClassifier, folder: Path) -> None:
    images = read_classes(folder, SIZE)
    answers = fitted.predict([folder])["label"].to_list()
    expected = 100 * f1_score(images.labels, answers, average="macro")
    assert fitted.evaluate(images).metrics["macro_f1"] == pytest.approx(expected)


def test_images_and_their_classes_may_come_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = read_classes(folder, SIZE)
    expected = small(seed=4).fit(folder, budget="1ep", progress=False).predict(folder)
    files = pd.Series(images.files, index=range(5, 95))  # as a part of a longer one has it
    by_files = small(seed=4).fit(files, np.array(images.labels), budget="1ep", progress=False)
    assert by_files.predict(files).equals(expected)
    by_arrays = small(seed=4).fit(images.pixels[:, 0], images.labels, budget="1ep", progress=False)
    assert by_arrays.predict(images.pixels[:, 0]).drop("file").equals(expected.drop("file"))
    assert by_files.score(files, images.labels) == by_arrays.evaluate(images).metrics["accuracy"]
    with pytest.raises(InputError, match="90 images in X, but 1 labels in y"):
        small().fit(images.files, ["bar"], budget="1ep")
    some = small().labelled([*images.files[:2], str(folder)], ["a", "b", "c"])
    assert some.labels == ["a", "b"]
    assert "1 of 3 images cannot be read and are left out" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_model(folder: Path) -> None:
    one, two = (small(seed=4).fit(folder, budget="1ep", progress=False).predict([folder]) for _ in range(2))
    assert one.equals(two)
    assert not one.equals(small(seed=5).fit(folder, budget="1ep", progress=False).predict([folder]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be at least 1"),
        ({"size": 4}, "size must be at least 8"),
        ({"stem_stride": 3}, "stem_stride must be 1, 2, 4 or 8, got 3"),
        ({"dropout": 1.0}, "dropout must be below 1"),
        ({"augment": -0.5}, "augment must be at least 0"),
    ],
)
def test_parameters_out_of_range_are_named(folder: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**changes).fit(folder, budget="1ep", progress=False)


def test_what_cannot_be_predicted_is_named(fitted: ImageClassifier, tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    for name in ("bar", "cross"):
        (strange / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(strange / name / "0.png")
    with pytest.raises(InputError, match="the class 'cross' was not trained on; the model knows bar, disc, post"):
        fitted.evaluate(read_classes(strange, SIZE))
    with pytest.raises(InputError, match=r"the classes 'bar' \(1 image\), 'cross' \(1 image\) have too few"):
        small().fit(strange, budget="1ep", progress=False)
    with pytest.raises(InputError, match="predict needs images"):
        fitted.answers([])


def test_the_folders_of_a_split_are_its_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part, count in (("train", 10), ("validation", 4), ("TEST", 3)):
        write_shapes(tmp_path / part, count, seed=count)
    parts = small().parts([str(tmp_path)])
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [30, 12, 9]
    assert "a split: images to train on 30, to validate on 12, to score 9" in capsys.readouterr().err
    model = small().fit(tmp_path, budget="1ep", progress=False)
    assert model.classes_ == sorted(SHAPES)
    assert {Path(file).parent.parent.name for file in model.read(tmp_path).files} == {"TEST"}
    train, valid = small().split(small().read(tmp_path))
    assert [{Path(file).parent.parent.name for file in part.files} for part in (train, valid)] == [
        {"train"},
        {"validation"},
    ]
    capsys.readouterr()
    (tmp_path / "TEST" / "bar" / "9.png").write_bytes((tmp_path / "train" / "bar" / "0.png").read_bytes())
    small().parts([str(tmp_path)])
    assert "1 of 10 images to score are among those to train on too, pixel by pixel" in capsys.readouterr().err
    (tmp_path / "TEST" / "bar").rename(tmp_path / "TEST" / "beam")
    (tmp_path / "TEST" / "post").rename(tmp_path / "TEST" / "pole")
    with pytest.raises(InputError, match="the classes 'beam', 'pole' were not trained on; the model knows bar"):
        small().parts([str(tmp_path)])


def test_without_a_part_to_score_that_to_validate_on_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, count in (("train", 10), ("val", 4)):
        write_shapes(tmp_path / part, count, seed=count)
    parts = small().parts([str(tmp_path)])
    assert (len(parts.train), parts.valid, len(parts.test)) == (30, None, 12)
    assert "there is no part to score; that to validate on is scored instead" in capsys.readouterr().err
    with pytest.raises(InputError, match="a split without a part to train on"):
        small().fit((tmp_path / "train").rename(tmp_path / "test").parent, budget="1ep", progress=False)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int32])
def test_numbers_other_than_bytes_are_scaled_as_in_training(
    folder: Path, tmp_path: Path, dtype: type, capsys: pytest.CaptureFixture[str]
) -> None:
    scale, base = {np.uint16: (0.4, 100), np.float32: (0.0001, 0.02), np.int32: (1000, 500_000)}[dtype]
    for path in folder.glob("*/*.png"):
        target = tmp_path / "deep" / path.parent.name / f"{path.stem}.tif"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((base + scale * np.asarray(Image.open(path)).astype(float)).astype(dtype)).save(target)
    model = small().fit(tmp_path / "deep", budget="20ep", progress=False)
    assert "images of more than 8 bits, scaled here and in predicting" in capsys.readouterr().err
    assert model.evaluate(tmp_path / "deep").metrics["accuracy"] > 80
    model.save(tmp_path / "m")
    again = memfold.load(tmp_path / "m")
    assert isinstance(again, ImageClassifier)
    one = tmp_path / "deep" / "bar" / "0.tif"
    assert again.predict(one).equals(model.predict(one))
    array = np.asarray(Image.open(one))
    assert again.predict(array).drop("file").equals(model.predict(one).drop("file"))


def test_it_takes_images_themselves(fitted: ImageClassifier, folder: Path) -> None:
    file = folder / "bar" / "1.png"
    pixels = np.asarray(Image.open(file))
    expected = fitted.predict(file)
    for given in (pixels, [pixels], pixels / 255, np.stack([pixels] * 3, 2), Image.open(file), str(file), [file]):
        assert fitted.predict(given).drop("file").equals(expected.drop("file"))
    assert fitted.predict(np.stack([pixels, pixels])).height == 2


def write_digits(folder: Path) -> None:
    """Files in MNIST's form, of two classes that differ in brightness."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 12)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        images = (rng.integers(0, 60, (count, 28, 28)) + 150 * labels[:, None, None]).astype(np.uint8)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (folder / f"{name}.gz").write_bytes(gzip.compress(head + array.tobytes()))


def test_the_command_line_from_end_to_end(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mnist").mkdir()
    write_digits(tmp_path / "mnist")
    monkeypatch.setenv("MEMFOLD_DATA", str(tmp_path))
    sets = [word for name, value in SETTINGS.items() if name != "size" for word in ("--set", f"{name}={value}")]
    model = str(tmp_path / "m")

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["memfold", *arguments])
        assert run() == 0
        return capsys.readouterr().out

    out = json.loads(call("fit", "classify", "@mnist", "--out", model, "--budget", "6ep", "--json", *sets))
    assert out["baseline"]["name"] == PCA
    page = tmp_path / "page.html"
    evaluated = json.loads(call("evaluate", model, "@mnist", "--report", str(page), "--json"))
    assert evaluated["metrics"] == out["metrics"]
    assert page.stat().st_size > 1000
    idx = str(tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz")
    assert json.loads(call("evaluate", model, idx, "--json"))["metrics"] == out["metrics"]
    lines = call("predict", model, "@mnist").splitlines()
    assert lines[0] == "file,label,p_0,p_1"
    assert len(lines) == 13
    assert call("predict", model, str(folder / "bar" / "0.png")).count("\n") == 2


def test_the_loss_that_is_validated_is_the_one_that_is_learnt() -> None:
    torch.manual_seed(0)
    pixels, labels = torch.randint(256, (40, 1, 12, 12), dtype=torch.uint8), torch.randint(3, (40,))
    network = ClassifyNetwork(BackboneSize(12, 1, 8, 1, 4, 2), 3, 0.0).eval()
    problem = ClassifyProblem(network, (pixels, labels), (pixels, labels), Augmentation(), 40, 0)
    learnt = problem.loss_of(network.backbone.normaliser(pixels), labels).item()
    assert problem.validate() == pytest.approx(learnt, abs=1e-5)
    with torch.no_grad():
        network.out.weight.mul_(1e4)  # surer than a float can tell
    assert math.isfinite(problem.validate())
