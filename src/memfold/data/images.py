"""Labelled images: a folder for each class, or idx files as MNIST has them, brought to one size."""

import gzip
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from memfold.data.datasets import find
from memfold.data.folders import files_below, is_file, is_folder, labelled_folders
from memfold.data.folds import held_out_rows
from memfold.data.labels import listed, plural_of
from memfold.data.picture_copies import fingerprint, kept_together
from memfold.data.picture_lists import PictureList, pictures_listed
from memfold.data.pictures import (
    FOREIGN,
    SUFFIXES,
    UNREADABLE,
    deep_of,
    image_of,
    opened,
    path_of,
    reason_of,
    say_left_out,
    upright,
)
from memfold.data.tones import COVERED, COVERED_BESIDE, Deep, Tones, bytes_of, tones_of
from memfold.data.unreadable import leave_out
from memfold.display import say
from memfold.errors import InputError

__all__ = ["Images", "joined", "load_mnist", "load_orl", "native_side", "read_classes", "read_images"]

Pixels = NDArray[np.uint8]
GREY = ("1", "L", "LA", "La")  # Pillow's modes without colour
IDX_IMAGES, IDX_LABELS = "-images-idx3-ubyte", "-labels-idx1-ubyte"
IDX_TYPE = 0x08  # unsigned bytes
MOST_PACKED = 1100  # times its bytes that a gzip file may hold; deflate reaches 1032
ORL_TRAIN = 5  # images of each person, the first ones
LARGEST_SIDE, SMALLEST_SIDE = 160, 8  # pixels that are read where no size is asked for
MOST_BYTES = 400_000_000  # of pixels that are read where no size is asked for
LOOKED_AT = 200  # images whose sides are looked at


@dataclass(frozen=True)
class Images:
    """Images of one size and what each shows.

    Attributes:
        name: of the source, for errors.
        pixels: (N, C, H, W), with C 1 of grey and 3 of colour images.
        labels: the class of each.
        files: where each comes from.
        deep: by its row an image of other numbers than bytes, whose pixels are 0 until `toned` has filled them.
        held: the rows that a split's own folder names to validate on.
    """

    name: str
    pixels: Pixels
    labels: list[str]
    files: list[str]
    deep: dict[int, Deep] = field(default_factory=dict)
    held: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def classes(self) -> list[str]:
        """The distinct labels in order."""
        return sorted(set(self.labels))

    @cached_property
    def prints(self) -> list[bytes]:
        """The fingerprint of each image."""
        rows = range(len(self.pixels))
        return [fingerprint(self.deep[row].values if row in self.deep else self.pixels[row]) for row in rows]

    def take(self, rows: Iterable[int]) -> "Images":
        """Some of the images."""
        chosen = list(rows)
        labels, files = ([column[row] for row in chosen] for column in (self.labels, self.files))
        deep = {place: self.deep[row] for place, row in enumerate(chosen) if row in self.deep}
        held = frozenset(place for place, row in enumerate(chosen) if row in self.held)
        return replace(self, pixels=self.pixels[chosen], labels=labels, files=files, deep=deep, held=held)

    def parted(self, held: Iterable[int]) -> tuple["Images", "Images"]:
        """The other images, and those of some rows."""
        apart = set(held)
        rest = self.take(row for row in range(len(self.labels)) if row not in apart)
        return replace(rest, held=frozenset()), replace(self.take(sorted(apart)), held=frozenset())

    def split(self, fold: int = 0, folds: int = 10) -> tuple["Images", "Images"]:
        """What remains, and one of so many folds, in which every class has its share; copies stay together."""
        return self.parted(kept_together(held_out_rows(self.labels, fold, folds), self.prints, self.labels))

    def toned(self, tones: Mapping[str, Sequence[float]]) -> "Images":
        """These images, those of other numbers than bytes brought to bytes by what becomes black and white."""
        if not self.deep:
            return self
        pixels = self.pixels.copy()
        for row, picture in self.deep.items():
            pixels[row] = _channels(bytes_of(picture, tones), pixels.shape[1])
        return replace(self, pixels=pixels, deep={})

    def tones(self) -> Tones:
        """What becomes black and white of images of other numbers than bytes."""
        beside = len(self.deep) < len(self)
        return tones_of(self.deep.values(), COVERED_BESIDE if beside else COVERED)

    def coloured(self, channels: int) -> "Images":
        """These images in grey, 1, or in colour, 3."""
        if self.pixels.shape[1] == channels:
            return self
        return replace(self, pixels=np.ascontiguousarray(_channels(self.pixels, channels)))

    def at(self, size: int) -> "Images":
        """These images at another side."""
        if self.pixels.shape[2] == size:
            return self
        pixels = np.stack([_resized(image, size) for image in self.pixels])
        deep = {row: Deep(picture.kind, _resized(picture.values, size)) for row, picture in self.deep.items()}
        return replace(self, pixels=pixels, deep=deep)

    def require(self, least: int, what: str = "class") -> None:
        """Raise InputError unless there are two classes, each with ``least`` images; all that have fewer are named."""
        counts = Counter(self.labels)
        if len(counts) < 2:
            raise InputError(f"{self.name}: {next(iter(counts))!r} is the only {what}; two at least are needed")
        few = {label: _counted(count) for label, count in sorted(counts.items()) if count < least}
        needed = f"{least} are needed, to train on some and hold others out; add images, or remove"
        if len(few) == 1:
            ((label, count),) = few.items()
            raise InputError(f"{self.name}: the {what} {label!r} has {count}; {needed} it")
        if few:
            named = listed(f"{label!r} ({count})" for label, count in few.items())
            raise InputError(f"{self.name}: the {plural_of(what)} {named} have too few; {needed} them")


