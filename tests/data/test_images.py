"""Readers of images: folders of classes, idx files, every mode, and what is broken."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memfold.data.folds import held_out_rows
from memfold.data.images import (
    image_files,
    images_in,
    joined,
    load_mnist,
    load_orl,
    pixels_of,
    read_classes,
    read_pixels,
)
from memfold.errors import InputError


def draw(path: Path, width: int = 20, height: int = 20, mode: str = "L", seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(made).convert(mode).save(path)
    return path


def write_idx(path: Path, array: np.ndarray) -> Path:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_digits(folder: Path, part: str, count: int, seed: int = 0) -> Path:
    """Images whose first pixel is their label."""
    labels = np.arange(count) % 3
    images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)
    images[:, 0, 0] = labels
    write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)


# -- folders ---------------------------------------------------------------------------------------------------


def test_a_folder_is_a_class(tmp_path: Path) -> None:
    for number in range(3):
        draw(tmp_path / "cat" / f"{number}.png", seed=number)
    draw(tmp_path / "dog" / "deep" / "down.jpg", seed=9)
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    images = read_classes(tmp_path, 20)
    assert images.classes == ["cat", "dog"]
    assert images.labels == ["cat", "cat", "cat", "dog"]
    assert images.pixels.shape == (4, 1, 20, 20)
    assert images.files[0] == str(tmp_path / "cat" / "0.png")
    np.testing.assert_array_equal(images.pixels[1, 0], np.asarray(Image.open(tmp_path / "cat" / "1.png")))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tiff", "webp", "pgm"])
def test_common_formats_are_read(tmp_path: Path, suffix: str) -> None:
    path = draw(tmp_path / f"a.{suffix}")
    assert image_files(tmp_path) == [path]
    assert read_pixels([path], 20)[0].shape[2:] == (20, 20)


def test_one_image_with_colour_makes_all_of_them_so(tmp_path: Path) -> None:
    paths = [draw(tmp_path / "grey.png"), draw(tmp_path / "colour.png", mode="RGB")]
    pixels, _ = read_pixels(paths, 20)
    assert pixels.shape == (2, 3, 20, 20)
    assert (pixels[0] == pixels[0, :1]).all()
    assert not (pixels[1] == pixels[1, :1]).all()
    assert read_pixels(paths, 20, channels=1)[0].shape == (2, 1, 20, 20)
    assert read_pixels(paths[:1], 20)[0].shape == (1, 1, 20, 20)
    assert read_pixels(paths[:1], 20, channels=3)[0].shape == (1, 3, 20, 20)


def test_proportions_are_kept_and_the_rest_is_the_mean(tmp_path: Path) -> None:
    wide = np.full((10, 40), 200, np.uint8)
    wide[:, :20] = 100
    Image.fromarray(wide).save(tmp_path / "wide.png")
    (square,), _ = read_pixels([tmp_path / "wide.png"], 40)
    assert set(np.unique(square[0, :15])) == {150}
    assert set(np.unique(square[0, 25:])) == {150}
    np.testing.assert_array_equal(square[0, 15:25], wide)


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:4, :, 3] = 255
    Image.fromarray(clear).save(tmp_path / "clear.png")
    (square,), _ = read_pixels([tmp_path / "clear.png"], 8, channels=1)
    assert (square[0, :4] == 0).all()
    assert (square[0, 4:] == 255).all()


def test_sixteen_bits_keep_their_eight_high_ones(tmp_path: Path) -> None:
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    Image.fromarray(deep).save(tmp_path / "deep.png")
    (square,), _ = read_pixels([tmp_path / "deep.png"], 8)
    np.testing.assert_array_equal(square[0], deep // 256)


def test_a_picture_is_turned_as_its_camera_noted(tmp_path: Path) -> None:
    lying = np.zeros((8, 8), np.uint8)
    lying[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(lying).save(tmp_path / "lying.png", exif=exif)
    (square,), _ = read_pixels([tmp_path / "lying.png"], 8)
    np.testing.assert_array_equal(square[0], np.rot90(lying, -1))


def test_broken_images_are_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("a", "b"):
        draw(tmp_path / label / "0.png")
    (tmp_path / "a" / "1.png").write_bytes((tmp_path / "a" / "0.png").read_bytes()[:200])
    (tmp_path / "b" / "1.png").write_text("no image")
    images = read_classes(tmp_path, 20)
    assert [Path(file).name for file in images.files] == ["0.png", "0.png"]
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith(f"2 of 4 images cannot be read and are left out: {tmp_path / 'a' / '1.png'} (")
    assert f"{tmp_path / 'b' / '1.png'} (not an image)" in err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "none", "none: no such folder"),
        (lambda p: draw(p / "one.png"), r"one\.png: expected a folder with a folder for each class"),
        (lambda p: draw(p / "flat.png").parent, "expected a folder for each class, with its images"),
        (lambda p: ((p / "empty").mkdir(), draw(p / "a" / "0.png"), p)[-1], "empty: holds no images; add some"),
        (lambda p: (write_digits(p, "train", 6), p)[-1], r"holds idx files; name one of them, such as .*train-images"),
    ],
)
def test_folders_that_do_not_fit_are_named(tmp_path: Path, make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_classes(make(tmp_path), 20)  # type: ignore[operator]


def test_a_class_of_broken_images_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "good" / "0.png")
    for number in range(2):
        (tmp_path / "bad").mkdir(exist_ok=True)
        (tmp_path / "bad" / f"{number}.png").write_text("no image")
    with pytest.raises(InputError, match="bad: none of its images can be read"):
        read_classes(tmp_path, 20)
    with pytest.raises(InputError, match=r"0\.png \(not an image\): cannot be read, and none of the 1 others"):
        read_pixels(image_files(tmp_path / "bad"), 20)
    with pytest.raises(InputError, match=r"0\.png \(not an image\): cannot be read$"):
        read_pixels([tmp_path / "bad" / "0.png"], 20)
    with pytest.raises(InputError, match="nothing: no such file or folder"):
        image_files(tmp_path / "nothing")


# -- parts -----------------------------------------------------------------------------------------------------


def test_every_class_has_its_share_of_a_fold() -> None:
    labels = ["a"] * 40 + ["b"] * 10 + ["c"] * 3
    folds = [held_out_rows(labels, fold, 5) for fold in range(5)]
    for held in folds:
        counts = [sum(labels[row] == label for row in held) for label in "abc"]
        assert counts == [8, 2, 1]
    assert set().union(*folds) == set(range(len(labels)))


def test_two_classes_of_enough_images_are_needed(tmp_path: Path) -> None:
    draw(tmp_path / "one" / "0.png")
    draw(tmp_path / "one" / "1.png")
    with pytest.raises(InputError, match="'one' is the only class; two at least are needed"):
        read_classes(tmp_path, 20).require(2)
    draw(tmp_path / "two" / "0.png")
    with pytest.raises(InputError, match="the class 'two' has 1 image; 2 are needed"):
        read_classes(tmp_path, 20).require(2)
    draw(tmp_path / "two" / "1.png")
    read_classes(tmp_path, 20).require(2)
    with pytest.raises(InputError, match="has 2 images; 3 are needed"):
        read_classes(tmp_path, 20).require(3)


def test_grey_and_coloured_parts_are_joined_in_colour(tmp_path: Path) -> None:
    draw(tmp_path / "grey" / "a" / "0.png")
    draw(tmp_path / "colour" / "b" / "0.png", mode="RGB")
    both = joined([read_classes(tmp_path / name, 20) for name in ("grey", "colour")])
    assert both.pixels.shape == (2, 3, 20, 20)
    assert both.labels == ["a", "b"]


# -- idx files -------------------------------------------------------------------------------------------------


def test_idx_files_are_read_packed_and_plain(tmp_path: Path) -> None:
    packed = write_digits(tmp_path, "train", 6)
    images = read_classes(packed, 28)
    assert images.labels == ["0", "1", "2", "0", "1", "2"]
    assert images.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1, 2]
    assert images.files[4] == f"{packed}:4"
    for path in list(tmp_path.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    np.testing.assert_array_equal(read_classes(packed.with_suffix(""), 28).pixels, images.pixels)
    assert read_classes(packed, 14, channels=3).pixels.shape == (6, 3, 14, 14)


def test_idx_files_that_are_no_such_are_named(tmp_path: Path) -> None:
    images = write_digits(tmp_path, "train", 6)
    labels = tmp_path / "train-labels-idx1-ubyte.gz"
    write_idx(labels, np.zeros(5))
    with pytest.raises(InputError, match=r"has 6 images, train-labels-idx1-ubyte\.gz 5 labels"):
        read_classes(images, 28)
    labels.unlink()
    with pytest.raises(InputError, match=r"train-labels-idx1-ubyte\.gz: no such file"):
        read_classes(images, 28)
    whole = images.read_bytes()
    images.write_bytes(whole[:1000])
    with pytest.raises(InputError, match=r"images-idx3-ubyte\.gz: not readable"):
        read_classes(images, 28)
    images.write_bytes(gzip.compress(gzip.decompress(whole)[:1000]))
    with pytest.raises(InputError, match="1000 bytes, 4720 expected; truncated or damaged"):
        read_classes(images, 28)
    images.write_bytes(gzip.compress(b"something else"))
    with pytest.raises(InputError, match="not an idx file of bytes with 3 dimensions"):
        read_classes(images, 28)


# -- known sets ------------------------------------------------------------------------------------------------


def test_mnist_has_its_official_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    write_digits(tmp_path / "mnist", "train", 9)
    write_digits(tmp_path / "mnist", "t10k", 6, seed=1)
    monkeypatch.setenv("MEMFOLD_DATA", str(tmp_path))
    train, test = load_mnist(28)
    assert (len(train.labels), len(test.labels)) == (9, 6)


def test_orl_has_the_first_five_images_of_each_person_to_learn_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person in ("s1", "s2"):
        for number in range(1, 11):
            draw(tmp_path / "orl-faces" / person / f"{number}.pgm", 9, 11)
    monkeypatch.setenv("MEMFOLD_DATA", str(tmp_path))
    train, test = load_orl(16)
    assert train.name == "@orl-faces"
    assert sorted(Path(file).stem for file in train.files) == sorted("12345" * 2)
    assert sorted(int(Path(file).stem) for file in test.files) == sorted([6, 7, 8, 9, 10] * 2)


def test_arrays_of_bytes_are_images_and_others_are_named() -> None:
    grey, colour = np.full((6, 9), 200, np.uint8), np.full((9, 6, 3), 50)
    read = pixels_of([grey, colour, Image.fromarray(grey)], 8)
    assert read.pixels.shape == (3, 3, 8, 8)
    assert read.files == ["image 0", "image 1", "image 2"]
    assert (read.pixels[0] == 200).all()
    for strange, message in (
        (grey / 255, "got float64 of .6, 9."),
        (grey[0], "got uint8 of .9,."),
        (2 * colour + 200, "got numbers from 300 to 300"),
        (["a"], "got <U1 of .1,."),
    ):
        with pytest.raises(InputError, match=rf"^image 1: expected bytes of \(H, W\) or \(H, W, C\), {message}"):
            pixels_of([grey, strange], 8)


def test_one_or_several_paths_name_images(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    both = [tmp_path / "a.png", tmp_path / "b.png"]
    assert images_in(tmp_path) == images_in([str(path) for path in both]) == images_in(np.array(both, object)) == both
    assert images_in(str(both[0])) == both[:1]
    with pytest.raises(InputError, match="no images given"):
        images_in([])
    with pytest.raises(InputError, match="expected paths of images, got 7"):
        images_in([both[0], 7])
