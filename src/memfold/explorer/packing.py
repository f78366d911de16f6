"""A language model of characters as arrays, and as the compact JSON that a page holds: int8, with a scale a row."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.cells import trace

__all__ = [
    "PLACEHOLDER",
    "CharacterModel",
    "GivenModel",
    "NumberModel",
    "WordModel",
    "layer_values",
    "packed",
    "packed_layers",
    "unpacked",
]

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


def packed_layers(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Recurrent layers as a page holds them."""
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


def layer_values(x: Array, layers: Sequence[Layer]) -> list[dict[str, Array]]:
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
        return layer_values(((numbers - self.mean) / self.deviation)[:, None], self.layers)

    def expected(self, numbers: Array) -> Array:
        """The number that is expected after each one, ``(T,)``."""
        h = self.values(numbers)[-1]["h"]
        expected: Array = (h @ self.output.T + self.bias)[:, 0] * self.deviation + self.mean
        return expected

    def packed(self) -> dict[str, Any]:
        """As a page holds it."""
        scale = {"mean": self.mean, "deviation": self.deviation}
        head = {"head": packed(self.output), "headBias": packed(self.bias)}
        return {"scale": scale, "layers": packed_layers(self.layers), **head}

    @classmethod
    def unpacked(cls, page: Mapping[str, Any]) -> "NumberModel":
        """The model that `packed` wrote, with its weights as they were rounded."""
        head = unpacked(page["head"]), unpacked(page["headBias"])
        return cls(_unpacked_layers(page["layers"]), *head, page["scale"]["mean"], page["scale"]["deviation"])


@dataclass(frozen=True)
class GivenModel:
    """A network over what was prepared of a series, which says the next value in running units.

    Attributes:
        layers: as in `NumberModel`.
        output, bias: of the head, ``(1, H)`` and ``(1,)``; its output is an inverse hyperbolic sine.
        inputs: what is read at every step, ``(T, I)``.
        level, unit: of the output at every step, ``(T,)``.
        actual: the values, ``(T,)``; that after a step is what the step is to say.
    """

    layers: Sequence[Layer]
    output: Array
    bias: Array
    inputs: Array
    level: Array
    unit: Array
    actual: Array

    def expected(self) -> Array:
        """The value that is expected after each step, ``(T,)``."""
        h = layer_values(self.inputs, self.layers)[-1]["h"]
        said = (h @ self.output.T + self.bias)[:, 0].clip(-50, 50)
        expected: Array = self.level + self.unit * np.sinh(said)
        return expected

    def error(self) -> float:
        """The mean absolute error of what is expected."""
        return float(np.abs(self.expected()[:-1] - self.actual[1:]).mean())

    def packed(self) -> dict[str, Any]:
        """As a page holds it."""
        given = {
            "pieces": [f"{value:.6g}" for value in self.actual],
            "inputs": {"kind": "f32", "shape": list(self.inputs.shape), "data": _text(self.inputs.astype("<f4"))},
            "level": [float(f"{value:.8g}") for value in self.level],
            "unit": [float(f"{value:.8g}") for value in self.unit],
        }
        head = {"head": packed(self.output), "headBias": packed(self.bias)}
        return {"given": given, "layers": packed_layers(self.layers), **head}

    @classmethod
    def unpacked(cls, page: Mapping[str, Any]) -> "GivenModel":
        """The model that `packed` wrote, with its weights as they were rounded."""
        given = page["given"]
        head = unpacked(page["head"]), unpacked(page["headBias"])
        series = (np.array(given[name], float) for name in ("level", "unit", "pieces"))
        return cls(_unpacked_layers(page["layers"]), *head, unpacked(given["inputs"]), *series)


@dataclass(frozen=True)
class WordModel:
    """A network that reads words forwards and backwards and says the class of a text.

    Attributes:
        words: those that it knows, in the order of their tokens from 1 on; token 0 stands for all others.
        embedding: ``(V, E)``.
        layers: the one that reads forwards and the one that reads backwards.
        attention, out: linear layers, from ``2H`` to a score a step, and from ``4H`` to the classes.
        classes: their names.
    """

    words: Sequence[str]
    embedding: Array
    layers: Sequence[Layer]
    attention: Mapping[str, Array]
    out: Mapping[str, Array]
    classes: Sequence[str]

    @property
    def parameters(self) -> int:
        """How many numbers it has."""
        arrays = [self.embedding, *self.attention.values(), *self.out.values()]
        return sum(array.size for array in (*arrays, *(w for _, weights in self.layers for w in weights.values())))

    def probabilities(self, words: Sequence[str]) -> Array:
        """Of every class for a text of one word at least, ``(C,)``."""
        at = {word: token for token, word in enumerate(self.words, 1)}
        x = self.embedding.astype(np.float64)[[at.get(word, 0) for word in words]]  # (T, E)
        ways = [layer_values(one, [layer])[0]["h"] for one, layer in zip((x, x[::-1]), self.layers, strict=True)]
        h = np.concatenate([ways[0], ways[1][::-1]], axis=1)  # (T, 2H)
        scores = h @ self.attention["weight"][0] + self.attention["bias"][0]
        shares = np.exp(scores - scores.max())
        logits = self.out["weight"] @ np.concatenate([shares / shares.sum() @ h, h.max(axis=0)]) + self.out["bias"]
        p = np.exp(logits - logits.max())
        probabilities: Array = p / p.sum()
        return probabilities

    def label(self, words: Sequence[str]) -> str:
        """The class of a text."""
        return self.classes[int(self.probabilities(words).argmax())]

    def packed(self) -> dict[str, Any]:
        """As a page holds it."""
        attention = {"weight": packed(self.attention["weight"][0]), "bias": packed(self.attention["bias"])}
        head = {"head": packed(self.out["weight"]), "headBias": packed(self.out["bias"])}
        known = {"words": list(self.words), "classes": list(self.classes), "embedding": packed(self.embedding)}
        return {**known, "layers": packed_layers(self.layers), "attention": attention, **head}

    @classmethod
    def unpacked(cls, page: Mapping[str, Any]) -> "WordModel":
        """The model that `packed` wrote, with its weights as they were rounded."""
        attention = {"weight": unpacked(page["attention"]["weight"])[None], "bias": unpacked(page["attention"]["bias"])}
        out = {"weight": unpacked(page["head"]), "bias": unpacked(page["headBias"])}
        layers = _unpacked_layers(page["layers"])
        return cls(page["words"], unpacked(page["embedding"]), layers, attention, out, page["classes"])


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
        return layer_values(self.embedding.astype(np.float64)[self.encode(text)], self.layers)

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
        page["layers"] = packed_layers(self.layers)
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
