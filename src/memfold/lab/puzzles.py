"""Sequences made at random whose answer lies far back: the long-lag benchmarks."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

__all__ = ["Adding", "Copy", "Puzzle", "PuzzleBatch", "Reber", "TemporalOrder", "Timing"]

OFF = 0.04  # an answer this far from the truth is wrong (Hochreiter & Schmidhuber 1997, sec. 5.4)
DIGITS, REMEMBERED = 8, 10  # of the copy task: symbols, and how many of them are to be recalled
NOISE = 4  # symbols that mean nothing in the temporal order task
INTERVALS = 3  # between the spikes of a train
PADDING = -1  # as a target


@dataclass(frozen=True)
class PuzzleBatch:
    """Sequences and their right answers.

    Attributes:
        x: (T, B, I).
        target: of the last K steps: numbers (K, B), or classes, `PADDING` where nothing is asked.
        lengths: of the rows, (B,); T for all when None.
        legal: the symbols that may follow each step, (T, B, V) bool, where several may.
    """

    x: Tensor
    target: Tensor
    lengths: Tensor | None = None
    legal: Tensor | None = None


class Puzzle(ABC):
    """A task of one length.

    Attributes:
        inputs, outputs: features of x and of the answer.
        ignorance: the loss of who knows the distribution of the answers and nothing of the sequence.
    """

    inputs: int
    outputs: int
    ignorance: float

    @abstractmethod
    def draw(self, batch: int, random: Generator) -> PuzzleBatch:
        """Fresh sequences."""

    def loss(self, y: Tensor, batch: PuzzleBatch) -> Tensor:
        """The mean loss of answers y (K, B, outputs): the cross-entropy in nats, unless the puzzle has another."""
        return F.cross_entropy(y.flatten(0, 1), batch.target.flatten(), ignore_index=PADDING)

    def right(self, y: Tensor, batch: PuzzleBatch) -> Tensor:
        """Which sequences are answered rightly at every step that is asked, (B,) bool."""
        return ((y.argmax(-1) == batch.target) | (batch.target == PADDING)).all(0)


class Adding(Puzzle):
    """Two of the numbers are marked, one in either half: what is their sum?

    Numbers from U(0, 1); the error of the constant 1 is 1/6. Hochreiter & Schmidhuber 1997, sec. 5.4, in the form that
    Le, Jaitly & Hinton 2015 (arXiv 1504.00941) gave it. Its sums spread over twice the range of 1997, so the same bound
    of 0.04 is twice as strict.
    """

    inputs, outputs, ignorance = 2, 1, 1 / 6

    def __init__(self, lag: int) -> None:
        self.steps = lag

    def draw(self, batch: int, random: Generator) -> PuzzleBatch:
        half = self.steps // 2
        rows = torch.arange(batch)
        numbers = torch.rand(self.steps, batch, generator=random)
        first = torch.randint(half, (batch,), generator=random)
        second = half + torch.randint(self.steps - half, (batch,), generator=random)
        marks = torch.zeros(self.steps, batch)
        marks[first, rows] = marks[second, rows] = 1
        return PuzzleBatch(torch.stack([numbers, marks], -1), (numbers[first, rows] + numbers[second, rows])[None])

    def loss(self, y: Tensor, batch: PuzzleBatch) -> Tensor:
        return F.mse_loss(y[..., 0], batch.target)

    def right(self, y: Tensor, batch: PuzzleBatch) -> Tensor:
        return ((y[..., 0] - batch.target).abs() < OFF).all(0)


class Copy(Puzzle):
    """Ten symbols, a silence of ``lag`` steps, a signal: what were the ten symbols?

    Hochreiter & Schmidhuber 1997, sec. 5.3 had one symbol to recall; ten of eight kinds are Arjovsky, Shah & Bengio's
    (2016, arXiv 1511.06464). The loss is of the recalled symbols alone.
    """

    inputs = DIGITS + 2
    outputs = DIGITS
    ignorance = math.log(DIGITS)

    def __init__(self, lag: int) -> None:
        self.lag = lag

    def draw(self, batch: int, random: Generator) -> PuzzleBatch:
        digits = torch.randint(DIGITS, (REMEMBERED, batch), generator=random)
        silence = torch.full((self.lag, batch), DIGITS)
        signal = torch.full((REMEMBERED, batch), DIGITS + 1)
        return PuzzleBatch(F.one_hot(torch.cat([digits, silence, signal]), self.inputs).float(), digits)


class TemporalOrder(Puzzle):
    """Among symbols that mean nothing an X or a Y comes early, and another one late: XX, XY, YX or YY?

    Hochreiter & Schmidhuber 1997, sec. 5.6, task 6a: in 100 steps the two lie at 10 to 20 and 50 to 60.
    """

    inputs = NOISE + 2
    outputs = 4
    ignorance = math.log(4)

    def __init__(self, lag: int) -> None:
        self.steps = lag

    def draw(self, batch: int, random: Generator) -> PuzzleBatch:
        rows = torch.arange(batch)
        tenth = self.steps // 10
        symbols = torch.randint(NOISE, (self.steps, batch), generator=random)
        early, late = torch.randint(2, (2, batch), generator=random)
        symbols[tenth + torch.randint(tenth + 1, (batch,), generator=random), rows] = NOISE + early
        symbols[5 * tenth + torch.randint(tenth + 1, (batch,), generator=random), rows] = NOISE + late
        return PuzzleBatch(F.one_hot(symbols, self.inputs).float(), (2 * early + late)[None])


class Timing(Puzzle):
    """Spikes come every ``lag`` steps, or every ``lag - 1``: which is it?

    After Gers & Schmidhuber 2000 (and Gers, Schraudolph & Schmidhuber 2002), whose networks were to distinguish
    intervals of 50 from those of 49 without being shown shorter ones. A train has four spikes and starts at a random
    step.
    """

    inputs, outputs, ignorance = 1, 2, math.log(2)

    def __init__(self, lag: int) -> None:
        self.lag = lag

    def draw(self, batch: int, random: Generator) -> PuzzleBatch:
        shorter = torch.randint(2, (batch,), generator=random)
        start = torch.randint(self.lag, (batch,), generator=random)
        interval = self.lag - shorter
        x = torch.zeros(self.lag * (INTERVALS + 1), batch, 1)
        for spike in range(INTERVALS + 1):
            x[start + spike * interval, torch.arange(batch), 0] = 1
        lengths = start + INTERVALS * interval + 1  # the last spike is the last step
        target = torch.full(x.shape[:2], PADDING)
        target[lengths - 1, torch.arange(batch)] = shorter
        return PuzzleBatch(x, target, lengths)


class Reber(Puzzle):
    """What may come next in a string of the embedded Reber grammar? Its second symbol, T or P, comes back at the end.

    Hochreiter & Schmidhuber 1997, sec. 5.1, is a lag of 8: one string of the inner grammar stands between the two, 8
    symbols on average. For longer lags a random number of them does, which make ``lag`` symbols on average.
    """

    SYMBOLS = "BTPSXVE"
    INNER = (  # states of the grammar: the symbols that may follow, each as likely, and where each leads
        {"B": 1},
        {"T": 2, "P": 3},
        {"S": 2, "X": 4},
        {"T": 3, "V": 5},
        {"X": 3, "S": 6},
        {"P": 4, "V": 6},
        {"E": 7},
    )
    MEAN = 8  # symbols of an inner string
    inputs = outputs = len(SYMBOLS)
    ignorance = math.log(len(SYMBOLS))

    def __init__(self, lag: int) -> None:
        self.another = 1 - min(self.MEAN / lag, 1.0)  # probability that one more inner string follows

    def string(self, random: Generator) -> tuple[str, list[str]]:
        """A string, and for each of its symbols but the last those that might have followed it."""
        outer = "TP"[int(torch.randint(2, (), generator=random))]
        text, legal = "B" + outer, ["TP", "B"]
        while True:
            state = 0
            while True:
                choices = list(self.INNER[state])
                symbol = choices[int(torch.randint(len(choices), (), generator=random))]
                text += symbol
                state = self.INNER[state][symbol]
                if state == len(self.INNER):
                    break
                legal.append("".join(self.INNER[state]))
            legal.append("B" + outer if self.another else outer)
            if torch.rand((), generator=random) >= self.another:
                return text + outer + "E", [*legal, "E"]

    def draw(self, batch: int, random: Generator) -> PuzzleBatch:
        strings = [self.string(random) for _ in range(batch)]
        steps = max(len(text) for text, _ in strings) - 1
        x = torch.zeros(steps, batch, self.inputs)
        legal = torch.zeros(steps, batch, self.outputs, dtype=torch.bool)
        target = torch.full((steps, batch), PADDING)
        for row, (text, sets) in enumerate(strings):
            places = torch.tensor([self.SYMBOLS.index(symbol) for symbol in text])
            x[: len(text) - 1, row] = F.one_hot(places[:-1], self.inputs).float()
            target[: len(text) - 1, row] = places[1:]
            for t, symbols in enumerate(sets):
                legal[t, row, [self.SYMBOLS.index(symbol) for symbol in symbols]] = True
        return PuzzleBatch(x, target, torch.tensor([len(text) - 1 for text, _ in strings]), legal)

    def right(self, y: Tensor, batch: PuzzleBatch) -> Tensor:
        """Whether at every step the legal symbols are the likeliest ones, each above every other."""
        assert batch.legal is not None
        least = y.masked_fill(~batch.legal, torch.inf).amin(-1)
        most = y.masked_fill(batch.legal, -torch.inf).amax(-1)
        return ((least > most) | (batch.target == PADDING)).all(0)
