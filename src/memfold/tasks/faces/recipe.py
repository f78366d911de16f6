"""A recogniser of faces for other programs: from the pixels to a point on the sphere, and how near the gallery is."""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from memfold.runtime.recipe import Part, Recipe
from memfold.tasks.faces.network import FaceNetwork, embedding_of
from memfold.tasks.vision.exported import NO_STEPS, examples_of, picture_of

if TYPE_CHECKING:
    from memfold.tasks.faces.task import FaceRecognizer

__all__ = ["recipe"]


class Whole(nn.Module):
    """The embedding and the gallery."""

    def __init__(self, network: FaceNetwork, eigen_share: float) -> None:
        super().__init__()
        self.network, self.eigen_share = network, eigen_share

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings ``(B, M * E + A)``, and their similarities to the gallery ``(B, N)``, of images of bytes."""
        points = embedding_of(self.network, pixels, self.eigen_share)
        return points, points @ self.network.gallery.T


def recipe(task: "FaceRecognizer") -> Recipe:
    """All of it with its gallery; to read a picture and bring it to the model's size is left to the caller."""
    example, *others = examples_of(task)
    module = Whole(task.network_, task.eigen_share_).eval()
    outputs = ("embedding", "similarity")
    part = Part("model", module, example, {"pixels": {0: "batch"}}, outputs, others=others)
    around = {
        "picture": picture_of(task),
        "gallery": list(task.enrolled_),
        "known_from": task.known_threshold_,
        "same_from": task.threshold_,
    }
    return Recipe(task.name, [part], around, no_steps=NO_STEPS)
