"""What the tasks on labelled images share: one size, grey or colour, and a Sequencer to look at them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from memfold.data.folders import KEPT_APART, PARTS, is_folder, say_parts, split_folders
from memfold.data.images import Images, joined, read_classes, read_images
from memfold.data.labels import counted, numbers_of
from memfold.data.picture_copies import remembered, say_copies, say_trained_on
from memfold.data.picture_lists import PictureList, pictures_listed
from memfold.data.pictures import SUFFIXES, path_of, pictures_at, several
from memfold.data.seen import Seen
from memfold.data.tones import Tones, words_of
from memfold.display import say
from memfold.errors import InputError
from memfold.runtime.recipe import Run
from memfold.tasks.model import FitData, Task
from memfold.tasks.parameters import Search, fitted, parameter
from memfold.tasks.report import Parts

if TYPE_CHECKING:
    from torch import Tensor

    from memfold.tasks.vision.network import BackboneSize

__all__ = ["STRIDES", "ImageTask", "through"]

STRIDES = (1, 2, 4, 8)
LARGEST_READ = 8192  # pixels of a side
AT_ONCE = 256  # images


def through(run: Run, output: str, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An output of an exported part, ``(N, ...)``, for images ``(N, C, S, S)``, of which it is given some at once."""
    starts = range(0, len(pixels), AT_ONCE)
    return np.concatenate([np.asarray(run(pixels=pixels[start : start + AT_ONCE])[output]) for start in starts])


