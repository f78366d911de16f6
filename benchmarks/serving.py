"""How many streams a server holds: ten messages of 100 ms a second each, answered within 100 ms in 99 of 100 cases.

    python benchmarks/serving.py command=MODEL anomaly=MODEL [--streams 100,200,500,1000] [--seconds 10] [--json FILE]

The client is a process of its own, a loop over sockets; its processor time is counted apart. Beside ``memfold serve``
stands the same model behind FastAPI, and behind Ray Serve, with one call of its session for each message. Twenty
streams are compared with what their file is answered. Every load ends by itself.
"""

import argparse
import json
import multiprocessing
import os
import resource
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from memfold.runtime import Pipeline, load

PACE = 0.1  # seconds from one message of a stream to its next
ALLOWED = 0.1  # seconds, of 99 in 100 answers
COMPARED = 20  # streams

FASTAPI = """
import sys
import numpy as np
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from memfold import engine
from memfold.runtime import load

engine.set_num_threads(1)
app, pipeline = FastAPI(), load(sys.argv[1])


@app.websocket("/v1/models/m/stream")
async def stream(socket: WebSocket) -> None:
    await socket.accept()
    session = pipeline.open()
    try:
        while True:
            if pipeline.hears:
                given = [np.frombuffer(await socket.receive_bytes(), "<i2").astype(np.float32) / np.float32(32768)]
            else:
                given = (await socket.receive_text()).split("\\n")
            await socket.send_text("\\n".join(session.line(answer) for one in given for answer in session.push(one)))
    except WebSocketDisconnect:
        pass


uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", ws_per_message_deflate=False)
"""

RAY = """
import sys
import time
import numpy as np
import ray
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from ray import serve
from memfold import engine
from memfold.runtime import load

app, folder, port = FastAPI(), sys.argv[1], int(sys.argv[2])


@serve.deployment(max_ongoing_requests=10_000)
@serve.ingress(app)
class Model:
    def __init__(self) -> None:
        engine.set_num_threads(1)
        self.pipeline = load(folder)

    @app.websocket("/v1/models/m/stream")
    async def stream(self, socket: WebSocket) -> None:
        await socket.accept()
        session, hears = self.pipeline.open(), self.pipeline.hears
        try:
            while True:
                if hears:
                    given = [np.frombuffer(await socket.receive_bytes(), "<i2").astype(np.float32) / np.float32(32768)]
                else:
                    given = (await socket.receive_text()).split("\\n")
                answers = (answer for one in given for answer in session.push(one))
                await socket.send_text("\\n".join(map(session.line, answers)))
        except WebSocketDisconnect:
            pass


ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(Model.bind())
print("ready", flush=True)
time.sleep(600)
"""


@dataclass
class Held:
    """A load and what it took.

    Attributes:
        p50, p99: seconds to an answer.
        late: messages that the client could not send when they were due.
        server, client: seconds of a processor a second.
        kilobytes: of the server's memory a stream.
        equal: streams of those compared whose answers are their file's.
    """

    what: str
    streams: int
    p50: float
    p99: float
    answered: float
    late: float
    server: float
    client: float
    kilobytes: float
    equal: str


@dataclass
class Client:
    """One stream of the client's."""

    socket: socket.socket
    messages: list[bytes]
    due: float
    sent: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    read: bytearray = field(default_factory=bytearray)
    at: int = 0


def frame(payload: bytes, is_text: bool) -> bytes:
    """A message as a WebSocket's client sends it, under a mask of zeros."""
    head = b"\x81" if is_text else b"\x82"
    length = (
        struct.pack("!B", 128 | len(payload)) if len(payload) < 126 else struct.pack("!BH", 128 | 126, len(payload))
    )
    return head + length + b"\0\0\0\0" + payload


def frames_in(buffer: bytearray) -> Iterator[bytes]:
    """The whole messages at the beginning of what was read; they are taken out of it."""
    while len(buffer) >= 2:
        length, start = buffer[1] & 127, 2
        if length == 126:
            length, start = int.from_bytes(buffer[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start + length:
            return
        yield bytes(buffer[start : start + length])
        del buffer[: start + length]


def opened(port: int, path: str) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), timeout=20)
    one.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += one.recv(1)
    if b" 101 " not in head:
        raise RuntimeError(head.decode())
    one.setblocking(False)
    return one


