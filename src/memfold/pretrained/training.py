"""Train the bundled forecaster: ``python -m memfold.pretrained.training``, or ``make pretrain``.

Everything that it learns from is made by `memfold.pretrained.synthetic`; the same seed makes the same series.
"""

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor, nn

from memfold.pretrained.network import InstantNetwork
from memfold.pretrained.synthetic import Batch, series
from memfold.runtime.forecasting.candidates import PATCH, Scale, candidates, facts, unit
from memfold.runtime.forecasting.instant import FILE
from memfold.runtime.forecasting.size import LEVELS

STEPS = 1024  # of a series that is trained on, its future included
BATCHES = {256: 128, 512: 64, 1024: 32}  # series in a batch by their steps
OFTEN = (0.25, 0.35, 0.4)  # each of these
POOL, DRAWN, EVERY = 12_288, 512, 48  # series kept, series made at once, batches between
LEAST_SEEN = 3
LEAST_ERROR = 0.1  # deviations
MOST_AHEAD = 24  # patches
HIDDEN_SIZE, NUM_LAYERS = 256, 2
LEARNING_RATE, WARM_UP = 2e-3, 300
AVERAGED = 0.999
REPORT, SAVE = 200, 500


@dataclass(frozen=True)
class Examples:
    """A batch: series as the network reads them, and what it is judged by.

    Attributes:
        inputs: what `InstantNetwork` takes.
        target: the patch after each patch, (B, T, P).
        weight: of each of these values in the loss, (B, T, P).
    """

    inputs: tuple[Tensor, ...]
    target: Tensor
    weight: Tensor


