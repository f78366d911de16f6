"""What the benchmarks share: the grid of sizes, the layers, the machine, and the turns in which calls are timed."""

import math
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from memfold import _engine, engine
from memfold.bench.peers import TimedCall, version_of
from memfold.nn import GRU, LSTM, RNN
from memfold.nn.layer import Recurrent

__all__ = [
    "GATES",
    "GRID",
    "describe_machine",
    "fma_peak",
    "geometric_mean",
    "layer_of",
    "medians",
    "ratios_to_peers",
    "timed_turn",
]

GRID = [
    (1, 100, 64),
    (1, 100, 128),
    (1, 100, 256),
    (1, 100, 512),
    (8, 100, 128),
    (32, 100, 64),
    (32, 100, 128),
    (32, 100, 256),
    (64, 100, 512),
    (128, 100, 128),
]
PACKAGES = ("memfold", "torch", "onnxruntime", "jax", "keras", "neuralforecast")
GATES = {"lstm": 4, "gru": 3, "rnn": 1, "peephole": 4}


def describe_machine() -> dict[str, Any]:
    """Processor, threads, instruction set, the measured multiply-add peak in GFLOP/s, and the versions at work."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = named[0] if named else model
    return {
        "processor": model,
        "threads": engine.get_num_threads(),
        "isa": engine.isa(),
        "peak_gflops": fma_peak(engine.get_num_threads()) / 1e9,
        "versions": {name: version_of(name) for name in PACKAGES},
    }


def fma_peak(threads: int, *, bfloat16: bool = False) -> float:
    """Operations a second that this many threads reach on multiply-adds in registers alone; the best of nine trials,
    each after a pause in which the threads of whatever ran before stop spinning.

    Args:
        bfloat16: of products of bfloat16 numbers, not of float32.
    """
    rounds, best = 2_000_000, 0.0
    for _ in range(9):
        time.sleep(0.25)
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as team:
            operations = sum(team.map(_engine.spend_operations, [rounds] * threads, [bfloat16] * threads))
        best = max(best, operations / (time.perf_counter() - start))
    return best


def layer_of(cell: str, hidden: int) -> Recurrent:
    """With values drawn as torch draws them, so that biases and peepholes are not 0, and one in a wrong place shows."""
    torch.manual_seed(0)
    if cell == "gru":
        return GRU(hidden, hidden, init="torch").eval()
    if cell == "rnn":
        return RNN(hidden, hidden, init="torch").eval()
    return LSTM(hidden, hidden, peephole=cell == "peephole", init="torch").eval()


def medians(calls: Mapping[str, TimedCall], rounds: int) -> dict[str, float]:
    """Median seconds of each call, over turns that they have one after the other."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name] += timed_turn({name: call})[name]
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def timed_turn(calls: Mapping[str, TimedCall], seconds: float = 0.05) -> dict[str, list[float]]:
    """Seconds of each call, made one after the other over and over for the given time.

    It begins with a pause, in which the threads of the turn before stop spinning (ONNX Runtime's go on for over 5 ms,
    and halve the speed of whoever comes next), and a few calls that do not count.
    """
    time.sleep(0.25)
    for _ in range(3):
        for call in calls.values():
            call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    while True:
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            stop = time.perf_counter()
            taken[name].append(stop - start)
        if stop >= end:
            return taken


def ratios_to_peers(taken: Mapping[str, float], ours: str = "memfold") -> dict[str, float]:
    """Seconds of each peer over memfold's: above 1 memfold is faster.

    Args:
        taken: by name, memfold's too, whose names begin so.
        ours: the one of memfold's that the others are held against.
    """
    peers = [name for name in taken if not name.startswith("memfold")]
    return {f"ratio_{name}": taken[name] / taken[ours] for name in peers}


def geometric_mean(values: Sequence[float]) -> float:
    """Of ratios: a half and a double make 1."""
    return math.exp(statistics.fmean(math.log(v) for v in values))
