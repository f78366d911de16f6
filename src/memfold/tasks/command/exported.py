"""Answers through the exported parts of a recogniser of commands, in place of its network."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.hearing.commands import CommandSettings
from memfold.runtime.hearing.live import STRIDE
from memfold.runtime.recipe import Run

__all__ = ["Stepped", "probabilities"]

Samples = NDArray[np.float32]


def probabilities(model: Run, recordings: Iterable[Samples]) -> NDArray[np.float64]:
    """Of every class for every recording ``(N,)``, (S, C), by the part ``model``."""
    rows = [model(samples=each[None], lengths=np.array([len(each)]))["probabilities"] for each in recordings]
    return np.concatenate(rows).astype(np.float64)


class Stepped:
    """The part ``step`` over and over, as a network of whole recordings."""

    def __init__(self, step: Run, settings: CommandSettings) -> None:
        self.run, self.settings = step, settings

    def logits(self, frames: NDArray[np.floating[Any]]) -> Samples:
        """Of a recording's frames ``(T, M)``, ``(T', K + 1)``."""
        stride, state = STRIDE**self.settings.convolutions, self._begin()
        rows = []
        for first in range(0, len(frames) + stride, stride):  # once more than it has, for what lags behind
            given = np.zeros((1, stride, frames.shape[1]), np.float32)
            here = frames[first : first + stride]
            given[0, : len(here)] = here
            outputs = self.run(frames=given, count=np.array([len(here)]), **state)
            state = {name: outputs[f"{name}_next"] for name in state}
            if outputs["counts"][0]:
                rows.append(outputs["logits"][0])
        return np.stack(rows) if rows else np.zeros((0, len(self.settings.commands) + 1), np.float32)

    def _begin(self) -> dict[str, NDArray[Any]]:
        its = self.settings
        hidden = np.zeros((its.layers, 1, its.hidden_size), np.float32)
        held = 4 * its.bins + 3 * its.channels * (its.convolutions - 1)
        return {"seen": np.zeros(1, np.int64), "h": hidden, "c": hidden, "held": np.zeros((1, held), np.float32)}