def examples(rng: np.random.Generator, batch: Batch) -> Examples:
    """Cut series into what is seen and what is not: short ones, gaps, a future; and mirror some."""
    seasons, (count, steps) = batch.seasons, batch.values.shape
    values = batch.values.astype(np.float64)
    turned = rng.random(count) < 0.25
    values[turned] = values[turned, ::-1]
    values[rng.random(count) < 0.25] *= -1
    place = np.arange(steps)
    # How far ahead the last forecast goes, and how much is seen before it: for some hardly anything.
    ahead = PATCH * int(np.exp(rng.uniform(0, np.log(min(MOST_AHEAD, steps // PATCH // 2) + 1))))
    most = steps - ahead
    length = (batch.span * np.exp(rng.uniform(-0.7, 0.7, count))).astype(int)
    whole = np.exp(rng.uniform(np.log(LEAST_SEEN), np.log(most), count)).astype(int)
    length = np.where(batch.span < STEPS, length, np.where(rng.random(count) < 0.4, whole, most)).clip(LEAST_SEEN, most)
    begun = place >= (most - length)[:, None]
    seen = begun & (place < most)
    # Whole patches that are not seen, so that every length of horizon is practised all along the series.
    for row in np.flatnonzero(rng.random(count) < 0.5):
        for _ in range(int(rng.integers(1, 4))):
            start = PATCH * int(rng.integers(0, most // PATCH))
            stop = start + PATCH * int(np.exp(rng.uniform(0, np.log(most // PATCH / 2 + 1))))
            seen[row, start:stop] = False
    for row in np.flatnonzero(rng.random(count) < 0.15):
        seen[row] &= rng.random(steps) > rng.uniform(0.01, 0.4)
    # Something is left of every series: the last values.
    seen[:, most - LEAST_SEEN : most] |= ~seen.any(1)[:, None]
    scale = Scale.of(values, seen)
    z = scale.apply(values, seen)
    candidate = candidates(z, seen, seasons, scale.zero)
    truth = scale.apply(values, np.ones_like(seen))
    weight = _weights(truth, seen, begun, most, length)
    changes = unit(z, seen, seasons)
    weight *= (scale.deviation > 0) / (LEAST_ERROR + changes)  # errors count by how much the series changes
    same = (facts(z, seen, seasons), changes)
    inputs = (z, seen.astype(np.float32), candidate.values, candidate.known, candidate.record, *same)
    target = truth[:, PATCH:].reshape(count, -1, PATCH)
    return Examples(
        tuple(map(torch.from_numpy, inputs)),
        torch.from_numpy(target),
        torch.from_numpy(weight[:, PATCH:].reshape(count, -1, PATCH).astype(np.float32)),
    )


def _weights(
    z: NDArray[np.float32], seen: NDArray[np.bool_], begun: NDArray[np.bool_], most: int, length: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Two thirds of a series' weight on its future, one third on what it might have forecast before, (B, L)."""
    place = np.arange(z.shape[1])
    earlier = np.repeat(np.cumsum(seen, 1)[:, PATCH - 1 :: PATCH], PATCH, 1)
    before = np.zeros_like(earlier)
    before[:, PATCH:] = earlier[:, :-PATCH]
    past = begun & (place < most) & (before >= LEAST_SEEN)
    future = (place >= most) & (place < most + np.maximum(length, PATCH)[:, None])  # as far as it is seen
    number = past.sum(1, keepdims=True)
    ahead = 2 * future / future.sum(1, keepdims=True)
    result: NDArray[np.float64] = ahead + past * np.minimum(number / 64, 1) / number.clip(1)
    return result


def quantile_loss(quantiles: Tensor, example: Examples) -> Tensor:
    """The mean quantile loss of a batch."""
    levels = torch.tensor(LEVELS)
    error = example.target[..., None] - quantiles[:, :-1]
    loss = torch.maximum(levels * error, (levels - 1) * error).mean(-1)
    return (loss * example.weight).sum() / len(example.weight)


class Pool:
    """Series that batches are drawn from; the oldest give way to new ones."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng = rng
        self.values = np.zeros((size, STEPS), np.float32)
        self.seasons = np.ones((size, 2), np.int64)
        self.span = np.ones(size, np.int64)
        self.filled = 0
        for _ in range(4):
            self.draw()

    def draw(self) -> None:
        """Make some new series."""
        new = series(self.rng, DRAWN, STEPS)
        at = np.arange(self.filled, self.filled + DRAWN) % len(self.values)
        self.values[at], self.seasons[at], self.span[at] = new.values, new.seasons, new.span
        self.filled += DRAWN

    def examples(self) -> Examples:
        """A batch."""
        steps = int(self.rng.choice(list(BATCHES), p=OFTEN))
        picked = self.rng.integers(0, min(self.filled, len(self.values)), BATCHES[steps])
        latest = self.values[picked, STEPS - steps :]
        return examples(self.rng, Batch(latest, self.seasons[picked], self.span[picked]))


def main(
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint, the log and the weights.")],
    seed: Annotated[int, typer.Option(help="Of the weights and of the series.")] = 0,
    steps: Annotated[int, typer.Option(help="Batches.")] = 14_000,
    stop_after: Annotated[float, typer.Option(help="Stop after so many minutes; the same command goes on.")] = math.inf,
) -> None:
    """Train the bundled forecaster; the folder then holds its weights as float16."""
    begun = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    network = InstantNetwork(HIDDEN_SIZE, NUM_LAYERS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2, fused=True)
    averaged = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    done, spent = 0, 0.0
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        averaged, done, spent = kept["averaged"], kept["done"], kept["spent"]
    # What is drawn depends on the seed and on where it goes on.
    pool = Pool(np.random.default_rng([seed, done]), POOL)
    losses: list[float] = []
    with (out / "log.jsonl").open("a") as log:
        while done < steps and time.monotonic() - begun < 60 * stop_after:
            if done % EVERY == 0:
                pool.draw()
            rate = (
                LEARNING_RATE
                * min(1, (done + 1) / WARM_UP)
                * (0.01 + 0.99 * (1 + math.cos(math.pi * done / steps)) / 2)
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            example = pool.examples()
            loss = quantile_loss(network(*example.inputs), example)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            done += 1
            losses.append(loss.item())
            keep = min(AVERAGED, done / (done + 50))
            with torch.no_grad():
                for name, tensor in network.state_dict().items():
                    averaged[name].lerp_(tensor, 1 - keep)
            if done % REPORT == 0 or done == steps:
                minutes = (spent + time.monotonic() - begun) / 60
                row = {"step": done, "minutes": round(minutes, 1), "loss": round(float(np.mean(losses)), 5)}
                losses.clear()
                print(json.dumps(row), file=log, flush=True)
                print(json.dumps(row), flush=True)
            if done % SAVE == 0:
                _save(checkpoint, network, optimizer, averaged, done, spent + time.monotonic() - begun)
    _save(checkpoint, network, optimizer, averaged, done, spent + time.monotonic() - begun)
    if done >= steps:
        save_file({name: tensor.numpy().astype(np.float16) for name, tensor in averaged.items()}, out / FILE)


def _save(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    averaged: dict[str, Tensor],
    done: int,
    spent: float,
) -> None:
    content = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "averaged": averaged,
        "done": done,
        "spent": spent,
    }
    torch.save(content, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


if __name__ == "__main__":
    typer.run(main)
