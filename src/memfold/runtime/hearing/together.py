"""Sessions that hear: one alone, or many of one model together."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from memfold.data.features import FrameStream, LogMel, windows_of
from memfold.runtime.hearing.live import Listener, Listeners, parts_of
from memfold.runtime.pipeline import Pipeline, Pool, S, Session

__all__ = ["HearingPipeline", "HearingPool", "HearingSession"]

Samples = NDArray[np.float32]


class HearingPipeline(Pipeline[S]):
    """A model that hears sound as it comes.

    Attributes:
        features: its log-mel frames.
    """

    hears = True
    features: LogMel

    @abstractmethod
    def listeners(self, most: int = 1) -> Listeners:
        """The network as sound comes, for so many recordings at a time."""

    @abstractmethod
    def heard(self, frames: Samples) -> Samples:
        """Log-mel frames ``(T, M)`` as the network takes them."""

    @abstractmethod
    def answered(self, sessions: Sequence[Any], outputs: Sequence[Samples]) -> list[list[Any]]:
        """What each session makes of the network's outputs ``(T', O)`` at some more steps."""

    @abstractmethod
    def session(self, listener: Listener) -> "HearingSession":
        """A session that has heard nothing yet, in a listener's row."""

    def open(self) -> "HearingSession":
        return self.session(self.listeners().open())

    def smallest(self) -> Samples:
        return np.zeros(self.rate // 10, np.float32)

    def pool(self, most: int) -> "HearingPool":
        return HearingPool(self, most)

    def hear(self, sessions: Sequence["HearingSession"], blocks: Sequence[Samples]) -> list[list[Any]]:
        """What each of some sessions, all in rows of the same listeners, makes of some more samples ``(N,)``."""
        sounds = [session.frames.take(block) for session, block in zip(sessions, blocks, strict=True)]
        windows, counts = windows_of(sounds, self.features.length, self.features.shift)
        divided = parts_of(self.heard(self.features.frames(windows)), counts)
        outputs = sessions[0].listener.listeners.push([session.listener for session in sessions], divided)
        return self.answered(sessions, outputs)


class HearingSession(Session):
    """Sound as it comes, in a row of listeners that others may be in too."""

    moves: ClassVar[tuple[str, ...]] = ("frames", "listener")
    pipeline: HearingPipeline[Any]

    def __init__(self, pipeline: HearingPipeline[Any], listener: Listener) -> None:
        super().__init__(pipeline)
        self.frames = FrameStream(pipeline.features)
        self.listener = listener

    def push(self, given: Samples) -> list[dict[str, Any]]:
        """What some more samples ``(N,)`` at the model's rate complete."""
        return self.pipeline.hear([self], [np.asarray(given, np.float32)])[0]


class HearingPool(Pool):
    """Many sessions in the rows of one network."""

    def __init__(self, pipeline: HearingPipeline[Any], most: int) -> None:
        super().__init__(pipeline, most)
        self.listeners = pipeline.listeners(most)

    def begin(self, place: int) -> Session:
        session: Session = self.pipeline.session(self.listeners.open(place))
        return session

    def push(self, sessions: Sequence[Any], given: Sequence[Any]) -> list[Any]:
        answers: list[Any] = self.pipeline.hear(sessions, [np.asarray(block, np.float32) for block in given])
        return answers
