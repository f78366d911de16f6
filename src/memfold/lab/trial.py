"""One training: fresh sequences until the puzzle is solved, or the limit is reached."""

import copy
import time
from dataclasses import dataclass, field

import torch
from torch import Generator, nn

from memfold.lab.networks import Reader, recurrent
from memfold.lab.puzzles import Batch, Puzzle

__all__ = ["EXAMINED", "SOLVED", "Outcome", "Recipe", "attempt", "examined"]

EXAMINED = 2000  # fresh sequences of an examination
SOLVED = 0.99  # of them are right: then it is solved
AT_ONCE = 250  # sequences of an examination that are read together
AVERAGE = 0.99  # decay a step of the running average of the weights, which is what is examined


@dataclass(frozen=True)
class Recipe:
    """How to train, the same for every cell and lag of a table.

    Attributes:
        hidden_size: units of the recurrent layer.
        lr: of Adam.
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
    """What came of one training.

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
    begun = time.monotonic()
    torch.manual_seed(seed)
    network = Reader(recurrent(cell, puzzle.inputs, recipe.hidden_size, init, lag), puzzle.outputs)
    average = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.lr, fused=True)
    random = Generator().manual_seed(1_000_003 * seed + 1)
    outcome = Outcome(cell, lag, seed, puzzle.ignorance)
    steps = 0

    def examine() -> None:
        outcome.loss, outcome.wrong = examined(average, puzzle, random)
        outcome.curve.append((outcome.sequences, outcome.loss))
        outcome.solved = outcome.wrong <= (1 - SOLVED) * EXAMINED

    while outcome.sequences < recipe.limit and (seconds is None or time.monotonic() - begun < seconds):
        batch = puzzle.draw(recipe.batch_size, random)
        loss = puzzle.loss(answers(network, batch), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
        optimizer.step()
        steps += 1
        outcome.sequences += recipe.batch_size
        with torch.no_grad():
            decay = min(AVERAGE, (1 + steps) / (10 + steps))
            torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
        if outcome.sequences % recipe.every < recipe.batch_size:
            examine()
            if outcome.solved:
                break
    if not outcome.curve or outcome.curve[-1][0] != outcome.sequences:  # the limit or the time came in between
        examine()
    outcome.seconds = time.monotonic() - begun
    return outcome


def answers(network: Reader, batch: Batch) -> torch.Tensor:
    """A network's answers (K, B, outputs) at the steps that are asked."""
    y: torch.Tensor = network(batch.x, batch.lengths, len(batch.target))
    return y


@torch.no_grad()
def examined(network: Reader, puzzle: Puzzle, random: Generator) -> tuple[float, int]:
    """The mean loss over fresh sequences, and how many of them are wrong.

    No more are read as soon as the puzzle cannot be solved any more; the wrong ones are scaled up to all then.
    """
    losses, wrong, read = [], 0, 0
    while read < EXAMINED:
        batch = puzzle.draw(AT_ONCE, random)
        y = answers(network, batch)
        losses.append(puzzle.loss(y, batch).item())
        wrong += int((~puzzle.right(y, batch)).sum())
        read += AT_ONCE
        if wrong > (1 - SOLVED) * EXAMINED:
            break
    return sum(losses) / len(losses), round(wrong * EXAMINED / read)
