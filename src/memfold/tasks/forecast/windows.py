"""Windows of series: cut from all series at once, in training at random origins, in validation at fixed ones."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

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

__all__ = ["ForecastProblem", "Places", "SeriesTensors", "quantiles_at", "validation_places"]

WINDOWS_AT_ONCE = 256  # windows that are forecast together


@dataclass(frozen=True)
class Places:
    """Where windows end: a series by number and the rows before the origin, (B,) each."""

    series: Tensor
    origins: Tensor

    def split(self, count: int) -> list["Places"]:
        """The same, so many at once."""
        pairs = zip(torch.split(self.series, count), torch.split(self.origins, count), strict=True)
        return [Places(*pair) for pair in pairs]


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
        """The windows of the given series that end before the given rows of them, (B,) each.

        What is known ahead and lies after a table's end is that of its last row.
        """
        offset = torch.arange(-size.context, size.horizon)[None, :]
        row = origins[:, None] + offset  # (B, C + K), counted within the series
        seen = row[:, : size.context] >= 0
        index = self.starts[series][:, None] + row.clamp(min=0)
        before, after = index[:, : size.context], index[:, size.context :]
        there = row[:, size.context :] < self.lengths[series][:, None]
        values = torch.where(there, self.y[after.clamp(max=len(self.y) - 1)], torch.nan) if target else None
        return Window(
            self.y[before],
            seen,
            self.past[before],
            self.known[index.clamp(max=len(self.y) - 1)],
            self.static[series],
            values,
        )

    def ends(self) -> Places:
        """After each series' last value."""
        return Places(torch.arange(len(self.lengths)), self.lengths)

    def histories(self, places: Places, most: int) -> NDArray[np.float64]:
        """At most so many values before each origin, (B, T); what lies before a series began is NaN."""
        steps = min(most, int(places.origins.max()))
        row = places.origins[:, None] + torch.arange(-steps, 0)[None, :]
        values = self.y[self.starts[places.series][:, None] + row.clamp(min=0)]
        return torch.where(row >= 0, values, torch.nan).numpy()

    def targets(self, places: Places, horizon: int) -> NDArray[np.float64]:
        """The values after each origin, (B, K); NaN after a series' end."""
        row = places.origins[:, None] + torch.arange(horizon)[None, :]
        index = (self.starts[places.series][:, None] + row).clamp(max=len(self.y) - 1)
        return torch.where(row < self.lengths[places.series][:, None], self.y[index], torch.nan).numpy()


class ForecastProblem(Problem):
    """Training on windows with random origins.

    An epoch visits every series as often as its horizon fits into the part to learn from; the validation part is the
    end of every series, a tenth of it or one horizon, of a short one a third. The windows of that part are at
    ``judged``; ``learnt`` is what comes before it.
    """

    metric = "valid CRPS"
    unit = "windows"

    def __init__(
        self, model: Ensemble, data: SeriesTensors, valid: SeriesTensors | None, batch_size: int, seed: int
    ) -> None:
        self.model: Ensemble = model
        self.data, self.batch_size, self.seed = data, batch_size, seed
        size, lengths = model.size, data.lengths
        if valid is None:
            held_out = torch.clamp(lengths // 10 // size.horizon, min=1) * size.horizon
            held_out = torch.minimum(held_out, (lengths // 3).clamp(min=1))  # of a short series less than a horizon
        else:
            held_out = 0 * lengths
        self.learnt = replace(data, lengths=lengths - held_out)
        # Origins lie between these: after a season, of a short series half of it, and a horizon before what is held
        # out, of a short series a third.
        self.first = (self.learnt.lengths // 2).clamp(1, max(size.lags))
        self.last = self.learnt.lengths - (self.learnt.lengths // 3).clamp(1, size.horizon)
        self.usable = torch.nonzero(self.last >= self.first).flatten()
        if len(self.usable) == 0:
            raise InputError(
                f"the longest series has {int(lengths.max())} values: too short to learn a horizon of {size.horizon} "
                f"from; give longer series or a smaller horizon"
            )
        counts = (self.last - self.first)[self.usable] // size.horizon + 1
        self.pool = self.usable.repeat_interleave(counts)
        self.steps_per_epoch = -(-len(self.pool) // batch_size)
        self.valid_data = valid or data
        self.judged = validation_places(self.valid_data, size, held_out if valid is None else None)
        self.valid = [
            self.valid_data.windows(places.series, places.origins, size, target=True)
            for places in self.judged.split(WINDOWS_AT_ONCE)
        ]

    def batches(self, epoch: int) -> Iterator[Window]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        pool = self.pool[torch.randperm(len(self.pool), generator=generator)]
        for series in torch.split(pool, self.batch_size):
            span = (self.last - self.first)[series] + 1
            origins = self.first[series] + (torch.rand(len(series), generator=generator) * span).long()
            yield self.learnt.windows(series, origins, self.model.size, target=True)

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
def quantiles_at(network: Ensemble, data: SeriesTensors, places: Places) -> NDArray[np.float64]:
    """The quantiles of the horizon after each place, ``(B, K, Q)``."""
    network.eval()
    parts = []
    for block in places.split(WINDOWS_AT_ONCE):
        window = data.windows(block.series, block.origins, network.size, target=False)
        quantiles, level, scale = network(window)
        ordered = quantiles.mean(0).double().sort(-1).values  # rearranged where they cross (Chernozhukov et al. 2010)
        parts.append(ordered * scale[..., None] + level[..., None])
    return torch.cat(parts).numpy()


def validation_places(data: SeriesTensors, size: NetworkSize, held_out: Tensor | None) -> Places:
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
    return Places(torch.tensor(series), torch.tensor(origins))
