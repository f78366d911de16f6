"""Running a server: sockets, signals, and an end that loses nothing."""

import asyncio
import contextlib
import importlib
import logging
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import uvicorn
import websockets  # noqa: F401  by which uvicorn takes streams; without it, it would refuse them in silence

from memfold.display import say
from memfold.errors import InputError
from memfold.extras import is_installed
from memfold.serve.access import Access, Signer, read_tokens
from memfold.serve.application import Server
from memfold.serve.hosting import Hosted, named
from memfold.serve.limits import Limits
from memfold.serve.metrics import Metrics

__all__ = ["serve"]

log = logging.getLogger("memfold.serve")

UNSENT_BYTES = 1 << 17
BESIDE = 500  # connections besides those of streams


class _Uvicorn(uvicorn.Server):
    """Without uvicorn's own signal handlers, which close every stream at once."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    models: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    tokens: Path | None = None,
    key: Path | None = None,
    watch: float | None = None,
    certificate: Path | None = None,
    private_key: Path | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve models until SIGTERM or Ctrl-C.

    Args:
        models: folders, each as ``DIR`` or ``NAME=DIR``.
        host, port: to listen on; port 0 takes a free one.
        tokens: lines ``name sha256 [streams] [per-second] [admin]``; without them only this machine is answered.
        key: file of the key that states are signed with, which is made when it is not there.
        watch: seconds between two looks for a model that was written anew.
        certificate, private_key: of TLS, as files in PEM.

    Raises:
        InputError: a model that cannot be read, a host that takes tokens, a port that is taken.
    """
    run = importlib.import_module("uvloop").run if is_installed("uvloop") else asyncio.run
    run(_serve(models, host, port, tokens, key, watch, (certificate, private_key), limits or Limits()))


async def _serve(
    models: Sequence[str],
    host: str,
    port: int,
    tokens: Path | None,
    key: Path | None,
    watch: float | None,
    tls: tuple[Path | None, Path | None],
    limits: Limits,
) -> None:
    metrics = Metrics()
    access = Access(None if tokens is None else read_tokens(tokens), host)
    signer = Signer.of(key)
    hosted = {name: Hosted(name, path, limits, metrics) for name, path in named(models).items()}
    server = Server(hosted, access, signer, limits, metrics)
    config = uvicorn.Config(
        server.app,
        host=host,
        port=port,
        lifespan="off",
        ws="websockets-sansio",
        access_log=False,
        log_level="warning",
        server_header=False,
        ws_max_size=limits.message_bytes,
        ws_per_message_deflate=False,
        timeout_keep_alive=30,
        limit_concurrency=limits.streams * len(hosted) + BESIDE,
        ssl_certfile=None if tls[0] is None else str(tls[0]),
        ssl_keyfile=None if tls[1] is None else str(tls[1]),
    )
    try:
        sockets = [config.bind_socket()]
    except SystemExit:
        raise InputError(f"port {port} of {host} cannot be listened on; it is taken, or reserved") from None
    # Of each connection: what a client does not read waits in the system's memory, of which it takes megabytes else.
    sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT_BYTES)
    running = _Uvicorn(config)
    for one in hosted.values():
        one.version.begin()
    stopping = asyncio.Event()
    _on_signals(stopping, hosted)
    tasks = [asyncio.create_task(server.streams.watch())]
    if watch is not None:
        tasks.append(asyncio.create_task(_watch(hosted, watch)))
    listening = asyncio.create_task(running.serve(sockets))
    while not (running.started or listening.done()):
        await asyncio.sleep(0.01)
    server.is_ready = True
    scheme, place = "https" if tls[0] else "http", sockets[0].getsockname()
    address = f"[{place[0]}]" if ":" in place[0] else place[0]
    say(f"{', '.join(hosted)} at {scheme}://{address}:{place[1]}; Ctrl-C stops")
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({stop, listening}, return_when=asyncio.FIRST_COMPLETED)
    server.is_ready = False
    if not listening.done():
        say(f"stopping; streams that are open have {limits.grace_seconds:g} seconds")
        await server.streams.stop()
    running.should_exit = True
    await listening
    for task in (*tasks, stop):
        task.cancel()
    for one in hosted.values():
        one.version.end()


def _on_signals(stopping: asyncio.Event, hosted: Mapping[str, Hosted]) -> None:
    """Stop at SIGTERM and Ctrl-C, read the models again at SIGHUP."""
    loop, kept = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def read_again() -> None:
        task = asyncio.create_task(_reload(hosted))
        kept.add(task)
        task.add_done_callback(kept.discard)

    with contextlib.suppress(NotImplementedError, AttributeError):  # of Windows, where Ctrl-C is an exception
        loop.add_signal_handler(signal.SIGTERM, stopping.set)
        loop.add_signal_handler(signal.SIGINT, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, read_again)


async def _reload(hosted: Mapping[str, Hosted]) -> None:
    for one in hosted.values():
        try:
            if await one.reload():
                say(f"{one.name}: a new version answers, {one.version.sha256[:12]}")
        except (InputError, OSError) as error:
            say(f"{one.name}: not read again, the one before goes on answering: {error}")


async def _watch(hosted: Mapping[str, Hosted], seconds: float) -> None:
    """Read models again that were written anew; one that cannot be read is tried again at the next look."""
    said: dict[str, str] = {}
    while True:
        await asyncio.sleep(seconds)
        for one in hosted.values():
            try:
                if await one.reload():
                    say(f"{one.name}: a new version answers, {one.version.sha256[:12]}")
                said.pop(one.name, None)
            except (InputError, OSError) as error:
                if said.get(one.name) != str(error):
                    say(f"{one.name}: not read again, the one before goes on answering: {error}")
                    said[one.name] = str(error)
