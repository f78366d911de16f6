"""Truncated back-propagation through one long text: rows side by side, windows whose state goes on with the text."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from memfold.errors import InputError
from memfold.tasks.generate.network import LanguageModel, State
from memfold.tasks.linear_cross_entropy import linear_cross_entropy
from memfold.training import Problem

__all__ = ["TextProblem", "Window", "nats_carried"]

READ = 1024  # steps that are read at once without a gradient, at most
LOGITS = 4_000_000  # of them at once, 16 MB
CANDIDATES = 512  # tokens that are drawn at a step of a wide vocabulary
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


class SampledHead:
    """The cross-entropy of a wide vocabulary, estimated from some of its tokens.

    Those are the tokens that a batch predicts, and others that are drawn. Each but the predicted one stands for as many
    as its chance to be there says, so that the sum over the vocabulary is right on average (Bengio & Senecal 2008).

    Args:
        counts: of every token in the text, ``(V,)``.
        predicted: tokens of a batch.
    """

    def __init__(self, counts: Tensor, predicted: int) -> None:
        self.drawn = CANDIDATES / len(counts)
        absent = predicted * torch.log1p(-(counts / counts.sum()).clamp(max=1 - 1e-6))
        self.log_chance = torch.log1p(-(1 - self.drawn) * absent.exp())  # (V,)

    def __call__(self, model: LanguageModel, features: Tensor, targets: Tensor) -> Tensor:
        """The mean over ``features (N, F)`` and ``targets (N,)``."""
        present = torch.rand(len(self.log_chance)) < self.drawn
        present[targets] = True
        candidates = present.nonzero()[:, 0]  # (K,)
        place = (present.cumsum(0) - 1)[targets]  # (N,)
        # The predicted one is always there.
        weight, bias = model.weight[candidates], (model.bias - self.log_chance)[candidates]
        return linear_cross_entropy(features, weight, bias, place, of_target=self.log_chance[targets])


def whole_head(model: LanguageModel, features: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy over ``features (N, F)`` and ``targets (N,)``, from the logits of all tokens."""
    return linear_cross_entropy(features, model.weight, model.bias, targets)


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
        counts = torch.bincount(text, minlength=model.size.vocabulary)
        model.expect(counts)
        self.head = SampledHead(counts, batch_size * self.window) if len(counts) > 2 * CANDIDATES else whole_head

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
        features, state = self.model.features(batch.tokens[:-1], None if batch.first else self.state)
        loss = self.head(self.model, features.flatten(0, 1), batch.tokens[1:].flatten())
        kept = (torch.rand(self.batch_size) >= FORGET).float()[:, None]
        self.state = [(h.detach() * kept, c.detach() * kept) for h, c in state]
        return loss

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
    steps = min(max(LOGITS // (rows.shape[1] * model.size.vocabulary), 1), READ)
    for start in range(0, len(rows) - 1, steps):
        losses, state = _losses(model, rows[start : start + steps + 1], state)
        parts.append(losses)
    return torch.cat(parts)


def _losses(model: LanguageModel, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
    logits, state = model(tokens[:-1], state)
    losses = F.cross_entropy(logits.flatten(0, 1), tokens[1:].flatten(), reduction="none")
    return losses.view(tokens[1:].shape), state


def _rows(text: Tensor, count: int) -> Tensor:
    """A text cut into so many rows, side by side: ``(T, count)``."""
    return text[: len(text) // count * count].view(count, -1).t().contiguous()
