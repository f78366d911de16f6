"""The network: Sequencers with a linear layer on all of their features give points on a sphere; and their training."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.nn.dropout import Dropout
from memfold.tasks.vision.augment import Augmentation, augmented
from memfold.tasks.vision.neighbours import PrincipalNeighbours
from memfold.tasks.vision.network import BackboneSize, ImageBackbone, ImageBatch
from memfold.training import Problem

__all__ = ["FaceMember", "FaceNetwork", "FaceProblem", "arcface_logits", "embedding_of", "embeddings_of"]

EVAL_BATCH = 128


class FaceMember(nn.Module):
    """A Sequencer with a head, and the centres of the people that it is trained on.

    Args:
        people: K, in the training data.
        embedding_size: E.
        dropout: of the features.
    """

    def __init__(self, size: BackboneSize, people: int, embedding_size: int, dropout: float) -> None:
        super().__init__()
        self.backbone = ImageBackbone(size)
        side = -(-size.size // size.stem_stride)
        # All features of the image to one point; where in the image they are counts.
        self.head = nn.Sequential(
            nn.Flatten(),
            Dropout(dropout),
            nn.Linear(size.channels * side * side, embedding_size),
            nn.BatchNorm1d(embedding_size),
        )
        self.centres = nn.Parameter(torch.randn(people, embedding_size))

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``(B, E)`` of length 1, of normalised images ``(B, C, S, S)``."""
        return F.normalize(self.head(self.backbone(images)))


class FaceNetwork(nn.Module):
    """Members that each leave out some people, the gallery, and eigenfaces beside them.

    To a member the people that it left out are strangers: they show how strangers look to all of them.

    Args:
        people: K, in the training data; person k is left out by member k modulo M, where there are several.
        embedding_size: of a member, E.
        dropout: of the features.
        members: M.
    """

    gallery: Tensor  # (N, M * E + A), of length 1; empty until people are enrolled
    baseline: PrincipalNeighbours  # as soon as it is fitted

    def __init__(self, size: BackboneSize, people: int, embedding_size: int, dropout: float, members: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(FaceMember(size, people, embedding_size, dropout) for _ in range(members))
        self.people, self.embedding_size = people, embedding_size
        self.register_buffer("gallery", torch.zeros(0, members * embedding_size))

    @property
    def backbone(self) -> ImageBackbone:
        """The first member's; the normalisers of all are the same."""
        backbone = self.members[0].backbone
        assert isinstance(backbone, ImageBackbone)
        return backbone

    def fit_normalisers(self, pixels: Tensor) -> None:
        """Fit every member's to the same images ``(N, C, S, S)`` of bytes."""
        for member in self.members:
            assert isinstance(member, FaceMember)
            member.backbone.normaliser.fit(pixels)

    def seen_by(self, member: int) -> Tensor:
        """The numbers of the people that a member is trained on."""
        numbers = torch.arange(self.people)
        return numbers if len(self.members) == 1 else numbers[numbers % len(self.members) != member]

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``(B, M * E)`` of length 1, one member's after another's, of normalised images."""
        return F.normalize(torch.cat([member(images) for member in self.members], 1))


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
def embeddings_of(network: FaceNetwork | FaceMember, pixels: Tensor, eigen_share: float = 0.0) -> Tensor:
    """Embeddings of images ``(N, C, S, S)`` of bytes, as `embedding_of` gives them, some at a time."""
    network.eval()
    return torch.cat([embedding_of(network, part, eigen_share) for part in torch.split(pixels, EVAL_BATCH)])


def embedding_of(network: FaceNetwork | FaceMember, pixels: Tensor, eigen_share: float = 0.0) -> Tensor:
    """Points of length 1 of a batch ``(B, C, S, S)`` of bytes: of each image and its mirror image, together.

    Args:
        eigen_share: of the similarity, by eigenfaces; where they have one, their A axes follow the members' embeddings.

    Returns:
        ``(B, M * E)`` or ``(B, M * E + A)``; every member's embedding has the same length.
    """
    members = [network] if isinstance(network, FaceMember) else list(network.members)
    images = network.backbone.normaliser(pixels)
    each = [F.normalize(member(images) + member(images.flip(-1))) for member in members]
    points: Tensor = torch.cat(each, 1) / len(members) ** 0.5
    if not eigen_share:
        return points
    assert isinstance(network, FaceNetwork)
    faces = network.baseline
    axes = F.normalize(faces(pixels) + faces(pixels.flip(-1)), eps=1e-6)
    return torch.cat([(1 - eigen_share) ** 0.5 * points, eigen_share**0.5 * axes], 1)


FaceBatch = tuple[Tensor, Tensor, int]  # pixels (B, C, S, S) of bytes, people (B,), the member that sees them


class FaceProblem(Problem):
    """Training by the additive angular margin, one member a step."""

    metric = "valid cross-entropy"
    unit = "images"

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
        self.model = self.network = model
        self.pixels, self.labels = train
        self.valid = valid
        self.augmentation, self.seed = augmentation, seed
        self.scale, self.margin = scale, margin
        self.seen = [model.seen_by(member) for member in range(len(model.members))]
        self.rows = [torch.isin(self.labels, seen).nonzero().flatten() for seen in self.seen]
        self.steps = max(-(-len(rows) // batch_size) for rows in self.rows)  # of each member in an epoch
        self.steps_per_epoch = self.steps * len(self.rows)

    def batches(self, epoch: int) -> Iterator[FaceBatch]:
        generator = np.random.default_rng((self.seed, epoch))
        # A new order for every epoch, cut into batches of nearly one size; the members take turns.
        orders = [rows[torch.from_numpy(generator.permutation(len(rows)))] for rows in self.rows]
        for parts in zip(*(order.tensor_split(self.steps) for order in orders), strict=True):
            for member, rows in enumerate(parts):
                yield self.pixels[rows], self.labels[rows], member

    def count(self, batch: FaceBatch) -> int:
        return len(batch[1])

    def loss(self, batch: FaceBatch) -> Tensor:
        pixels, labels, member = batch
        images = augmented(self.network.backbone.normaliser(pixels), self.augmentation)
        cosines, places = self._cosines(self.network.members[member](images), labels, member)
        return F.cross_entropy(arcface_logits(cosines, places, self.scale, self.margin), places)

    def _cosines(self, embeddings: Tensor, labels: Tensor, member: int) -> tuple[Tensor, Tensor]:
        """Of the angles to the centres of the people that a member sees, and the place of each label among these."""
        seen = self.seen[member]
        centres = self.network.members[member].centres
        assert isinstance(centres, Tensor)
        with torch.autocast("cpu", enabled=False):  # angles are small between faces that are alike
            cosines = embeddings.float() @ F.normalize(centres[seen]).T
        return cosines, torch.searchsorted(seen, labels)

    def validate(self) -> float:
        pixels, labels = self.valid
        losses = []
        for index, member in enumerate(self.network.members):
            known = torch.isin(labels, self.seen[index])
            if known.any():
                assert isinstance(member, FaceMember)
                cosines, places = self._cosines(embeddings_of(member, pixels[known]), labels[known], index)
                losses.append(F.cross_entropy(self.scale * cosines, places).item())
        return sum(losses) / len(losses)
