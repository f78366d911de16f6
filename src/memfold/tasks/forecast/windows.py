"""Training on windows of series: cut from all series at once at random origins, in validation at fixed ones."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memfold.errors import InputError
from memfold.runtime.forecasting.size import NetworkSize
from memfold.runtime.forecasting.windows import WINDOWS_AT_ONCE, Places, SeriesArrays, Windows
from memfold.tasks.forecast.network import Ensemble, Window, quantile_loss, standardised
from memfold.tasks.forecast.plan import most_epochs
from memfold.training import Problem

__all__ = ["ForecastProblem", "quantiles_of", "validation_places"]


class ForecastProblem(Problem):
    """Training on windows with random origins.

    An epoch visits every series as often as its horizon fits into the part to learn from; the validation part is the
    end of every series, a tenth of it or one horizon, of a short one a third. The windows of that part are at
    ``judged``; ``learnt`` is what comes before it.
    """

    metric = "valid CRPS"
    unit = "windows"

    def __init__(
        self, model: Ensemble, data: SeriesArrays, valid: SeriesArrays | None, batch_size: int, seed: int
    ) -> None:
        self.model: Ensemble = model
        self.data, self.batch_size, self.seed = data, batch_size, seed
        size, lengths = model.size, data.lengths
        if valid is None:
            held_out = (lengths // 10 // size.horizon).clip(1) * size.horizon
            held_out = np.minimum(held_out, (lengths // 3).clip(1))  # of a short series less than a horizon
        else:
            held_out = 0 * lengths
        self.learnt = replace(data, lengths=lengths - held_out)
        # Origins lie between these: after a season, of a short series half of it, and a horizon before what is held
        # out, of a short series a third.
        self.first = (self.learnt.lengths // 2).clip(1, max(size.lags))
        self.last = self.learnt.lengths - (self.learnt.lengths // 3).clip(1, size.horizon)
        self.usable = np.flatnonzero(self.last >= self.first)
        if len(self.usable) == 0:
            raise InputError(
                f"the longest series has {int(lengths.max())} values: too short to learn a horizon of {size.horizon} "
                f"from; give longer series or a smaller horizon"
            )
        counts = (self.last - self.first)[self.usable] // size.horizon + 1
        self.pool = self.usable.repeat(counts)
        self.steps_per_epoch = -(-len(self.pool) // batch_size)
        self.most_epochs = most_epochs(self.steps_per_epoch)
        self.valid_data = valid or data
        self.judged = validation_places(self.valid_data, size, held_out if valid is None else None)
        self.valid = [
            Window.of(self.valid_data.windows(places, size, target=True))
            for places in self.judged.split(WINDOWS_AT_ONCE)
        ]

    def batches(self, epoch: int) -> Iterator[Window]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        pool = self.pool[torch.randperm(len(self.pool), generator=generator).numpy()]
        for start in range(0, len(pool), self.batch_size):
            series = pool[start : start + self.batch_size]
            span = (self.last - self.first)[series] + 1
            where = torch.rand(len(series), generator=generator).numpy()
            places = Places(series, self.first[series] + (where * span).astype(np.int64))
            yield Window.of(self.learnt.windows(places, self.model.size, target=True))

    def count(self, batch: Window) -> int:
        return len(batch.y)

    def loss(self, batch: Window) -> Tensor:
        return self._loss(batch, average=False)

    def _loss(self, batch: Window, average: bool) -> Tensor:
        """The members' mean loss, or the loss of their mean."""
        quantiles, level, scale = self.model(batch)
        assert batch.target is not None
        target = standardised(batch.target, level, scale).float()
        return quantile_loss(quantiles.mean(0) if average else quantiles, target, self.model.size.quantiles)

    def validate(self) -> float:
        losses = [self._loss(window, average=True).item() * len(window.y) for window in self.valid]
        return sum(losses) / sum(len(window.y) for window in self.valid)


@torch.no_grad()
def quantiles_of(network: Ensemble, windows: Windows) -> NDArray[np.float64]:
    """The quantiles of the horizon after each window, ``(B, K, Q)``, in the units of the series."""
    network.eval()
    result: NDArray[np.float64] = network.quantiles(Window.of(windows)).numpy()
    return result


def validation_places(data: SeriesArrays, size: NetworkSize, held_out: NDArray[np.int64] | None) -> Places:
    """Windows over the last ``held_out`` rows of every series, or over all rows of a table given for it."""
    series, origins = [], []
    for index, length in enumerate(data.lengths.tolist()):
        first = min(size.context, length - size.horizon) if held_out is None else length - int(held_out[index])
        last = max(length - size.horizon, first)  # of a short series less than a horizon follows
        for origin in range(min(last, length - 1), max(first, 1) - 1, -size.horizon):
            series.append(index)
            origins.append(origin)
    if not series:
        raise InputError(f"no series to validate on is longer than the horizon of {size.horizon}")
    return Places(np.array(series), np.array(origins))
