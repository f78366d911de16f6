"""Layers on a machine that others use too: memfold beside memfold on one thread and torch.nn, under the same load."""

import multiprocessing
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, product
from typing import Any

import numpy as np
import torch

from memfold import _engine, engine
from memfold.bench.peers import TimedCall, in_bfloat16, without_gradient
from memfold.bench.timing import describe_machine, geometric_mean, layer_of, timed_turn
from memfold.bench.train import derived

__all__ = ["LOADS", "SIZES", "busy"]

SIZES = [(1, 120, 192), (1, 100, 512), (4, 200, 320), (32, 100, 128)]
LOADS = ("quiet", "one core taken", "all cores taken", "spinning neighbour", "four threads", "two processes")
TURN = 0.4  # seconds
CALLERS = 4  # of "four threads"
SPIN = "while True: pass"


def busy(
    cells: Sequence[str] = ("lstm",),
    rounds: int = 3,
    *,
    sizes: Sequence[tuple[int, int, int]] = tuple(SIZES),
    loads: Sequence[str] = LOADS,
    modes: Sequence[str] = ("infer", "train"),
    bfloat16: bool = False,
) -> dict[str, Any]:
    """Time one layer while other programs take cores: the peers have turns under the same load.

    Args:
        cells: of ``lstm gru rnn``.
        rounds: turns that each peer has at each point.
        sizes: batch, steps and hidden size of each point; input and hidden size are equal.
        loads: of ``LOADS``. A taken core is another program that spins, on whichever core the system gives it. A
            neighbour is a thread of this process that spins. Four threads call at once, each a layer of its own. Two
            processes make the same calls side by side, each on as many threads as alone.
        modes: ``infer``, a call without a gradient, and ``train``, forward and backward.
        bfloat16: every peer's calls are under autocast in bfloat16.

    Returns:
        ``machine``; ``points``, each with its load, mode, cell and size, and for memfold, memfold on one thread and
        torch.nn the median and the 99th percentile of a call in milliseconds; ``ratio_one_thread``, memfold's median
        over that of one thread, and ``p99_one_thread`` likewise; ``ratio_torch``, torch.nn's median over memfold's:
        above 1 memfold is faster. Of two processes each peer's ``_share`` is the slower one's speed over that of one
        process alone. ``ratio`` by load and mode is the geometric mean of the ratios to torch.nn.
    """
    machine = describe_machine()
    points: list[dict[str, Any]] = []
    for load, cell, size, mode in product(loads, cells, sizes, modes):
        batch, steps, hidden = size
        point = {"load": load, "mode": mode, "cell": cell, "batch": batch, "steps": steps, "hidden": hidden}
        if load == "two processes":
            points.append(point | _side_by_side(cell, size, mode, rounds, bfloat16))
            continue
        callers = CALLERS if load == "four threads" else 1
        with _under(load):
            points.append(point | _compared(_taken(cell, size, mode, rounds, callers, bfloat16)))
    ratios = {
        f"{load}, {mode}": geometric_mean([p["ratio_torch"] for p in points if (p["load"], p["mode"]) == (load, mode)])
        for load, mode in product(loads, modes)
    }
    return {"machine": machine, "points": points, "ratio": ratios}


class _Peers:
    """The calls of one point, and how many threads each has."""

    names = ("memfold", "memfold_one_thread", "torch")

    def __init__(self, cell: str, size: tuple[int, int, int], mode: str, bfloat16: bool) -> None:
        batch, steps, hidden = size
        compiled = layer_of(cell, hidden)
        x, cotangent = torch.randn(2, steps, batch, hidden)
        calls: list[TimedCall] = []
        for layer in (compiled, compiled.to_torch()):
            forward = partial(in_bfloat16, layer) if bfloat16 else layer
            if mode == "train":
                calls.append(derived(layer, x, cotangent, forward))
            else:
                calls.append(without_gradient(partial(forward, x)))
        self.calls: dict[str, TimedCall] = dict(zip(self.names, (calls[0], *calls), strict=True))

    @staticmethod
    @contextmanager
    def threads(name: str) -> Iterator[None]:
        before = engine.get_num_threads()
        engine.set_num_threads(1 if name == "memfold_one_thread" else before)
        try:
            yield
        finally:
            engine.set_num_threads(before)


