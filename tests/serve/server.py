"""A server as a process of its own, and a client of its streams."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from websockets.sync.client import ClientConnection, connect

from formats.kept import FOLDER

WAIT = 60.0  # seconds that anything may take


def model(name: str) -> Path:
    """A small model of each task."""
    return FOLDER / name / "model"


class Running:
    """``memfold serve`` on a free port of this machine.

    Args:
        models: as the command takes them.
        options: of the command.
    """

    def __init__(self, models: Sequence[str], *options: str) -> None:
        command = [sys.executable, "-m", "memfold", "serve", *models, "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"})
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = int(re.search(r":(\d+); Ctrl-C", self.wait_for("Ctrl-C stops")).group(1))  # type: ignore[union-attr]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)

    def wait_for(self, text: str) -> str:
        """The line of what the server says that holds a text."""
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            for line in list(self.said):
                if text in line:
                    return line
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"no {text!r} in {''.join(self.said)}")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers and content of an answer, as JSON where it is some."""
        request = urllib.request.Request(f"{self.address}{path}", body, dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=WAIT) as response:
                status, found, content = response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            status, found, content = error.code, dict(error.headers), error.read()
        try:
            return status, found, json.loads(content)
        except ValueError:
            return status, found, content.decode()

    def stream(self, name: str, query: str = "", **options: Any) -> Any:
        """A stream of a model, for a ``with``."""
        return connect(
            f"ws://127.0.0.1:{self.port}/v1/models/{name}/stream{query}", open_timeout=WAIT, compression=None, **options
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)


def pcm(sound: np.ndarray) -> bytes:
    """Samples as a stream takes them."""
    return (sound * 32768).clip(-32768, 32767).astype("<i2").tobytes()


def answers(socket: ClientConnection, messages: Sequence[str | bytes]) -> list[Any]:
    """What a stream that acknowledges answers to messages one after another, JSON as such."""
    found = []
    for message in messages:
        socket.send(message)
        found += lines(socket.recv(timeout=WAIT))
    return found


def lines(text: str | bytes) -> list[Any]:
    """The lines of a message."""
    return [json.loads(line) if line.startswith("{") else line for line in str(text).split("\n") if line]