def hold(port: int, path: str, messages: Sequence[Sequence[bytes]], seconds: float, is_text: bool, pipe: Any) -> None:
    """Send each stream its messages, one every `PACE`, and say how long the answers took. Runs in a process."""
    clients = []
    for k, some in enumerate(messages):
        begun = time.perf_counter()
        clients.append(Client(opened(port, path), [frame(one, is_text) for one in some], 0.0))
        time.sleep(max(0.0, 0.004 - (time.perf_counter() - begun)))  # as people come, not all in one instant
        clients[-1].due = k / len(messages) * PACE
    poll = selectors.DefaultSelector()
    for client in clients:
        poll.register(client.socket, selectors.EVENT_READ, client)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() + 0.5
    for client in clients:
        client.due += start
    order, late, count = clients, 0, 0
    pipe.send("begun")
    end, next_one = start + seconds, 0
    while (now := time.perf_counter()) < end + 1.0:
        while order[next_one].due <= now and now < end:
            client = order[next_one]
            if client.at < len(client.messages):
                late += now - client.due > PACE / 2
                count += 1
                client.sent.append(now)
                client.socket.send(client.messages[client.at])
                client.at += 1
            client.due += PACE
            next_one = (next_one + 1) % len(order)
        wait = min(max(order[next_one].due - now, 0.0), 0.05) if now < end else 0.05
        for key, _ in poll.select(wait):
            client = key.data
            client.read += client.socket.recv(65536)
            for text in frames_in(client.read):
                client.waits.append(time.perf_counter() - client.sent[len(client.waits)])
                client.answers.append(text.decode())
    after = resource.getrusage(resource.RUSAGE_SELF)
    for client in clients:
        client.socket.close()
    spent = sum(getattr(after, name) - getattr(before, name) for name in ("ru_utime", "ru_stime"))
    waits = np.concatenate([client.waits[len(client.waits) // 5 :] for client in clients])
    pipe.send(
        {
            "p50": float(np.quantile(waits, 0.5)),
            "p99": float(np.quantile(waits, 0.99)),
            "answered": sum(len(client.waits) for client in clients) / max(count, 1),
            "late": late / max(count, 1),
            "client": spent / (seconds + 1.5),
            "answers": [client.answers for client in clients[:: max(1, len(clients) // COMPARED)][:COMPARED]],
        }
    )


def family_of(process: int) -> list[int]:
    """A process and those that it has started."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(one for child in children for one in family_of(int(child)))]


def seconds_of(process: int) -> float:
    """Of a processor, that a process and those it has started have taken."""
    total = 0
    for one in family_of(process):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def kilobytes_of(process: int) -> int:
    """Of memory, that they hold."""
    pages = (int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family_of(process))
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") // 1024


def messages_for(pipeline: Pipeline[Any], k: int, count: int) -> list[bytes]:
    """A stream's messages: sound with something in it, or readings with a jump."""
    rng = np.random.default_rng(k)
    if not pipeline.hears:
        variables = len(pipeline.settings.variables)
        rows = np.sin(np.arange(count) / 5 + k)[:, None] + 0.1 * rng.standard_normal((count, variables))
        start = np.datetime64("2030-01-01T00:00:00")
        times = [str(start + 300 * i) if pipeline.settings.calendar else str(i) for i in range(count)]
        lines = (",".join([time, *(f"{value:.4f}" for value in row)]) for time, row in zip(times, rows, strict=True))
        return [line.encode() for line in lines]
    step = round(PACE * pipeline.rate)
    loud = 0.02 + 0.1 * (np.arange(count * step) // (3 * step) % 3 == 1)
    return [
        block.tobytes() for block in np.split((32768 * loud * rng.standard_normal(count * step)).astype("<i2"), count)
    ]


def answered(pipeline: Pipeline[Any], messages: Sequence[bytes]) -> list[str]:
    """What the model answers to the messages of one stream in a process of its own."""
    session, found = pipeline.open(), []
    for one in messages:
        given: Any = (
            np.frombuffer(one, "<i2").astype(np.float32) / np.float32(32768) if pipeline.hears else one.decode()
        )
        found.append("\n".join(session.line(answer) for answer in session.push(given)))
    return found


def measured(
    what: str, command: Sequence[str], port: int, path: str, pipeline: Any, streams: int, seconds: float
) -> Held:
    """A load on a server that is started for it."""
    server = subprocess.Popen([*command], stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        _wait_for(port)
        count = round(seconds / PACE)
        messages = [messages_for(pipeline, k, count) for k in range(streams)]
        here, there = multiprocessing.Pipe()
        empty = kilobytes_of(server.pid)
        client = multiprocessing.Process(target=hold, args=(port, path, messages, seconds, not pipeline.hears, there))
        client.start()
        here.recv()
        begun, before = time.perf_counter(), seconds_of(server.pid)
        time.sleep(seconds)
        took = (seconds_of(server.pid) - before) / (time.perf_counter() - begun)
        full = kilobytes_of(server.pid)
        found = here.recv()
        client.join()
    finally:
        server.kill()
        server.wait()
    answers = found.pop("answers")
    some = messages[:: max(1, streams // COMPARED)][:COMPARED]
    equal = sum(ours == answered(pipeline, given)[: len(ours)] for ours, given in zip(answers, some, strict=True))
    return Held(
        what, streams, **found, server=took, kilobytes=(full - empty) / streams, equal=f"{equal} of {len(some)}"
    )


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server does not listen")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=DIR")
    parser.add_argument("--streams", default="100,200,300,500,700,1000")
    parser.add_argument("--beside", default="memfold serve,FastAPI,Ray Serve")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = []
    for text in given.models:
        name, _, folder = text.partition("=")
        pipeline = load(folder)
        for what in given.beside.split(","):
            for streams in map(int, given.streams.split(",")):
                port = free_port()
                ours = [sys.executable, "-m", "memfold", "serve", f"m={folder}", "--port", str(port)]
                ours += ["--set", f"streams={streams + 10}"]
                peers = {"FastAPI": FASTAPI, "Ray Serve": RAY}
                command = [sys.executable, "-c", peers[what], folder, str(port)] if what in peers else ours
                path = "/v1/models/m/stream?acknowledge=true"
                held = measured(f"{name}, {what}", command, port, path, pipeline, streams, given.seconds)
                found.append(asdict(held))
                print(json.dumps(found[-1]), flush=True)
                if held.p99 > ALLOWED or held.answered < 0.99:
                    break
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
