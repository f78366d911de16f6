"""A language model from tokens to logits: what writes and scores asks it, whoever computes it."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.recipe import Run
from memfold.runtime.writing.vocabulary import Tokens
from memfold.stream import Stream

__all__ = ["EngineReader", "PartNetwork", "PartReader", "Reader", "TokenNetwork"]

Array = NDArray[np.float32]


class Reader(Protocol):
    """A language model that reads a token at a time."""

    def reset(self) -> None:
        """Forget all that was read."""

    def step(self, token: int) -> Array:
        """The logits ``(V,)`` of what follows a token and those before it."""


class TokenNetwork(Protocol):
    """A language model."""

    def logits(self, tokens: Tokens, state: Any = None) -> tuple[Array, Any]:
        """The logits ``(T, B, V)`` of what follows each of the tokens ``(T, B)``, and the state after them.

        Args:
            state: that an earlier call gave; zeros when None.
        """

    def reader(self) -> Reader:
        """The same a token at a time."""


class EngineReader:
    """A reader by the engine.

    Args:
        stream: takes an embedding ``(E,)`` and gives logits ``(V,)``.
        embedding: ``(V, E)``.
    """

    def __init__(self, stream: Stream, embedding: Array) -> None:
        self.stream, self.embedding = stream, embedding

    def reset(self) -> None:
        """Forget all that was read."""
        self.stream.reset()

    def step(self, token: int) -> Array:
        """The logits ``(V,)`` of what follows a token and those before it."""
        return self.stream.step(self.embedding[token])


class PartNetwork:
    """A language model that an exported part computes.

    Args:
        run: takes ``tokens (T, B)`` and the state of all layers, ``h`` and ``c (L, B, H)``; gives ``logits (T, B, V)``
            and the state after them, ``h_next`` and ``c_next``.
        layers: L.
        hidden_size: H.
    """

    def __init__(self, run: Run, layers: int, hidden_size: int) -> None:
        self.run, self.layers, self.hidden_size = run, layers, hidden_size

    def logits(self, tokens: Tokens, state: Any = None) -> tuple[Array, Any]:
        """As `TokenNetwork.logits`."""
        zeros = np.zeros((self.layers, tokens.shape[1], self.hidden_size), np.float32)
        h, c = (zeros, zeros) if state is None else state
        outputs = self.run(tokens=np.ascontiguousarray(tokens), h=h, c=c)
        return outputs["logits"], (outputs["h_next"], outputs["c_next"])

    def reader(self) -> "PartReader":
        """The same a token at a time."""
        return PartReader(self)


class PartReader:
    """A reader by an exported part."""

    def __init__(self, network: PartNetwork) -> None:
        self.network = network
        self.state: Any = None

    def reset(self) -> None:
        """Forget all that was read."""
        self.state = None

    def step(self, token: int) -> Array:
        """The logits ``(V,)`` of what follows a token and those before it."""
        logits, self.state = self.network.logits(np.array([[token]]), self.state)
        last: Array = logits[0, 0]
        return last
