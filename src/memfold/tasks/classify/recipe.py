"""A classifier of images for other programs: from the pixels to the probabilities of the whole model."""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from memfold.runtime.recipe import Part, Recipe
from memfold.tasks.classify.blend import Blend
from memfold.tasks.classify.network import ClassifyNetwork
from memfold.tasks.vision.exported import NO_STEPS, examples_of, picture_of

if TYPE_CHECKING:
    from memfold.tasks.classify.task import ImageClassifier

__all__ = ["recipe"]


class Whole(nn.Module):
    """The network and the plain classifier in one answer; either is left out where it has no share."""

    def __init__(self, network: ClassifyNetwork, blend: Blend) -> None:
        super().__init__()
        self.blend = blend
        if blend.share > 0:
            self.backbone, self.out = network.backbone, network.out
        if blend.share < 1:
            self.kernel = network.kernel

    def forward(self, pixels: Tensor) -> Tensor:
        """The probability of every class ``(B, K)`` for images ``(B, C, S, S)`` of bytes."""
        share, temperature = self.blend.share, self.blend.temperature
        mean: Tensor | None = None
        if share > 0:
            logits = self.out(self.backbone(self.backbone.normaliser(pixels)).mean((2, 3)))
            mean = share * logits.log_softmax(-1).double()
        if share < 1:
            plain = (1 - share) * self.kernel(pixels)
            mean = plain if mean is None else mean + plain
        assert mean is not None
        return (mean / temperature).softmax(1).float()


def recipe(task: "ImageClassifier") -> Recipe:
    """All of it; to read a picture and bring it to the model's size is left to the caller."""
    example, *others = examples_of(task)
    module = Whole(task.network_, task.blend_).eval()
    part = Part("model", module, example, {"pixels": {0: "batch"}}, ("probabilities",), others=others)
    around = {"picture": picture_of(task), "classes": list(task.classes_)}
    return Recipe(task.name, [part], around, no_steps=NO_STEPS)
