"""One training: fresh sequences until the puzzle is solved, or the limit is reached.

What is examined is the running average of the weights, as in every training.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from memfold.display import say
from memfold.lab.networks import Reader, recurrent
from memfold.lab.puzzles import Puzzle, PuzzleBatch
from memfold.training import Budget, Problem, Settings, train

__all__ = ["EXAMINED", "SOLVED", "Examination", "Outcome", "PuzzleProblem", "Recipe", "attempt", "examined"]

EXAMINED = 2000  # fresh sequences of an examination
SOLVED = 0.99  # of them are right: then it is solved
SEQUENCES_AT_ONCE = 250  # sequences of an examination that are read together


@dataclass(frozen=True)
class Recipe:
    """How to train, the same for every cell and lag of a table.

    Attributes:
        hidden_size: units of the recurrent layer.
        lr: of Adam, the same throughout.
        clip_norm: bound of the gradient's norm (Pascanu, Mikolov & Bengio 2013).
        every: sequences from one examination to the next.
        limit: sequences after which it counts as not solved.
    """

    hidden_size: int = 32
    batch_size: int = 32
    lr: float = 1e-2
    clip_norm: float = 1.0
    every: int = 3200
    limit: int = 200_000


@dataclass
class Outcome:
    """The outcome of one training.

    Attributes:
        sequences: that were read when it ended, solved or not.
        seconds: from the first step to the last, examinations included.
        loss: of the last examination; ``ignorance`` is that of who knows nothing of the sequence.
        wrong: of the `EXAMINED` sequences of the last examination.
        curve: sequences and loss at every examination.
    """

    cell: str
    lag: int
    seed: int
    ignorance: float
    solved: bool = False
    sequences: int = 0
    seconds: float = 0.0
    loss: float = float("nan")
    wrong: int = EXAMINED
    curve: list[tuple[int, float]] = field(default_factory=list)


def attempt(
    puzzle: Puzzle, cell: str, lag: int, seed: int, init: str, recipe: Recipe, seconds: float | None = None
) -> Outcome:
    """Train a network on a puzzle until it is solved.

    Args:
        lag: of the puzzle; chrono's biases follow from it.
        seconds: stop after so many; None goes on to the recipe's limit.
    """
    torch.manual_seed(seed)
    network = Reader(recurrent(cell, puzzle.inputs, recipe.hidden_size, init, lag), puzzle.outputs)
    problem = PuzzleProblem(network, puzzle, recipe, seed)
    settings = Settings(
        Budget(seconds=seconds, epochs=1),
        lr=recipe.lr,
        weight_decay=0.0,
        warm_up=0.0,
        last_rate=1.0,
        clip_norm=recipe.clip_norm,
        every=max(1, recipe.every // recipe.batch_size),
    )
    result = train(problem, settings)
    if result.stopped == "interrupted":
        raise KeyboardInterrupt
    if result.message:
        say(f"{cell}, lag {lag}, seed {seed}: {result.message}")
    return Outcome(
        cell,
        lag,
        seed,
        puzzle.ignorance,
        problem.solved(),
        result.units,
        result.seconds,
        problem.examination.loss,
        problem.examination.wrong,
        [(row.step * recipe.batch_size, row.score) for row in result.curve],
    )


@dataclass(frozen=True)
class Examination:
    """The mean loss over fresh sequences, and how many of `EXAMINED` are wrong."""

    loss: float = float("nan")
    wrong: int = EXAMINED


class PuzzleProblem(Problem):
    """Training on sequences that are drawn afresh: one epoch, as long as the recipe's limit."""

    metric = "loss"
    unit = "sequences"

    def __init__(self, network: Reader, puzzle: Puzzle, recipe: Recipe, seed: int) -> None:
        self.model: Reader = network
        self.puzzle, self.batch_size = puzzle, recipe.batch_size
        self.steps_per_epoch = -(-recipe.limit // recipe.batch_size)
        self.random = Generator().manual_seed(1_000_003 * seed + 1)  # of the training and of the examination
        self.examination = Examination()

    def batches(self, epoch: int) -> Iterator[PuzzleBatch]:
        while True:
            yield self.puzzle.draw(self.batch_size, self.random)

    def count(self, batch: PuzzleBatch) -> int:
        return self.batch_size

    def loss(self, batch: PuzzleBatch) -> Tensor:
        return self.puzzle.loss(answers(self.model, batch), batch)

    def validate(self) -> float:
        self.examination = examined(self.model, self.puzzle, self.random)
        return self.examination.loss

    def solved(self) -> bool:
        return self.examination.wrong <= (1 - SOLVED) * EXAMINED


def answers(network: Reader, batch: PuzzleBatch) -> Tensor:
    """A network's answers (K, B, outputs) at the steps that are asked."""
    y: Tensor = network(batch.x, batch.lengths, len(batch.target))
    return y


@torch.no_grad()
def examined(network: Reader, puzzle: Puzzle, random: Generator) -> Examination:
    """Put fresh sequences to a network.

    No more are read as soon as the puzzle cannot be solved any more; the wrong ones are scaled up to all then.
    """
    losses, wrong, read = [], 0, 0
    while read < EXAMINED:
        batch = puzzle.draw(SEQUENCES_AT_ONCE, random)
        y = answers(network, batch)
        losses.append(puzzle.loss(y, batch).item())
        wrong += int((~puzzle.right(y, batch)).sum())
        read += SEQUENCES_AT_ONCE
        if wrong > (1 - SOLVED) * EXAMINED:
            break
    return Examination(sum(losses) / len(losses), round(wrong * EXAMINED / read))
