"""A detector for other programs: from the pixels to the boxes of the whole model in the picture's file."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from memfold.runtime.recipe import Part, Recipe
from memfold.tasks.detect.baselines import FixedBoxes
from memfold.tasks.detect.network import MULTIPLE, DetectorNetwork
from memfold.tasks.detect.scores import LEAST_OVERLAP
from memfold.tasks.detect.training import LEAST_SCORE, OUTPUTS, boxes_of

if TYPE_CHECKING:
    from memfold.tasks.detect.task import ObjectDetector

__all__ = ["recipe"]

NO_STEPS = "its LSTMs run over a picture in four directions, so the whole picture must be there; there are no steps"
Found = tuple[Tensor, Tensor, Tensor]  # boxes (B, M, 4), labels and scores (B, M)
EXAMPLES = ((2, 5, 6), (1, 1, 1), (3, 2, 7))  # pictures, and height and width in multiples


class Whole(nn.Module):
    """The network and the commonest boxes in one answer; either is left out where it has no share."""

    common: Tensor  # left, top, width and height in shares of a picture, (C, 4)
    common_labels: Tensor
    common_scores: Tensor

    def __init__(self, network: DetectorNetwork, common: FixedBoxes, share: float) -> None:
        super().__init__()
        self.share = share
        if share > 0:
            self.network = network
        if share < 1:
            order = np.argsort(-np.array(common.scores, np.float32), kind="stable") if share == 0 else slice(None)
            self.register_buffer("common", torch.tensor(common.boxes)[order])
            self.register_buffer("common_labels", torch.tensor(common.labels)[order])
            self.register_buffer("common_scores", torch.tensor(common.scores)[order])

    def forward(self, pixels: Tensor, inside: Tensor, sizes: Tensor) -> Found:
        """Left, top, width and height ``(B, M, 4)``, classes and scores ``(B, M)``, the highest scores first.

        Boxes are in pixels of the pictures' files. Where there are fewer than M, the rest is 0.

        Args:
            pixels: bytes, (B, 3, H, W), H and W multiples of 16; each picture is at the left and on top.
            inside: width and height of each picture in there, (B, 2).
            sizes: width and height of each picture's file, (B, 2).
        """
        if self.share == 0:
            return self._common(sizes.float())
        boxes, labels, scores = self._by_network(pixels, inside.float(), sizes.float())
        if self.share < 1:
            boxes, labels, scores = self._joined((boxes, labels, scores), self._common(sizes.float()))
        there = scores > 0
        return torch.where(there[..., None], boxes, 0.0), torch.where(there, labels, 0), scores

    def _joined(self, network: Found, common: Found) -> Found:
        """Both, as `blended` has them: the scores of one lowered by the odds of the shares, the same box once."""
        boxes, labels, scores = network
        others, kinds, chances = common
        scores = scores * min(1.0, self.share / (1 - self.share))
        chances = chances * min(1.0, (1 - self.share) / self.share)
        again = (_overlaps(others, boxes) >= LEAST_OVERLAP) & (kinds[:, :, None] == labels[:, None])
        again &= (chances[:, :, None] <= scores[:, None]) & (scores[:, None] > 0)
        scores = torch.cat([scores, torch.where(again.any(2), 0.0, chances)], 1)
        order = _falling(scores)
        boxes = torch.cat([boxes, others], 1).gather(1, order[..., None].expand(-1, -1, 4))
        return boxes, torch.cat([labels, kinds], 1).gather(1, order), scores.gather(1, order)

    def _by_network(self, pixels: Tensor, inside: Tensor, sizes: Tensor) -> Found:
        """The network's boxes, clipped to the picture; what hardly is one has the score 0."""
        column, row = torch.arange(pixels.shape[3]), torch.arange(pixels.shape[2])
        there = (column < inside[:, 0, None])[:, None] & (row < inside[:, 1, None])[:, :, None]  # (B, H, W)
        filled = torch.where(there[:, None], pixels.float() / 255, self.network.mean[:, None, None])
        boxes, labels, scores = boxes_of(self.network, filled)
        low = boxes[..., :2].clamp(min=0)
        high = torch.minimum(boxes[..., :2] + boxes[..., 2:], inside[:, None])
        kept = (scores >= LEAST_SCORE) & (high > low).all(2)
        scale = sizes.amax(1) / inside.amax(1)
        clipped = torch.cat([low, high - low], 2) * scale[:, None, None]
        return clipped, labels, torch.where(kept, scores, 0.0)

    def _common(self, sizes: Tensor) -> Found:
        boxes = self.common * torch.cat([sizes, sizes], 1)[:, None]  # (B, C, 4)
        rows = sizes.shape[0]
        return boxes, self.common_labels.expand(rows, -1), self.common_scores.expand(rows, -1)


def _falling(scores: Tensor) -> Tensor:
    """The places of scores ``(B, M)``, the highest first and of equals the first: ONNX has no stable sort."""
    place = torch.arange(scores.shape[1])
    before = scores[:, None] > scores[:, :, None]
    before |= (scores[:, None] == scores[:, :, None]) & (place < place[:, None])
    return before.sum(2).topk(scores.shape[1], largest=False).indices


def _overlaps(one: Tensor, two: Tensor) -> Tensor:
    """Intersection over union of boxes ``(B, N, 4)`` and ``(B, M, 4)``, ``(B, N, M)``."""
    a, b = one[:, :, None].double(), two[:, None].double()
    low = torch.maximum(a[..., :2], b[..., :2])
    high = torch.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    both = (high - low).clamp(min=0).prod(3)
    return both / (a[..., 2:].prod(3) + b[..., 2:].prod(3) - both).clamp(min=1e-9)


def recipe(task: "ObjectDetector") -> Recipe:
    """All of it; to read a picture and bring it to the model's size, and the thresholds, are left to the caller."""
    module = Whole(task.network_, task.common_, task.share_).eval()
    example, *others = (_example(*shape) for shape in EXAMPLES)
    free = {0: "batch"}
    axes = {"pixels": {**free, 2: f"{MULTIPLE}*height", 3: f"{MULTIPLE}*width"}, "inside": free, "sizes": free}
    part = Part("model", module, example, axes, OUTPUTS, others=others)
    around = {
        "picture": {
            "turned": "by the EXIF orientation",
            "colours": 3,
            "read_size": task.read_size_,
            "resampling": "bilinear",
            "size": task.chosen.size,
            "multiple": MULTIPLE,
            "order": "batch, colours, height, width",
            "numbers": "bytes",
            "tones": task.tones_,
        },
        "classes": list(task.classes_),
        "thresholds": list(task.thresholds_),
    }
    return Recipe(task.name, [part], around, no_steps=NO_STEPS)


def _example(pictures: int, height: int, width: int) -> dict[str, Tensor]:
    """Noise, in pictures that leave something of a batch empty."""
    generator = torch.Generator().manual_seed(0)
    full = MULTIPLE * torch.tensor([width, height])
    inside = full - torch.randint(MULTIPLE // 2, (pictures, 2), generator=generator)
    shape = (pictures, 3, MULTIPLE * height, MULTIPLE * width)
    pixels = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    return {"pixels": pixels, "inside": inside, "sizes": 3 * inside}
