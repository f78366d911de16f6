"""Folds, gradients and streams while cores are taken and given back at random, for as long as asked.

    python tests/engine/soak_busy.py --minutes 30

Other programs spin on 0 to twice the cores for moments of 0.05 to 2 seconds; this process calls from one to four
threads, on one to four threads each, now and then with its cores cut down to one. Every result must have the bits of
the first. A call that takes more than a minute ends the run with the stacks of all threads. Prints the number of calls,
the longest one, and the process's memory and threads before and after.
"""

import faulthandler
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import typer

import memfold
from memfold import nn

SIZES = [(1, 120, 192), (2, 60, 96), (4, 50, 160), (9, 40, 64), (32, 20, 64), (1, 300, 32)]
Results = list[torch.Tensor]


@dataclass
class Soak:
    """What a run has found."""

    calls: int = 0
    longest: float = 0.0
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, seconds: float, seed: int) -> None:
        work = [(name, call, call()) for name, call in calls()]
        end = time.monotonic() + seconds
        choose = random.Random(seed)
        programs: list[subprocess.Popen[bytes]] = []
        try:
            while time.monotonic() < end:
                while programs and choose.random() < 0.6:
                    programs.pop().kill()
                for _ in range(choose.choice([0, 0, 1, 1, 2, os.cpu_count() or 1])):
                    if len(programs) < 2 * (os.cpu_count() or 1):
                        programs.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
                memfold.set_num_threads(choose.choice([1, 2, 2, 2, 4]))
                until = time.monotonic() + choose.uniform(0.05, 2)
                callers = [
                    threading.Thread(target=self.call, args=(work, until, choose.random()))
                    for _ in range(choose.choice([1, 1, 2, 4]))
                ]
                for caller in callers:
                    caller.start()
                for caller in callers:
                    caller.join()
        finally:
            for program in programs:
                program.kill()

    def call(self, work: list[tuple[str, Callable[[], Results], Results]], until: float, seed: float) -> None:
        choose = random.Random(seed)
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        if cores and choose.random() < 0.1:
            os.sched_setaffinity(0, {choose.choice(sorted(cores))})  # of this thread
        while time.monotonic() < until:
            name, call, expected = choose.choice(work)
            begun = time.monotonic()
            faulthandler.dump_traceback_later(60, exit=True)
            found = call()
            faulthandler.cancel_dump_traceback_later()
            with self.lock:
                self.calls += 1
                self.longest = max(self.longest, time.monotonic() - begun)
                if not all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)):
                    self.wrong.append(name)


def calls() -> list[tuple[str, Callable[[], Results]]]:
    """Named calls, each of which always gives the same."""
    torch.manual_seed(0)
    result: list[tuple[str, Callable[[], Results]]] = []
    for cell, (batch, steps, hidden) in [(c, s) for c in (nn.LSTM, nn.GRU) for s in SIZES]:
        both = hidden == 64
        layer = cell(hidden, hidden, bidirectional=both)  # type: ignore[operator]
        x = torch.randn(steps, batch, hidden)
        name = f"{cell.__name__} B{batch} T{steps} H{hidden}"

        def infer(layer: torch.nn.Module = layer, x: torch.Tensor = x) -> Results:
            with torch.no_grad():
                return [layer(x)[0]]

        def train(layer: torch.nn.Module = layer, x: torch.Tensor = x) -> Results:
            y = layer(x)[0]
            return list(torch.autograd.grad(y.square().sum(), list(layer.parameters())))

        def step(layer: nn.LSTM = layer, x: torch.Tensor = x) -> Results:
            stream = layer.stream(streams=x.shape[1])
            return [torch.from_numpy(stream.step(part.numpy().reshape(len(part), -1)).copy()) for part in x]

        result += [(f"{name}, infer", infer), (f"{name}, train", train)]
        if not both:
            result.append((f"{name}, stream", step))
    return result


def state() -> str:
    """Resident memory and threads of this process."""
    status = Path("/proc/self/status")
    if not status.exists():
        return "unknown"
    values = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return f"{int(values['VmRSS'].split()[0]) // 1024} MB, {values['Threads'].strip()} threads"


def main(minutes: float = 30.0, seed: int = 0) -> None:
    soak = Soak()
    soak.run(20, seed)  # until allocators have seen all sizes
    before = state()
    soak.run(minutes * 60, seed + 1)
    print(f"{soak.calls} calls, the longest {soak.longest:.2f} s, {len(soak.wrong)} wrong;", end=" ")
    print(f"{before} before, {state()} after")
    if soak.wrong:
        raise SystemExit(f"wrong: {sorted(set(soak.wrong))}")


if __name__ == "__main__":
    typer.run(main)