def _counted(images: int) -> str:
    return "1 image" if images == 1 else f"{images:,} images"


def _channels(pixels: Pixels, channels: int) -> Pixels:
    """Pixels ``(..., C, H, W)`` in grey or in colour."""
    if pixels.shape[-3] == channels:
        return pixels
    if channels == 3:
        return np.broadcast_to(pixels, (*pixels.shape[:-3], 3, *pixels.shape[-2:]))
    weights = np.array([0.299, 0.587, 0.114])[:, None, None]  # ITU-R 601, as Pillow weighs colours
    grey: Pixels = np.rint((pixels * weights).sum(-3, keepdims=True)).astype(np.uint8)
    return grey


def joined(parts: Sequence[Images]) -> Images:
    """All images of several, in colour where one of them is, at the side of the smallest."""
    smallest = min(part.pixels.shape[2] for part in parts)
    parts = [part.at(smallest) for part in parts]
    channels = max(part.pixels.shape[1] for part in parts)
    starts = np.cumsum([0, *(len(part.labels) for part in parts)]).tolist()
    shifted = list(zip(starts, parts, strict=False))
    return Images(
        " ".join(dict.fromkeys(part.name for part in parts)),
        np.concatenate([part.coloured(channels).pixels for part in parts]),
        [label for part in parts for label in part.labels],
        [file for part in parts for file in part.files],
        {start + row: picture for start, part in shifted for row, picture in part.deep.items()},
        frozenset(start + row for start, part in shifted for row in part.held),
    )


# -- folders -------------------------------------------------------------------------------------------------


def read_classes(
    source: str | Path | PictureList, size: int | None, channels: int | None = None, what: str = "class"
) -> Images:
    """Read labelled images.

    Args:
        source: a folder with a folder for each class; a table of files and classes, or a folder with one; or a file of
            images in the idx format, packed by gzip or not, beside which the file of labels lies
            (``train-images-idx3-ubyte.gz``, ``train-labels-idx1-ubyte.gz``).
        size, channels: as :func:`read_images` takes them.
        what: a folder stands for, for errors.

    Raises:
        InputError: naming the folders without a class or the classes without an image, or the file that does not fit.
    """
    if isinstance(source, PictureList):
        for note in source.notes:
            say(f"{source.name}: {note}")
        images, kept = read_images(source.files, size, channels, source.name)
        return replace(images, labels=[source.labels[row] for row in kept])
    root = path_of(source)
    if is_file(root) and IDX_IMAGES in root.name:
        return _read_idx(root, size, channels)
    if lists := pictures_listed(root):
        parts = list(lists.values())
        files, labels = ([value for part in parts for value in getattr(part, name)] for name in ("files", "labels"))
        every = PictureList(str(root), files, labels, tuple(note for part in parts for note in part.notes))
        return read_classes(every, size, channels, what)
    if is_file(root):
        raise InputError(
            f"{root}: expected a folder with a folder for each {what}, a table of files and labels (.csv), or a file "
            f"named *{IDX_IMAGES}.gz"
        )
    if not is_folder(root):
        raise InputError(f"{root}: no such folder")
    if idx := sorted(path.name for path in root.iterdir() if IDX_IMAGES in path.name):
        raise InputError(f"{root}: holds idx files; name one of them, such as {root / idx[-1]}")
    folders = dict(labelled_folders(root, SUFFIXES))
    if not any(folders.values()):
        raise InputError(f"{root}: {_no_classes(root, what)}")
    say_left_out(root)
    if empty := [root / label for label, files in folders.items() if not files]:
        raise InputError(f"{listed(map(str, empty))}: holds no images; add some, or remove the folder")
    entries = [(path, label) for label, files in folders.items() for path in files]
    images, kept = read_images([path for path, _ in entries], size, channels, str(root))
    labels = [entries[row][1] for row in kept]
    if broken := sorted(folders.keys() - set(labels)):
        raise InputError(f"{listed(str(root / label) for label in broken)}: none of its images can be read")
    return replace(images, labels=labels)


