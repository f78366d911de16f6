"""One thread for each model: it takes together what is ready of any stream, and nothing queues without a bound."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from memfold.errors import InputError
from memfold.runtime.pipeline import Pool, Session
from memfold.serve.metrics import Metrics

__all__ = ["MOST_ROWS", "Batcher"]

MOST_ROWS = 256  # of a tick: so many streams wait for each other at most
# Seconds from the beginning of a tick to that of the next, at least: what comes meanwhile goes together, which costs
# much less than ticks of its own. A message that comes after a pause waits for nobody.
GATHERING = 0.01


@dataclass
class _Message:
    session: Session
    rest: deque[Any]  # inputs, which are taken one after another
    answered: "asyncio.Future[list[Any]]"
    answers: list[Any] = field(default_factory=list)
    fault: Exception | None = None  # of ours, in this session alone


class Batcher:
    """Gives sessions of one pool their inputs, as many together as have one ready.

    A session has one message at a time with it, so that nothing queues without a bound.

    Args:
        name: of the model, in the metrics.
    """

    def __init__(self, pool: Pool, name: str, metrics: Metrics) -> None:
        self.pool = pool
        self._ticks, self._rows, self._busy = (
            metrics.ticks.labels(name),
            metrics.rows.labels(name),
            metrics.busy.labels(name),
        )
        self.loop = asyncio.get_running_loop()
        self._ready: list[_Message] = []
        self._changed = threading.Condition()
        self._closed = False
        self._lock = threading.Lock()  # of the pool, whose sessions open and close between ticks
        self._open_sessions: set[Session] = set()  # one that was closed with a message in hand gets no more of it
        self._thread = threading.Thread(target=self._work, name=f"engine of {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, once what it has is answered."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    async def open(self, state: bytes | None = None) -> Session:
        """A session; of a state, one that goes on from it.

        Raises:
            InputError: as `Pool.open` and `Pool.resume`.
        """
        return await asyncio.to_thread(self._open, state)

    def _open(self, state: bytes | None) -> Session:
        with self._lock:
            session = self.pool.open() if state is None else self.pool.resume(state)
            self._open_sessions.add(session)
            return session

    async def ended(self, session: Session) -> list[Any]:
        """The answers that only a session's end completes."""
        return await asyncio.to_thread(self._ended, session)

    def _ended(self, session: Session) -> list[Any]:
        with self._lock:
            return session.finish()

    async def state(self, session: Session) -> bytes:
        """What a session remembers."""
        return await asyncio.to_thread(self._state, session)

    def _state(self, session: Session) -> bytes:
        with self._lock:
            return session.state

    async def release(self, session: Session) -> None:
        """Close a session."""
        await asyncio.to_thread(self._release, session)

    def _release(self, session: Session) -> None:
        with self._lock:
            self._open_sessions.remove(session)
            self.pool.close(session)

    async def push(self, session: Session, inputs: Sequence[Any]) -> list[Any]:
        """A session's answers to its next inputs; among them, in its place, what is wrong with one of them."""
        answered: asyncio.Future[list[Any]] = self.loop.create_future()
        with self._changed:
            if self._closed:
                raise InputError("this model has been replaced")
            self._ready.append(_Message(session, deque(inputs), answered))
            self._changed.notify()
        return await answered

    def _work(self) -> None:
        begun = 0.0
        while True:
            with self._changed:
                while not self._ready and not self._closed:
                    self._changed.wait()
                if not self._ready:
                    return
            time.sleep(max(0.0, begun + GATHERING - time.perf_counter()))
            with self._changed:
                messages, self._ready = self._ready[:MOST_ROWS], self._ready[MOST_ROWS:]
            begun = time.perf_counter()
            try:
                with self._lock:
                    self._tick([message for message in messages if message.session in self._open_sessions])
            except BaseException as error:  # a fault of ours: its clients get an error, the others go on
                self._tell(_fail, messages, error)
                continue
            self._ticks.inc()
            self._rows.observe(len(messages))
            self._busy.inc(time.perf_counter() - begun)
            unfinished = [one for one in messages if one.rest and one.session in self._open_sessions]
            with self._changed:
                self._ready += unfinished
            if unfinished:  # they have gathered already
                begun = 0.0
            self._tell(_answer, [message for message in messages if not message.rest])

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the server has ended
            self.loop.call_soon_threadsafe(what, *arguments)

    def _tick(self, messages: Sequence[_Message]) -> None:
        """Give each message's session one input."""
        answers = self.pool.push([one.session for one in messages], [one.rest.popleft() for one in messages])
        for message, answer in zip(messages, answers, strict=True):
            if isinstance(answer, Exception) and not isinstance(answer, InputError):
                message.rest.clear()
                message.fault = answer
            else:
                message.answers += [answer] if isinstance(answer, InputError) else answer


def _answer(messages: Sequence[_Message]) -> None:
    for message in messages:
        if message.answered.done():
            continue
        if message.fault is not None:
            _fail([message], message.fault)
        else:
            message.answered.set_result(message.answers)


def _fail(messages: Sequence[_Message], error: BaseException) -> None:
    for message in messages:
        if not message.answered.done():
            message.answered.set_exception(RuntimeError(f"the engine failed: {error!r}"))
