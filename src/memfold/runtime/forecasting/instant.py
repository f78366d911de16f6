"""The bundled forecaster in NumPy and the engine: series in, quantiles of what follows out, without a fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays

from memfold.engine import fold, pack
from memfold.runtime.forecasting.candidates import (
    CANDIDATES,
    FACTS,
    PATCH,
    READ,
    Candidates,
    Scale,
    candidates,
    facts,
    unit,
)
from memfold.runtime.forecasting.demand import whole_counts
from memfold.runtime.forecasting.size import LEVELS
from memfold.runtime.weights import Weights

__all__ = ["CONTEXTS", "FILE", "InstantForecaster"]

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
CONTEXTS = (128, 256, 512, 1024)  # steps that are read: the least that hold a series, so that no other one matters
VALUES_AT_ONCE = 1 << 17  # that are read, and forecast, together
FILE = "instant.safetensors"
MIDDLE = len(LEVELS) // 2
# Few values without a season say little: the forecast goes so far towards that by a damped trend, which is hard to beat
# there (Makridakis & Hibon 2000). Chosen on the development part.
FEW, STEADIED = 256, 0.6
# A series of so few values is read twice, all of it and its later half, and the answers' mean is given: over many years
# a trend dwarfs what the last ones do. A half is not less than so many seasons and values. Chosen there too.
LEAST_CYCLES, LEAST_HALF = 4, 16


@dataclass(frozen=True)
class InstantForecaster:
    """One LSTM that was trained on synthetic series, and forecasts any other.

    Args:
        weights: those that `memfold.pretrained.training` makes, as float16 or float32.

    >>> model = InstantForecaster.bundled()
    >>> quantiles = model.quantiles([np.tile([1.0, 5.0, 3.0, 2.0], 12)], horizon=4, seasons=[(4, 1)])
    >>> quantiles.shape, quantiles[0, :, 4].round().tolist()
    ((1, 4, 9), [1.0, 5.0, 3.0, 2.0])
    """

    read: list[dict[str, Floats]]
    layers: list[Any]
    norms: list[dict[str, Floats]]
    head: list[dict[str, Floats]]
    added: dict[str, Floats]
    weights: dict[str, Floats]

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """The forecaster with these weights, named as torch names them."""
        taken = Weights({name: array.astype(np.float32) for name, array in arrays.items()}, FILE)
        hidden = arrays["read.0.bias"].shape[0]
        number = sum(name.startswith("norms.") for name in arrays) // 2
        read = [taken.linear("read.0", READ, hidden), taken.linear("read.2", hidden, hidden)]
        layers = [taken.recurrent(f"layers.{k}", "lstm", hidden, hidden, gates=4)[0] for k in range(number)]
        norms = [_norm(taken, f"norms.{k}", hidden) for k in range(number)]
        head = [_norm(taken, "head.0", hidden), taken.linear("head.1", hidden, hidden)]
        added = taken.linear("added", hidden, PATCH * len(LEVELS))
        weights = taken.linear("weights", hidden, PATCH * CANDIDATES)
        taken.finish()
        return cls(read, [pack(layer.cell, layer.weights) for layer in layers], norms, head, added, weights)

    @staticmethod
    @cache
    def bundled() -> "InstantForecaster":
        """The one that comes with the package."""
        return InstantForecaster.of(load_arrays(files("memfold.pretrained").joinpath(FILE).read_bytes()))

    def quantiles(self, series: Sequence[Array], horizon: int, seasons: Sequence[tuple[int, int]]) -> Array:
        """What follows each series, (N, K, Q), by `LEVELS`.

        In other units it is the same, times the factor. Where 0 lies matters to series above it, whose seasons may be
        multiplied.

        Args:
            series: values, NaN where one is missing; of each at least one that is not.
            horizon: K.
            seasons: of each series a short and a long one in steps, 1 where there is none.
        """
        result = self._read(series, horizon, seasons)
        halves = {k: _later_half(y, seasons[k][0]) for k, y in enumerate(series)}
        halved = [k for k, half in halves.items() if len(half) < len(series[k])]
        if halved:
            again = self._read([halves[k] for k in halved], horizon, [seasons[k] for k in halved])
            result[halved] = (result[halved] + again) / 2
        return result

    def _read(self, series: Sequence[Array], horizon: int, seasons: Sequence[tuple[int, int]]) -> Array:
        """What follows each series after one reading, (N, K, Q)."""
        result = np.empty((len(series), horizon, len(LEVELS)))
        ahead = -(-horizon // PATCH) * PATCH
        contexts = [next((context for context in CONTEXTS if len(y) <= context), CONTEXTS[-1]) for y in series]
        for context in sorted(set(contexts)):
            fitting = [k for k, its in enumerate(contexts) if its == context]
            rows = max(VALUES_AT_ONCE // (context + ahead), 1)
            for start in range(0, len(fitting), rows):
                some = fitting[start : start + rows]
                block = self._block([series[k] for k in some], context, ahead, np.array([seasons[k] for k in some]))
                result[some] = block[:, :horizon]
        return result

    def of_histories(self, history: Array, horizon: int, seasons: tuple[int, int]) -> Array:
        """What follows histories of the same seasons, (B, K, Q).

        Args:
            history: rows that end at the origin, NaN before a series began, (B, T).
        """
        begun = np.isfinite(history).argmax(1)
        return self.quantiles(
            [row[start:] for row, start in zip(history, begun, strict=True)], horizon, [seasons] * len(history)
        )

    def _block(self, series: Sequence[Array], context: int, ahead: int, seasons: Integers) -> Array:
        """Of series that are read with the same context, (N, ahead, Q)."""
        values = np.full((len(series), context + ahead), np.nan)
        for row, y in enumerate(series):
            last = y[-context:]
            values[row, context - len(last) : context] = last
        seen = np.isfinite(values)
        counts = whole_counts(values[:, :context])
        # Squares of what is near the largest number that there is would not be numbers.
        largest = np.abs(np.where(seen, values, 0.0)).max(1, keepdims=True)
        largest = np.where(largest > 0, largest, 1.0)
        values = np.where(seen, values, 0.0) / largest
        scale = Scale.of(values, seen)
        z = scale.apply(values, seen)
        its, first = candidates(z, seen, seasons, scale.zero), context // PATCH - 1
        quantiles = self._network(z, seen, seasons, its, first)
        if context <= FEW:
            quantiles += np.where(
                seasons[:, :1] > 1, 0.0, STEADIED * (its.damped[:, first * PATCH : -PATCH] - quantiles[..., MIDDLE])
            )[..., None]
        ordered = np.sort(scale.undo(quantiles), -1)  # rearranged where they cross (Chernozhukov et al. 2010)
        ordered = np.where(counts[:, None, None], np.maximum(ordered, 0.0), ordered)
        return ordered * largest[..., None]

    def _network(self, z: Floats, seen: NDArray[np.bool_], seasons: Integers, its: Candidates, first: int) -> Array:
        """The quantiles of the patches after the patch ``first``, (N, steps, Q)."""
        count = len(z)
        read = np.concatenate([z[:, None], seen[:, None], its.values[:, :-1], its.known], 1, dtype=np.float32)
        cut = read.reshape(count, read.shape[1], -1, PATCH).transpose(2, 0, 1, 3)  # (T, N, R, P)
        patches = cut.reshape(*cut.shape[:2], -1)
        same = np.broadcast_to(facts(z, seen, seasons), (*patches.shape[:2], FACTS))
        h = np.concatenate([patches, its.record.transpose(2, 0, 1), same], -1)
        h = _linear(_silu(_linear(h, self.read[0])), self.read[1])
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = h + fold(layer.cell, _normed(h, norm), layer)[0]
        h = _silu(_linear(_normed(h[first:-1], self.head[0]), self.head[1]))  # (A, N, H)
        ahead = len(h)
        share = _linear(h, self.weights).reshape(ahead, count, PATCH, CANDIDATES)
        share = np.exp(share - share.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        each = its.values.reshape(count, CANDIDATES, -1, PATCH)[:, :, first:-1].transpose(2, 0, 3, 1)  # (A, N, P, C)
        quantiles = _linear(h, self.added).reshape(ahead, count, PATCH, len(LEVELS)) * unit(z, seen, seasons)[..., None]
        quantiles = quantiles + (share * each).sum(-1, keepdims=True)
        result: Array = quantiles.transpose(1, 0, 2, 3).reshape(count, -1, len(LEVELS)).astype(np.float64)
        return result


def _later_half(y: Array, season: int) -> Array:
    """The part of a series of few values that is read once more; all of it where that is too little."""
    steps = max(len(y) // 2, LEAST_CYCLES * season, LEAST_HALF)
    return y[-steps:] if len(y) <= FEW and np.isfinite(y[-steps:]).any() else y


def _norm(weights: Weights, prefix: str, size: int) -> dict[str, Floats]:
    return {name: weights.take(f"{prefix}.{name}", (size,)) for name in ("weight", "bias")}


def _linear(x: Floats, layer: dict[str, Floats]) -> Floats:
    flat = x.reshape(-1, x.shape[-1]) @ layer["weight"].T
    flat += layer["bias"]
    return flat.reshape(*x.shape[:-1], -1)


def _normed(x: Floats, layer: dict[str, Floats]) -> Floats:
    """Layer normalisation (Ba et al. 2016), with torch's epsilon."""
    away = x - x.mean(-1, keepdims=True)
    variance = (away**2).mean(-1, keepdims=True)
    result: Floats = away / np.sqrt(variance + np.float32(1e-5)) * layer["weight"] + layer["bias"]
    return result


def _silu(x: Floats) -> Floats:
    with np.errstate(over="ignore"):
        result: Floats = x / (1 + np.exp(-x))
    return result
