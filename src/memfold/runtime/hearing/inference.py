"""What a network of commands makes of recordings, whole ones and those that still come in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from memfold.data.features import SHIFT
from memfold.engine import fold, pack
from memfold.runtime.hearing.live import EPSILON, KERNEL, SIDE, STRIDE, Convolved, Listeners
from memfold.runtime.hearing.spotting import log_ratios, smoothed
from memfold.runtime.hearing.warp import warped
from memfold.runtime.weights import Weights

__all__ = ["CepstralModel", "CommandModel", "Hearing", "between_quiet", "log_softmax_of"]

AROUND = 0.5  # seconds of quiet before and after a recording that is looked for as in a stream
WARPS = (0.9, 0.95, 1.0, 1.05, 1.1)  # of the frequencies: accuracy on unheard speakers rose by 0.6 to 2 points

Array = NDArray[np.float32]
Frames = Sequence[NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class Hearing:
    """What a network makes of recordings.

    Attributes:
        log_p: of every command, (S, K).
        none: the probability of other sound, (S,).
    """

    log_p: NDArray[np.float64]
    none: NDArray[np.float64]


class CommandModel:
    """Convolutions, LSTM layers that only look back, and a linear layer at every step.

    Args:
        weights: those of a `memfold.tasks.command.network.CommandNetwork`.
        commands: K; one more logit is of no command.
    """

    def __init__(
        self, weights: Weights, bins: int, channels: int, convolutions: int, hidden: int, layers: int, commands: int
    ) -> None:
        front = {name: weights.take(f"front.{name}", (bins,)) for name in ("mean", "scale")}
        for k in range(convolutions):
            shape = (channels, channels if k else bins, KERNEL)
            front[f"convolutions.{k}.weight"] = weights.take(f"front.convolutions.{k}.weight", shape)
            front[f"convolutions.{k}.bias"] = weights.take(f"front.convolutions.{k}.bias", (channels,))
        front |= {f"norm.{name}": weights.take(f"front.norm.{name}", (channels,)) for name in ("weight", "bias")}
        self.front, self.convolutions = front, convolutions
        self.layers = weights.recurrent("lstm", "lstm", channels, hidden, gates=4, layers=layers)
        self.packed = [pack(layer.cell, layer.weights) for layer in self.layers]
        self.head = weights.linear("out", hidden, commands + 1)

    def listeners(self, most: int = 1) -> Listeners:
        """The network as sound comes, for so many recordings at a time."""
        return Listeners(Convolved(self.front), self.layers, self.head, most)

    def logits(self, frames: NDArray[np.floating[Any]]) -> Array:
        """Of a recording's frames ``(T, M)``, ``(T', K + 1)``: each by itself, so that others do not matter."""
        x = (np.asarray(frames, np.float32) - self.front["mean"]) * self.front["scale"]
        for k in range(self.convolutions):
            x = _convolved(x, self.front[f"convolutions.{k}.weight"], self.front[f"convolutions.{k}.bias"])
        centred = x - x.mean(1, keepdims=True)
        x = centred / np.sqrt(np.square(centred).mean(1, keepdims=True) + np.float32(EPSILON))
        y = (x * self.front["norm.weight"] + self.front["norm.bias"])[:, None]  # (T', 1, C)
        for packed in self.packed:
            y = fold(packed.cell, y, packed)[0]
        logits: Array = y[:, 0] @ self.head["weight"].T + self.head["bias"]
        return logits

    def heard(self, rows: Frames) -> Hearing:
        """What the network makes of whole recordings, averaged over voices of other vocal tracts.

        A step's posterior counts as much as a command is found in it: they are added up over the steps and scaled to 1.
        Other sound has what the likeliest step leaves.
        """
        log_ps, none = [], []
        for row in rows:
            frames = np.asarray(row, np.float32)
            voices = [self.logits(warped(frames, factor)) for factor in WARPS]
            steps = [log_softmax_of(np.asarray(logits, np.float64)) for logits in voices]
            log_ps.append(np.mean([_pooled(each) for each in steps], 0))
            none.append(np.mean([np.exp(each[:, -1]).min() for each in steps]))
        return Hearing(log_softmax_of(np.array(log_ps, np.float64)), np.array(none, np.float64))

    def smoothed(self, rows: Frames, window: int) -> list[Array]:
        """Of every recording, the commands' log ratios averaged over the last ``window`` steps, (T', K)."""
        return [smoothed(log_ratios(self.logits(row)), window) for row in rows]


class CepstralModel:
    """Logistic regression on a recording's statistics of its cepstra, as `CepstralRegression` fits it.

    Args:
        mean, scale: of the statistics, (Q,).
        weight, bias: ``(K, Q)`` and ``(K,)``.
    """

    def __init__(self, mean: Array, scale: Array, weight: Array, bias: Array) -> None:
        self.mean, self.scale, self.weight, self.bias = mean, scale, weight, bias

    @classmethod
    def taken(cls, weights: Weights, prefix: str, statistics: int, commands: int) -> "CepstralModel":
        """The model that a network keeps in its buffers."""
        shapes = {"mean": (statistics,), "scale": (statistics,), "weight": (commands, statistics), "bias": (commands,)}
        return cls(*(weights.take(f"{prefix}.{name}", shape) for name, shape in shapes.items()))

    def log_probabilities(self, statistics: Array) -> NDArray[np.float64]:
        """Of every command for every recording's statistics ``(S, Q)``, (S, K)."""
        standardised = ((statistics - self.mean) * self.scale).astype(np.float64)
        scores = np.stack([self.weight.astype(np.float64) @ row for row in standardised]) + self.bias
        return log_softmax_of(scores)


def between_quiet(rows: Sequence[NDArray[np.float16]]) -> list[NDArray[np.float16]]:
    """Recordings' frames as a stream would have them, with their own quiet before and after."""
    count = round(AROUND / SHIFT)
    quiet = [np.tile(np.quantile(row, 0.05, 0).astype(np.float16), (count, 1)) for row in rows]
    return [np.concatenate([around, row, around]) for around, row in zip(quiet, rows, strict=True)]


def log_softmax_of(x: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Over the last axis."""
    shifted = x - x.max(-1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


def _pooled(log_p: NDArray[np.float64]) -> NDArray[np.float64]:
    """A recording's log-probabilities of the commands ``(K,)`` from those of its steps, ``(T', K + 1)``."""
    commands = log_p[:, :-1]
    most = commands.max(0)
    return log_softmax_of(most + np.log(np.exp(commands - most).sum(0)))


def _convolved(x: Array, weight: Array, bias: Array) -> Array:
    """A strided convolution ``(ceil(T / 2), C)`` over ``(T, I)`` with a ReLU, by a ``weight (C, I, KERNEL)``."""
    padded = np.pad(x, ((SIDE, SIDE), (0, 0)))
    windows = sliding_window_view(padded, KERNEL, axis=0)[::STRIDE]  # (T', I, KERNEL)
    flat = np.ascontiguousarray(windows).reshape(len(windows), -1)
    result: Array = np.maximum(flat @ weight.reshape(len(weight), -1).T + bias, 0.0)
    return result
