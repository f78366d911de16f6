"""The problem that the loop works on: pictures augmented in every epoch, the losses, average precision."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memfold.tasks.detect.choices import Flips
from memfold.tasks.detect.exported import alike
from memfold.tasks.detect.network import CELL, LENGTH, STRIDE, DetectorNetwork, grid_of, padded
from memfold.tasks.detect.pictures import Picture, augmented_picture
from memfold.tasks.detect.scores import Boxes, precision_of
from memfold.tasks.detect.sequence import CellTargets, cells_of, sequence_loss, stitched
from memfold.tasks.detect.targets import Targets, peaks, targets_of
from memfold.training import Problem

__all__ = [
    "LEAST_SCORE",
    "DetectionProblem",
    "box_loss",
    "boxes_of",
    "find_boxes",
    "heat_loss",
    "true_boxes",
]

LEAST_SCORE = 0.01  # score of a predicted box
MOST_BOXES = 100  # boxes of a picture
BOX_WEIGHT = 1.0


@dataclass(frozen=True)
class BoxBatch:
    """Pixels ``(B, 3, H, W)``, and the targets of the network's outputs."""

    pixels: Tensor
    targets: Targets | CellTargets


def heat_loss(logits: Tensor, heat: Tensor) -> Tensor:
    """Focal loss of maps of centres, a box (Zhou, Wang & Krähenbühl 2019, eq. 1)."""
    centre = heat == 1
    p = logits.sigmoid()
    at_centre = F.logsigmoid(logits) * (1 - p) ** 2
    elsewhere = F.logsigmoid(-logits) * p**2 * (1 - heat) ** 4
    return -torch.where(centre, at_centre, elsewhere).sum() / centre.sum().clamp(min=1)


def box_loss(offsets: Tensor, targets: Targets) -> Tensor:
    """Mean absolute error of the four numbers that cells predict, by the cells' weights."""
    image, row, column = targets.places.unbind(1)
    predicted = offsets[image, :, row, column]  # (M, 4)
    lost = (predicted - targets.boxes).abs().sum(1) * targets.weights
    return lost.sum() / targets.weights.sum().clamp(min=1)


@torch.no_grad()
def find_boxes(network: DetectorNetwork, pictures: Sequence[Picture]) -> list[Boxes]:
    """The boxes in pictures, in pixels of their files, the highest scores first."""
    network.eval()
    boxes: dict[int, Boxes] = {}
    for rows in _alike(pictures):
        pixels = padded([pictures[row].pixels for row in rows], network.mean)
        for row, *answer in zip(rows, *boxes_of(network, pixels), strict=True):
            boxes[row] = _inside(pictures[row], *answer)
    return [boxes[row] for row in range(len(pictures))]


def _alike(pictures: Sequence[Picture]) -> Iterator[list[int]]:
    """The rows of pictures of one height and width, some at a time: others' padding would be seen by the LSTMs."""
    return alike([tuple(picture.pixels.shape) for picture in pictures])


def boxes_of(network: DetectorNetwork, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, classes and scores in a batch of pictures, as `peaks` gives them."""
    logits, offsets = network(pixels)
    if network.size.head == "sequence":
        height, width = pixels.shape[2:]
        return stitched(logits, offsets, grid_of(height, width), CELL, MOST_BOXES)
    return peaks(logits.sigmoid(), offsets, STRIDE, MOST_BOXES)


def _inside(picture: Picture, boxes: Tensor, labels: Tensor, scores: Tensor) -> Boxes:
    """Boxes in a picture's pixels, clipped to it, in those of its file; without those that hardly are one."""
    height, width = picture.pixels.shape[1:]
    low = boxes[:, :2].clamp(min=0)
    high = torch.minimum(boxes[:, :2] + boxes[:, 2:], torch.tensor([width, height]))
    kept = (scores >= LEAST_SCORE) & (high > low).all(1)
    clipped = torch.cat([low, high - low], 1)[kept] * picture.scale
    return Boxes(clipped.numpy(), labels[kept].numpy(), scores[kept].numpy())


def true_boxes(picture: Picture) -> Boxes:
    """The boxes of a picture in pixels of its file."""
    boxes = (picture.boxes * picture.scale).numpy()
    ignored = None if picture.ignored is None else picture.ignored.numpy()
    return Boxes(boxes, picture.labels.numpy(), np.ones(len(boxes), np.float32), ignored)


class DetectionProblem(Problem):
    """Training on augmented pictures; the score is what average precision at 0.5 lacks to 1."""

    metric = "valid 1 - map50"
    unit = "images"

    def __init__(
        self,
        model: DetectorNetwork,
        train: Sequence[Picture],
        valid: Sequence[Picture],
        canvas: tuple[int, int],
        flips: Flips,
        batch_size: int,
        seed: int,
    ) -> None:
        self.model: DetectorNetwork = model
        self.train, self.valid, self.canvas, self.flips = train, valid, canvas, flips
        self.truth = [true_boxes(picture) for picture in valid]
        self.batch_size, self.seed = batch_size, seed
        self.steps_per_epoch = -(-len(train) // batch_size)

    def batches(self, epoch: int) -> Iterator[BoxBatch]:
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.train))
        for start in range(0, len(order), self.batch_size):
            yield self._batch(order[start : start + self.batch_size].tolist(), rng)

    def _batch(self, rows: Sequence[int], rng: np.random.Generator) -> BoxBatch:
        others = rng.integers(len(self.train), size=len(rows)).tolist()
        pairs = [(self.train[row], self.train[other]) for row, other in zip(rows, others, strict=True)]
        pixels, boxes, labels = zip(
            *(augmented_picture(pair, self.canvas, self.flips, rng) for pair in pairs), strict=True
        )
        return BoxBatch(torch.stack(pixels), self._targets(boxes, labels))

    def _targets(self, boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> Targets | CellTargets:
        height, width = self.canvas
        if self.model.size.head == "sequence":
            return cells_of(boxes, labels, grid_of(height, width), CELL, LENGTH)
        return targets_of(boxes, labels, self.model.size.classes, (height // STRIDE, width // STRIDE), STRIDE)

    def count(self, batch: BoxBatch) -> int:
        return len(batch.pixels)

    def loss(self, batch: BoxBatch) -> Tensor:
        # In float32 under autocast too: in bfloat16 1 less a probability above 0.99 has a bit or two.
        logits, offsets = (output.float() for output in self.model(batch.pixels))
        if isinstance(batch.targets, CellTargets):
            return sequence_loss(logits, offsets, batch.targets)
        return heat_loss(logits, batch.targets.heat) + BOX_WEIGHT * box_loss(offsets, batch.targets)

    def validate(self) -> float:
        predicted = find_boxes(self.model, self.valid)
        return 1 - precision_of(self.truth, predicted, self.model.size.classes).map50
