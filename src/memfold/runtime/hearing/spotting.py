"""When a command has been said: log ratios smoothed over a window, and a threshold; NumPy alone."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["Event", "Spotter", "Spotting", "log_ratios", "smoothed", "spot", "spotted", "threshold_for"]

Array = NDArray[np.float32]
BEFORE = -10.0  # log ratio of what was before the first step
FIRST_THRESHOLD, THRESHOLD_STEP = 0.0, 0.05  # the first threshold that is tried, and from one to the next


@dataclass(frozen=True)
class Event:
    """A command that was heard.

    Attributes:
        step: of the network, at which its score reached the threshold.
        command: its number.
        score: the greatest smoothed log ratio.
    """

    step: int
    command: int
    score: float

    @property
    def probability(self) -> float:
        """That it was this command rather than none."""
        return 1 / (1 + math.exp(-self.score))


@dataclass(frozen=True)
class Spotting:
    """When an event is reported.

    Attributes:
        window: steps over which log ratios are averaged; at most ``refractory``.
        refractory: steps from an event's beginning in which no other begins.
        threshold: least score of an event.
    """

    window: int
    refractory: int
    threshold: float = FIRST_THRESHOLD


def log_ratios(logits: Array) -> Array:
    """Of logits ``(..., K + 1)``, how much likelier each command is than none, the last one, ``(..., K)``."""
    result: Array = logits[..., :-1] - logits[..., -1:]
    return result


class Spotter:
    """Events from the logits of one step after another.

    The score of a step is the greatest of the commands' log ratios, each averaged over the last ``window`` steps
    (before the first, all are `BEFORE`). An event begins where the score comes up to the threshold; the greatest score
    of the ``window`` steps from there decides its command, and then it is reported.

    Args:
        spotting: window, threshold and refractory time.
        commands: K, how many of the logits are commands; one more follows.
    """

    moves: ClassVar[tuple[str, ...]] = ("held", "steps", "above", "begun_event", "silent_until")

    def __init__(self, spotting: Spotting, commands: int) -> None:
        self.spotting = spotting
        self.held = np.full((spotting.window - 1, commands), BEFORE, np.float32)  # log ratios of the last steps
        self.steps = 0  # that were taken
        self.above = False  # whether the last score was at the threshold or above
        self.begun: Event | None = None  # that is not reported yet
        self.silent_until = 0

    @property
    def begun_event(self) -> list[float]:
        """The fields of the event that is not reported yet; none without one."""
        return [] if self.begun is None else list(astuple(self.begun))

    @begun_event.setter
    def begun_event(self, fields: list[float]) -> None:
        self.begun = Event(int(fields[0]), int(fields[1]), float(fields[2])) if fields else None

    def push(self, logits: Array) -> list[Event]:
        """Take the logits ``(T, K + 1)`` of some more steps; the events that they complete."""
        return spot([self], [logits])[0]

    def take(self, command: int, score: float) -> Event | None:
        """Take a step's likeliest command and its averaged log ratio; the event that they complete, if they do."""
        step = self.steps
        above = score >= self.spotting.threshold
        if above and not self.above and step >= self.silent_until:
            self.begun = Event(step, command, score)
            self.silent_until = step + self.spotting.refractory
        elif self.begun is not None and score > self.begun.score:
            self.begun = Event(self.begun.step, command, score)
        self.above = above
        self.steps += 1
        done = self.begun is not None and self.steps == self.begun.step + self.spotting.window
        return self.finish() if done else None

    def finish(self) -> Event | None:
        """The event that only the end completes."""
        event, self.begun = self.begun, None
        return event

    def follow(self, logits: Array) -> list[Event]:
        """All events of the rest of a recording's logits ``(T, K + 1)``."""
        events, last = self.push(logits), self.finish()
        return events if last is None else [*events, last]


def spot(spotters: Sequence[Spotter], logits: Sequence[Array]) -> list[list[Event]]:
    """Of some spotters of one kind, each once, the events that some more steps' logits ``(T, K + 1)`` complete.

    Those with as many steps are averaged together; sums go from the earliest step to the last, so that a spotter's bits
    do not depend on the others, nor on how its steps are divided.
    """
    events: list[list[Event]] = [[] for _ in spotters]
    for count in {len(rows) for rows in logits} - {0}:
        which = [i for i, rows in enumerate(logits) if len(rows) == count]
        window = spotters[which[0]].spotting.window
        ratios = np.stack([np.concatenate([spotters[i].held, log_ratios(logits[i])]) for i in which])
        total = ratios[:, :count].copy()
        for later in range(1, window):
            total += ratios[:, later : later + count]
        mean = total / np.float32(window)
        commands = mean.argmax(2)
        scores = np.take_along_axis(mean, commands[..., None], 2)[..., 0]
        for k, (i, steps) in enumerate(zip(which, zip(commands.tolist(), scores.tolist(), strict=True), strict=True)):
            spotters[i].held = ratios[k, count:].copy()
            taken = (spotters[i].take(command, score) for command, score in zip(*steps, strict=True))
            events[i] = [event for event in taken if event is not None]
    return events


def smoothed(ratios: Array, window: int) -> Array:
    """The commands' log ratios ``(T, K)`` averaged over the last ``window`` steps; `BEFORE` before the first."""
    before = np.full((window - 1, ratios.shape[1]), BEFORE, ratios.dtype)
    windows = sliding_window_view(np.concatenate([before, ratios]), window, axis=0)
    result: Array = windows.mean(-1)
    return result


def spotted(ratios: Array, spotting: Spotting) -> list[Event]:
    """The events that a `Spotter` finds in a recording's smoothed log ratios ``(T, K)``."""
    scores = ratios.max(1)
    above = scores >= spotting.threshold
    events: list[Event] = []
    for step in np.flatnonzero(above & ~np.concatenate([[False], above[:-1]])).tolist():
        if not events or step >= events[-1].step + spotting.refractory:
            best = step + int(scores[step : step + spotting.window].argmax())
            events.append(Event(step, int(ratios[best].argmax()), float(scores[best])))
    return events


def threshold_for(rows: Sequence[tuple[Array, int]], allowed: float, spotting: Spotting) -> float:
    """The least threshold with no more false alarms than are allowed.

    An event where a command is said is no false alarm, whichever it reports: raising the threshold does not teach the
    network one command from another.

    Args:
        rows: the smoothed log ratios ``(T, K)`` of stretches of sound, each with how many commands are said in it.
        allowed: false alarms in all of them.
    """
    threshold = FIRST_THRESHOLD
    while True:
        tried = replace(spotting, threshold=threshold)
        if sum(max(0, len(spotted(ratios, tried)) - said) for ratios, said in rows) <= allowed:
            return threshold
        threshold += THRESHOLD_STEP
