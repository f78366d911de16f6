"""How surprising texts are, and the scores that follow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError

__all__ = ["LEAST_TOKENS", "TextNats", "windows_of"]

LEAST_TOKENS = 2  # of a text that can be scored, as the first one is not predicted


@dataclass(frozen=True)
class TextNats:
    """How surprising texts are to a model: mean nats per token, NaN where a text has fewer than two tokens.

    Attributes:
        tokens: of each text, ``(S,)``.
        carried: each read through with the state carried along, ``(S,)``.
        apart: each in windows of 256 tokens that start from a zero state, ``(S,)``.
        parts: how surprising they are to each part of the model alone, by name.
    """

    tokens: NDArray[np.int64]
    carried: NDArray[np.float64]
    apart: NDArray[np.float64]
    parts: Mapping[str, "TextNats"] = field(default_factory=dict)

    def scores(self, length: int) -> dict[str, float]:
        """As `TextGenerator.scores` gives them.

        Args:
            length: characters of all texts.

        Raises:
            InputError: no text has two tokens.
        """
        scored = self.tokens >= LEAST_TOKENS
        if not scored.any():
            raise InputError(f"the text to score has {length} characters; two are the least")
        predicted = self.tokens[scored] - 1
        carried = float(np.average(self.carried[scored], weights=predicted))
        apart = float(np.average(self.apart[scored], weights=predicted))
        characters = length / int(self.tokens.sum())  # a token
        return {
            "nats_carried": carried / characters,
            "nats_window256": apart / characters,
            "bits_carried": carried / characters / math.log(2),
            "perplexity": math.exp(carried),
        }


def windows_of(text: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """The windows of a text, ``(windows, length + 1)``, each with the token that follows it; a rest is left out."""
    starts = np.arange(0, len(text) - length, length)
    windows: NDArray[np.int64] = text[starts[:, None] + np.arange(length + 1)[None, :]]
    return windows