class ImageTask(Task):
    """A task on labelled images with the parameters of a backbone."""

    size: int = parameter(
        64,
        "side in pixels of the square that every image is brought to, with its proportions kept",
        least=8,
        most=8192,
        search=(32, 64, 96),
    )
    augment: float = parameter(
        1.0, "strength of the augmentation in training; 0 for none", least=0, search=Search(0, 2)
    )
    channels: int = parameter(64, "features at each place", least=1, search=Search(16, 128, log=True))
    blocks: int = parameter(2, "blocks of LSTMs along rows and columns", least=1, most=1000, search=(1, 2, 4))
    hidden_size: int = parameter(32, "units of each LSTM in each direction", least=1, search=Search(16, 128, log=True))
    stem_stride: int = parameter(4, "pixels from one place to the next: 1, 2, 4 or 8", least=1, search=STRIDES)
    dropout: float = parameter(0.1, "dropout of the features", least=0, below=1, search=Search(0, 0.5))
    fold: int = parameter(0, "which tenth of your own data is held out", least=0, most=10**6)

    shows: ClassVar[str] = "class"  # what an image's label is

    read_size_: int = fitted()  # pixels of the side that images are read at
    colours_: int = fitted()
    tones_: Tones = fitted()
    seen_: str = fitted()  # hashes of the images that it was fitted to

    # -- reading ---------------------------------------------------------------------------------------------

    def remember(self, data: FitData) -> None:
        """Keep hashes of the images, for an evaluation to notice them."""
        self.seen_ = self.also_seen(Seen.parse(remembered([*data.whole.prints, *data.valid.prints])))

    def examine(self, examples: Images) -> None:
        say_trained_on(examples.name, examples.prints, self.seen_)

    def summary(self, examples: Images) -> dict[str, str]:
        height, width = examples.pixels.shape[2:]
        colours = "grey" if examples.pixels.shape[1] == 1 else "colour"
        return {
            "images": f"{len(examples.labels):,}, {colours}, read at {width} by {height} pixels",
            "labels": counted(examples.labels),
        }

    def read(self, data: Any) -> Images:
        """The labelled images in a folder or an idx file, in grey for a model of grey ones.

        Of a folder that holds the parts of a split, a fitted model reads what is to be scored; to fit, the others are
        read, and that to validate on is kept in mind.

        Raises:
            InputError: naming the folder or file that does not fit.
        """
        if isinstance(data, Images):
            return self._as_trained(data)
        split = self._split_at(path_of(data))
        if not split:
            return self._as_trained(read_classes(data, self._read_size, self._colours, self.shows))
        if self.__sklearn_is_fitted__():
            part = next(part for part in ("test", "valid", "train") if part in split)
            images = read_classes(split[part], self._read_size, self._colours, self.shows)
            say_parts(str(data), {"test": len(images)}, f"of {Path(split[part].name).name}, images")
            return self._as_trained(images)
        parts = {
            part: read_classes(folder, self._read_size, None, self.shows)
            for part, folder in split.items()
            if part != "test"
        }
        if "train" not in parts:
            raise InputError(f"{data}: a split without a part to train on; there is {', '.join(split)}")
        apart = KEPT_APART if "test" in split else ""
        say_parts(str(data), {part: len(images) for part, images in parts.items()}, "images", apart)
        whole = joined(list(parts.values()))
        return replace(whole, held=frozenset(range(len(parts["train"]), len(whole))))

    def labelled(self, X: Any, y: Any) -> Images:
        """Images, as files or as arrays ``(H, W)`` or ``(H, W, 3)``, and the class of each.

        Files that cannot be read are left out with their class, and named on standard error.
        """
        items = list(X) if isinstance(X, np.ndarray) else several(X)
        labels = [str(label) for label in y]
        if len(items) != len(labels):
            raise InputError(f"{len(items)} images in X, but {len(labels)} labels in y")
        images, kept = read_images(items, self._read_size, self._colours)
        return self._as_trained(replace(images, labels=[labels[row] for row in kept]))

    def inputs(self, data: Any) -> Images:
        """Images without classes: one or several arrays, images of Pillow, files, or folders with all their images.

        Raises:
            InputError: there is no image that can be read.
        """
        if isinstance(data, Images):
            return self._as_trained(data)
        return self._as_trained(read_images(pictures_at(data), self._read_size, self._colours)[0])

    def read_files(self, paths: Sequence[str]) -> Images:
        return joined(self.read_each(paths))

    def own_parts(self, data: Sequence[str]) -> Parts:
        splits = [self._split_at(Path(path)) or {"train": Path(path)} for path in data]
        if all(list(split) == ["train"] for split in splits):
            return super().own_parts([str(split["train"]) for split in splits])
        read: dict[str, list[Images]] = {}
        for split in splits:
            for part, folder in split.items():
                read.setdefault(part, []).append(read_classes(folder, self._read_size, self._colours, self.shows))
        parts = {part: joined(read[part]) for part in PARTS if part in read}
        name = " ".join(data)
        if "train" not in parts:
            raise InputError(f"{name}: a split without a part to train on; there is {', '.join(parts)}")
        say_parts(name, {part: len(images) for part, images in parts.items()}, "images")
        if "test" not in parts:
            say(f"{name}: there is no part to score; that to validate on is scored instead")
            parts["test"] = parts.pop("valid")
        self.check_parts(parts)
        return Parts(parts["train"], parts["test"], parts.get("valid"))

    def check_parts(self, parts: Mapping[str, Images]) -> None:
        """Name labels of other parts that the one to train on lacks, and what is on both sides of a split.

        Raises:
            InputError: what is to validate on or to score has labels that are not trained on.
        """
        train = parts["train"]
        for part in parts.keys() - {"train"}:
            numbers_of(parts[part].labels, train.classes, parts[part].name, self.shows)
        seen = joined([images for part, images in parts.items() if part != "test"])
        test = parts["test"]
        say_copies(test.files, test.prints, seen.files, seen.prints, "images to score")

    def _split_at(self, path: Path) -> Mapping[str, Path | PictureList]:
        """The folders, or the rows of a table, that are the parts of a split; none where a path is something else."""
        if lists := pictures_listed(path):
            return {} if "" in lists else lists
        return split_folders(path, SUFFIXES, "images", self.shows) if is_folder(path) else {}

    def _as_trained(self, images: Images) -> Images:
        """Images as a fitted model takes them: in its colours and size, other numbers than bytes as it was trained."""
        if self._colours is None:
            return images
        return images.coloured(self.colours_).toned(self.tones_).at(self.chosen.size)

    def trained_on(self, data: FitData) -> FitData:
        """What a fit works on, in bytes, in the colours of the whole, at its size; says what is seen in it."""
        self.colours_, side = data.whole.pixels.shape[1:3]
        self.read_size_ = self.size or side
        self.tones_ = data.train.tones()
        if self.begun is not None:
            its = self.begun.model
            self.colours_, self.read_size_ = its.colours_, its.read_size_
            self.tones_ = {**self.tones_, **its.tones_}
        if self.tones_:
            say(f"images of more than 8 bits, scaled here and in predicting: {words_of(self.tones_)}")
        train, valid = data.train, data.valid
        say_copies(valid.files, valid.prints, train.files, train.prints, "images to validate on")
        return self.as_bytes(data)

    def as_bytes(self, data: FitData) -> FitData:
        """What a fit works on, all in bytes, in the colours and at the size of the model."""
        whole = self._as_trained(data.whole)
        train = whole if data.train is data.whole else self._as_trained(data.train)
        return replace(data, whole=whole, train=train, valid=self._as_trained(data.valid))

    @property
    def _read_size(self) -> int | None:
        """Pixels of the side to read images at: what was asked for, or what a fit found; None before."""
        return getattr(self, "read_size_", None) or self.size

    @property
    def _colours(self) -> int | None:
        """1 or 3 of a fitted model."""
        return getattr(self, "colours_", None)

    # -- the network -----------------------------------------------------------------------------------------

    def backbone(self) -> "BackboneSize":
        """The shapes of the Sequencer."""
        from memfold.tasks.vision.network import BackboneSize

        c = self.chosen
        return BackboneSize(c.size, self.colours_, c.channels, c.blocks, c.hidden_size, c.stem_stride)

    @staticmethod
    def tensors(images: Images, numbers: NDArray[np.int64]) -> "tuple[Tensor, Tensor]":
        """Pixels ``(N, C, S, S)`` of bytes and classes by number, ``(N,)``."""
        import torch

        return torch.from_numpy(images.pixels), torch.from_numpy(numbers)

    def check(self) -> None:
        super().check()
        if self.stem_stride is not None and self.stem_stride not in STRIDES:
            raise InputError(f"stem_stride must be 1, 2, 4 or 8, got {self.stem_stride}")

    def check_restored(self) -> None:
        if self.chosen.size is None:
            raise InputError("neither parameters nor plan have the size of the images")
        if self.colours_ not in (1, 3):
            raise InputError(f"colours are 1 or 3, got {self.colours_}")
        if not 1 <= self.read_size_ <= LARGEST_READ:
            raise InputError(f"images are read at 1 to {LARGEST_READ} pixels, got {self.read_size_}")
        for kind, tones in self.tones_.items():
            if len(tones) != 2 or not tones[0] < tones[1]:
                raise InputError(f"tones of {kind} are black and white, got {tones}")
