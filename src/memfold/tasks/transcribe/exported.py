"""Log-probabilities through the exported parts of a recogniser of speech, in place of its network."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.data.features import LogMel
from memfold.runtime.hearing.level import WINDOW, parted
from memfold.runtime.hearing.transcribing import TranscribeSettings
from memfold.runtime.recipe import Run

__all__ = ["Stepped", "of_sound", "of_sound_in_parts"]

Samples = NDArray[np.float32]
Frames = NDArray[np.floating[Any]]


def of_sound(model: Run, recordings: Iterable[Samples]) -> list[Samples]:
    """Of every recording ``(N,)``, ``(S, 1 + V)``, by the part ``model`` of a causal network."""
    return [_read(model(samples=each[None], lengths=np.array([len(each)]))) for each in recordings]


def of_sound_in_parts(
    model: Run, recordings: Iterable[Samples], frames: Sequence[Frames], features: LogMel, most: int
) -> list[Samples]:
    """The same by that of a network of both directions, cut at pauses as `Transcribing.log_p` does.

    Args:
        frames: of the recordings, ``(T, M)``, where the pauses are looked for.
        most: frames of a part that is read at once.
    """
    results = []
    for samples, heard in zip(recordings, frames, strict=True):
        steps = []
        for cut, least in parted(heard, most):
            sound = samples[cut.start * features.shift : (cut.stop - 1) * features.shift + features.length]
            given = {"samples": sound[None], "lengths": np.array([len(sound)])}
            steps.append(_read(model(**given, least=np.array([least], np.float32))))
        results.append(np.concatenate(steps))
    return results


def _read(outputs: Any) -> Samples:
    log_p: Samples = outputs["log_p"][0, : int(outputs["steps"][0])]
    return log_p


class Stepped:
    """The parts of a step over and over, as a causal network of whole recordings."""

    def __init__(self, step: Run, settings: TranscribeSettings) -> None:
        self.run, self.settings = step, settings

    def log_p(self, frames: Frames) -> Samples:
        """Of a recording's frames ``(T, M)``, ``(S, 1 + V)``."""
        its = self.settings
        hidden = np.zeros((its.num_layers, 1, its.hidden_size), np.float32)
        loud, level = np.zeros((1, WINDOW - 1), np.float32), np.zeros(1, np.float32)
        state: dict[str, NDArray[Any]] = {"loud": loud, "level": level, "h": hidden, "c": hidden}
        rows = [np.zeros((0, 1 + len(its.alphabet.characters)), np.float32)]
        for first in range(0, len(frames), its.stacked):
            here = frames[first : first + its.stacked]
            given = np.zeros((1, its.stacked, its.bins), np.float32)
            given[0, : len(here)] = here
            outputs = self.run(frames=given, count=np.array([len(here)]), **state)
            state = {name: outputs[f"{name}_next"] for name in state}
            rows.append(outputs["log_p"])
        return np.concatenate(rows)
