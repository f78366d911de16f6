"""When a command has been said: posteriors smoothed over a window, and a threshold; NumPy alone."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["Event", "Spotter", "Spotting", "posteriors", "smoothed", "spotted", "threshold_for"]

Array = NDArray[np.float32]
LEAST, MOST = 0.4, 0.97  # between which the threshold is sought
STEPS = 58  # of the search, 0.01 apart


@dataclass(frozen=True)
class Event:
    """A command that was heard.

    Attributes:
        step: of the network, at which its probability came up to the threshold.
        command: its number.
        probability: smoothed, the greatest of it.
    """

    step: int
    command: int
    probability: float


@dataclass(frozen=True)
class Spotting:
    """How events are told.

    Attributes:
        window: steps over which a probability is averaged; at most ``refractory``.
        refractory: steps from an event's beginning in which no other begins.
        threshold: least probability of an event.
    """

    window: int
    refractory: int
    threshold: float = 0.5


def posteriors(logits: Array) -> Array:
    """The softmax over the last axis."""
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    result: Array = exponents / exponents.sum(-1, keepdims=True)
    return result


class Spotter:
    """Events from the logits of one step after another.

    The score of a step is the greatest of the commands' probabilities, each averaged over the last ``window`` steps
    (before the first, all are 0). An event begins where the score comes up to the threshold; the greatest score of the
    ``window`` steps from there tells its command, and then it is told.

    Args:
        spotting: window, threshold and refractory time.
        commands: how many of the logits are commands; those that follow are not.
    """

    def __init__(self, spotting: Spotting, commands: int) -> None:
        self.spotting, self.commands = spotting, commands
        self.held = deque([np.zeros(commands, np.float32)] * spotting.window, spotting.window)
        self.steps = 0  # that were taken
        self.above = False  # whether the last score was at the threshold or above
        self.begun: Event | None = None  # that is not told yet
        self.silent_until = 0

    def step(self, logits: Array) -> Event | None:
        """Take a step's logits ``(C,)``; the event that they complete, if they do."""
        self.held.append(posteriors(logits)[: self.commands])
        mean = np.mean(self.held, axis=0)
        command = int(mean.argmax())
        score, step = float(mean[command]), self.steps
        above = score >= self.spotting.threshold
        if above and not self.above and step >= self.silent_until:
            self.begun = Event(step, command, score)
            self.silent_until = step + self.spotting.refractory
        elif self.begun is not None and score > self.begun.probability:
            self.begun = Event(self.begun.step, command, score)
        self.above = above
        self.steps += 1
        done = self.begun is not None and self.steps == self.begun.step + self.spotting.window
        return self.finish() if done else None

    def finish(self) -> Event | None:
        """The event that only the end completes."""
        event, self.begun = self.begun, None
        return event

    def follow(self, logits: Iterable[Array]) -> Iterator[Event]:
        """All events of a whole recording's logits."""
        for own in logits:
            if event := self.step(own):
                yield event
        if event := self.finish():
            yield event


def smoothed(probabilities: Array, window: int) -> Array:
    """The commands' probabilities ``(T, K)`` averaged over the last ``window`` steps; 0 before the first."""
    before = np.zeros((window - 1, probabilities.shape[1]), probabilities.dtype)
    windows = sliding_window_view(np.concatenate([before, probabilities]), window, axis=0)
    result: Array = windows.mean(-1)
    return result


def spotted(probabilities: Array, spotting: Spotting) -> list[Event]:
    """The events that a `Spotter` finds in a recording's smoothed probabilities ``(T, K)``."""
    scores = probabilities.max(1)
    above = scores >= spotting.threshold
    events: list[Event] = []
    for step in np.flatnonzero(above & ~np.concatenate([[False], above[:-1]])).tolist():
        if not events or step >= events[-1].step + spotting.refractory:
            best = step + int(scores[step : step + spotting.window].argmax())
            events.append(Event(step, int(probabilities[best].argmax()), float(scores[best])))
    return events


def threshold_for(rows: Sequence[tuple[Array, int | None]], allowed: float, spotting: Spotting) -> float:
    """The least threshold with no more false alarms than are allowed.

    Args:
        rows: the smoothed probabilities ``(T, K)`` of stretches of sound, each with the number of the command that is
            said in it, which is no false alarm.
        allowed: false alarms in all of them.

    Returns:
        `MOST` where none does.
    """
    for threshold in np.linspace(LEAST, MOST, STEPS).tolist():
        tried = Spotting(spotting.window, spotting.refractory, threshold)
        alarms = sum(event.command != command for own, command in rows for event in spotted(own, tried))
        if alarms <= allowed:
            return float(threshold)
    return MOST
