"""Handwritten digits read pixel by pixel, 784 steps, in the order of the page or in one that is shuffled once."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from memfold.display import Display
from memfold.errors import InputError
from memfold.lab.networks import COMPARED_CELLS, Reader, recurrent
from memfold.lab.options import checked_cells
from memfold.lab.record import Record
from memfold.training import Budget, Problem, Result, Settings, train
from memfold.words import Said, said

if TYPE_CHECKING:
    from memfold.data.images import Images

__all__ = ["ORDERS", "Digits", "PixelProblem", "PixelRecipe", "load_digits", "run_pixels"]

ORDERS = ("sequential", "permuted")
SIDE, STEPS, CLASSES = 28, 784, 10
VALID = 2000  # of the training part, its last ones; more would cost minutes
SCORED_AT_ONCE = 500
PUBLISHED = {  # accuracy in per cent: Bai, Kolter & Koltun 2018 (arXiv 1803.01271), table 1
    ("sequential", "lstm"): 87.2,
    ("sequential", "gru"): 96.2,
    ("sequential", "rnn"): 21.5,
    ("permuted", "lstm"): 85.7,
    ("permuted", "gru"): 87.3,
    ("permuted", "rnn"): 25.3,
}


@dataclass(frozen=True)
class PixelRecipe:
    """How to train, the same for every cell.

    The rate was chosen for the LSTM on 1,000 digits of the training part: after one epoch in the order of the page 3e-3
    left 22.8 % of them wrong, 8e-3 11.2, 1.6e-2 6.8, 3e-2 3.3.
    """

    hidden_size: int = 128
    batch_size: int = 64
    lr: float = 3e-2


@dataclass(frozen=True)
class Digits:
    """Images as sequences: (784, N, 1), mean 0 and deviation 1, and what they show, (N,)."""

    x: Tensor
    labels: Tensor

    def rows(self, chosen: Any) -> "Digits":
        """Some of them."""
        return Digits(self.x[:, chosen], self.labels[chosen])


def load_digits(order: str) -> tuple[Digits, Digits]:
    """MNIST's training and test part, each image as a sequence.

    Raises:
        InputError: the files are not there, or are not MNIST's, or what reads images is not installed.
    """
    try:
        from memfold.data.images import load_mnist
    except ModuleNotFoundError as error:
        raise InputError(f"pixels needs {error.name}: pip install 'memfold[train,vision]'") from None
    train, test = (_sequences(part, order) for part in load_mnist(SIDE))
    return train, test


def _sequences(images: "Images", order: str) -> Digits:
    pixels = torch.from_numpy(images.pixels).reshape(-1, STEPS).T  # (784, N)
    if order == "permuted":
        pixels = pixels[torch.randperm(STEPS, generator=torch.Generator().manual_seed(0))]
    scaled = (pixels.float() / 255 - 0.1307) / 0.3081  # of the training part
    return Digits(scaled[..., None].contiguous(), torch.tensor([int(label) for label in images.labels]))


class PixelProblem(Problem):
    """Training on images read pixel by pixel."""

    metric = "valid error, per cent"
    unit = "images"

    def __init__(self, model: Reader, training: Digits, valid: Digits, batch_size: int, seed: int) -> None:
        self.model: Reader = model
        self.training, self.valid, self.batch_size, self.seed = training, valid, batch_size, seed
        self.steps_per_epoch = len(training.labels) // batch_size

    def batches(self, epoch: int) -> Iterator[Digits]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        order = torch.randperm(len(self.training.labels), generator=generator)
        for start in range(self.steps_per_epoch):
            yield self.training.rows(order[start * self.batch_size :][: self.batch_size])

    def count(self, batch: Digits) -> int:
        return len(batch.labels)

    def loss(self, batch: Digits) -> Tensor:
        return F.cross_entropy(self.model(batch.x)[0], batch.labels)

    def validate(self) -> float:
        return 100 - accuracy(self.model, self.valid)


@torch.no_grad()
def accuracy(model: Reader, digits: Digits) -> float:
    """In per cent."""
    blocks = torch.split(torch.arange(len(digits.labels)), SCORED_AT_ONCE)
    right = sum(int((model(part.x)[0].argmax(-1) == part.labels).sum()) for part in map(digits.rows, blocks))
    return 100 * right / len(digits.labels)


def _training_count(digits: Digits) -> int:
    """How many of the training part's digits are trained on; the others validate."""
    count = len(digits.labels)
    return count - min(VALID, count // 10)


def fit(
    cell: str, order: str, digits: Digits, budget: Budget, seed: int, init: str, recipe: PixelRecipe
) -> tuple[Reader, Result]:
    """Train a network on all digits but the last 2,000, which validate it; returns it and what the training did."""
    torch.manual_seed(seed)
    model = Reader(recurrent(cell, 1, recipe.hidden_size, init, STEPS), CLASSES)
    first = _training_count(digits)
    training = digits.rows(slice(None, first))
    valid = digits.rows(slice(first, None))
    problem = PixelProblem(model, training, valid, recipe.batch_size, seed)
    title = f"pixels, {order}, {cell}, seed {seed}: {sum(p.numel() for p in model.parameters()):,} parameters"
    with Display(title) as display:
        result = train(problem, Settings(budget, lr=recipe.lr), progress=display)
        display.finished(f"{result.steps:,} steps in {result.seconds:.0f} s: {result.speed(problem.unit)}")
    if result.stopped == "interrupted":
        raise KeyboardInterrupt
    return model, result


def run_pixels(
    name: str,
    cells: str = ",".join(COMPARED_CELLS),
    orders: str = ",".join(ORDERS),
    seeds: int = 1,
    init: str = "chrono",
    budget: str = "2m",
    lr: float | None = None,
) -> Record:
    """Train each cell on each order within a budget, and score it once on MNIST's test part.

    Args:
        cells: of `COMPARED_CELLS`, with commas between.
        orders: ``sequential``, ``permuted``, or both with a comma between.
        seeds: trainings of each, of the seeds 0, 1 ...
        init: first weights, see `memfold.lab.networks.recurrent`.
        budget: of each training, such as ``30m`` or ``10ep``.
        lr: peak learning rate; the recipe's own when None.

    Raises:
        InputError: an option that cannot be read, or MNIST is not there.
    """
    limit = Budget.parse(budget)
    recipe = PixelRecipe() if lr is None else PixelRecipe(lr=lr)
    rows: list[dict[str, Any]] = []
    curves: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for order in _checked_orders(orders):
        digits, test = load_digits(order)
        for cell in checked_cells(cells):
            for seed in range(seeds):
                begun = time.monotonic()
                model, result = fit(cell, order, digits, limit, seed, init, recipe)
                row = {"order": order, "cell": cell, "seed": seed, "epochs": result.units / _training_count(digits)}
                row |= {"minutes": (time.monotonic() - begun) / 60, "accuracy": accuracy(model, test)}
                rows.append(row | {"published": PUBLISHED.get((order, cell))})
                curves.setdefault(order, {})[said("with seed", cell=cell, seed=seed) if seed else cell] = _curve(result)
    what = said("what pixels")
    settings = {**asdict(recipe), "init": init, "budget": budget}
    return Record(name, what, rows, _compared(rows), curves, ("minutes", "valid error, per cent", True), settings)


def _checked_orders(text: str) -> list[str]:
    orders = [part.strip() for part in text.split(",")]
    for order in orders:
        if order not in ORDERS:
            raise InputError(f"--orders: there is no {order!r}; there is {', '.join(ORDERS)}")
    return orders


def _curve(result: Result) -> tuple[list[float], list[float]]:
    return [row.seconds / 60 for row in result.curve], [row.score for row in result.curve]


def _compared(rows: list[dict[str, Any]]) -> list[Said]:
    """Each accuracy beside the published one of the same cell."""
    findings = []
    for row in rows:
        if row["published"] is not None:
            reached = row["accuracy"] >= row["published"]
            kept = {name: row[name] for name in ("order", "cell", "published", "accuracy", "epochs")}
            findings.append(said("published reached" if reached else "published not reached", **kept))
    return findings
