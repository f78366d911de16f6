"""A recogniser of commands that hears without torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from memfold.data.features import SHIFT, LogMel
from memfold.errors import InputError
from memfold.runtime.hearing.blending import Blend, blended
from memfold.runtime.hearing.cepstra import STATISTICS, cepstral_statistics
from memfold.runtime.hearing.inference import CepstralModel, CommandModel
from memfold.runtime.hearing.level import floored
from memfold.runtime.hearing.live import STRIDE, Listener, Listeners
from memfold.runtime.hearing.spotting import Event, Spotter, Spotting, spot
from memfold.runtime.hearing.together import HearingPipeline, HearingSession
from memfold.runtime.weights import Weights

__all__ = ["CommandAnswers", "CommandSettings", "Commands"]

Samples = NDArray[np.float32]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class CommandAnswers:
    """Probabilities of every class, (S, C): the commands and, where there was background, other sound.

    Attributes:
        whole: of the blend.
        alone: of the network alone.
    """

    whole: Array
    alone: Array


@dataclass(frozen=True)
class CommandSettings:
    """What a recogniser is made of beside its weights; its parameters, and what fitting found, by their names there."""

    commands: list[str]
    other: bool
    threshold: float
    blend: Blend
    rate: int
    bins: int
    channels: int
    convolutions: int
    hidden_size: int
    layers: int
    window: float
    refractory: float

    def __post_init__(self) -> None:
        if not self.commands or not 0 <= self.blend.share <= 1 or not self.blend.temperature > 0:
            raise InputError(f"{len(self.commands)} commands, blended by {self.blend}")
        if min(self.rate, self.bins, self.channels, self.convolutions, self.hidden_size, self.layers) < 1:
            raise InputError("a size is below 1")
        if not 0 < self.window <= self.refractory:
            raise InputError(f"window must be at most refractory, got {self.window} and {self.refractory} seconds")

    @property
    def classes(self) -> list[str]:
        """What a recording can be."""
        return [*self.commands, "other"] if self.other else self.commands

    @property
    def step_seconds(self) -> float:
        """From one of the network's steps to the next."""
        return SHIFT * float(STRIDE**self.convolutions)

    def steps(self, seconds: float) -> int:
        """Of the network, one at least."""
        return max(1, round(seconds / self.step_seconds))

    @property
    def spotting(self) -> Spotting:
        """How events are found in a stream, in the network's steps."""
        return Spotting(self.steps(self.window), self.steps(self.refractory), self.threshold)


class Commands(HearingPipeline[CommandSettings]):
    """Which command a recording is, and where commands are in sound that still comes in."""

    settings_type = CommandSettings

    def build(self, weights: Weights, files: Mapping[str, bytes]) -> None:
        its = self.settings
        sizes = its.bins, its.channels, its.convolutions, its.hidden_size, its.layers, len(its.commands)
        self.model = CommandModel(weights, *sizes)
        self.baseline = CepstralModel.taken(weights, "baseline", STATISTICS, len(its.commands))
        self.features = LogMel(its.rate, its.bins)
        self.rate = its.rate

    def answers(self, frames: Sequence[NDArray[np.floating[Any]]], statistics: Samples) -> CommandAnswers:
        """The probability of every class, from log-mel frames ``(T, M)`` and the statistics ``(S, Q)``."""
        heard = self.model.heard(frames)
        log_p = blended(heard.log_p, self.baseline.log_probabilities(statistics), self.settings.blend)
        whole, alone = np.exp(log_p), np.exp(heard.log_p)
        if self.settings.other:
            whole, alone = (np.column_stack([p * (1 - heard.none)[:, None], heard.none]) for p in (whole, alone))
        return CommandAnswers(whole, alone)

    def answer(self, given: Samples) -> dict[str, Any]:
        """The command in a whole recording ``(N,)`` at the model's rate, and the probability of every class.

        Raises:
            InputError: it is shorter than a frame.
        """
        samples = np.asarray(given, np.float32)
        frames = floored(self.features.of(samples)).astype(np.float16)
        if not len(frames):
            raise InputError(f"{len(samples)} samples are shorter than a frame of {self.features.length}")
        p = self.answers([frames], cepstral_statistics(samples, self.rate)[None]).whole[0]
        classes = self.settings.classes
        return {"label": classes[int(p.argmax())], "p": dict(zip(classes, p.tolist(), strict=True))}

    def events(self, blocks: Iterator[Samples]) -> Iterator[Event]:
        """The events in sound that still comes in, each as soon as it is certain."""
        session = self.session(self.listeners().open())
        for block in blocks:
            self.hear([session], [block])
            yield from session.events
        yield from session.last_events()

    def listeners(self, most: int = 1) -> Listeners:
        return self.model.listeners(most)

    def heard(self, frames: Samples) -> Samples:
        return floored(frames)

    def session(self, listener: Listener) -> "CommandSession":
        return CommandSession(self, listener)

    def answered(self, sessions: Sequence["CommandSession"], outputs: Sequence[Samples]) -> list[list[dict[str, Any]]]:
        """The commands that each session's outputs complete."""
        events = spot([session.spotter for session in sessions], outputs)
        for session, some in zip(sessions, events, strict=True):
            session.events = some
        return [[self.said(event) for event in some] for some in events]

    def said(self, event: Event) -> dict[str, Any]:
        """An event as a line of JSON has it: seconds from the beginning, the command, and its probability."""
        seconds = round(event.step * self.settings.step_seconds, 3)
        return {
            "time": seconds,
            "command": self.settings.commands[event.command],
            "probability": round(event.probability, 4),
        }


class CommandSession(HearingSession):
    """Sound as it comes.

    Attributes:
        events: that the last samples completed.
    """

    moves: ClassVar[tuple[str, ...]] = (*HearingSession.moves, "spotter")
    pipeline: Commands

    def __init__(self, pipeline: Commands, listener: Listener) -> None:
        super().__init__(pipeline, listener)
        self.spotter = Spotter(pipeline.settings.spotting, len(pipeline.settings.commands))
        self.events: list[Event] = []

    def last_events(self) -> list[Event]:
        """Those that only the end completes."""
        return self.spotter.follow(self.listener.finish())

    def finish(self) -> list[dict[str, Any]]:
        return [self.pipeline.said(event) for event in self.last_events()]
