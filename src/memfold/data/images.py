"""Labelled images: a folder for each class, or idx files as MNIST has them, brought to one size."""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from memfold.data.datasets import find
from memfold.data.folders import files_at, labelled_folders
from memfold.data.folds import held_out_rows
from memfold.data.unreadable import leave_out
from memfold.errors import InputError, shown

__all__ = [
    "SUFFIXES",
    "UNREADABLE",
    "Images",
    "image_files",
    "images_in",
    "joined",
    "load_mnist",
    "load_orl",
    "paths_in",
    "pixels_of",
    "read_classes",
    "read_pixels",
    "reason_of",
    "several",
]

Pixels = NDArray[np.uint8]
SUFFIXES = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes without colour
IDX_IMAGES, IDX_LABELS = "-images-idx3-ubyte", "-labels-idx1-ubyte"
IDX_TYPE = 0x08  # unsigned bytes
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)
ORL_TRAIN = 5  # images of each person, the first ones


@dataclass(frozen=True)
class Images:
    """Images of one size and what each shows.

    Attributes:
        name: of the source, for errors.
        pixels: (N, C, H, W), with C 1 of grey and 3 of colour images.
        labels: the class of each.
        files: where each comes from.
    """

    name: str
    pixels: Pixels
    labels: list[str]
    files: list[str]

    @property
    def classes(self) -> list[str]:
        """The distinct labels in order."""
        return sorted(set(self.labels))

    def take(self, rows: Iterable[int]) -> "Images":
        """Some of the images."""
        chosen = list(rows)
        labels, files = ([column[row] for row in chosen] for column in (self.labels, self.files))
        return replace(self, pixels=self.pixels[chosen], labels=labels, files=files)

    def parted(self, held: set[int]) -> tuple["Images", "Images"]:
        """The other images, and those of some rows."""
        return self.take(row for row in range(len(self.labels)) if row not in held), self.take(sorted(held))

    def split(self, fold: int = 0, folds: int = 10) -> tuple["Images", "Images"]:
        """What remains, and one of so many folds, in which every class has its share."""
        return self.parted(held_out_rows(self.labels, fold, folds))

    def require(self, least: int) -> None:
        """Raise InputError unless there are two classes, each with ``least`` images."""
        counts = Counter(self.labels)
        if len(counts) < 2:
            raise InputError(f"{self.name}: {next(iter(counts))!r} is the only class; two at least are needed")
        label, count = min(counts.items(), key=lambda item: item[1])
        if count < least:
            images = "1 image" if count == 1 else f"{count} images"
            raise InputError(
                f"{self.name}: the class {label!r} has {images}; {least} are needed, to learn from some and hold "
                "others out; add images, or remove it"
            )


def joined(parts: Sequence[Images]) -> Images:
    """All images of several, in colour where one of them is."""
    channels = max(part.pixels.shape[1] for part in parts)
    arrays = [part.pixels for part in parts]
    pixels = [np.broadcast_to(array, (len(array), channels, *array.shape[2:])) for array in arrays]
    return Images(
        " ".join(dict.fromkeys(part.name for part in parts)),
        np.concatenate(pixels),
        [label for part in parts for label in part.labels],
        [file for part in parts for file in part.files],
    )


