"""Hearing as sound comes, without torch: what front ends and the layers above do with some more frames.

Everything here takes many recordings at once. What it computes of one has the same bits whichever others are heard
beside it, and however its frames are divided: products are the engine's, everything else goes row by row.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from memfold.data.features import windows_of
from memfold.engine import Product, get_num_threads, set_num_threads
from memfold.runtime.hearing.level import RunningLevel
from memfold.stream import Layer, Row, Stream

__all__ = ["Convolved", "Front", "Levelled", "Listener", "Listeners", "Stacked", "parts_of", "stream_cost"]

KERNEL, STRIDE = 5, 2
SIDE = KERNEL // 2  # inputs that an output looks at to either side of its own

EPSILON = 1e-5  # of the variance, as torch has it

Array = NDArray[np.float32]
Counts = NDArray[np.int64]


class Front(Protocol):
    """A front end for any number of recordings, of each of which it holds something."""

    def begin(self) -> Any:
        """What it holds of a recording of which nothing has been heard, with ``moves``."""

    def push(self, held: Sequence[Any], frames: Sequence[Array]) -> list[Array]:
        """Of every recording the features ``(T', C)`` that some more frames ``(T, M)`` complete."""

    def finish(self, held: Any) -> Array:
        """The features ``(T', C)`` that only the recording's end completes."""


class Listener:
    """One recording in a row of `Listeners`: log-mel frames in, the outputs of a network's head out."""

    moves: ClassVar[tuple[str, ...]] = ("held", "row")

    def __init__(self, listeners: "Listeners", row: Row) -> None:
        self.listeners, self.row = listeners, row
        self.held = listeners.front.begin()

    def push(self, frames: Array) -> Array:
        """The outputs ``(T', O)`` that some more frames ``(T, M)`` complete."""
        return self.listeners.push([self], [frames])[0]

    def finish(self) -> Array:
        """The outputs ``(T', O)`` that only the recording's end completes."""
        return self.listeners.stepped([self], [self.listeners.front.finish(self.held)])[0]


class Listeners:
    """A network that hears many recordings at once.

    Args:
        front: the front end.
        layers: of the recurrent layers above, from the bottom up.
        head: ``weight (O, H)`` and ``bias (O)`` of the linear layer on top.
        most: recordings at a time.
    """

    def __init__(self, front: Front, layers: Sequence[Layer], head: Mapping[str, Array], most: int = 1) -> None:
        self.front = front
        self.stream = Stream(layers, head, streams=most)

    def open(self, row: int = 0) -> Listener:
        """A recording of which nothing has been heard, in a row that no other has."""
        self.stream.reset([row])
        return Listener(self, Row(self.stream, row))

    def push(self, listeners: Sequence[Listener], frames: Sequence[Array]) -> list[Array]:
        """Of some recordings, each once, the outputs ``(T', O)`` that some more frames ``(T, M)`` complete."""
        return self.stepped(listeners, self.front.push([listener.held for listener in listeners], frames))

    def stepped(self, listeners: Sequence[Listener], features: Sequence[Array]) -> list[Array]:
        """The outputs ``(T', O)`` of features ``(T', C)``; recordings that have some go together step by step."""
        counts = np.array([len(rows) for rows in features])
        ends = np.cumsum(counts)
        x, outputs = np.concatenate(features), np.empty((int(ends[-1]), self.stream.output_size), np.float32)
        if self.stream.streams == 1:
            for t, step in enumerate(x):
                outputs[t] = self.stream.step(step)
            return [outputs]
        order = np.argsort(-counts, kind="stable")
        rows, firsts = np.array([listeners[i].row.row for i in order]), (ends - counts)[order]
        for t in range(int(counts.max())):
            ready = firsts[: np.searchsorted(-counts[order], -t)] + t
            outputs[ready] = self.stream.step_rows(rows[: len(ready)], x[ready])
        return parts_of(outputs, counts)


class HeldRows:
    """The last rows ``(n, C)`` that came, which later ones are taken together with.

    Args:
        rows: before the first.
        most: of them that are ever held.
    """

    moves: ClassVar[tuple[str, ...]] = ("as_list",)

    def __init__(self, rows: Array, most: int) -> None:
        self.rows, self.most = rows, most

    @property
    def as_list(self) -> list[Array]:
        """The rows, for a state."""
        return list(self.rows)

    @as_list.setter
    def as_list(self, rows: list[Array]) -> None:
        if len(rows) > self.most:
            raise ValueError(f"{len(rows)} rows are held, {self.most} at most")
        if any(row.dtype != np.float32 for row in rows):
            raise ValueError("rows are not float32")
        self.rows = np.array(rows, np.float32).reshape(len(rows), self.rows.shape[1])


def joined(held: Sequence[HeldRows], blocks: Sequence[Array], length: int, shift: int) -> tuple[Array, Counts]:
    """Whatever some more rows of each complete of windows ``(T', length * C)`` that begin ``shift`` rows apart, and how
    many are of each."""
    rows = [np.concatenate([one.rows, block]) for one, block in zip(held, blocks, strict=True)]
    windows, counts = windows_of(rows, length, shift)
    for one, some, count in zip(held, rows, counts.tolist(), strict=True):
        one.rows = some[count * shift :]
    return windows.reshape(len(windows), length * rows[0].shape[1]), counts


class Stacked:
    """`memfold.tasks.speech.front.Stacked` as sound comes: frames by K.

    Args:
        mean, scale: of its bands, (M,).
        frames: K.
    """

    def __init__(self, mean: Array, scale: Array, frames: int) -> None:
        self.mean, self.scale, self.frames = mean, scale, frames

    def begin(self) -> HeldRows:
        return HeldRows(np.zeros((0, len(self.mean)), np.float32), self.frames - 1)

    def push(self, held: Sequence[HeldRows], frames: Sequence[Array]) -> list[Array]:
        blocks = [(block - self.mean) * self.scale for block in frames]
        return parts_of(*joined(held, blocks, self.frames, self.frames))

    def finish(self, held: HeldRows) -> Array:
        lacking = -len(held.rows) % self.frames
        return joined([held], [np.zeros((lacking, len(self.mean)), np.float32)], self.frames, self.frames)[0]


class Convolved:
    """`memfold.tasks.speech.front.Front` as sound comes: convolutions that each halve the number of steps.

    Args:
        weights: those of a `Front`.
    """

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self.mean, self.scale = weights["mean"], weights["scale"]
        count = sum(name.startswith("convolutions.") for name in weights) // 2
        self.convolutions = [
            _product(weights[f"convolutions.{k}.weight"], weights[f"convolutions.{k}.bias"]) for k in range(count)
        ]
        self.gain, self.bias = weights["norm.weight"], weights["norm.bias"]

    def begin(self) -> "HeldInputs":
        return HeldInputs(
            [HeldRows(np.zeros((SIDE, c.input_size // KERNEL), np.float32), KERNEL - 1) for c in self.convolutions]
        )

    def push(self, held: Sequence["HeldInputs"], frames: Sequence[Array]) -> list[Array]:
        blocks = [(block - self.mean) * self.scale for block in frames]
        for k in range(len(self.convolutions)):
            blocks = self._convolved(k, held, blocks)
        return self._normalised(blocks)

    def finish(self, held: "HeldInputs") -> Array:
        block = np.zeros((0, len(self.mean)), np.float32)
        for k in range(len(self.convolutions)):
            after = np.zeros((SIDE, block.shape[1]), np.float32)
            (block,) = self._convolved(k, [held], [np.concatenate([block, after])])
        return self._normalised([block])[0]

    def _convolved(self, k: int, held: Sequence["HeldInputs"], blocks: Sequence[Array]) -> list[Array]:
        windows, counts = joined([one.inputs[k] for one in held], blocks, KERNEL, STRIDE)
        return parts_of(np.maximum(self.convolutions[k](windows), 0.0), counts)

    def _normalised(self, blocks: Sequence[Array]) -> list[Array]:
        y = np.concatenate(blocks)
        centred = y - y.mean(1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(1, keepdims=True) + np.float32(EPSILON))
        return parts_of(scaled * self.gain + self.bias, [len(block) for block in blocks])


class HeldInputs:
    """The last inputs of every convolution."""

    moves: ClassVar[tuple[str, ...]] = ("inputs",)

    def __init__(self, inputs: list[HeldRows]) -> None:
        self.inputs = inputs


class Levelled:
    """A front end whose frames are taken relative to the level of speech so far."""

    def __init__(self, front: Front) -> None:
        self.front = front

    def begin(self) -> "HeldLevel":
        return HeldLevel(self.front.begin())

    def push(self, held: Sequence["HeldLevel"], frames: Sequence[Array]) -> list[Array]:
        levelled = [one.level.push(block) for one, block in zip(held, frames, strict=True)]
        return self.front.push([one.below for one in held], levelled)

    def finish(self, held: "HeldLevel") -> Array:
        return self.front.finish(held.below)


class HeldLevel:
    """The level so far, and what the front end below holds."""

    moves: ClassVar[tuple[str, ...]] = ("below", "level")

    def __init__(self, below: Any) -> None:
        self.below, self.level = below, RunningLevel()


def _product(weight: Array, bias: Array) -> Product:
    """A convolution ``(channels, inputs, kernel)`` as a product with the rows of a window."""
    channels, inputs, kernel = weight.shape
    return Product(weight.transpose(0, 2, 1).reshape(channels, kernel * inputs), bias)


def parts_of(rows: Array, counts: Sequence[int] | Counts) -> list[Array]:
    """Rows in parts of so many."""
    ends = list(accumulate(counts))
    return [rows[end - count : end] for end, count in zip(ends, counts, strict=True)]


def stream_cost(run: Callable[[], object], frames: int) -> float:
    """Microseconds of one core for each of so many frames, the better of two runs."""
    threads = get_num_threads()
    set_num_threads(1)
    try:
        times = []
        for _ in range(2):
            begun = time.perf_counter()
            run()
            times.append(time.perf_counter() - begun)
    finally:
        set_num_threads(threads)
    return 1e6 * min(times) / max(frames, 1)
