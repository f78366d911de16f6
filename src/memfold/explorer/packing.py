"""A language model of characters as arrays, and as the compact JSON that a page holds: int8, with a scale a row."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.cells import trace

__all__ = ["PLACEHOLDER", "CharacterModel", "NumberModel", "packed", "unpacked"]

Array = NDArray[Any]
Layer = tuple[str, Mapping[str, Array]]  # a cell's name and its weights
PLACEHOLDER = "\N{REPLACEMENT CHARACTER}"  # token 0, for every character that a model does not know
LEVELS = 127  # of int8, on either side of 0


def packed(array: Array) -> dict[str, Any]:
    """An array as a page holds it: a matrix as int8 with a float16 scale for each row, a vector as float32.

    A matrix whose rows are rounded to 8 bits costs a language model less than a thousandth of a nat and takes a quarter
    of the bytes. Vectors are few, so they stay exact.

    >>> unpacked(packed(np.array([[1.0, -0.5], [0.0, 0.0]]))).round(2)
    array([[ 1. , -0.5],
           [ 0. ,  0. ]])
    """
    if array.ndim == 1:
        return {"kind": "f32", "shape": list(array.shape), "data": _text(array.astype("<f4"))}
    scale = (np.abs(array).max(axis=1) / LEVELS).astype("<f2")
    scale[scale == 0] = np.finfo(np.float16).tiny  # a row of zeros stays one
    whole = np.rint(array / scale.astype(np.float64)[:, None]).clip(-LEVELS, LEVELS).astype(np.int8)
    scales = {"kind": "f16", "shape": list(scale.shape), "data": _text(scale)}
    return {"kind": "i8", "shape": list(array.shape), "data": _text(whole), "scale": scales}


def unpacked(part: Mapping[str, Any]) -> Array:
    """The array in float64 that `packed` wrote: what the page computes with."""
    kinds = {"f32": "<f4", "f16": "<f2", "i8": "i1"}
    stored = np.frombuffer(base64.b64decode(part["data"]), np.dtype(kinds[part["kind"]]))
    array: Array = stored.astype(np.float64).reshape(part["shape"])
    if part["kind"] == "i8":
        array *= unpacked(part["scale"])[:, None]
    return array


def _text(array: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _packed_layers(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    return [
        {
            "cell": cell,
            "hidden": int(weights["weight_hh"].shape[1]),
            "inputs": int(weights["weight_ih"].shape[1]),
            "weights": {name: packed(weight) for name, weight in weights.items()},
        }
        for cell, weights in layers
    ]


def _unpacked_layers(layers: Sequence[Mapping[str, Any]]) -> list[Layer]:
    return [(layer["cell"], {name: unpacked(weight) for name, weight in layer["weights"].items()}) for layer in layers]


def _values(x: Array, layers: Sequence[Layer]) -> list[dict[str, Array]]:
    """Every value of each layer over inputs, ``(T, I)``, in float64: ``(T, H)`` by name."""
    found = []
    for cell, weights in layers:
        traced = trace(cell, x[:, None], {name: w.astype(np.float64) for name, w in weights.items()})
        found.append({name: value[:, 0] for name, value in traced.items()})
        x = found[-1]["h"]
    return found


@dataclass(frozen=True)
class NumberModel:
    """A network that reads numbers and says the next one.

    Attributes:
        layers: a cell's name and its weights, from the bottom up, each in one direction; the first takes one number.
        output, bias: of the head, ``(1, H)`` and ``(1,)``.
        mean, deviation: what is taken away from every number, and what it is then divided by.
    """

    layers: Sequence[Layer]
    output: Array
    bias: Array
    mean: float
    deviation: float

    def values(self, numbers: Array) -> list[dict[str, Array]]:
        """Every value of each layer at each number, ``(T, H)`` by name, in float64."""
        return _values(((numbers - self.mean) / self.deviation)[:, None], self.layers)

    def expected(self, numbers: Array) -> Array:
        """The number that is expected after each one, ``(T,)``."""
        h = self.values(numbers)[-1]["h"]
        expected: Array = (h @ self.output.T + self.bias)[:, 0] * self.deviation + self.mean
        return expected

    def packed(self) -> dict[str, Any]:
        """As a page holds it."""
        scale = {"mean": self.mean, "deviation": self.deviation}
        head = {"head": packed(self.output), "headBias": packed(self.bias)}
        return {"scale": scale, "layers": _packed_layers(self.layers), **head}

    @classmethod
    def unpacked(cls, page: Mapping[str, Any]) -> "NumberModel":
        """The model that `packed` wrote, with its weights as they were rounded."""
        head = unpacked(page["head"]), unpacked(page["headBias"])
        return cls(_unpacked_layers(page["layers"]), *head, page["scale"]["mean"], page["scale"]["deviation"])


@dataclass(frozen=True)
class CharacterModel:
    """A network that reads characters and says what comes next.

    Attributes:
        characters: those that it knows, in the order of their tokens from 1 on; token 0 stands for all others.
        embedding: ``(V, E)``.
        layers: a cell's name and its weights, from the bottom up, each in one direction.
        output: ``(V, H)``, or None where the embedding is the output's matrix too.
        bias: of the output, ``(V,)``.
        projection: weight ``(E, H)`` and bias ``(E,)`` from h to features, where ``output`` is None.
    """

    characters: str
    embedding: Array
    layers: Sequence[tuple[str, Mapping[str, Array]]]
    output: Array | None
    bias: Array
    projection: tuple[Array, Array] | None = None

    @property
    def hidden_size(self) -> int:
        """Units of the last layer."""
        return int(self.layers[-1][1]["weight_hh"].shape[1])

    @property
    def parameters(self) -> int:
        """How many numbers it has."""
        arrays = [self.embedding, self.bias, *(w for _, weights in self.layers for w in weights.values())]
        arrays += [] if self.output is None else [self.output]
        return sum(array.size for array in (*arrays, *(self.projection or ())))

    def encode(self, text: str) -> NDArray[np.int64]:
        """The tokens of a text."""
        at = {character: token for token, character in enumerate(self.characters, 1)}
        return np.array([at.get(character, 0) for character in text], np.int64)

    def values(self, text: str) -> list[dict[str, Array]]:
        """Every value of each layer at each character, ``(T, H)`` by name, in float64."""
        return _values(self.embedding.astype(np.float64)[self.encode(text)], self.layers)

    def nats(self, text: str) -> float:
        """The mean of −ln p over the text's characters but the first."""
        h = self.values(text)[-1]["h"]
        if self.projection is not None:
            weight, bias = self.projection
            h = h @ weight.T + bias
        logits = h @ (self.embedding if self.output is None else self.output).T + self.bias  # (T, V)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return float(-logits[np.arange(len(text) - 1), self.encode(text)[1:]].mean())

    def packed(self) -> dict[str, Any]:
        """As a page holds it."""
        page: dict[str, Any] = {"characters": self.characters, "embedding": packed(self.embedding)}
        page["layers"] = _packed_layers(self.layers)
        page["headBias"] = packed(self.bias)
        if self.output is not None:
            page["head"] = packed(self.output)
        if self.projection is not None:
            page["projection"], page["projectionBias"] = (packed(part) for part in self.projection)
        return page

    @classmethod
    def unpacked(cls, page: Mapping[str, Any]) -> "CharacterModel":
        """The model that `packed` wrote, with its weights as they were rounded."""
        layers = _unpacked_layers(page["layers"])
        projection = None
        if "projection" in page:
            projection = unpacked(page["projection"]), unpacked(page["projectionBias"])
        output = unpacked(page["head"]) if "head" in page else None
        return cls(
            page["characters"], unpacked(page["embedding"]), layers, output, unpacked(page["headBias"]), projection
        )