def read_classes(source: str | Path, size: int, channels: int | None = None) -> Images:
    """Read labelled images.

    Args:
        source: a folder with a folder for each class, or a file of images in the idx format, packed by gzip or not,
            beside which the file of labels lies (``train-images-idx3-ubyte.gz``, ``train-labels-idx1-ubyte.gz``).
        size, channels: as :func:`read_pixels` takes them.

    Raises:
        InputError: naming the folder without a class or a class without an image, or the file that does not fit.
    """
    root = Path(source)
    if root.is_file():
        if IDX_IMAGES in root.name:
            return _read_idx(root, size, channels)
        raise InputError(f"{root}: expected a folder with a folder for each class, or a file named *{IDX_IMAGES}.gz")
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    if idx := sorted(path.name for path in root.iterdir() if IDX_IMAGES in path.name):
        raise InputError(f"{root}: holds idx files; name one of them, such as {root / idx[-1]}")
    entries: list[tuple[Path, str]] = []
    for label, files in labelled_folders(root, SUFFIXES):
        if not files:
            raise InputError(f"{root / label}: holds no images; add some, or remove the folder")
        entries += [(path, label) for path in files]
    if not entries:
        raise InputError(f"{root}: expected a folder for each class, with its images")
    pixels, kept = read_pixels([path for path, _ in entries], size, channels)
    labels = [entries[row][1] for row in kept]
    if broken := sorted({label for _, label in entries} - set(labels)):
        raise InputError(f"{root / broken[0]}: none of its images can be read")
    return Images(str(root), pixels, labels, [str(entries[row][0]) for row in kept])


def read_pixels(paths: Sequence[Path], size: int, channels: int | None = None) -> tuple[Pixels, list[int]]:
    """Read image files; those that cannot be read are left out, and named on standard error.

    Every image is turned as its camera noted, scaled to fit into a square without a change of its proportions, centred
    in it, with its mean colour around it. What is transparent becomes white.

    Args:
        paths: files of any kind that Pillow reads (PNG, JPEG, WebP, TIFF, BMP, PGM, ...).
        size: S, pixels of the square's side.
        channels: C, 1 for grey or 3 for colour; None takes 3 where one of the images has colour.

    Returns:
        ``(N, C, S, S)``, and of each image its place among the paths.

    Raises:
        InputError: none of them can be read.
    """
    squares: list[Pixels] = []
    kept: list[int] = []
    broken: list[str] = []
    for place, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                squares.append(_square(image, size, channels))
        except UNREADABLE as error:
            broken.append(f"{path} ({reason_of(error)})")
            continue
        kept.append(place)
    leave_out(broken, len(paths), "images")
    most = channels or max(square.shape[0] for square in squares)
    return np.stack([np.broadcast_to(square, (most, size, size)) for square in squares]), kept


def pixels_of(arrays: Iterable[Any], size: int, channels: int | None = None) -> Images:
    """Images given as arrays ``(H, W)`` or ``(H, W, C)`` of bytes, or as Pillow has them, brought to one size.

    Raises:
        InputError: naming the first that is no image.
    """
    squares = []
    for place, array in enumerate(arrays):
        try:
            squares.append(_square(_image_of(array), size, channels))
        except (*UNREADABLE, TypeError) as error:
            raise InputError(f"image {place}: expected bytes of (H, W) or (H, W, C), got {error}") from None
    most = channels or max(square.shape[0] for square in squares)
    pixels = np.stack([np.broadcast_to(square, (most, size, size)) for square in squares])
    return Images("the images", pixels, [], [f"image {place}" for place in range(len(pixels))])


def _image_of(array: Any) -> Image.Image:
    """An array of whole numbers from 0 to 255 as an image; an image itself."""
    if isinstance(array, Image.Image):
        return array
    values = np.asarray(array)
    if values.dtype.kind not in "iu" or values.ndim not in (2, 3) or not values.size:
        raise ValueError(f"{values.dtype} of {values.shape}")
    if values.min() < 0 or values.max() > 255:
        raise ValueError(f"numbers from {values.min()} to {values.max()}")
    return Image.fromarray(values.astype(np.uint8))


def _square(image: Image.Image, size: int, channels: int | None) -> Pixels:
    """The image in a square, ``(C, S, S)``."""
    image.draft(image.mode, (2 * size, 2 * size))  # of a JPEG no more than is needed
    grey = image.mode in GREY
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 or (channels is None and grey) else "RGB")
    if image.size != (size, size):
        mean = np.asarray(image).mean((0, 1)).round().astype(int)
        fill = tuple(mean.tolist()) if image.mode == "RGB" else int(mean)
        image = ImageOps.pad(image, (size, size), Image.Resampling.LANCZOS, fill)
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def reason_of(error: BaseException) -> str:
    """Why an image cannot be read."""
    return "not an image" if "cannot identify" in str(error) else str(error)


