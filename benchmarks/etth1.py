"""Forecast the electricity transformer (ETTh1) 24, 48 and 168 hours ahead beside a linear model, in equal time.

The protocol is that of Zhou et al. 2021 (sec. 4.1): 8,640 hours to learn from, 2,880 to choose the weights, and 2,880
that are scored once, from every hour; the error is the mean square over the seven columns, each divided by its
deviation in the first part. The linear model is DLinear (Zeng et al. 2023, sec. 4): the window's moving average and
what it leaves, each mapped to the hours ahead.

    python benchmarks/etth1.py --budget 1m
"""

import time
from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn

from memfold.budget import Budget
from memfold.data.datasets import dataset, load_split
from memfold.data.tables import SeriesTable
from memfold.tasks import Forecaster

TRAIN, VALID = 8_640, 2_880
CONTEXT, AVERAGED, BATCH = 336, 25, 32
DAY = 24


class DLinear(nn.Module):
    """A linear map of the moving average, and one of the rest."""

    def __init__(self, horizon: int) -> None:
        super().__init__()
        self.trend, self.rest = nn.Linear(CONTEXT, horizon), nn.Linear(CONTEXT, horizon)

    def forward(self, x: Tensor) -> Tensor:
        """The hours ahead (B, K) of windows (B, C)."""
        half = AVERAGED // 2
        padded = torch.cat([x[:, :1].expand(-1, half), x, x[:, -1:].expand(-1, half)], 1)
        trend = padded.unfold(1, AVERAGED, 1).mean(-1)
        result: Tensor = self.trend(trend) + self.rest(x - trend)
        return result


def windows(series: Tensor, origins: Tensor, horizon: int) -> tuple[Tensor, Tensor]:
    """Past and future at some origins of all series (S, N): (B * S, C) and (B * S, K)."""
    cut = series[:, origins[:, None] + torch.arange(-CONTEXT, horizon)].transpose(0, 1).flatten(0, 1)
    return cut[:, :CONTEXT], cut[:, CONTEXT:]


def parts(first: int, last: int, horizon: int) -> Iterator[Tensor]:
    """All origins whose hours ahead lie in the rows from ``first`` to before ``last``, a few hundred at a time."""
    return iter(torch.split(torch.arange(first, last - horizon + 1), 256))


@torch.no_grad()
def linear_error(model: nn.Module, series: Tensor, first: int, last: int, horizon: int) -> float:
    """The mean square error from every origin of a part."""
    total, count = 0.0, 0
    for origins in parts(first, last, horizon):
        past, future = windows(series, origins, horizon)
        total += float(((model(past) - future) ** 2).sum())
        count += future.numel()
    return total / count


def fit_linear(series: Tensor, horizon: int, seconds: float, seed: int) -> nn.Module:
    """DLinear with the weights that were best on the validation part within the time."""
    torch.manual_seed(seed)
    model = DLinear(horizon)
    adam = torch.optim.Adam(model.parameters(), lr=5e-4, fused=True)
    best, kept = float("inf"), {}
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        for origins in torch.split(CONTEXT + torch.randperm(TRAIN - horizon - CONTEXT + 1), BATCH):
            past, future = windows(series, origins, horizon)
            adam.zero_grad()
            ((model(past) - future) ** 2).mean().backward()
            adam.step()
            if time.monotonic() - begun > seconds:
                break
        error = linear_error(model, series, TRAIN, TRAIN + VALID, horizon)
        if error < best:
            best, kept = error, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    return model


@torch.no_grad()
def lstm_error(model: Forecaster, table: SeriesTable, deviation: Tensor, first: int, last: int) -> float:
    """The same of a forecaster, whose mean forecast is that of its quantiles."""
    tensors, size = model.tensors(table), model.size_
    model.network_.eval()
    total, count = 0.0, 0
    for place, scale in enumerate(deviation.tolist()):
        for origins in parts(first, last, size.horizon):
            window = tensors.windows(torch.full_like(origins, place), origins, size, target=True)
            quantiles, level, unit = model.network_(window)
            forecast = quantiles.mean((0, -1)).double() * unit + level  # (B, K)
            assert window.target is not None
            total += float(((forecast - window.target) ** 2).sum()) / scale**2
            count += window.target.numel()
    return total / count


def main(
    budget: Annotated[str, typer.Option(help="To learn, for each model and horizon.")] = "1m",
    horizons: Annotated[str, typer.Option(help="Hours ahead, with commas between.")] = "24,48,168",
    seed: Annotated[int, typer.Option(help="Of the first weights and the order of the windows.")] = 0,
    validate: Annotated[bool, typer.Option("--validate", help="Score the validation part, to choose by.")] = False,
) -> None:
    """Print the errors of the LSTM, of DLinear and of the last day repeated, by horizon."""
    seconds = Budget.parse(budget).seconds
    if seconds is None:
        raise typer.BadParameter("the budget must be a time, for two models to have the same")
    table = load_split("etth1").whole
    train = table.head(int(table.lengths[0]) - TRAIN)
    series = torch.tensor(np.stack(table.values))
    level, deviation = series[:, :TRAIN].mean(1), series[:, :TRAIN].std(1, correction=0)
    standard = ((series - level[:, None]) / deviation[:, None]).float()
    first, last = (TRAIN, TRAIN + VALID) if validate else (TRAIN + VALID, series.shape[1])
    print("hours ahead     LSTM  DLinear  last day")
    for horizon in map(int, horizons.split(",")):
        model = Forecaster(**{**dataset("etth1").parameters, "horizon": horizon, "seed": seed})
        held_out = table.head(series.shape[1] - TRAIN - VALID).tail(VALID + CONTEXT)
        model.fit(train, budget=budget, valid=held_out, progress=False)
        linear = fit_linear(standard, horizon, seconds, seed)
        repeated = lambda past, k=horizon: past[:, -DAY:].repeat(1, -(-k // DAY))[:, :k]  # noqa: E731
        errors = (
            lstm_error(model, table, deviation, first, last),
            linear_error(linear, standard, first, last, horizon),
            linear_error(repeated, standard, first, last, horizon),
        )
        print(f"{horizon:11d}", *(f"{error:8.3f}" for error in errors), flush=True)


if __name__ == "__main__":
    typer.run(main)
