"""Streams by WebSocket: lines or sound in, answers as ``memfold stream`` prints them, out."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError
from memfold.runtime.pipeline import TO_JSON
from memfold.serve.access import Caller, Signer
from memfold.serve.hosting import Version
from memfold.serve.limits import Limits
from memfold.serve.metrics import Metrics

__all__ = ["CLOSES", "Stream", "Streams"]

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Why a stream ends, and by which code of RFC 6455.
CLOSES = {
    "finished": 1000,
    "the server stops": 1001,
    "a message of another kind": 1003,
    "no such state": 1008,
    "slow reader": 1008,
    "idle": 1008,
    "too old": 1008,
    "too much sound in a message": 1009,
    "engine": 1011,
    "model replaced": 1012,
}
PACE = 1.0  # seconds between two looks at what idles
LAST_WORD = 2.0  # seconds that a client has to read why its stream ends


class _EndedError(Exception):
    """The stream ends; the reason is one of `CLOSES`."""


class Streams:
    """All that are open, each of which is looked at every second."""

    def __init__(self, limits: Limits, signer: Signer, metrics: Metrics) -> None:
        self.limits, self.signer, self.metrics = limits, signer, metrics
        self.open: set[Stream] = set()

    async def watch(self) -> None:
        """Close what idles, what is too old, and what does not read."""
        while True:
            await asyncio.sleep(PACE)
            now = time.monotonic()
            for stream in list(self.open):
                if reason := stream.overdue(now):
                    stream.end(reason)

    async def stop(self) -> None:
        """Tell all streams that the server stops, and give them the time that the limits say."""
        until = time.monotonic() + self.limits.grace_seconds
        for stream in list(self.open):
            stream.tell_closing()
        while self.open and time.monotonic() < until:
            await asyncio.sleep(0.05)
        for stream in list(self.open):
            stream.end("the server stops")
        for _ in range(100):
            if not self.open:
                return
            await asyncio.sleep(0.05)


class Stream:
    """One client's stream.

    It takes a message, answers it, and takes the next: what a client sends faster waits in its own socket.

    Args:
        acknowledges: an empty message where an input is not answered, so that the client knows that it was taken.
    """

    def __init__(
        self, streams: Streams, version: Version, caller: Caller, receive: Receive, send: Send, acknowledges: bool
    ) -> None:
        assert version.batcher is not None
        self.streams, self.version, self.caller = streams, version, caller
        self.batcher = version.batcher
        self.receive, self._send, self.acknowledges = receive, send, acknowledges
        self.session: Any = None
        self.begun = time.monotonic()
        self.waiting_since: float | None = None  # for a message
        self.sending_since: float | None = None
        self.reason = ""
        self.task: asyncio.Task[Any] | None = None
        self._sending = asyncio.Lock()
        metrics, name = streams.metrics, version.name
        self._received, self._sound = metrics.received.labels(name), metrics.sound.labels(name)
        self._wait = metrics.wait.labels(name)
        self._tells: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Go along the messages until one side ends the stream."""
        metrics, name = self.streams.metrics, self.version.name
        self.task = asyncio.current_task()
        self.streams.open.add(self)
        self.caller.open_streams += 1
        metrics.streams.labels(name).inc()
        metrics.opened.labels(name).inc()
        reason = "finished"
        try:
            await self._go_along()
        except _EndedError as end:
            reason = str(end)
        except InputError:
            reason = "model replaced"
        except asyncio.CancelledError:
            if not self.reason:  # the server itself was interrupted
                raise
            reason = self.reason
        except RuntimeError as error:
            reason = "engine"
            with suppress(Exception):
                await self._say({"error": str(error)})
        finally:
            if self._tells is not None:
                self._tells.cancel()
            await asyncio.shield(self._leave(reason))

    async def _leave(self, reason: str) -> None:
        """Hand out the state where the server stops, close the socket, and free the place."""
        metrics = self.streams.metrics
        try:
            if reason == "the server stops" and self.session is not None:
                with suppress(InputError, _EndedError, TimeoutError):
                    await asyncio.wait_for(self._say({"state": await self._state()}), LAST_WORD)
            if reason not in ("", "finished"):
                metrics.refused.labels(reason).inc()
            if reason:
                closing = {"type": "websocket.close", "code": CLOSES[reason], "reason": reason}
                with suppress(OSError, RuntimeError, TimeoutError):
                    await asyncio.wait_for(self._send(closing), LAST_WORD)
        finally:
            if self.session is not None:
                await self.batcher.release(self.session)
            self.caller.open_streams -= 1
            self.streams.open.discard(self)
            metrics.streams.labels(self.version.name).dec()
            self.version.left()

    def overdue(self, now: float) -> str:
        """Why the stream must end; empty when it may go on."""
        limits = self.streams.limits
        if self.sending_since is not None and now - self.sending_since > limits.unsent_seconds:
            return "slow reader"
        if self.waiting_since is not None and now - self.waiting_since > limits.idle_seconds:
            return "idle"
        return "too old" if now - self.begun > limits.life_seconds else ""

    def end(self, reason: str) -> None:
        """Have the stream end for this reason, once the message under way is answered, unless nobody reads the answer:
        a state holds what was taken, so the answer to that must not be lost."""
        if self.reason or self.task is None:
            return
        self.reason = reason
        if self.waiting_since is not None or self.sending_since is not None:
            self.task.cancel()

    def tell_closing(self) -> None:
        """Tell the client how long it has, without waiting for it."""
        seconds = self.streams.limits.grace_seconds
        self._tells = asyncio.create_task(self._say({"closing": seconds}))

    async def _go_along(self) -> None:
        while True:
            if self.reason:
                raise _EndedError(self.reason)
            self.waiting_since = time.monotonic()
            message = await self.receive()
            self.waiting_since = None
            if message["type"] == "websocket.disconnect":
                raise _EndedError("")
            arrived = time.monotonic()
            text, block = message.get("text"), message.get("bytes")
            size = len(text or block or b"")
            self._received.inc(size)
            if text is not None and text[:1] == "{" and (command := _command(text)):
                await self._obey(*command)
                continue
            if self.session is None:
                self.session = await self.batcher.open()
            answers = await self.batcher.push(self.session, self._inputs(text, block))
            if answers or self.acknowledges:
                await self._write("\n".join(self._line(answer) for answer in answers))
            self._wait.observe(time.monotonic() - arrived)

    async def _obey(self, command: str, value: Any) -> None:
        """Do what a client asks for beside its inputs."""
        if command == "resume":
            if self.session is not None:
                await self._say({"error": "resume comes first"})
                raise _EndedError("no such state")
            try:
                state = self.streams.signer.read(value, self.caller.name, self.version.name)
                self.session = await self.batcher.open(state)
            except InputError as error:
                await self._say({"error": str(error)})
                raise _EndedError("no such state") from None
            await self._say({"resumed": True})
            return
        if self.session is None:
            self.session = await self.batcher.open()
        if command == "finish":
            last = await self.batcher.ended(self.session)
            if last:
                await self._write("\n".join(self._line(answer) for answer in last))
            raise _EndedError("finished")
        try:
            await self._say({"state": await self._state()})
        except InputError as error:
            await self._say({"error": str(error)})

    async def _state(self) -> str:
        """The signed state.

        Raises:
            InputError: the model has none, or it would be too long a message to be given back.
        """
        state = await self.batcher.state(self.session)
        signed = self.streams.signer.sign(state, self.caller.name, self.version.name)
        if len(signed) + 20 > (most := self.streams.limits.message_bytes):
            raise InputError(f"the state takes {len(signed):,} bytes, more than the {most:,} of a message")
        return signed

    def _inputs(self, text: str | None, block: bytes | None) -> list[Any]:
        """What a message gives the session."""
        rate = self.version.rate
        if not rate:
            if text is None:
                raise _EndedError("a message of another kind")
            return text.splitlines() or [""]
        if block is None or len(block) % 2:
            raise _EndedError("a message of another kind")
        if len(block) > 2 * rate * self.streams.limits.message_seconds:
            raise _EndedError("too much sound in a message")
        self._sound.inc(len(block) / 2 / rate)
        return [_samples(block)]

    def _line(self, answer: Any) -> str:
        if isinstance(answer, InputError):
            return TO_JSON({"error": str(answer).removeprefix("standard input, ")})
        line: str = self.session.line(answer)
        return line

    async def _say(self, what: dict[str, Any]) -> None:
        await self._write(TO_JSON(what))

    async def _write(self, text: str) -> None:
        """Send a message; a client that does not read it is seen by `overdue`."""
        async with self._sending:
            self.sending_since = time.monotonic()
            try:
                whole = text.encode("utf-8", "replace").decode()  # half a pair of surrogates cannot be sent
                await self._send({"type": "websocket.send", "text": whole})
            except OSError:
                raise _EndedError("") from None
            finally:
                self.sending_since = None


def _samples(block: bytes) -> NDArray[np.float32]:
    """Samples of 16 bits, little-endian, ``(N,)``."""
    return np.frombuffer(block, "<i2").astype(np.float32) / np.float32(32768)


def _command(text: str) -> tuple[str, Any] | None:
    """``{"resume": STATE}``, ``{"state": true}`` or ``{"finish": true}``; None where a text is something else."""
    if len(text) < 200 or '"resume"' in text[:40]:
        with suppress(ValueError, RecursionError):
            given = json.loads(text)
            if isinstance(given, dict) and len(given) == 1:
                ((name, value),) = given.items()
                if (name == "resume" and isinstance(value, str)) or (name in ("state", "finish") and value is True):
                    return name, value
    return None
