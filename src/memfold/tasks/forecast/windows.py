"""Windows of series: cut from all series at once, in training at random origins, in validation at fixed ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from memfold.data.tables import ID, TARGET, TIME, SeriesTable
from memfold.errors import InputError
from memfold.tasks.forecast.covariates import Covariates
from memfold.tasks.forecast.network import Ensemble, Window, quantile_loss, standardised
from memfold.tasks.forecast.size import NetworkSize
from memfold.training import Problem

__all__ = ["ForecastProblem", "SeriesTensors", "quantiles_of"]

WINDOWS_AT_ONCE = 256  # windows that are forecast together


@dataclass(frozen=True)
class SeriesTensors:
    """All series one after another, N rows.

    Attributes:
        y: float64, (N,).
        past: standardised covariates known up to now, (N, F_past).
        known: calendar and standardised covariates known ahead, (N, F_known).
        static: what is the same throughout each series, (S, F_static).
        starts: the first row of each series, (S,).
        lengths: the number of its rows whose y is known, (S,).
    """

    y: Tensor
    past: Tensor
    known: Tensor
    static: Tensor
    starts: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, table: SeriesTable, covariates: Covariates, ahead: int = 0) -> "SeriesTensors":
        """Tensors of a table.

        Args:
            ahead: rows to add after each series' last value, to forecast into.

        Raises:
            InputError: a covariate that is to be known ahead is not.
        """
        frame = table.known
        if ahead:
            rows = table.times_after(ahead).join(
                table.ahead.drop(TARGET), on=[ID, TIME], how="left", maintain_order="left"
            )
            for column in covariates.future:
                if (holes := rows.filter(pl.col(column).is_null())).height:
                    row = holes.row(0, named=True)
                    raise InputError(
                        f"series {row[ID]!r} has no {column!r} at {row[TIME]}: a covariate known ahead must be given "
                        f"for the {ahead} steps to forecast, in rows whose {TARGET!r} is empty"
                    )
            frame = pl.concat([frame, rows.with_columns(pl.lit(None, pl.Float64).alias(TARGET)).select(frame.columns)])
            frame = frame.sort(ID, TIME)
        past, known = (torch.from_numpy(f(frame)) for f in (covariates.past_features, covariates.known_features))
        lengths = torch.from_numpy(table.lengths)
        starts = torch.cumsum(lengths + ahead, 0) - lengths - ahead
        y = torch.tensor(frame[TARGET].fill_null(0.0).to_numpy(), dtype=torch.float64)
        return cls(y, past, known, torch.from_numpy(covariates.static_features(table)), starts, lengths)

    def windows(self, series: Tensor, origins: Tensor, size: NetworkSize, target: bool) -> Window:
        """The windows of the given series that end before the given rows of them, (B,) each."""
        offset = torch.arange(-size.context, size.horizon)[None, :]
        row = origins[:, None] + offset  # (B, C + K), counted within the series
        seen = row[:, : size.context] >= 0
        index = self.starts[series][:, None] + row.clamp(min=0)
        before, after = index[:, : size.context], index[:, size.context :]
        values = self.y[after] if target else None
        return Window(self.y[before], seen, self.past[before], self.known[index], self.static[series], values)


class ForecastProblem(Problem):
    """Training on windows with random origins.

    An epoch visits every series as often as its horizon fits into the part to learn from; the validation part is the
    end of every series, a tenth of it or one horizon.
    """

    metric = "valid CRPS"
    unit = "windows"

    def __init__(
        self, model: Ensemble, data: SeriesTensors, valid: SeriesTensors | None, batch_size: int, seed: int
    ) -> None:
        self.model: Ensemble = model
        self.data, self.batch_size, self.seed = data, batch_size, seed
        size, lengths = model.size, data.lengths
        held_out = torch.clamp(lengths // 10 // size.horizon, min=1) * size.horizon if valid is None else 0 * lengths
        self.first = torch.minimum(torch.full_like(lengths, max(size.lags)), lengths // 2)  # origins start here
        self.last = lengths - held_out - size.horizon  # and end here
        self.usable = torch.nonzero(self.last >= self.first).flatten()
        if len(self.usable) == 0:
            raise InputError(
                f"the longest series has {int(lengths.max())} values: too short to learn a horizon of {size.horizon} "
                f"from; give longer series or a smaller horizon"
            )
        counts = (self.last - self.first)[self.usable] // size.horizon + 1
        self.pool = self.usable.repeat_interleave(counts)
        self.steps_per_epoch = -(-len(self.pool) // batch_size)
        self.valid = _validation_windows(valid or data, size, held_out if valid is None else None)

    def batches(self, epoch: int) -> Iterator[Window]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        pool = self.pool[torch.randperm(len(self.pool), generator=generator)]
        for series in torch.split(pool, self.batch_size):
            span = (self.last - self.first)[series] + 1
            origins = self.first[series] + (torch.rand(len(series), generator=generator) * span).long()
            yield self.data.windows(series, origins, self.model.size, target=True)

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
def quantiles_of(network: Ensemble, data: SeriesTensors) -> NDArray[np.float64]:
    """The quantiles of the horizon after each series' last value, ``(S * K, Q)``, one series after another."""
    size = network.size
    network.eval()
    parts = []
    for block in torch.split(torch.arange(len(data.lengths)), WINDOWS_AT_ONCE):
        quantiles, level, scale = network(data.windows(block, data.lengths[block], size, target=False))
        ordered = quantiles.mean(0).double().sort(-1).values  # rearranged where they cross (Chernozhukov et al. 2010)
        parts.append(ordered * scale[..., None] + level[..., None])
    return torch.cat(parts).reshape(-1, len(size.quantiles)).numpy()


def _validation_windows(data: SeriesTensors, size: NetworkSize, held_out: Tensor | None) -> list[Window]:
    """Windows over the last ``held_out`` rows of every series, or over all rows of a table given for it."""
    series, origins = [], []
    for index, length in enumerate(data.lengths.tolist()):
        first = min(size.context, length - size.horizon) if held_out is None else length - int(held_out[index])
        for origin in range(length - size.horizon, max(first, 1) - 1, -size.horizon):
            series.append(index)
            origins.append(origin)
    if not series:
        raise InputError(f"no series to validate on is longer than the horizon of {size.horizon}")
    blocks = zip(
        torch.split(torch.tensor(series), WINDOWS_AT_ONCE),
        torch.split(torch.tensor(origins), WINDOWS_AT_ONCE),
        strict=True,
    )
    return [data.windows(*block, size, target=True) for block in blocks]
