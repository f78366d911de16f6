"""Readers of images: folders of classes, idx files, every mode, and what is broken."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memfold.data.folds import held_out_rows
from memfold.data.images import joined, load_mnist, load_orl, read_classes, read_images
from memfold.data.pictures import HAS_HEIF, pictures_at, several
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


def read_pixels(paths: list[Path], size: int, channels: int | None = None) -> tuple[np.ndarray, list[int]]:
    """The bytes of image files, and which of them these are."""
    images, kept = read_images(paths, size, channels)
    return images.toned({}).pixels, kept


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
    assert pictures_at(tmp_path) == [path]
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
        (
            lambda p: ((p / "empty").mkdir(), (p / "void").mkdir(), draw(p / "a" / "0.png"), p)[-1],
            "empty, .*void: holds no images; add some",
        ),
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
        (tmp_path / "worse").mkdir(exist_ok=True)
        (tmp_path / "worse" / f"{number}.png").write_text("no image")
    with pytest.raises(InputError, match=r"bad, .*worse: none of its images can be read"):
        read_classes(tmp_path, 20)
    others = r"0\.png \(not an image\): cannot be read, and none of the 1 others: .*1\.png \(not an image\)$"
    with pytest.raises(InputError, match=others):
        read_pixels(pictures_at(tmp_path / "bad"), 20)
    with pytest.raises(InputError, match=r"0\.png \(not an image\): cannot be read$"):
        read_pixels([tmp_path / "bad" / "0.png"], 20)
    with pytest.raises(InputError, match="nothing: no such file or folder"):
        pictures_at(tmp_path / "nothing")


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
    with pytest.raises(
        InputError, match=r"the classes 'one' \(2 images\), 'two' \(2 images\) have too few; 3 are needed"
    ):
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
    with pytest.raises(InputError, match="1,000 bytes, 4,720 expected; truncated or damaged"):
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


def test_arrays_are_images_and_others_are_named() -> None:
    grey, colour = np.full((6, 9), 200, np.uint8), np.full((9, 6, 3), 50)
    read, _ = read_images([grey, colour, Image.fromarray(grey), grey / 255, grey > 100, grey[:, :, None]], 8)
    read = read.toned({})
    assert read.pixels.shape == (6, 3, 8, 8)
    assert read.files == [f"image {place}" for place in range(6)]
    assert [int(pixels.min()) for pixels in read.pixels] == [200, 50, 200, 200, 255, 200]
    assert [int(pixels.max()) for pixels in read.pixels] == [200, 50, 200, 200, 255, 200]
    for strange, message in (
        (grey[0], r"expected numbers of \(H, W\) or \(H, W, 3\), got uint8 of .9,."),
        (["a"], r"expected numbers of \(H, W\) or \(H, W, 3\), got <U1 of .1,."),
        (np.full((4, 4), np.nan), "holds no finite number"),
    ):
        with pytest.raises(InputError, match=f"^image 1: {message}"):
            read_images([grey, strange], 8)


def test_one_array_is_one_image_and_more_are_several() -> None:
    for one in (np.zeros((5, 6)), np.zeros((5, 6, 3), np.uint8), Image.new("L", (4, 4))):
        assert len(several(one)) == 1
    assert len(several(np.zeros((5, 6, 7)))) == 5
    assert len(several(np.zeros((5, 6, 7, 3)))) == 5
    with pytest.raises(InputError, match="expected images or their paths, got 7"):
        several(7)


def test_one_or_several_paths_name_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("b.png", "a.png"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    both = [tmp_path / "a.png", tmp_path / "b.png"]
    for given in (tmp_path, [str(path) for path in both], np.array(both, object)):
        assert pictures_at(given) == both
    assert pictures_at(str(both[0])) == both[:1]
    with pytest.raises(InputError, match="no images given"):
        pictures_at([])
    assert pictures_at([both[0], tmp_path / "none.png", "a\0b"]) == both[:1]
    assert "2 of 3 paths are left out: " in capsys.readouterr().err


# -- other numbers than bytes --------------------------------------------------------------------------------


def spots(count: int, low: float, high: float, seed: int = 0) -> np.ndarray:
    """Pictures with a bright square each on noise, (N, 32, 32)."""
    rng = np.random.default_rng(seed)
    pictures = rng.uniform(low, low + 0.2 * (high - low), (count, 32, 32))
    pictures[:, 8:16, 8:16] += 0.8 * (high - low)
    return pictures


@pytest.mark.parametrize(
    ("dtype", "low", "high", "tones"),
    [
        (np.uint16, 100, 130, None),
        (np.uint16, 0, 200, [0, 256]),
        (np.uint16, 0, 4000, [0, 4096]),
        (np.uint16, 0, 60000, [0, 65536]),
        (np.uint16, 1000, 12000, [0, 16384]),
        (np.uint16, 99, 193, None),
        (np.float32, 0.02, 0.05, None),
        (np.float32, 0, 0.9, [0, 1]),
        (np.float32, -5, 900, None),
        (np.int32, 100_000, 900_000, None),
    ],
)
def test_what_is_black_and_white_comes_from_the_numbers(
    tmp_path: Path, dtype: type, low: float, high: float, tones: list[float] | None
) -> None:
    for number, array in enumerate(spots(6, low, high)):
        Image.fromarray(array.astype(dtype)).save(tmp_path / f"{number}.tif")
    images, _ = read_images(sorted(tmp_path.iterdir()), 32)
    ((kind, found),) = images.tones().items()
    assert kind == {np.uint16: "16-bit", np.float32: "float", np.int32: "32-bit"}[dtype]
    if tones is not None:
        assert found == tones
    else:
        assert found[0] == pytest.approx(low, abs=0.1 * (high - low))
        assert found[1] == pytest.approx(high, abs=0.1 * (high - low))
    pixels = images.toned(images.tones()).pixels
    assert (pixels[:, 0, 8:16, 8:16].min() - pixels[:, 0, :4].astype(int).max()) > 40


def test_beside_bytes_the_usual_range_is_kept() -> None:
    deep = spots(4, 17_000, 40_000).astype(np.uint16)
    plain = (deep >> 8).astype(np.uint8)
    images, _ = read_images([*deep, *plain], 32)
    assert images.tones() == {"16-bit": [0, 65536]}
    np.testing.assert_array_equal(images.toned(images.tones()).pixels[:4], images.pixels[4:])
    dim, _ = read_images([*spots(4, 1000, 1100).astype(np.uint16), *plain], 32)
    assert dim.tones()["16-bit"][0] > 900


def test_a_hot_pixel_makes_nothing_dark() -> None:
    pictures = spots(8, 100, 200).astype(np.uint16)
    pictures[3, 0, 0] = 65535
    images, _ = read_images(list(pictures), 32)
    assert images.tones()["16-bit"][1] < 300


def test_bytes_in_another_container_stay_the_same_bytes() -> None:
    bytes_ = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    bytes_[0, :2] = 0, 255
    for array in (bytes_.astype(np.uint16), bytes_.astype(np.int64), bytes_ / 255, bytes_.astype(np.float32)):
        images, _ = read_images([array], 16)
        np.testing.assert_array_equal(images.toned({}).pixels[0, 0], bytes_)


def test_sixteen_bit_colours_that_are_nearly_empty_are_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    for name, value in (("dark", 300), ("bright", 30000)):
        rows = b"".join(b"\0" + np.full((4, 3), value, ">u2").tobytes() for _ in range(4))
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
        end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + end)
    assert read_images([tmp_path / "bright.png"], 8)[0].pixels.min() == 30000 >> 8
    with pytest.raises(InputError, match=r"dark\.png \(16 bits a colour, of which only the high eight are read"):
        read_images([tmp_path / "dark.png"], 8)


# -- what is left out, and what is there twice ---------------------------------------------------------------


@pytest.mark.skipif(HAS_HEIF, reason="pillow-heif is installed, and HEIC files are read")
def test_other_kinds_of_pictures_are_named_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("a", "b"):
        draw(tmp_path / label / "0.png", seed=ord(label))
    (tmp_path / "a" / "1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "a" / "2.cr2").write_bytes(b"II*\0")
    (tmp_path / "b" / "3.pdf").write_bytes(b"%PDF")
    (tmp_path / "b" / "notes.txt").touch()
    (tmp_path / "b" / "Thumbs.db").touch()
    (tmp_path / "b" / ".DS_Store").touch()
    (tmp_path / "b" / "4.jpg").symlink_to(tmp_path / "gone.jpg")
    for read in (lambda: read_classes(tmp_path, 20), lambda: pictures_at(tmp_path)):
        read()
        err = capsys.readouterr().err
        for name, remedy in (("1.HEIC", "pip install pillow-heif"), ("2.cr2", "convert it"), ("3.pdf", "convert it")):
            assert name in err
            assert remedy in err.split(name)[1]
        assert "3 other files (" in err
    assert len(read_classes(tmp_path, 20)) == 2
    assert "1 of 3 images cannot be read and are left out: " in capsys.readouterr().err
    (tmp_path / "b" / "5.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))  # as a phone may name it
    read_images([tmp_path / "a" / "0.png", tmp_path / "b" / "5.jpg", tmp_path / "a" / "1.HEIC"], 20)
    assert capsys.readouterr().err.count("pip install pillow-heif") == 2
    (tmp_path / "only" / "c").mkdir(parents=True)
    (tmp_path / "only" / "c" / "1.heic").touch()
    with pytest.raises(InputError, match=r"holds no images that can be read; .*1\.heic is HEIF: pip install"):
        read_classes(tmp_path / "only", 20)
    with pytest.raises(InputError, match=r"holds no images that can be read; 1\.heic is HEIF: pip install"):
        pictures_at(tmp_path / "only")


def test_a_table_beside_the_images_that_names_none_of_them_is_not_passed_over(tmp_path: Path) -> None:
    draw(tmp_path / "a_1.png")
    (tmp_path / "labels.csv").write_text("file,label\nb_1.png,a\n")
    with pytest.raises(InputError, match=r"labels\.csv is none: sort the images into folders by it"):
        read_classes(tmp_path, 20)