def several(data: Any) -> list[Any]:
    """Images or their paths as a list, where there may also be one alone.

    Raises:
        InputError: there is none.
    """
    images = [data] if isinstance(data, str | Path | Image.Image) else list(data)
    if not images:
        raise InputError("no images given")
    return images


def paths_in(data: Any) -> list[Path]:
    """One or several paths as a list.

    Raises:
        InputError: there is none, or something else is given.
    """
    paths = several(data)
    if strange := [path for path in paths if not isinstance(path, str | Path)]:
        raise InputError(f"expected paths of images, got {shown(strange[0])}")
    return [Path(path) for path in paths]


def images_in(data: Any) -> list[Path]:
    """The files that one or several paths name, files themselves or folders of which every image is taken.

    Raises:
        InputError: there is nothing by a path, no image in a folder, or something else than paths is given.
    """
    return [file for path in paths_in(data) for file in image_files(path)]


def image_files(path: Path) -> list[Path]:
    """A file itself; of a folder, the images in it and below, in order.

    Raises:
        InputError: there is nothing, or a folder without any.
    """
    return files_at(path, SUFFIXES, "images")


# -- idx files -----------------------------------------------------------------------------------------------


def _read_idx(path: Path, size: int, channels: int | None) -> Images:
    beside = path.with_name(path.name.replace(IDX_IMAGES, IDX_LABELS))
    images, labels = _idx_array(path, 3), _idx_array(beside, 1)
    if len(images) != len(labels):
        raise InputError(f"{path}: has {len(images)} images, {beside.name} {len(labels)} labels")
    if not len(images):
        raise InputError(f"{path}: holds no images")
    pixels = images[:, None]
    if images.shape[1:] != (size, size):
        pixels = np.stack([_square(Image.fromarray(image), size, 1) for image in images])
    pixels = np.repeat(pixels, channels or 1, axis=1)
    files = [f"{path}:{number}" for number in range(len(pixels))]
    return Images(str(path), pixels, [str(label) for label in labels], files)


def _idx_array(path: Path, rank: int) -> Pixels:
    """The array in an idx file (LeCun, Cortes & Burges, "The MNIST database"): type, rank, sizes, then its bytes."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not readable ({error})") from None
    head = 4 + 4 * rank
    if len(content) < head or content[:4] != bytes([0, 0, IDX_TYPE, rank]):
        raise InputError(f"{path}: not an idx file of bytes with {rank} dimension{'s' if rank > 1 else ''}")
    shape = np.frombuffer(content[4:head], ">u4").astype(int)
    if len(content) != head + shape.prod():
        raise InputError(f"{path}: {len(content)} bytes, {head + shape.prod()} expected; truncated or damaged")
    return np.frombuffer(content[head:], np.uint8).reshape(shape)


# -- known sets ----------------------------------------------------------------------------------------------


def load_mnist(size: int) -> tuple[Images, Images]:
    """The training and the test part of MNIST, 60,000 and 10,000 images.

    Raises:
        InputError: the files are not there, or cannot be read.
    """
    folder = find("mnist")
    train, test = (read_classes(folder / f"{part}{IDX_IMAGES}.gz", size) for part in ("train", "t10k"))
    return train, test


def load_orl(size: int) -> tuple[Images, Images]:
    """The Olivetti faces: images 1 to 5 of each of 40 people, and 6 to 10.

    Raises:
        InputError: the files are not there, or cannot be read.
    """
    everything = replace(read_classes(find("orl-faces"), size), name="@orl-faces")
    return everything.parted({row for row, file in enumerate(everything.files) if int(Path(file).stem) > ORL_TRAIN})
