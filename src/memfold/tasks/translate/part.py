"""A translator whose encoder and decoder exported parts compute."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.recipe import Run

__all__ = ["PartTranslation"]

STATES = ("h", "c", "upper_h", "upper_c")
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Kept:
    """Arrays by name, whose axis ``axis`` is that of the rows."""

    arrays: Mapping[str, NDArray[Any]]
    axis: int

    def rows(self, index: Integers) -> "Kept":
        """Those of some rows."""
        return Kept({name: array.take(index, self.axis) for name, array in self.arrays.items()}, self.axis)


@dataclass(frozen=True)
class PartTranslation:
    """An encoder and a decoder, as `memfold.tasks.translate.search.Searched` has them.

    Attributes:
        encoder, decoder: with the inputs and outputs of `memfold.tasks.translate.recipe`.
        layers: of the decoder.
    """

    encoder: Run
    decoder: Run
    layers: int

    def encode(self, source: Integers, lengths: Integers) -> Kept:
        """Read the source, (B, S) subwords of which each row has ``lengths``."""
        outputs = dict(self.encoder(source=source, lengths=lengths))
        return Kept({**outputs, "first": outputs["first"][0]}, 0)

    def begin(self, memory: Kept) -> Kept:
        """The decoder's state before the first word."""
        first = memory.arrays["first"][None]
        upper = np.zeros((self.layers - 1, *first.shape[1:]), np.float32)
        return Kept({"h": first, "c": np.zeros_like(first), "upper_h": upper, "upper_c": upper}, 1)

    def step(self, memory: Kept, words: Integers, state: Kept) -> tuple[NDArray[np.float32], Kept]:
        """Go on with a word each, (B, 1)."""
        seen = {name: memory.arrays[name] for name in ("values", "padding")}
        outputs = self.decoder(**seen, words=words, **state.arrays)
        return outputs["log_probabilities"], Kept({name: outputs[f"{name}_next"] for name in STATES}, 1)
