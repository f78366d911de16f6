"""A causal recogniser of speech that writes along without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from memfold.data.features import SHIFT, FrameStream, LogMel
from memfold.engine import fold, pack
from memfold.errors import InputError
from memfold.formats.directory import TEXTS
from memfold.runtime.hearing.level import levelled
from memfold.runtime.hearing.live import LevelledStream, Listener, StackedStream
from memfold.runtime.hearing.search import Alphabet, CharacterModel, SearchWeights, Segment, Transcript, log_softmax
from memfold.runtime.pipeline import Pipeline, Session
from memfold.runtime.weights import Weights

__all__ = ["TranscribeSettings", "Transcribing"]

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class TranscribeSettings:
    """What a recogniser is made of beside its weights; its parameters, and what fitting found, by their names there."""

    alphabet: Alphabet
    language: float
    bonus: float
    rate: int
    bins: int
    stacked: int
    hidden_size: int
    num_layers: int
    beam: int
    pause: float
    causal: bool

    def __post_init__(self) -> None:
        if min(self.rate, self.bins, self.stacked, self.hidden_size, self.num_layers, self.beam) < 1:
            raise InputError("a size is below 1")
        if not self.causal:
            raise InputError("a model that reads recordings in both directions answers with torch alone")

    @property
    def step_seconds(self) -> float:
        """From one of the network's steps to the next."""
        return SHIFT * self.stacked


class Transcribing(Pipeline[TranscribeSettings]):
    """What is said, in sound that still comes in."""

    settings_type = TranscribeSettings
    hears = True

    def build(self, weights: Weights, files: Mapping[str, bytes]) -> None:
        its = self.settings
        inputs, outputs = its.stacked * its.bins, 1 + len(its.alphabet.characters)
        self.mean, self.scale = (weights.take(f"front.{name}", (its.bins,)) for name in ("mean", "scale"))
        self.layers = weights.recurrent("lstm", "lstm", inputs, its.hidden_size, gates=4, layers=its.num_layers)
        self.packed = [pack(layer.cell, layer.weights) for layer in self.layers]
        self.head = weights.linear("head", its.hidden_size, outputs)
        self.texts = files[TEXTS].decode().split("\n")
        self.features = LogMel(its.rate, its.bins)
        self.rate = its.rate

    @cached_property
    def character_model(self) -> CharacterModel | None:
        """The language model of the search, from the texts that were trained on; None where it has no weight."""
        its = self.settings
        if not its.language:
            return None
        return CharacterModel([its.alphabet.encode(text) for text in self.texts], len(its.alphabet.characters))

    def listener(self) -> Listener:
        """The network step by step."""
        front = StackedStream(self.mean, self.scale, self.settings.stacked)
        return Listener(LevelledStream(front), self.layers, self.head)

    def log_p(self, frames: NDArray[np.floating[Any]]) -> Samples:
        """Log-probabilities ``(S, 1 + V)`` of a whole recording's frames ``(T, M)``."""
        x = (levelled(frames, causal=True) - self.mean) * self.scale
        x = np.pad(x, ((0, -len(x) % self.settings.stacked), (0, 0)))
        y = x.reshape(-1, 1, self.settings.stacked * self.settings.bins)  # (S, 1, K*M)
        for packed in self.packed:
            y = fold(packed.cell, y, packed)[0]
        outputs = y[:, 0] @ self.head["weight"].T + self.head["bias"]
        return np.array([log_softmax(row) for row in outputs], np.float32).reshape(len(y), -1)

    def transcript(self) -> Transcript:
        """The text of a recording of which nothing has been heard yet."""
        its = self.settings
        pause = max(1, round(its.pause / its.step_seconds))
        return Transcript(its.alphabet, SearchWeights(its.beam, its.language, its.bonus), self.character_model, pause)

    def answer(self, given: Samples) -> str:
        """What is said in a whole recording ``(N,)`` at the model's rate."""
        session = self.open()
        said = [*session.push(given), *session.finish()]
        return " ".join(line["text"] for line in said if "text" in line)

    def open(self) -> "TranscribeSession":
        return TranscribeSession(self)


class TranscribeSession(Session):
    """Sound as it comes."""

    moves: ClassVar[tuple[str, ...]] = ("frames", "listener", "transcript", "said")
    pipeline: Transcribing

    def __init__(self, pipeline: Transcribing) -> None:
        super().__init__(pipeline)
        self.frames = FrameStream(pipeline.features)
        self.listener = pipeline.listener()
        self.transcript = pipeline.transcript()
        self.said = ""

    def push(self, given: Samples) -> list[dict[str, Any]]:
        """Take some more samples ``(N,)`` at the model's rate.

        Returns:
            ``{"time": ..., "partial": ...}`` whenever the text so far changes, ``{"start": ..., "end": ..., "text":
            ...}`` after a pause; seconds from the beginning.
        """
        lines = []
        for frame in self.frames.push(np.asarray(given, np.float32)):
            y = self.listener.step(frame.astype(np.float16).astype(np.float32))  # as whole recordings are kept
            if y is None:
                continue
            lines += self._step(y)
            if (now := self.transcript.partial()) != self.said and now:
                lines.append({"time": self._seconds(self.transcript.steps), "partial": now})
            self.said = now
        return lines

    def finish(self) -> list[dict[str, Any]]:
        lines = [line for y in self.listener.finish() for line in self._step(y)]
        segment = self.transcript.finish()
        return lines if segment is None else [*lines, self._line(segment)]

    def _step(self, y: NDArray[np.float32]) -> list[dict[str, Any]]:
        segment = self.transcript.step(log_softmax(y))
        self.transcript.done.clear()
        return [] if segment is None else [self._line(segment)]

    def _line(self, segment: Segment) -> dict[str, Any]:
        start, end = self._seconds(segment.first), self._seconds(segment.last + 1)
        return {"start": start, "end": end, "text": segment.text}

    def _seconds(self, steps: int) -> float:
        return round(steps * self.pipeline.settings.step_seconds, 2)