def _no_classes(root: Path, what: str) -> str:
    """What a folder without classes is taken for, and what to do."""
    expected = f"expected a folder for each {what}, with its images"
    directly = [path for path in root.iterdir() if is_file(path)]
    tables = [path.name for path in directly if path.suffix.lower() in (".csv", ".tsv", ".json", ".txt", ".xlsx")]
    if tables and any(path.suffix.lower() in SUFFIXES for path in directly):
        return (
            f"{expected}, or a table with the columns file and label; {tables[0]} is none: sort the images into "
            "folders by it, or in Python give files and labels, fit(files, labels)"
        )
    if foreign := [path for path in files_below(root, FOREIGN) if path.parent != root]:
        return f"holds no images that can be read; {foreign[0]} is {FOREIGN[foreign[0].suffix.lower()]}"
    return expected


def read_images(
    items: Sequence[Any], size: int | None, channels: int | None = None, name: str = "the images"
) -> tuple[Images, list[int]]:
    """Read images; files that cannot be read are left out, and named on standard error.

    Every image is turned as its camera noted, scaled to fit into a square without a change of its proportions, centred
    in it, with its mean colour around it. What is transparent becomes white.

    Args:
        items: files of any kind that Pillow reads (PNG, JPEG, WebP, TIFF, BMP, PGM, ...), and images as `image_of`
            takes them.
        size: S, pixels of the square's side; None takes `native_side`.
        channels: C, 1 for grey or 3 for colour; None takes 3 where one of the images has colour.
        name: of the source, for errors.

    Returns:
        The images, without labels, and of each its place among the items.

    Raises:
        InputError: none of the files can be read, or naming an array that is no image.
    """
    if not len(items):
        raise InputError("no images given")
    size = size or native_side(items)
    squares: list[Pixels | Deep] = []
    kept: list[int] = []
    files: list[str] = []
    broken: list[str] = []
    for place, item in enumerate(items):
        try:
            if isinstance(item, str | Path):
                with opened(Path(item)) as image:
                    square = _square(image, size, channels)
            else:
                square = _square(image_of(item, place), size, channels)
        except UNREADABLE as error:
            if isinstance(error, InputError):
                raise
            broken.append(f"{item} ({reason_of(error, item)})")
            continue
        squares.append(square)
        kept.append(place)
        files.append(str(item) if isinstance(item, str | Path) else f"image {place}")
    leave_out(broken, len(items), "images")
    arrays = [square.values if isinstance(square, Deep) else square for square in squares]
    most = channels or max(len(array) for array in arrays)
    blank = np.zeros((most, size, size), np.uint8)
    filled = [blank if isinstance(square, Deep) else _channels(square, most) for square in squares]
    deep = {row: square for row, square in enumerate(squares) if isinstance(square, Deep)}
    return Images(name, np.stack(filled), [], files, deep), kept


def native_side(items: Sequence[Any]) -> int:
    """The side of a square that holds half of some images as they are, 160 pixels at most, fewer for very many images.

    Args:
        items: as `read_images` takes them; of at most 200 of them, evenly spread, the first bytes are read.
    """
    sides = []
    for place in np.linspace(0, len(items) - 1, min(len(items), LOOKED_AT)).astype(int).tolist():
        try:
            sides.append(_longer_side(items[place]))
        except UNREADABLE:
            continue
    own = int(np.median(sides)) if sides else LARGEST_SIDE
    return _bounded(own, len(items))


def _bounded(side: int, images: int) -> int:
    fits = int((MOST_BYTES / (3 * images)) ** 0.5)
    return max(SMALLEST_SIDE, min(side, LARGEST_SIDE, fits))


def _longer_side(item: Any) -> int:
    if isinstance(item, str | Path):
        with opened(Path(item)) as image:
            return max(image.size)
    given = image_of(item)
    return int(max(given.values.shape[1:] if isinstance(given, Deep) else given.size))


