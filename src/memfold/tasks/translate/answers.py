"""What a translator answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.tasks.translate.memory import Match

__all__ = ["NEAREST", "Alignment", "Translations", "blended", "nearest"]

NEAREST = "nearest sentence"  # what a memory answers, by name


@dataclass(frozen=True)
class Alignment:
    """Where the decoder looked.

    Attributes:
        source: subwords of the sentence, S.
        target: subwords of its translation and the end, T.
        attention: (T, S), each row adds up to 1.
    """

    source: list[str]
    target: list[str]
    attention: NDArray[np.float32]


@dataclass(frozen=True)
class Translations:
    """Answers to sentences.

    Attributes:
        texts: a translation of each.
        alone: those of the network, where a memory answered some.
        near: those of the most similar sentences that were trained on, where these are at hand.
    """

    texts: list[str]
    alone: list[str] | None = None
    near: list[str] | None = None


def blended(alone: Sequence[str], matches: Sequence[Match], threshold: float) -> list[str]:
    """The translations of sentences by the network, or by the memory where it knows a similar one."""
    pairs = zip(alone, matches, strict=True)
    return [match.translation if match.likeness >= threshold else text for text, match in pairs]


def nearest(matches: Sequence[Match]) -> list[str]:
    """The translations that a memory has."""
    return [match.translation for match in matches]
