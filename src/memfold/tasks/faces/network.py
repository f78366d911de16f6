"""The network: a Sequencer and a linear layer on all of its features give a point on a sphere; and its training."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.tasks.vision.augment import Augmentation
from memfold.tasks.vision.neighbours import PrincipalNeighbours
from memfold.tasks.vision.network import BackboneSize, ImageBackbone, ImageBatch, ImageProblem

__all__ = ["FaceNetwork", "FaceProblem", "arcface_logits", "embeddings_of"]

EVAL_BATCH = 128


class FaceNetwork(nn.Module):
    """Embeddings, the centres of the people that it is trained on, and a gallery that may hold others as well.

    Args:
        people: K, in the training data.
        embedding_size: E.
        dropout: of the features.
    """

    gallery: Tensor  # (N, E), of length 1; empty until people are enrolled
    baseline: PrincipalNeighbours  # as soon as it is fitted

    def __init__(self, size: BackboneSize, people: int, embedding_size: int, dropout: float) -> None:
        super().__init__()
        self.backbone = ImageBackbone(size)
        side = -(-size.size // size.stem_stride)
        # All features of the image to one point; where in the image they are counts.
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(size.channels * side * side, embedding_size),
            nn.BatchNorm1d(embedding_size),
        )
        # A centre for each person in training, and the embeddings of those that are enrolled.
        self.centres = nn.Parameter(torch.randn(people, embedding_size))
        self.register_buffer("gallery", torch.zeros(0, embedding_size))

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``(B, E)`` of length 1, of normalised images ``(B, C, S, S)``."""
        return F.normalize(self.head(self.backbone(images)))


def arcface_logits(cosines: Tensor, labels: Tensor, scale: float, margin: float) -> Tensor:
    """The angle to the true centre widened by a margin (Deng et al. 2019, eq. 3), times a scale, ``(B, K)``.

    Beyond ``pi - margin`` the cosine would rise again; a straight line goes on there.

    Args:
        cosines: of the embeddings' angles to all centres, ``(B, K)``.
        margin: in radians.
    """
    true = cosines.gather(1, labels[:, None])  # (B, 1)
    # Only the angle to the true centre is widened.
    angle = true.clamp(-1 + 1e-6, 1 - 1e-6).acos()
    widest = torch.pi - margin
    widened = torch.where(
        angle < widest, (angle + margin).cos(), -1 - (angle - widest) * torch.sin(torch.tensor(margin))
    )
    return scale * cosines.scatter(1, labels[:, None], widened)


@torch.no_grad()
def embeddings_of(network: FaceNetwork, pixels: Tensor) -> Tensor:
    """Embeddings ``(N, E)`` of images ``(N, C, S, S)`` of bytes: of each and its mirror image, together."""
    network.eval()
    embeddings = []
    for part in torch.split(pixels, EVAL_BATCH):
        images = network.backbone.normaliser(part)
        embeddings.append(F.normalize(network(images) + network(images.flip(-1))))
    return torch.cat(embeddings)


class FaceProblem(ImageProblem):
    """Training by the additive angular margin."""

    metric = "valid cross-entropy"

    def __init__(
        self,
        model: FaceNetwork,
        train: ImageBatch,
        valid: ImageBatch,
        augmentation: Augmentation,
        batch_size: int,
        seed: int,
        scale: float,
        margin: float,
    ) -> None:
        super().__init__(model, model.backbone.normaliser, train, valid, augmentation, batch_size, seed)
        self.network = model
        self.scale, self.margin = scale, margin

    def loss_of(self, images: Tensor, labels: Tensor) -> Tensor:
        cosines = self.network(images) @ F.normalize(self.network.centres).T
        return F.cross_entropy(arcface_logits(cosines, labels, self.scale, self.margin), labels)

    def validate(self) -> float:
        pixels, labels = self.valid
        cosines = embeddings_of(self.network, pixels) @ F.normalize(self.network.centres).T
        return F.cross_entropy(self.scale * cosines, labels).item()
