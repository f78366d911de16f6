"""What the tasks on labelled images share: one size, grey or colour, and a Sequencer to look at them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memfold.data.images import Images, images_in, joined, pixels_of, read_classes, read_pixels, several
from memfold.errors import InputError
from memfold.tasks.model import Task
from memfold.tasks.parameters import Search, fitted, parameter

if TYPE_CHECKING:
    from torch import Tensor

    from memfold.tasks.vision.network import BackboneSize

__all__ = ["STRIDES", "ImageTask"]

STRIDES = (1, 2, 4, 8)


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

    colours_: int = fitted()

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> Images:
        """The labelled images in a folder or an idx file, in grey for a model of grey ones.

        Raises:
            InputError: naming the folder or file that does not fit.
        """
        return data if isinstance(data, Images) else read_classes(data, self.size, self._colours)

    def labelled(self, X: Any, y: Any) -> Images:
        """Images, as files or as arrays ``(H, W)`` or ``(H, W, C)`` of bytes, and the class of each.

        Files that cannot be read are left out with their class, and named on standard error.
        """
        items = several(X)
        labels = [str(label) for label in y]
        if len(items) != len(labels):
            raise InputError(f"{len(items)} images in X, but {len(labels)} labels in y")
        if _are_arrays(items):
            return replace(pixels_of(items, self.size, self._colours), labels=labels)
        pixels, kept = read_pixels([Path(item) for item in items], self.size, self._colours)
        return Images("the images", pixels, [labels[row] for row in kept], [str(items[row]) for row in kept])

    def inputs(self, data: Any) -> Images:
        """Images without classes: arrays, files, or folders of which every image is taken.

        Raises:
            InputError: there is no image that can be read.
        """
        if isinstance(data, Images):
            return data
        items = several(data)
        if _are_arrays(items):
            return pixels_of(items, self.size, self._colours)
        paths = images_in(items)
        pixels, kept = read_pixels(paths, self.size, self._colours)
        return Images("the images", pixels, [], [str(paths[row]) for row in kept])

    def read_files(self, paths: Sequence[str]) -> Images:
        return joined(self.read_each(paths))

    @property
    def _colours(self) -> int | None:
        """1 or 3 of a fitted model."""
        return getattr(self, "colours_", None)

    # -- the network -----------------------------------------------------------------------------------------

    def backbone(self) -> "BackboneSize":
        """The shapes of the Sequencer."""
        from memfold.tasks.vision.network import BackboneSize

        return BackboneSize(self.size, self.colours_, self.channels, self.blocks, self.hidden_size, self.stem_stride)

    @staticmethod
    def tensors(images: Images, numbers: NDArray[np.int64]) -> "tuple[Tensor, Tensor]":
        """Pixels ``(N, C, S, S)`` of bytes and classes by number, ``(N,)``."""
        import torch

        return torch.from_numpy(images.pixels), torch.from_numpy(numbers)

    def check(self) -> None:
        super().check()
        if self.stem_stride not in STRIDES:
            raise InputError(f"stem_stride must be 1, 2, 4 or 8, got {self.stem_stride}")

    def check_restored(self) -> None:
        if self.colours_ not in (1, 3):
            raise InputError(f"colours are 1 or 3, got {self.colours_}")


def _are_arrays(items: Sequence[Any]) -> bool:
    """Whether images are given themselves rather than by their files' names."""
    return not isinstance(items[0], str | Path)
