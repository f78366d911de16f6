"""What a plain LSTM makes of @mnist: a digit read row by row from the top, 28 steps of 28 pixels; the last state tells.

It has the same time, the same changes of the images and the same loop as `memfold fit classify @mnist`.

    python benchmarks/digit_rows.py --budget 10m
"""

from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from memfold.data.images import Images, load_mnist
from memfold.nn import LSTM
from memfold.tasks import ImageClassifier
from memfold.tasks.vision.network import ImageBatch, ImageProblem, Normaliser
from memfold.training import Budget, Settings, train

SIDE, CLASSES = 28, 10


class RowReader(nn.Module):
    """An LSTM on the rows, and a linear layer on its last state."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.lstm = LSTM(SIDE, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, 10)`` of images ``(B, 1, 28, 28)``."""
        _, (h, _) = self.lstm(images[:, 0])
        logits: Tensor = self.out(h[0])
        return logits


class RowProblem(ImageProblem):
    metric = "valid cross-entropy"

    def loss_of(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images), labels)

    def answers(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            parts = [self.model(self.normaliser(part)) for part in torch.split(pixels, 500)]
        return torch.cat(parts)

    def validate(self) -> float:
        pixels, labels = self.valid
        return F.cross_entropy(self.answers(pixels), labels).item()


def tensors(images: Images) -> ImageBatch:
    return torch.from_numpy(images.pixels), torch.from_numpy(np.array(images.labels).astype(int))


def main(
    budget: Annotated[str, typer.Option(help="Of the training.")] = "10m",
    hidden_size: Annotated[int, typer.Option(help="Units of the LSTM.")] = 256,
    seed: int = 0,
) -> None:
    torch.manual_seed(seed)
    learnt, test = load_mnist(SIDE)
    rest, tuning = learnt.split(0, 20)
    like = ImageClassifier()
    normaliser = Normaliser(colours=1)
    normaliser.fit(tensors(rest)[0])
    model = RowReader(hidden_size)
    problem = RowProblem(model, normaliser, tensors(rest), tensors(tuning), like.augmentation, like.batch_size, seed)
    result = train(problem, Settings(Budget.parse(budget), lr=like.lr, **like.loop))
    pixels, truth = tensors(test)
    accuracy = 100 * (problem.answers(pixels).argmax(1) == truth).double().mean()
    print(
        f"rows by an LSTM of {hidden_size} units, {sum(p.numel() for p in model.parameters()):,} parameters, {budget}: "
        f"accuracy {accuracy:.2f}; {result.speed('images')}"
    )


if __name__ == "__main__":
    typer.run(main)
