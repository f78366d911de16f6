"""How other programs bring a picture to what an exported model of labelled images takes."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from memfold.tasks.vision.task import ImageTask

__all__ = ["NO_STEPS", "examples_of", "picture_of"]

NO_STEPS = "its LSTMs run over a picture in four directions, so the whole picture must be there; there are no steps"
BATCHES = (3, 1, 2)  # pictures in the example, and in others


def picture_of(task: "ImageTask") -> dict[str, Any]:
    """What is done with a picture's file before it is given as ``pixels``, in this order, as plain JSON.

    ``turned`` as its camera noted; ``transparent`` places over that colour; ``colours`` 1 grey (ITU-R 601) or 3; scaled
    by ``resampling`` into a square of ``read_size`` pixels with its proportions kept, in the middle, with ``around`` as
    the colour of what is left; then scaled to ``size``. ``tones`` has what becomes black and white of pictures of other
    numbers than bytes.
    """
    return {
        "turned": "by the EXIF orientation",
        "transparent": "white",
        "colours": task.colours_,
        "read_size": task.read_size_,
        "around": "mean colour",
        "resampling": "lanczos",
        "size": task.chosen.size,
        "order": "batch, colours, height, width",
        "numbers": "bytes",
        "tones": task.tones_,
    }


def examples_of(task: "ImageTask") -> list[dict[str, Tensor]]:
    """Batches of noise in bytes, ``(B, C, S, S)``."""
    side = task.chosen.size
    generator = torch.Generator().manual_seed(0)
    shapes = [(count, task.colours_, side, side) for count in BATCHES]
    return [{"pixels": torch.randint(256, shape, dtype=torch.uint8, generator=generator)} for shape in shapes]
