"""Hearing step by step, without torch: what a front end and the layers above do, while a recording still comes in."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from memfold.engine import get_num_threads, set_num_threads
from memfold.runtime.hearing.level import RunningLevel
from memfold.stream import Layer, Stream

__all__ = ["FrontStream", "LevelledStream", "Listener", "StackedStream", "stream_cost"]

KERNEL, STRIDE = 5, 2
SIDE = KERNEL // 2  # inputs that an output looks at to either side of its own

EPSILON = 1e-5  # of the variance, as torch has it

Array = NDArray[np.float32]


class Features(Protocol):
    """A front end that takes one frame after another."""

    def step(self, frame: Array) -> Array | None:
        """The features ``(C,)`` that a frame ``(M,)`` completes, if it does."""

    def finish(self) -> list[Array]:
        """The features that only the end completes."""


class Listener:
    """Log-mel frames in, the outputs of a network's head out.

    Args:
        front: the front end.
        layers: of the recurrent layers above, from the bottom up.
        head: ``weight (O, H)`` and ``bias (O)`` of the linear layer on top.
    """

    moves: ClassVar[tuple[str, ...]] = ("front", "stream")

    def __init__(self, front: Features, layers: Sequence[Layer], head: Mapping[str, Array]) -> None:
        self.front = front
        self.stream = Stream(layers, head)

    def step(self, frame: Array) -> Array | None:
        """The outputs ``(O)`` that a frame ``(M)`` completes, if it does; the next step overwrites them."""
        features = self.front.step(frame)
        return None if features is None else self.stream.step(features)

    def finish(self) -> list[Array]:
        """The outputs that only the recording's end completes."""
        return [self.stream.step(features).copy() for features in self.front.finish()]


class LevelledStream:
    """A front end whose frames are taken relative to the level of speech so far."""

    moves: ClassVar[tuple[str, ...]] = ("front", "level")

    def __init__(self, front: Features) -> None:
        self.front, self.level = front, RunningLevel()

    def step(self, frame: Array) -> Array | None:
        """The features that a frame ``(M,)`` completes, if it does."""
        return self.front.step(self.level.step(frame))

    def finish(self) -> list[Array]:
        """The features that only the end completes."""
        return self.front.finish()


class StackedStream:
    """`Stacked` for one recording that is still coming in.

    Args:
        mean, scale: of its bands, (M,).
        frames: K.
    """

    moves: ClassVar[tuple[str, ...]] = ("held", "count")

    def __init__(self, mean: Array, scale: Array, frames: int) -> None:
        self.mean, self.scale = mean, scale
        self.held = np.zeros((frames, len(mean)), np.float32)
        self.count = 0

    def step(self, frame: Array) -> Array | None:
        """The features ``(K*M,)`` that a frame ``(M,)`` completes, if it does; the next step overwrites them."""
        self.held[self.count] = (frame - self.mean) * self.scale
        self.count = (self.count + 1) % len(self.held)
        return None if self.count else self.held.reshape(-1)

    def finish(self) -> list[Array]:
        """The features that only the end completes."""
        if not self.count:
            return []
        self.held[self.count :] = 0
        return [self.held.reshape(-1)]


class FrontStream:
    """`Front` for one recording that is still coming in, without torch.

    Args:
        weights: those of a `Front`.
    """

    moves: ClassVar[tuple[str, ...]] = ("convolutions",)

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self.mean, self.scale = weights["mean"], weights["scale"]
        count = sum(name.startswith("convolutions.") for name in weights) // 2
        self.convolutions = [
            _ConvolutionStream(weights[f"convolutions.{k}.weight"], weights[f"convolutions.{k}.bias"])
            for k in range(count)
        ]
        self.gain, self.bias = weights["norm.weight"], weights["norm.bias"]

    def step(self, frame: Array) -> Array | None:
        """The features ``(C,)`` that a frame ``(M,)`` completes, if it does."""
        return self._pass_on(0, (frame - self.mean) * self.scale)

    def finish(self) -> list[Array]:
        """The features that only the end completes."""
        features = []
        for k, convolution in enumerate(self.convolutions):
            for x in convolution.finish():
                if (y := self._pass_on(k + 1, x)) is not None:
                    features.append(y)
        return features

    def _pass_on(self, first: int, x: Array) -> Array | None:
        y: Array | None = x
        for convolution in self.convolutions[first:]:
            if y is None:
                return None
            y = convolution.step(y)
        return None if y is None else self._normalised(y)

    def _normalised(self, y: Array) -> Array:
        centred = y - y.mean()
        scaled: Array = centred / np.sqrt(np.square(centred).mean() + EPSILON) * self.gain + self.bias
        return scaled


class _ConvolutionStream:
    moves: ClassVar[tuple[str, ...]] = ("held",)

    def __init__(self, weight: Array, bias: Array) -> None:
        channels, inputs, kernel = weight.shape
        self.matrix = np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(kernel * inputs, channels))
        self.bias = bias
        self.held = deque(np.zeros((SIDE, inputs), np.float32))

    def step(self, x: Array) -> Array | None:
        self.held.append(x)
        return self._output() if len(self.held) == KERNEL else None

    def finish(self) -> list[Array]:
        inputs = len(self.matrix) // KERNEL
        outputs = [self.step(np.zeros(inputs, np.float32)) for _ in range(SIDE)]
        return [y for y in outputs if y is not None]

    def _output(self) -> Array:
        y: Array = np.maximum(np.concatenate(self.held) @ self.matrix + self.bias, 0.0)
        for _ in range(STRIDE):
            self.held.popleft()
        return y


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
