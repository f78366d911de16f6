"""A detector of unusual readings that answers without torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from memfold.data.written import Times
from memfold.errors import InputError
from memfold.runtime.monitoring.features import FeatureSize
from memfold.runtime.monitoring.lines import LineReader, Reading
from memfold.runtime.monitoring.monitor import Judgement, Monitor
from memfold.runtime.pipeline import Pipeline, Session
from memfold.runtime.weights import Weights
from memfold.stream import Stream

__all__ = ["History", "WatchSettings", "Watching"]


@dataclass(frozen=True)
class History:
    """The end of a series that the model was trained on: what a monitor sees before it goes on with the series.

    Attributes:
        day: points a day.
    """

    name: str
    day: int
    times: list[float]
    values: list[list[float]]


@dataclass(frozen=True)
class WatchSettings:
    """What a detector is made of beside its weights; its parameters, and what fitting found, by their names there."""

    variables: tuple[str, ...]
    calendar: bool
    written: Times
    history: list[History]
    time: str | None
    id: str
    false_alarms: float
    span: int
    rest: int
    block: int
    hidden_size: int
    online: bool
    cold: bool

    def __post_init__(self) -> None:
        for name in ("span", "rest", "block", "hidden_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 1")
        for one in self.history:
            agree = len(one.values) == len(one.times) and all(len(row) == len(self.variables) for row in one.values)
            if not agree:
                raise InputError(f"values of the history of {one.name!r}: not as many as times and variables")

    @property
    def size(self) -> FeatureSize:
        """The features that the network reads."""
        return FeatureSize(len(self.variables), self.calendar)


class Watching(Pipeline[WatchSettings]):
    """Judges series point by point.

    Attributes:
        learning: gives a network's stream that is trained on while it watches, and what trains it; None watches with
            the network as it was fitted.
        network: gives what steps in place of the network's stream, such as an exported part; None is that stream.
    """

    settings_type = WatchSettings
    learning: "Callable[[], tuple[Stream, Callable[[Sequence[float], Sequence[float]], Stream | None]]] | None" = None
    network: "Callable[[], Any] | None" = None

    def build(self, weights: Weights, files: Mapping[str, bytes]) -> None:
        its = self.settings
        self.layers = weights.recurrent("lstm", "lstm", its.size.count, its.hidden_size, gates=4)
        self.head = weights.linear("head", its.hidden_size, 2 * its.size.variables)

    def monitor(self, day: int = 0) -> Monitor:
        """A monitor that has seen nothing yet, of a series with so many points a day.

        Raises:
            InputError: it is to go on learning, which takes torch.
        """
        its = self.settings
        if not its.online:
            network = self.network() if self.network else Stream(self.layers, self.head)
            return Monitor(its.size, day, None if its.cold else network, its.span, its.rest, its.block)
        if self.learning is None:
            raise InputError("this model goes on learning while it watches (online=true), which takes torch")
        stream, learner = self.learning()
        return Monitor(its.size, day, stream, its.span, its.rest, its.block, learner)

    def is_alarm(self, judgement: Judgement) -> bool:
        """Whether a judgement is an alarm: as unusual as `false_alarms` allows, and news."""
        return judgement.news > 0 and judgement.probability < self.settings.false_alarms / 1000

    def answer(self, given: Sequence[Any]) -> list[dict[str, Any]]:
        """What `Session.push` says of readings, one after another, after what the model was trained on."""
        session = self.open()
        return [said for one in given for said in session.push(one)]

    def open(self) -> "WatchSession":
        return WatchSession(self)

    def said(self, judgement: Judgement) -> dict[str, Any]:
        """A judgement as a line of JSON has it."""
        variable = judgement.variable
        return {
            "score": round(judgement.score, 4),
            "alarm": self.is_alarm(judgement),
            "reason": judgement.reason,
            "fault": round(judgement.fault, 4),
            "variable": self.settings.variables[variable],
            "sigmas": _short(judgement.sigmas),
            "expected": _short(judgement.expected[variable]),
            "lo80": _short(judgement.low[variable]),
            "hi80": _short(judgement.high[variable]),
        }


class WatchSession(Session):
    """Readings of one series or of several, as they come.

    The monitor of a series that the model was trained on has seen the end of what that was.
    """

    moves: ClassVar[tuple[str, ...]] = ("lines", "monitors")

    pipeline: Watching

    def __init__(self, pipeline: Watching) -> None:
        super().__init__(pipeline)
        its = pipeline.settings
        self.lines = LineReader(its.variables, its.calendar, its.written, its.time, its.id)
        self.names: dict[str, int] = {}  # of series -> places of their monitors
        self.monitors: list[Monitor] = []

    def push(self, given: "str | Mapping[str, Any] | tuple[float, Sequence[float]]") -> list[dict[str, Any]]:
        """Judge a reading.

        Args:
            given: a line of CSV or JSON, the object of such a line, or a time and the values; seconds since 1970 where
                times are dates.

        Returns:
            What ``memfold stream`` prints of it; nothing for a header or an empty line.
        """
        if isinstance(given, tuple):
            time, values = given
            reading: Reading | None = Reading("", float(time), [float(value) for value in values], {})
        else:
            reading = self.lines.read(given)
        if reading is None:
            return []
        judgement = self.monitor(reading.name).step(reading.time, reading.values)
        return [{**reading.shown, **self.pipeline.said(judgement)}]

    def monitor(self, name: str) -> Monitor:
        """The monitor of a series."""
        if name not in self.names:
            history = self._history(name)
            monitor = self._begin(name, history)
            for time, values in zip(history.times, history.values, strict=True) if history else ():
                monitor.step(time, values)
        return self.monitors[self.names[name]]

    def _history(self, name: str) -> History | None:
        """Of a series; one without a name is the only one that the model was trained on."""
        history = self.pipeline.settings.history
        only = not name and len(history) == 1
        return next((one for one in history if only or one.name == name), None)

    def _begin(self, name: str, history: History | None) -> Monitor:
        self.names[name] = len(self.monitors)
        self.monitors.append(self.pipeline.monitor(history.day if history else 0))
        return self.monitors[-1]

    def outline(self) -> list[str]:
        return list(self.names)

    def follow(self, outline: Any) -> None:
        for name in outline:
            self._begin(str(name), self._history(str(name)))


def _short(value: float) -> float:
    """Six digits are enough to read."""
    return float(f"{value:.6g}")
