"""What the tasks on labelled images share: one size, grey or colour, and a Sequencer to look at them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.data.images import Images, image_files, joined, read_classes, read_pixels
from memfold.errors import InputError
from memfold.tasks.base import Task
from memfold.tasks.vision.network import BackboneSize

__all__ = ["ImageTask"]


class ImageTask(Task):
    """A task with the parameters of a backbone; ``size_`` is what fitting found of it."""

    size: int
    augment: float
    channels: int
    blocks: int
    hidden_size: int
    stem_stride: int
    dropout: float
    batch_size: int
    fold: int
    size_: BackboneSize

    def read(self, data: Any) -> Images:
        """The labelled images in a folder or an idx file, in grey for a model of grey ones.

        Raises:
            InputError: naming the folder or file that does not fit.
        """
        return data if isinstance(data, Images) else read_classes(data, self.size, self._colours)

    def read_files(self, paths: Sequence[str]) -> Images:
        return joined([self.read(path) for path in paths])

    def read_unlabelled(self, data: Sequence[str | Path]) -> tuple[list[str], NDArray[np.uint8]]:
        """The images of files, or of folders of which every image is taken: their names, and ``(N, C, S, S)``.

        Raises:
            InputError: there is no image that can be read.
        """
        self._check_fitted()
        paths = [path for own in data for path in image_files(Path(own))]
        pixels, kept = read_pixels(paths, self.size, self._colours)
        return [str(paths[row]) for row in kept], pixels

    @property
    def _colours(self) -> int | None:
        """1 or 3 of a fitted model."""
        return self.size_.colours if hasattr(self, "size_") else None

    def _backbone_for(self, images: Images) -> BackboneSize:
        colours = images.pixels.shape[1]
        return BackboneSize(self.size, colours, self.channels, self.blocks, self.hidden_size, self.stem_stride)

    def _check(self) -> None:
        """Raise InputError for a parameter out of its range."""
        ones = dict.fromkeys(("channels", "blocks", "hidden_size", "batch_size"), 1)
        self._check_least({**ones, "size": 8, "fold": 0})
        if self.stem_stride not in (1, 2, 4, 8):
            raise InputError(f"stem_stride must be 1, 2, 4 or 8, got {self.stem_stride}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be from 0 to below 1, got {self.dropout}")
        if self.augment < 0:
            raise InputError(f"augment must be at least 0, got {self.augment}")
