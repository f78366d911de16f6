"""What an update must know of a classifier of images."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from memfold.tasks.contest import cross_entropy
from memfold.tasks.updating.padding import with_columns
from memfold.tasks.vision.kernel import KernelMachine
from memfold.tasks.vision.neighbours import PrincipalNeighbours
from memfold.tasks.vision.updating import SCALING, joined, keys, take

if TYPE_CHECKING:
    from memfold.data.images import Images
    from memfold.tasks.classify.task import ImageClassifier

__all__ = ["SCALING", "answers", "better", "joined", "keys", "neighbours", "take"]


def answers(task: "ImageClassifier", before: "ImageClassifier", examples: "Images") -> Any:
    """The earlier model's probabilities, 0 of the classes that it does not know."""
    return with_columns(before.answer(examples).probabilities, len(task.classes_))


def better(
    before: "ImageClassifier", fresh: KernelMachine, valid: NDArray[np.uint8], truth: NDArray[np.int64], classes: int
) -> tuple[KernelMachine, bool]:
    """The earlier kernel machine or that of the new images, whichever says more of the validation part; and whether it
    is the earlier one."""
    old: KernelMachine = before.network_.kernel
    carried = KernelMachine(**{**old.shape(), "classes": classes})
    for name, value in old.named_buffers():
        if name in ("weights", "bias"):  # a class that was never seen has neither
            value = torch.from_numpy(with_columns(value.reshape(-1, value.shape[-1]).numpy(), classes))
        carried.get_buffer(name).copy_(value.reshape(carried.get_buffer(name).shape))
    losses = [cross_entropy(machine.log_probabilities(valid), truth) for machine in (carried, fresh)]
    return (carried, True) if losses[0] < losses[1] else (fresh, False)


def neighbours(before: "ImageClassifier", pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> PrincipalNeighbours:
    """The earlier images and the new ones along the earlier axes."""
    old: PrincipalNeighbours = before.network_.baseline
    return old.grown(pixels, labels)
