"""Images through a Sequencer, and what trainings on labelled images share."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from memfold.nn import Sequencer
from memfold.tasks.vision.augment import Augmentation, augmented
from memfold.training import Problem
from memfold.words import said

__all__ = ["BackboneSize", "ImageBackbone", "ImageBatch", "ImageProblem", "Normaliser", "inference_speed"]


@dataclass(frozen=True)
class BackboneSize:
    """What fixes the shapes of a backbone; ``size`` is the side of its images, of ``colours`` channels."""

    size: int
    colours: int
    channels: int
    blocks: int
    hidden_size: int
    stem_stride: int


class Normaliser(nn.Module):
    """Brings images to the mean 0 and the deviation 1 of the training part, colour by colour."""

    mean: Tensor
    scale: Tensor

    def __init__(self, colours: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(colours, 1, 1))
        self.register_buffer("scale", torch.ones(colours, 1, 1))

    def fit(self, pixels: Tensor) -> None:
        """Take means and deviations of images ``(N, C, S, S)`` of bytes."""
        for colour in range(len(self.mean)):
            values = pixels[:, colour].double()
            self.mean[colour] = values.mean()
            self.scale[colour] = 1 / values.std(correction=0).clamp(min=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Images ``(B, C, S, S)`` of bytes as a network takes them."""
        result: Tensor = (pixels.float() - self.mean) * self.scale
        return result


class ImageBackbone(nn.Module):
    """A Sequencer of one stage, and what brings images to its scale."""

    def __init__(self, size: BackboneSize) -> None:
        super().__init__()
        self.normaliser = Normaliser(size.colours)
        stages = [(size.channels, size.blocks)]
        self.sequencer = Sequencer(size.colours, stages, size.hidden_size, size.stem_stride)

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(B, C', S', S')`` of normalised images ``(B, C, S, S)``, with ``S' = ceil(S / stem_stride)``."""
        features: Tensor = self.sequencer(images)
        return features


ImageBatch = tuple[Tensor, Tensor]  # pixels (B, C, S, S) of bytes, classes (B,)


class ImageProblem(Problem):
    """Training on labelled images, changed at every epoch.

    Args:
        train, valid: pixels ``(N, C, S, S)`` of bytes and classes by number, ``(N,)``.
    """

    unit = "images"

    def __init__(
        self,
        model: nn.Module,
        normaliser: Normaliser,
        train: ImageBatch,
        valid: ImageBatch,
        augmentation: Augmentation,
        batch_size: int,
        seed: int,
    ) -> None:
        self.model, self.normaliser = model, normaliser
        self.pixels, self.labels = train
        self.valid = valid
        self.augmentation = augmentation
        self.batch_size, self.seed = batch_size, seed
        self.steps_per_epoch = -(-len(self.labels) // batch_size)

    def batches(self, epoch: int) -> Iterator[ImageBatch]:
        # A new order for every epoch, cut into batches of nearly one size.
        order = torch.from_numpy(np.random.default_rng((self.seed, epoch)).permutation(len(self.labels)))
        for rows in order.chunk(self.steps_per_epoch):
            yield self.pixels[rows], self.labels[rows]

    def count(self, batch: ImageBatch) -> int:
        return len(batch[1])

    def loss(self, batch: ImageBatch) -> Tensor:
        pixels, labels = batch
        return self.loss_of(augmented(self.normaliser(pixels), self.augmentation), labels)

    @abstractmethod
    def loss_of(self, images: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of normalised images ``(B, C, S, S)``."""


def inference_speed(images: int, seconds: float) -> str:
    """How fast a network answered, in words."""
    return said("inference", speed=images / seconds, threads=torch.get_num_threads())