def _square(image: Image.Image | Deep, size: int, channels: int | None) -> Pixels | Deep:
    """The image in a square, ``(C, S, S)``."""
    if isinstance(image, Image.Image):
        image.draft(image.mode, (2 * size, 2 * size))  # of a JPEG no more than is needed
        grey = image.mode in GREY
        deep = deep_of(image)
        image = upright(image)
        if deep is None:
            return _square_of_bytes(image, size, "L" if channels == 1 or (channels is None and grey) else "RGB")
        image = Deep(deep.kind, np.asarray(image).astype(np.float32)[None])
    planes = [_padded(Image.fromarray(plane), size, float(np.nanmean(plane))) for plane in image.values]
    values = np.stack([np.asarray(plane) for plane in planes])
    return Deep(image.kind, values.mean(0, keepdims=True) if channels == 1 else values)


def _square_of_bytes(image: Image.Image, size: int, mode: str) -> Pixels:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert(mode)
    if image.size != (size, size):
        mean = np.asarray(image).mean((0, 1)).round().astype(int)
        image = _padded(image, size, tuple(mean.tolist()) if mode == "RGB" else int(mean))
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _padded(image: Image.Image, size: int, fill: Any) -> Image.Image:
    """An image scaled into a square, with a colour around it."""
    return image if image.size == (size, size) else ImageOps.pad(image, (size, size), Image.Resampling.LANCZOS, fill)


def _resized(planes: NDArray[Any], size: int) -> NDArray[Any]:
    """Planes ``(C, S, S)`` of bytes or floats at another side."""
    scaled = (Image.fromarray(plane).resize((size, size), Image.Resampling.LANCZOS) for plane in planes)
    return np.stack([np.asarray(plane) for plane in scaled])


# -- idx files -----------------------------------------------------------------------------------------------


def _read_idx(path: Path, size: int | None, channels: int | None) -> Images:
    beside = path.with_name(path.name.replace(IDX_IMAGES, IDX_LABELS))
    images, labels = _idx_array(path, 3), _idx_array(beside, 1)
    if len(images) != len(labels):
        raise InputError(f"{path}: has {len(images)} images, {beside.name} {len(labels)} labels")
    if not len(images):
        raise InputError(f"{path}: holds no images")
    pixels = images[:, None]
    size = size or _bounded(max(images.shape[1:]), len(images))
    if images.shape[1:] != (size, size):
        pixels = np.stack([_square_of_bytes(Image.fromarray(image), size, "L") for image in images])
    pixels = np.repeat(pixels, channels or 1, axis=1)
    files = [f"{path}:{number}" for number in range(len(pixels))]
    return Images(str(path), pixels, [str(label) for label in labels], files)


def _idx_array(path: Path, rank: int) -> Pixels:
    """The array in an idx file (LeCun, Cortes & Burges, "The MNIST database"): type, rank, sizes, then its bytes."""
    head = 4 + 4 * rank
    try:
        packed = path.stat().st_size * (MOST_PACKED if path.suffix == ".gz" else 1)
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            start = file.read(head)
            if len(start) < head or start[:4] != bytes([0, 0, IDX_TYPE, rank]):
                raise InputError(f"{path}: not an idx file of bytes with {rank} dimension{'s' if rank > 1 else ''}")
            shape = struct.unpack(f">{rank}I", start[4:])
            expected = prod(shape)
            if 0 in shape[1:]:
                raise InputError(f"{path}: holds images of {shape[1]}x{shape[2]} pixels")
            content = file.read(expected + 1) if expected <= packed else b""
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not readable ({error})") from None
    if len(content) != expected:
        bytes_there = f"{head + len(content):,} bytes" if expected <= packed else "too few bytes"
        more = "or more, " if len(content) > expected else ""
        raise InputError(f"{path}: {bytes_there}, {more}{head + expected:,} expected; truncated or damaged")
    return np.frombuffer(content, np.uint8).reshape(shape)


# -- known sets ----------------------------------------------------------------------------------------------


def load_mnist(size: int | None) -> tuple[Images, Images]:
    """The training and the test part of MNIST, 60,000 and 10,000 images.

    Raises:
        InputError: the files are not there, or cannot be read.
    """
    folder = find("mnist")
    train, test = (read_classes(folder / f"{part}{IDX_IMAGES}.gz", size) for part in ("train", "t10k"))
    return train, test


def load_orl(size: int | None) -> tuple[Images, Images]:
    """The Olivetti faces: images 1 to 5 of each of 40 people, and 6 to 10.

    Raises:
        InputError: the files are not there, or cannot be read.
    """
    everything = replace(read_classes(find("orl-faces"), size), name="@orl-faces")
    return everything.parted({row for row, file in enumerate(everything.files) if int(Path(file).stem) > ORL_TRAIN})