def _taken(
    cell: str, size: tuple[int, int, int], mode: str, rounds: int, callers: int, bfloat16: bool
) -> dict[str, list[float]]:
    """Seconds of every call of each peer."""
    peers = [_Peers(cell, size, mode, bfloat16) for _ in range(callers)]
    taken: dict[str, list[float]] = {name: [] for name in _Peers.names}
    for _, name in product(range(rounds), _Peers.names):
        with _Peers.threads(name):
            taken[name] += _at_once([peer.calls[name] for peer in peers])
    return taken


def _at_once(calls: Sequence[TimedCall]) -> list[float]:
    """Seconds of each call, made over and over by a thread for each."""
    if len(calls) == 1:
        return timed_turn({"": calls[0]}, TURN)[""]
    taken: list[list[float]] = [[] for _ in calls]
    begin = threading.Barrier(len(calls))

    def work(k: int) -> None:
        begin.wait()
        taken[k] = timed_turn({"": calls[k]}, TURN)[""]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(chain.from_iterable(taken))


def _compared(taken: Mapping[str, Sequence[float]]) -> dict[str, float]:
    result: dict[str, float] = {}
    for name, seconds in taken.items():
        result[f"{name}_ms"] = statistics.median(seconds) * 1e3
        result[f"{name}_p99_ms"] = float(np.quantile(seconds, 0.99)) * 1e3
    ours, one, torchs = (f"{name}_ms" for name in _Peers.names)
    return result | {
        "ratio_one_thread": result[ours] / result[one],
        "p99_one_thread": result["memfold_p99_ms"] / result["memfold_one_thread_p99_ms"],
        "ratio_torch": result[torchs] / result[ours],
    }


@contextmanager
def _under(load: str) -> Iterator[None]:
    """The load, until the end of the context."""
    programs = {"one core taken": 1, "all cores taken": engine.cores()}.get(load, 0)
    running = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(programs)]
    over = threading.Event()

    def spin() -> None:
        while not over.is_set():
            _engine.spend_operations(1_000_000)

    neighbour = threading.Thread(target=spin) if load == "spinning neighbour" else None
    try:
        if neighbour:
            neighbour.start()
        yield
    finally:
        over.set()
        for program in running:
            program.kill()
            program.wait()
        if neighbour:
            neighbour.join()


def _side_by_side(cell: str, size: tuple[int, int, int], mode: str, rounds: int, bfloat16: bool) -> dict[str, float]:
    """Calls a second of each of two processes over those of one alone."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    other = context.Process(target=_serve, args=(there, cell, size, mode, bfloat16), daemon=True)
    other.start()
    here.recv()
    peers = _Peers(cell, size, mode, bfloat16)
    taken: dict[str, list[float]] = {}
    shares: dict[str, list[float]] = {name: [] for name in _Peers.names}
    for _, name in product(range(rounds), _Peers.names):
        with _Peers.threads(name):
            alone = timed_turn({"": peers.calls[name]}, TURN)[""]
            here.send(name)
            beside = timed_turn({"": peers.calls[name]}, TURN)[""]
            others = here.recv()
        slower = max(statistics.fmean(beside), others)
        shares[name].append(statistics.fmean(alone) / slower)
        taken.setdefault(name, []).extend(beside)
    here.send(None)
    other.join()
    return _compared(taken) | {f"{name}_share": statistics.median(share) for name, share in shares.items()}


def _serve(pipe: Any, cell: str, size: tuple[int, int, int], mode: str, bfloat16: bool) -> None:
    """The second process: a turn of the named peer, and the mean seconds of its calls back."""
    peers = _Peers(cell, size, mode, bfloat16)
    pipe.send(None)
    while (name := pipe.recv()) is not None:
        with _Peers.threads(name):
            pipe.send(statistics.fmean(timed_turn({"": peers.calls[name]}, TURN)[""]))
