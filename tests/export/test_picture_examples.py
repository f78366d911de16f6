"""The examples without memfold: of picture files of all kinds they print what the model itself answers."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxscript")
from memfold.export import export
from tasks.small import SMALL

pytestmark = pytest.mark.release

EXAMPLES = Path(__file__).parents[2] / "examples" / "onnx"
ROTATED = 6  # the note of a camera that was held upright


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """A photograph, one that a camera turned, a transparent drawing, a grey one, and one with a palette."""
    waves = np.sin(np.arange(300)[:, None] / 23) + np.cos(np.arange(400) / 31)
    noise = np.random.default_rng(0).normal(0, 25, (300, 400, 3))
    photograph = (128 + 50 * waves[..., None] + noise).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(photograph)
    noted = Image.Exif()
    noted[0x0112] = ROTATED
    image.save(tmp_path / "photograph.jpg")
    image.save(tmp_path / "turned.jpg", exif=noted)
    clear = np.dstack([photograph, np.tile(np.arange(400) % 256, (300, 1)).astype(np.uint8)])
    Image.fromarray(clear).save(tmp_path / "clear.png")
    image.convert("L").resize((30, 50)).save(tmp_path / "grey.png")
    image.quantize(16).save(tmp_path / "palette.png")
    return sorted([*tmp_path.glob("*.jpg"), *tmp_path.glob("*.png")])


def folder(path: Path) -> Path:
    """One for what a small model is fitted to, apart from the pictures."""
    made = path / "small"
    made.mkdir()
    return made


def lines_of(example: str, model: Path, picture: Path) -> list[list[str]]:
    """The words of each line that an example prints, run where memfold and torch cannot be imported."""
    barred = "import sys; sys.modules['torch'] = sys.modules['memfold'] = None; import runpy; sys.argv = sys.argv[1:]; "
    command = [sys.executable, "-c", f"{barred}runpy.run_path(sys.argv[0])", EXAMPLES / example, model, picture]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def close(words: Sequence[str], values: Sequence[float], places: float) -> None:
    np.testing.assert_allclose([float(word) for word in words], values, atol=places)


@pytest.mark.parametrize("colour", [False, True])
def test_classify(colour: bool, pictures: list[Path], tmp_path: Path) -> None:
    small = SMALL["classify"](folder(tmp_path))
    if colour:
        small.X = np.repeat(small.X[..., None], 3, axis=3)
        small.X[..., 1] //= 2
    model = small.fitted()
    export(model, "onnx", tmp_path / "m.onnx")
    answers = model.predict(list(map(str, pictures)))
    for picture, answer in zip(pictures, answers.iter_rows(named=True), strict=True):
        ((label, probability),) = lines_of("classify.py", tmp_path / "m.onnx", picture)
        assert label == answer["label"]
        close([probability], [answer[f"p_{label}"]], 1e-5)


def test_faces(pictures: list[Path], tmp_path: Path) -> None:
    small = SMALL["faces"](folder(tmp_path))
    model = small.fitted()
    export(model, "onnx", tmp_path / "m.onnx")
    answers = model.predict(list(map(str, pictures)))
    for picture, answer in zip(pictures, answers.iter_rows(named=True), strict=True):
        ((person, similarity, known, *_),) = lines_of("faces.py", tmp_path / "m.onnx", picture)
        assert (person, known == "known") == (answer["person"], answer["known"])
        close([similarity], [answer["similarity"]], 1e-5)


def test_detect(pictures: list[Path], tmp_path: Path) -> None:
    model = SMALL["detect"](folder(tmp_path)).fitted()
    model.share_, model.thresholds_ = 0.6, [0.02, 0.05]  # type: ignore[attr-defined]
    export(model, "onnx", tmp_path / "m.onnx")
    answers = model.predict(list(map(str, pictures)))
    assert len(answers)
    for picture in pictures:
        expected = answers.filter(answers["image"] == str(picture)).drop("image")
        lines = lines_of("detect.py", tmp_path / "m.onnx", picture)
        assert [line[0] for line in lines] == expected["label"].to_list()
        for line, row in zip(lines, expected.drop("label").rows(), strict=True):
            close(line[1:2], row[:1], 1e-5)
            close(line[2:], row[1:], 1e-2)


def test_a_picture_of_more_than_eight_bits_is_refused(tmp_path: Path) -> None:
    model = SMALL["classify"](folder(tmp_path)).fitted()
    export(model, "onnx", tmp_path / "m.onnx")
    Image.fromarray(np.full((20, 20), 4000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(AssertionError, match="of more than 8 bits"):
        lines_of("classify.py", tmp_path / "m.onnx", tmp_path / "deep.png")
