"""Truncated back-propagation through one long text: rows side by side, windows whose state goes on with the text."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from memfold.errors import InputError
from memfold.tasks.generate.network import LanguageModel, State
from memfold.training import Problem

__all__ = ["TextProblem", "Window", "nats_apart", "nats_carried", "windows_of"]

READ = 1024  # steps that are read at once without a gradient
FORGET = 1 / 32  # chance of a row to begin a window with a zero state, so that the model learns to begin


@dataclass(frozen=True)
class Window:
    """A piece of every row.

    Attributes:
        tokens: ``(T + 1, B)``; the last T are to be predicted.
        first: no text before it.
    """

    tokens: Tensor
    first: bool


class TextProblem(Problem):
    """Training on a text in windows.

    Every epoch cuts it into B rows and these into windows at another place. The gradient ends at a window's start, the
    state goes on, but for a few rows drawn at random.
    """

    metric = "valid nats per token"

    def __init__(
        self, model: LanguageModel, text: Tensor, valid: Tensor, batch_size: int, window: int, seed: int, unit: str
    ) -> None:
        if len(text) < 2 * batch_size:
            raise InputError(f"the text has {len(text)} {unit}; {2 * batch_size} are the least to train on")
        self.model: LanguageModel = model
        self.text, self.seed, self.unit = text, seed, unit
        self.batch_size = batch_size
        # Wherever an epoch begins to cut, a row holds a whole window and the token after it.
        self.window = min(window, (len(text) + 1 - batch_size) // (batch_size + 1))
        self.steps_per_epoch = len(list(self._starts(self.window - 1)))
        self.valid = _rows(valid, min(64, max(len(valid) // 256, 1)))
        self.state: State | None = None

    def _starts(self, offset: int) -> range:
        steps = (len(self.text) - offset) // self.batch_size
        return range(0, steps - self.window, self.window)

    def batches(self, epoch: int) -> Iterator[Window]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        offset = int(torch.randint(self.window, (), generator=generator))
        rows = _rows(self.text[offset:], self.batch_size)
        for start in list(self._starts(offset))[: self.steps_per_epoch]:
            yield Window(rows[start : start + self.window + 1], start == 0)

    def count(self, batch: Window) -> int:
        return batch.tokens[1:].numel()

    def loss(self, batch: Window) -> Tensor:
        losses, state = _losses(self.model, batch.tokens, None if batch.first else self.state)
        kept = (torch.rand(self.batch_size) >= FORGET).float()[:, None]
        self.state = [(h.detach() * kept, c.detach() * kept) for h, c in state]
        return losses.mean()

    def validate(self) -> float:
        return float(nats_carried(self.model, self.valid).mean())

    def carried(self) -> dict[str, Tensor]:
        carried = {}
        for k, (h, c) in enumerate(self.state or []):
            carried[f"h{k}"] = h
            carried[f"c{k}"] = c
        return carried

    def restore(self, carried: dict[str, Tensor]) -> None:
        layers = range(len(carried) // 2)
        self.state = [(carried[f"h{k}"], carried[f"c{k}"]) for k in layers] if carried else None


@torch.no_grad()
def nats_carried(model: LanguageModel, rows: Tensor) -> Tensor:
    """The nats of every token of ``rows (T + 1, B)`` but the first, ``(T, B)``, each row read with carried state."""
    state, parts = None, []
    for start in range(0, len(rows) - 1, READ):
        losses, state = _losses(model, rows[start : start + READ + 1], state)
        parts.append(losses)
    return torch.cat(parts)


def nats_apart(model: LanguageModel, text: Tensor, length: int) -> Tensor:
    """The nats of the tokens of ``text (N,)`` in windows of ``length`` that follow each other, each from a zero state.

    A shorter rest at the end is left out.
    """
    parts = torch.split(windows_of(text, length), 256, dim=1)
    return torch.cat([nats_carried(model, part) for part in parts], dim=1)


def windows_of(text: Tensor, length: int) -> Tensor:
    """The windows of a text side by side, ``(length + 1, windows)``, each with the token that follows it."""
    starts = torch.arange(0, len(text) - length, length)
    return text[starts[None, :] + torch.arange(length + 1)[:, None]]


def _losses(model: LanguageModel, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
    logits, state = model(tokens[:-1], state)
    losses = F.cross_entropy(logits.flatten(0, 1), tokens[1:].flatten(), reduction="none")
    return losses.view(tokens[1:].shape), state


def _rows(text: Tensor, count: int) -> Tensor:
    """A text cut into so many rows, side by side: ``(T, count)``."""
    return text[: len(text) // count * count].view(count, -1).t().contiguous()
