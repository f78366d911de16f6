"""The network that predicts the next values, and its training on windows of what was seen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from memfold.errors import InputError
from memfold.nn import LSTM
from memfold.runtime.monitoring.monitor import LEAST_LOG_SIGMA, MOST_LOG_SIGMA
from memfold.stream import Stream
from memfold.training import Problem

__all__ = [
    "AnomalyProblem",
    "Predictor",
    "WindowBatch",
    "error_loss",
]

DEGREES = 4.0  # of freedom of the t distribution: outliers must not bend the network
SETTLE = 8  # steps at a window's start, out of a zero state, that are not trained on


class Predictor(nn.Module):
    """An LSTM with a head that gives centre and log-scale of every variable's next value.

    Args:
        features: F, that it reads of a point.
        variables: V, values a point.
    """

    def __init__(self, features: int, variables: int, hidden_size: int) -> None:
        super().__init__()
        self.features, self.variables = features, variables
        self.lstm = LSTM(features, hidden_size)
        self.head = nn.Linear(hidden_size, 2 * variables)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Centres and log-scales, (T, B, V) each, from features (T, B, F)."""
        centre, log_sigma = self.head(self.lstm(x)[0]).chunk(2, -1)  # (T, B, V) each
        return centre, log_sigma.clamp(LEAST_LOG_SIGMA, MOST_LOG_SIGMA)

    def stream(self) -> Stream:
        """The same step by step, without torch: centres and then log-scales, not clamped."""
        head = {name: weight.detach().numpy() for name, weight in self.head.named_parameters()}
        return Stream(self.lstm.stream().layers, head)


@dataclass(frozen=True)
class WindowBatch:
    """Windows: features (T, B, F) and the values to predict, (T, B, V)."""

    x: Tensor
    target: Tensor


def error_loss(model: Predictor, batch: WindowBatch) -> Tensor:
    """The mean negative log-likelihood of a t distribution, but for a constant and each window's first steps."""
    centre, log_sigma = model(batch.x)
    missing = batch.target.isnan()
    if missing.any():
        return _error_of_known(centre, log_sigma, batch.target, ~missing)
    error = (batch.target - centre) * torch.exp(-log_sigma)  # (T, B, V)
    nats = log_sigma + (DEGREES + 1) / 2 * torch.log1p(error**2 / DEGREES)  # (T, B, V)
    loss: Tensor = nats[min(SETTLE, len(nats) - 1) :].mean()
    return loss


def _error_of_known(centre: Tensor, log_sigma: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """The loss of the values that are not missing."""
    error = (torch.where(known, target, centre.detach()) - centre) * torch.exp(-log_sigma)  # (T, B, V)
    nats = log_sigma + (DEGREES + 1) / 2 * torch.log1p(error**2 / DEGREES)  # (T, B, V)
    first = min(SETTLE, len(nats) - 1)
    counted = torch.where(known, nats, 0.0)[first:].sum()
    return counted / known[first:].sum().clamp(min=1)


class AnomalyProblem(Problem):
    """Training on random windows of several series, of which the last fifth is held out to validate on.

    Args:
        series: features (N, F) and targets (N, V) of each.
        valid: the same of what to validate on; the last fifth of every series when None.
    """

    metric = "valid nats per point"
    unit = "points"

    def __init__(
        self,
        model: Predictor,
        series: Sequence[tuple[Tensor, Tensor]],
        valid: Sequence[tuple[Tensor, Tensor]] | None,
        window: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.model: Predictor = model
        self.window, self.batch_size, self.seed = window, batch_size, seed
        # Hold out the end of every series where nothing to validate on is given.
        train, held_out = list(series), list(valid or ())
        if valid is None:
            cuts = [len(x) - len(x) // 5 for x, _ in series]
            train = [(x[:cut], y[:cut]) for (x, y), cut in zip(series, cuts, strict=True)]
            held_out = [
                (x[max(cut - SETTLE, 0) :], y[max(cut - SETTLE, 0) :]) for (x, y), cut in zip(series, cuts, strict=True)
            ]
        self.valid = [WindowBatch(x[:, None], y[:, None]) for x, y in held_out if len(x) > SETTLE]
        # Lay the series one behind another; a window may start wherever it fits into one series.
        lengths = torch.tensor([len(x) for x, _ in train])
        if not self.valid or int(lengths.max()) <= SETTLE:
            raise InputError(f"the longest series has {int(lengths.max())} points to train on: too few")
        self.x, self.target = (torch.cat([pair[k] for pair in train]) for k in (0, 1))
        offsets = torch.cumsum(lengths, 0) - lengths
        self.window = min(window, int(lengths.max()))
        starts = [
            offset + torch.arange(max(length - self.window + 1, 0))
            for offset, length in zip(offsets.tolist(), lengths.tolist(), strict=True)
        ]
        self.starts = torch.cat(starts)
        self.steps_per_epoch = -(-len(self.starts) // (batch_size * max(self.window // 4, 1)))

    def batches(self, epoch: int) -> Iterator[WindowBatch]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        for _ in range(self.steps_per_epoch):
            chosen = self.starts[torch.randint(len(self.starts), (self.batch_size,), generator=generator)]  # (B,)
            rows = chosen[None, :] + torch.arange(self.window)[:, None]  # (T, B)
            yield WindowBatch(self.x[rows], self.target[rows])

    def count(self, batch: WindowBatch) -> int:
        return batch.x.shape[0] * batch.x.shape[1]

    def loss(self, batch: WindowBatch) -> Tensor:
        return error_loss(self.model, batch)

    def validate(self) -> float:
        losses = [error_loss(self.model, batch).item() * (len(batch.x) - SETTLE) for batch in self.valid]
        return sum(losses) / sum(len(batch.x) - SETTLE for batch in self.valid)
