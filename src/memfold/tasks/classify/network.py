"""The network: a Sequencer, its features' mean, a linear layer; and its training."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.nn.dropout import Dropout
from memfold.tasks.vision.augment import Augmentation
from memfold.tasks.vision.kernel import KernelMachine
from memfold.tasks.vision.neighbours import PrincipalNeighbours
from memfold.tasks.vision.network import BackboneSize, ImageBackbone, ImageBatch, ImageProblem

__all__ = ["ClassifyNetwork", "ClassifyProblem", "log_probabilities_of"]

SMOOTHING = 0.05  # of the labels (Szegedy et al. 2016, sec. 7)
EVAL_BATCH = 256


class ClassifyNetwork(nn.Module):
    """Logits of ``classes`` classes."""

    baseline: PrincipalNeighbours  # these two as soon as they are fitted
    kernel: KernelMachine

    def __init__(self, size: BackboneSize, classes: int, dropout: float) -> None:
        super().__init__()
        self.backbone = ImageBackbone(size)
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(size.channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, K)`` of normalised images ``(B, C, S, S)``."""
        # The mean of the features over the image, then a linear layer.
        logits: Tensor = self.out(self.dropout(self.backbone(images).mean((2, 3))))
        return logits


@torch.no_grad()
def log_probabilities_of(network: ClassifyNetwork, pixels: Tensor) -> Tensor:
    """Of every class for images ``(N, C, S, S)`` of bytes, ``(N, K)``."""
    network.eval()
    return torch.cat(
        [network(network.backbone.normaliser(part)).log_softmax(-1) for part in torch.split(pixels, EVAL_BATCH)]
    )


class ClassifyProblem(ImageProblem):
    """Training of a classifier."""

    metric = "valid cross-entropy"

    def __init__(
        self,
        model: ClassifyNetwork,
        train: ImageBatch,
        valid: ImageBatch,
        augmentation: Augmentation,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__(model, model.backbone.normaliser, train, valid, augmentation, batch_size, seed)
        self.network = model

    def loss_of(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.network(images), labels, label_smoothing=SMOOTHING)

    def validate(self) -> float:
        pixels, labels = self.valid  # smoothed as in training: what is surer than that would seem better
        logits = log_probabilities_of(self.network, pixels)
        return F.cross_entropy(logits, labels, label_smoothing=SMOOTHING).item()
