"""A detector of unusual readings that answers without torch."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from memfold.data.written import Times
from memfold.errors import InputError
from memfold.runtime.monitoring.features import FeatureSize
from memfold.runtime.monitoring.lines import LineReader, Reading
from memfold.runtime.monitoring.monitor import Judgement, Monitor
from memfold.runtime.pipeline import Pipeline, Pool, Session, attempted
from memfold.runtime.state import packed, unpacked
from memfold.runtime.weights import Weights
from memfold.stream import Row, Stream

__all__ = ["History", "WatchSettings", "Watching"]


MOST_SERIES = 100  # of a session among many: each takes memory for as long as the session lasts


@dataclass(frozen=True)
class History:
    """The end of a series that the model was trained on: what a monitor sees before it goes on with the series.

    Attributes:
        day: points a day.
    """

    name: str
    day: int
    times: list[float]
    values: list[list[float | None]]  # None where one is missing

    def points(self) -> Iterator[tuple[float, list[float]]]:
        """Its times and values, NaN where one is missing."""
        for time, values in zip(self.times, self.values, strict=True):
            yield time, [math.nan if value is None else value for value in values]


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
        self._after_history: dict[str, bytes] = {}  # states of monitors, by the name of the series
        self.layers = weights.recurrent("lstm", "lstm", its.size.count, its.hidden_size, gates=4)
        self.head = weights.linear("head", its.hidden_size, 2 * its.size.variables)

    @property
    def is_pooled(self) -> bool:
        """Whether the networks of many monitors can step together."""
        its = self.settings
        return not (its.online or its.cold or self.network)

    def monitor(self, day: int = 0, row: Row | None = None) -> Monitor:
        """A monitor that has seen nothing yet, of a series with so many points a day.

        Args:
            row: of a network of its own, or of one that steps many monitors; a network of its own when None.

        Raises:
            InputError: it is to go on learning, which takes torch.
        """
        its = self.settings
        if not its.online:
            network = row or (self.network() if self.network else Stream(self.layers, self.head))
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

    def smallest(self) -> tuple[float, list[float]]:
        return 0.0, [0.0] * len(self.settings.variables)

    def pool(self, most: int) -> Pool:
        return WatchPool(self, most) if self.is_pooled else Pool(self, most)

    def follow_history(self, monitor: Monitor, history: History) -> None:
        """Have a monitor that has seen nothing see the end of what the model was trained on."""
        if self.learning is not None or self.network is not None:  # what steps has a state of its own
            for time, values in history.points():
                monitor.step(time, values)
            return
        if history.name not in self._after_history:
            for time, values in history.points():
                monitor.step(time, values)
            self._after_history[history.name] = packed(monitor, self.fingerprint)
        else:
            unpacked(monitor, self._after_history[history.name], self.fingerprint)

    def said(self, judgement: Judgement) -> dict[str, Any]:
        """A judgement as a line of JSON has it."""
        variable = judgement.variable
        of = judgement.expected, judgement.low, judgement.high
        numbers = [None] * 4 if variable < 0 else [_short(judgement.sigmas), *(_short(each[variable]) for each in of)]
        return {
            "score": round(judgement.score, 4),
            "alarm": self.is_alarm(judgement),
            "reason": judgement.reason,
            "fault": round(judgement.fault, 4),
            "variable": None if variable < 0 else self.settings.variables[variable],
            **dict(zip(("sigmas", "expected", "lo80", "hi80"), numbers, strict=True)),
        }


class WatchSession(Session):
    """Readings of one series or of several, as they come.

    The monitor of a series that the model was trained on has seen the end of what that was.
    """

    moves: ClassVar[tuple[str, ...]] = ("lines", "monitors")

    pipeline: Watching

    def __init__(self, pipeline: Watching, pool: "WatchPool | None" = None) -> None:
        super().__init__(pipeline)
        its = pipeline.settings
        self.pool = pool
        self.lines = LineReader(its.variables, its.calendar, its.written, its.time, its.id)
        self.names: dict[str, int] = {}  # of series -> places of their monitors
        self.monitors: list[Monitor] = []

    def push(self, given: "str | Mapping[str, Any] | tuple[float, Sequence[float]]") -> list[dict[str, Any]]:
        """Judge a reading.

        Args:
            given: a line of CSV or JSON, the object of such a line, or a time and the values, NaN where one is missing;
                seconds since 1970 where times are dates.

        Returns:
            What ``memfold stream`` prints of it; nothing for a header or an empty line.
        """
        reading = self.read(given)
        if reading is None:
            return []
        judgement = self.monitor(reading.name).step(reading.time, reading.values)
        return [{**reading.shown, **self.pipeline.said(judgement)}]

    def read(self, given: "str | Mapping[str, Any] | tuple[float, Sequence[float]]") -> Reading | None:
        """The reading of what `push` is given; None of a header or an empty line.

        Raises:
            InputError: it is none.
        """
        if not isinstance(given, tuple):
            return self.lines.read(given)
        time, values = given
        return Reading("", float(time), [math.nan if value is None else float(value) for value in values], {})

    def monitor(self, name: str) -> Monitor:
        """The monitor of a series."""
        if name not in self.names:
            if self.pool and len(self.names) == MOST_SERIES:
                raise InputError(f"{MOST_SERIES} series at most in one of many sessions, and {name!r} is another one")
            history = self._history(name)
            monitor = self._begin(name, history)
            if history:
                self.pipeline.follow_history(monitor, history)
        return self.monitors[self.names[name]]

    def _history(self, name: str) -> History | None:
        """Of a series; one without a name is the only one that the model was trained on."""
        history = self.pipeline.settings.history
        only = not name and len(history) == 1
        return next((one for one in history if only or one.name == name), None)

    def _begin(self, name: str, history: History | None) -> Monitor:
        row = self.pool.row() if self.pool else None
        self.names[name] = len(self.monitors)
        self.monitors.append(self.pipeline.monitor(history.day if history else 0, row))
        return self.monitors[-1]

    def outline(self) -> list[str]:
        return list(self.names)

    def follow(self, outline: Any) -> None:
        for name in outline:
            self._begin(str(name), self._history(str(name)))


@dataclass(frozen=True)
class _Begun:
    """A reading whose features wait for the network."""

    reading: Reading
    monitor: Monitor
    row: int
    x: Any


class WatchPool(Pool):
    """Many series, of many sessions, in the rows of one network."""

    def __init__(self, pipeline: Watching, most: int) -> None:
        super().__init__(pipeline, most)
        self.stream = Stream(pipeline.layers, pipeline.head, streams=most)
        self._rows = list(range(most))[::-1]

    def begin(self, place: int) -> Session:
        return WatchSession(self.pipeline, self)

    def close(self, session: Session) -> None:
        assert isinstance(session, WatchSession)
        for monitor in session.monitors:
            if isinstance(monitor.stream, Row):
                self._rows.append(monitor.stream.row)
        super().close(session)

    def row(self) -> Row | None:
        """A row that no monitor has; None where sessions watch so many series that there is none left."""
        if not self._rows:
            return None
        self.stream.reset([row := self._rows.pop()])
        return Row(self.stream, row)

    def push(self, sessions: Sequence[Any], given: Sequence[Any]) -> list[list[Any] | Exception]:
        answers = [attempted(self._before, session, one) for session, one in zip(sessions, given, strict=True)]
        together = [(i, begun) for i, begun in enumerate(answers) if isinstance(begun, _Begun)]
        if together:
            x = np.stack([begun.x for _, begun in together])
            outputs = self.stream.step_rows([begun.row for _, begun in together], x)
            for (i, begun), y in zip(together, outputs, strict=True):
                answers[i] = attempted(self._judged, begun, y)
        return answers  # type: ignore[return-value]

    def _before(self, session: WatchSession, given: Any) -> "list[Any] | _Begun":
        """What the network is to be given of an input; the answers where it is not asked."""
        if (reading := session.read(given)) is None:
            return []
        monitor = session.monitor(reading.name)
        if isinstance(monitor.stream, Row):
            return _Begun(reading, monitor, monitor.stream.row, monitor.features_at(reading.time))
        return [self.said(reading, monitor.step(reading.time, reading.values))]

    def _judged(self, begun: "_Begun", outputs: Any) -> list[Any]:
        judgement = begun.monitor.judge(begun.reading.time, begun.reading.values, outputs)
        return [self.said(begun.reading, judgement)]

    def said(self, reading: Reading, judgement: Judgement) -> dict[str, Any]:
        """A judgement of a reading as a line of JSON has it."""
        return {**reading.shown, **self.pipeline.said(judgement)}


def _short(value: float) -> float:
    """Six digits are enough to read."""
    return float(f"{value:.6g}")
