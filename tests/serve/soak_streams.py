"""A server under load for as long as one likes: clients come, stay, vanish and do not read; memory must not grow.

    python tests/serve/soak_streams.py --minutes 30

In the end the server is stopped under load, and every stream that is open gets its state.
"""

import argparse
import random
import re
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from websockets.exceptions import WebSocketException

sys.path.insert(0, str(Path(__file__).parents[1]))

from serve.server import Running, lines, model, pcm

CLIENTS, GROWTH = 40, 1.05
SILENCE = pcm(0.01 * np.random.default_rng(0).standard_normal(800).astype(np.float32))


class Load:
    """Clients in threads.

    Attributes:
        vanished, answered: clients that closed their socket without a word, and messages.
        states: of streams that were open when the server stopped.
    """

    def __init__(self, server: Running) -> None:
        self.server = server
        self.stops = self.is_stopping = False
        self.vanished = self.answered = self.states = self.closed = 0
        self.faults: list[str] = []
        self.counting = threading.Lock()
        self.threads = [threading.Thread(target=self._client, args=(k,), daemon=True) for k in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _client(self, seed: int) -> None:
        dice = random.Random(seed)
        while not (self.stops or self.is_stopping):
            try:
                self._visit(dice)
            except (WebSocketException, OSError, TimeoutError) as error:
                if not self.is_stopping:
                    self.faults.append(repr(error))

    def _visit(self, dice: random.Random) -> None:
        name = dice.choice(("anomaly", "command"))
        with self.server.stream(name, "?acknowledge=true") as socket:
            for k in range(dice.randint(1, 200)):
                if self.stops:
                    return
                socket.send(f"{300 + k},{dice.random():.3f}" if name == "anomaly" else SILENCE)
                said = lines(socket.recv(timeout=60))
                self.answered += 1
                if any("closing" in line for line in said if isinstance(line, dict)):
                    self._wait_for_state(socket)
                    return
                if dice.random() < 0.01:
                    socket.send('{"state": true}')
                    socket.recv(timeout=60)
                time.sleep(0.1 * dice.random())
            if dice.random() < 0.3:  # as a client that is killed
                socket.send("302,0.5" if name == "anomaly" else SILENCE)
                socket.socket.close()
                self.vanished += 1

    def _wait_for_state(self, socket: Any) -> None:
        said: list[Any] = []
        with suppress(WebSocketException):
            while True:
                said += lines(socket.recv(timeout=60))
        with self.counting:
            self.states += any("state" in line for line in said if isinstance(line, dict))
            self.closed += socket.close_code == 1001


def kilobytes(process: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found.group(1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    minutes = parser.parse_args().minutes
    models = [f"{name}={model(name)}" for name in ("anomaly", "command")]
    with Running(models, "--set", "grace_seconds=3", "streams=100") as server:
        load, begun, first = Load(server), time.monotonic(), 0
        while (passed := time.monotonic() - begun) < 60 * minutes:
            time.sleep(min(10.0, 60 * minutes / 6))
            if not first and passed > 10 * minutes:  # a sixth of the time
                first = kilobytes(server.process.pid)
        last = kilobytes(server.process.pid)
        load.is_stopping = True
        open_streams = sum(map(int, re.findall(r"open_streams\{.*\} (\d+)", server.ask("/metrics")[2])))
        server.stop()
        code = server.process.wait(timeout=60)
        load.stops = True
        for thread in load.threads:
            thread.join(timeout=60)
        traces = [line for line in server.said if "Traceback" in line]
    growth = last / max(first, 1)
    print(
        f"{load.answered:,} messages answered, {load.vanished:,} clients vanished, {len(load.faults)} faults of clients"
    )
    print(f"memory {first:,} kB after a sixth of the time, {last:,} kB at its end: {growth:.3f}")
    print(
        f"stopped with {open_streams} streams open: {load.states} states, {load.closed} closed with 1001, exit {code}"
    )
    for fault in load.faults[:5]:
        print(fault)
    good = growth <= GROWTH and not traces and not load.faults and code == 0 and load.states == load.closed
    return 0 if good and load.states >= 0.9 * open_streams else 1


if __name__ == "__main__":
    raise SystemExit(main())
