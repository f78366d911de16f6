"""Images with boxes around the things in them, of whatever files hold them, in pixels as a viewer shows the images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memfold.data.labels import listed, not_trained_on
from memfold.data.picture_copies import fingerprint, kept_together
from memfold.data.pictures import UNREADABLE, deep_of, opened, reason_of, upright
from memfold.data.tones import COVERED, COVERED_BESIDE, Deep, Tones, bytes_of, tones_of
from memfold.data.unreadable import leave_out
from memfold.errors import InputError

__all__ = ["BoxedImages", "Given", "joined"]

LARGEST_SIDE, SMALLEST_SIDE = 320, 32  # pixels that are read where no size is asked for
MOST_BYTES = 1_000_000_000  # of pixels that are read where no size is asked for
Given = Image.Image | Deep


@dataclass(frozen=True)
class BoxedImages:
    """Images, and boxes of some classes in each.

    Attributes:
        name: of the source, for errors.
        paths: the image files; of images that are given themselves, what they are called.
        sizes: width and height of each, in pixels, as a viewer shows it.
        boxes: x, y, width and height of the boxes of each, in pixels, (N, 4); all inside the image.
        labels: the classes of the boxes of each, (N,).
        pixels: red, green and blue of each at a working size, (3, H, W), once `at` has read them.
        difficult: of the boxes of each, whether it is marked so: such a box counts neither as right nor as wrong, (N,).
        given: by its row an image that is given itself.
        deep: by its row an image of other numbers than bytes, whose pixels are 0 until `toned` has filled them.
        held: the rows that a split's own part names to validate on.
        layout: of the numbers in the files, ``xywh`` or ``xyxy``, where it was found by looking at them.
    """

    name: str
    paths: list[Path]
    sizes: list[tuple[int, int]]
    boxes: list[NDArray[np.float32]]
    labels: list[list[str]]
    pixels: list[NDArray[np.uint8]] = field(default_factory=list)
    difficult: list[NDArray[np.bool_]] = field(default_factory=list)
    given: dict[int, Given] = field(default_factory=dict)
    deep: dict[int, Deep] = field(default_factory=dict)
    held: frozenset[int] = frozenset()
    layout: str = ""

    def __post_init__(self) -> None:
        if len(self.difficult) != len(self.paths):
            object.__setattr__(self, "difficult", [np.zeros(len(names), bool) for names in self.labels])

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def classes(self) -> list[str]:
        """The distinct labels in order."""
        return sorted(set(chain.from_iterable(self.labels)))

    @cached_property
    def prints(self) -> list[bytes]:
        """The fingerprint of each image, once `at` has read them."""
        rows = range(len(self.pixels))
        return [fingerprint(self.deep[row].values if row in self.deep else self.pixels[row]) for row in rows]

    def take(self, rows: Sequence[int]) -> "BoxedImages":
        """Some of the images."""
        return replace(
            self,
            paths=[self.paths[row] for row in rows],
            sizes=[self.sizes[row] for row in rows],
            boxes=[self.boxes[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            pixels=[self.pixels[row] for row in rows] if self.pixels else [],
            difficult=[self.difficult[row] for row in rows],
            given={place: self.given[row] for place, row in enumerate(rows) if row in self.given},
            deep={place: self.deep[row] for place, row in enumerate(rows) if row in self.deep},
            held=frozenset(place for place, row in enumerate(rows) if row in self.held),
        )

    def parted(self, held: set[int] | frozenset[int]) -> tuple["BoxedImages", "BoxedImages"]:
        """The other images, and those of some rows."""
        rest = self.take([row for row in range(len(self)) if row not in held])
        return replace(rest, held=frozenset()), replace(self.take(sorted(held)), held=frozenset())

    def at(self, size: int) -> "BoxedImages":
        """These images with their pixels, ``size`` of them along the longer side.

        Those that cannot be read are left out, and named on standard error.

        Raises:
            InputError: none of them can be read.
        """
        if self.pixels and max(self.pixels[0].shape) == size:
            return self
        pixels: list[NDArray[np.uint8]] = []
        deep: dict[int, Deep] = {}
        kept: list[int] = []
        broken: list[str] = []
        for row, path in enumerate(self.paths):
            try:
                scaled = _scaled(self.given.get(row, path), self.sizes[row], size)
            except UNREADABLE as error:
                broken.append(f"{path} ({reason_of(error, path)})")
                continue
            if isinstance(scaled, Deep):
                deep[len(kept)] = scaled
                scaled = np.zeros((3, *scaled.values.shape[1:]), np.uint8)
            pixels.append(scaled)
            kept.append(row)
        leave_out(broken, len(self), "images")
        return replace(self.take(kept), pixels=pixels, deep=deep)

    def native_side(self) -> int:
        """The longer side in pixels that half of the images reach, 320 at most, fewer of very many images."""
        own = int(np.median([max(size) for size in self.sizes]))
        fits = int((MOST_BYTES / (3 * len(self))) ** 0.5)
        return max(SMALLEST_SIDE, min(own, LARGEST_SIDE, fits))

    def shrunk(self, size: int) -> "BoxedImages":
        """These images, whose pixels have been read, ``size`` of them along the longer side."""
        if all(max(pixels.shape) == size for pixels in self.pixels):
            return self
        shapes = [_shape(pixels.shape[:0:-1], size) for pixels in self.pixels]
        pixels = [_planes(pixels, shape) for pixels, shape in zip(self.pixels, shapes, strict=True)]
        deep = {row: Deep(image.kind, _planes(image.values, shapes[row])) for row, image in self.deep.items()}
        return replace(self, pixels=pixels, deep=deep)

    def tones(self) -> Tones:
        """What becomes black and white of images of other numbers than bytes."""
        beside = len(self.deep) < len(self)
        return tones_of(self.deep.values(), COVERED_BESIDE if beside else COVERED)

    def toned(self, tones: Tones) -> "BoxedImages":
        """These images, those of other numbers than bytes brought to bytes by what becomes black and white."""
        if not self.deep:
            return self
        pixels = list(self.pixels)
        for row, picture in self.deep.items():
            pixels[row] = np.broadcast_to(bytes_of(picture, tones), pixels[row].shape).copy()
        return replace(self, pixels=pixels, deep={})

    def numbers(self, classes: Sequence[str]) -> list[NDArray[np.int64]]:
        """The labels by their places among some classes.

        Raises:
            InputError: naming all other classes, and an image with one.
        """
        places = {label: place for place, label in enumerate(classes)}
        if unknown := sorted(set(chain.from_iterable(self.labels)) - places.keys()):
            path = next(path for path, labels in zip(self.paths, self.labels, strict=True) if set(labels) & {*unknown})
            raise InputError(f"{path}: {not_trained_on(unknown)}; known are {listed(classes)}")
        return [np.array([places[label] for label in names], np.int64) for names in self.labels]

    def require(self, images: int = 1) -> None:
        """Raise InputError unless so many images have boxes, one or two."""
        count = sum(map(bool, self.labels))
        if not count:
            raise InputError(f"{self.name}: there is no box in any image")
        if count < images:
            raise InputError(f"{self.name}: one image has boxes; two are needed, to train on one and hold one out")

    def without_difficult(self) -> "BoxedImages":
        """These images without the boxes marked as difficult, but for classes that have no others."""
        easy = {
            label
            for labels, marks in zip(self.labels, self.difficult, strict=True)
            for label, mark in zip(labels, marks, strict=True)
            if not mark
        }
        kept = [
            np.array([not (mark and label in easy) for label, mark in zip(labels, marks, strict=True)], bool)
            for labels, marks in zip(self.labels, self.difficult, strict=True)
        ]
        return replace(
            self,
            boxes=[boxes[rows] for boxes, rows in zip(self.boxes, kept, strict=True)],
            labels=[
                [label for label, row in zip(labels, rows, strict=True) if row]
                for labels, rows in zip(self.labels, kept, strict=True)
            ],
            difficult=[marks[rows] for marks, rows in zip(self.difficult, kept, strict=True)],
        )

    def ignored(self) -> list[NDArray[np.bool_]]:
        """Of the boxes of each image, whether it counts neither as right nor as wrong; none where all are difficult."""
        if all(marks.all() for marks in self.difficult):
            return [np.zeros(len(marks), bool) for marks in self.difficult]
        return self.difficult

    def split(self, share: float = 0.1) -> tuple["BoxedImages", "BoxedImages"]:
        """What remains, and a share held out of the images with boxes, one at least, and of those without.

        No class is only among those held out, and copies of an image stay together where that can be.

        Raises:
            InputError: no or one image with boxes, or in every image a class that no other has.
        """
        self.require(2)
        order = np.random.default_rng(0).permutation(len(self)).tolist()
        boxed = [row for row in order if self.labels[row]]
        empty = [row for row in order if not self.labels[row]]
        held = {*self._spared(boxed, max(1, round(share * len(boxed)))), *empty[: round(share * len(empty))]}
        if self.pixels:
            together = kept_together(held, self.prints, [""] * len(self))
            kept = {label for row, labels in enumerate(self.labels) if row not in together for label in labels}
            if kept == set(self.classes) and any(self.labels[row] for row in together):
                held = together
        return self.parted(held)

    def _spared(self, rows: Sequence[int], count: int) -> list[int]:
        """The first so many rows without which every class remains."""
        left = Counter(label for labels in self.labels for label in set(labels))
        spared: list[int] = []
        for row in rows:
            if len(spared) < count and all(left[label] > 1 for label in self.labels[row]):
                left.subtract(set(self.labels[row]))
                spared.append(row)
        if not spared:
            raise InputError(f"{self.name}: every image has a class that no other has; add images of each class")
        return spared


def joined(parts: Sequence[BoxedImages]) -> BoxedImages:
    """All images of several; with their pixels where all have them."""
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    shifted = list(zip(starts, parts, strict=False))
    pixels = [part.pixels for part in parts]
    return BoxedImages(
        " ".join(dict.fromkeys(part.name for part in parts)),
        [path for part in parts for path in part.paths],
        [size for part in parts for size in part.sizes],
        [boxes for part in parts for boxes in part.boxes],
        [labels for part in parts for labels in part.labels],
        list(chain.from_iterable(pixels)) if all(pixels) else [],
        [marks for part in parts for marks in part.difficult],
        {start + row: given for start, part in shifted for row, given in part.given.items()},
        {start + row: deep for start, part in shifted for row, deep in part.deep.items()} if all(pixels) else {},
        frozenset(start + row for start, part in shifted for row in part.held),
        next((part.layout for part in parts if part.layout), ""),
    )


def _shape(full: tuple[int, ...], size: int) -> tuple[int, int]:
    """Width and height of an image with ``size`` pixels along the longer side."""
    scale = max(full) / size
    return max(1, round(full[0] / scale)), max(1, round(full[1] / scale))


def _planes(planes: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Planes ``(C, H, W)`` of bytes or floats at another width and height."""
    scaled = (Image.fromarray(plane).resize(shape, Image.Resampling.BILINEAR) for plane in planes)
    return np.stack([np.asarray(plane) for plane in scaled])


def _scaled(source: Path | Given, full: tuple[int, int], size: int) -> NDArray[np.uint8] | Deep:
    """An image of a width and a height, ``size`` pixels along the longer side: red, green and blue, (3, H, W)."""
    shape = _shape(full, size)
    if isinstance(source, Deep):
        return Deep(source.kind, _planes(source.values, shape))
    if isinstance(source, Path):
        with opened(source) as image:
            # A JPEG is decoded at a fraction of its size where that is enough.
            image.draft("RGB", shape if image.size == full else shape[::-1])
            return _scaled(image, full, size)
    if (deep := deep_of(source)) is not None:
        return _scaled(Deep(deep.kind, np.asarray(upright(source)).astype(np.float32)[None]), full, size)
    pixels = np.asarray(upright(source).convert("RGB").resize(shape, Image.Resampling.BILINEAR))
    return pixels.transpose(2, 0, 1).copy()
