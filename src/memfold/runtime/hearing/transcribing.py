"""A recogniser of speech without torch; a causal one writes along."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from memfold.data.features import SHIFT, LogMel
from memfold.engine import fold, pack
from memfold.errors import InputError
from memfold.formats.directory import TEXTS
from memfold.runtime.hearing.level import levelled, parted
from memfold.runtime.hearing.live import Levelled, Listener, Listeners, Stacked
from memfold.runtime.hearing.search import Alphabet, CharacterModel, SearchWeights, Segment, Transcript, log_softmax
from memfold.runtime.hearing.together import HearingPipeline, HearingPool, HearingSession
from memfold.runtime.weights import Weights

__all__ = ["LEAST_PART", "TranscribeSettings", "Transcribing"]

Samples = NDArray[np.float32]
LEAST_PART = 500  # frames of a part of a long recording, at most


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
    longest: float

    def __post_init__(self) -> None:
        if min(self.rate, self.bins, self.stacked, self.hidden_size, self.num_layers, self.beam) < 1:
            raise InputError("a size is below 1")
        if not 0 <= self.longest < math.inf:
            raise InputError(f"longest {self.longest}, expected seconds")

    @property
    def step_seconds(self) -> float:
        """From one of the network's steps to the next."""
        return SHIFT * self.stacked

    @property
    def most_seconds(self) -> float:
        """Of a part of a long recording that a network of both directions reads at once."""
        return max(self.longest, LEAST_PART * SHIFT)

    def pause_steps(self, steps: int | None = None) -> int:
        """So many steps without a character end a segment.

        A network of both directions may write the last characters of a short recording late, in the quiet after it,
        where a pause would put a space between them: there no pause ends one.

        Args:
            steps: of the whole recording, where they are known.
        """
        if not self.causal and steps is not None and steps * self.step_seconds <= self.most_seconds:
            return 1 + steps
        return max(1, round(self.pause / self.step_seconds))


class Transcribing(HearingPipeline[TranscribeSettings]):
    """What is said, in recordings; by a causal network also in sound that still comes in."""

    settings_type = TranscribeSettings

    def build(self, weights: Weights, files: Mapping[str, bytes]) -> None:
        its = self.settings
        inputs, outputs = its.stacked * its.bins, 1 + len(its.alphabet.characters)
        self.mean, self.scale = (weights.take(f"front.{name}", (its.bins,)) for name in ("mean", "scale"))
        both = not its.causal
        self.layers = weights.recurrent(
            "lstm", "lstm", inputs, its.hidden_size, gates=4, layers=its.num_layers, both=both
        )
        self.packed = [pack(layer.cell, layer.weights) for layer in self.layers]
        self.head = weights.linear("head", its.hidden_size * (1 + both), outputs)
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

    def listeners(self, most: int = 1) -> Listeners:
        front = Stacked(self.mean, self.scale, self.settings.stacked)
        return Listeners(Levelled(front), self.layers, self.head, most)

    def heard(self, frames: Samples) -> Samples:
        return frames.astype(np.float16).astype(np.float32)  # as whole recordings are kept

    def log_p(self, frames: NDArray[np.floating[Any]]) -> Samples:
        """Log-probabilities ``(S, 1 + V)`` of a whole recording's frames ``(T, M)``; by a network of both directions,
        those of the parts of a long one."""
        its = self.settings
        if its.causal:
            return self._read(levelled(frames, causal=True))
        parts = parted(frames, round(its.most_seconds / SHIFT))
        return np.concatenate([self._read(levelled(frames[cut], False, least)) for cut, least in parts])

    def _read(self, heard: Samples) -> Samples:
        """Log-probabilities of frames relative to their level."""
        x = (heard - self.mean) * self.scale
        x = np.pad(x, ((0, -len(x) % self.settings.stacked), (0, 0)))
        y = x.reshape(-1, 1, self.settings.stacked * self.settings.bins)  # (S, 1, K*M)
        for packed in self.packed:
            y = fold(packed.cell, y, packed)[0]
        outputs = y[:, 0] @ self.head["weight"].T + self.head["bias"]
        return np.array([log_softmax(row) for row in outputs], np.float32).reshape(len(y), -1)

    def transcript(self, steps: int | None = None) -> Transcript:
        """The text of a recording of which nothing has been heard yet; of one of so many steps, if they are known."""
        its = self.settings
        weights = SearchWeights(its.beam, its.language, its.bonus)
        return Transcript(its.alphabet, weights, self.character_model, its.pause_steps(steps))

    def answer(self, given: Samples) -> str:
        """What is said in a whole recording ``(N,)`` at the model's rate."""
        if not self.settings.causal:
            log_p = self.log_p(self.features.of(np.asarray(given, np.float32)).astype(np.float16))
            return self.transcript(len(log_p)).whole(log_p)
        session = self.open()
        said = [*session.push(given), *session.finish()]
        return " ".join(line["text"] for line in said if "text" in line)

    def open(self) -> "TranscribeSession":
        """A session that has heard nothing yet.

        Raises:
            InputError: the model is not causal.
        """
        if not self.settings.causal:
            raise InputError(
                "this model reads recordings in both directions, so that it has no answer before their end"
            )
        return self.session(self.listeners().open())

    def session(self, listener: Listener) -> "TranscribeSession":
        return TranscribeSession(self, listener)

    def pool(self, most: int) -> HearingPool:
        self.open()  # which refuses a model of both directions
        return super().pool(most)

    def answered(
        self, sessions: Sequence["TranscribeSession"], outputs: Sequence[Samples]
    ) -> list[list[dict[str, Any]]]:
        return [session.take(y) for session, y in zip(sessions, outputs, strict=True)]


class TranscribeSession(HearingSession):
    """Sound as it comes."""

    moves: ClassVar[tuple[str, ...]] = (*HearingSession.moves, "transcript", "said")
    pipeline: Transcribing

    def __init__(self, pipeline: Transcribing, listener: Listener) -> None:
        super().__init__(pipeline, listener)
        self.transcript = pipeline.transcript()
        self.said = ""

    def take(self, outputs: Samples) -> list[dict[str, Any]]:
        """Take the network's outputs ``(T', 1 + V)`` at some more steps.

        Returns:
            ``{"time": ..., "partial": ...}`` whenever the text so far changes, ``{"start": ..., "end": ..., "text":
            ...}`` after a pause; seconds from the beginning.
        """
        lines = []
        for y in outputs:
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
