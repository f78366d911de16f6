"""Side-by-side measurements with the peers: torch.nn and, where they are installed, ONNX Runtime, JAX, Keras and
neuralforecast.

Each figure is the median of a call; the peers take turns in one process, so that whatever else the machine does falls
on all of them. Results are plain dictionaries: ``memfold bench NAME --json`` prints them, benchmarks/ makes a table.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import nn

from memfold.bench.bfloat16 import bfloat16
from memfold.bench.busy import busy
from memfold.bench.peers import TimedCall, check_equal_work, peer_calls, version_of, without_gradient
from memfold.bench.tasks import tasks
from memfold.bench.timing import (
    GATES,
    GRID,
    describe_machine,
    geometric_mean,
    layer_of,
    medians,
    ratios_to_peers,
    timed_turn,
)
from memfold.bench.train import train
from memfold.errors import InputError
from memfold.nn import LSTM

__all__ = ["BENCHMARKS", "bfloat16", "busy", "layers", "stream", "tasks", "train"]

YARDSTICKS = ("torch", "onnxruntime")  # the ratio of a point is to the faster of these


def layers(cells: Sequence[str] = tuple(GATES), rounds: int = 5) -> dict[str, Any]:
    """Time inference of one layer over the grid of batch, steps and hidden size; input and hidden size are equal.

    Args:
        cells: of ``lstm gru rnn peephole``.
        rounds: turns that each peer has at each point.

    Returns:
        ``machine``; ``points``, each with the milliseconds of memfold and of each peer, the ratio to each and to the
        faster of torch.nn and ONNX Runtime, and the per cent of the measured multiply-add peak; by cell ``ratio``, the
        geometric mean of the ratios to the faster of the two, and ``ratio_jax`` and ``ratio_keras`` where these are
        measured; ``ragged`` and ``turns``, one comparison each.

    Raises:
        RuntimeError: a peer does not compute what memfold does.
    """
    machine = describe_machine()
    points = [_point(cell, *size, machine["peak_gflops"], rounds) for cell in cells for size in GRID]
    ratios: dict[str, dict[str, float]] = {}
    for name, cell in product(("ratio", "ratio_jax", "ratio_keras"), cells):
        if values := [p[name] for p in points if p["cell"] == cell and name in p]:
            ratios.setdefault(name, {})[cell] = geometric_mean(values)
    return {
        "machine": machine,
        "points": points,
        **ratios,
        "ragged": _ragged(rounds),
        "turns": _turns(rounds),
    }


def stream(rounds: int = 9) -> dict[str, Any]:
    """Time one step of one LSTM layer, called from Python, for a single stream.

    Returns:
        ``machine`` and ``points``, each with the microseconds of memfold and of each peer, and the ratio to each.
    """
    points: list[dict[str, Any]] = []
    for hidden in (64, 128, 256, 512):
        layer = layer_of("lstm", hidden)
        full = layer.stream()
        x = np.random.default_rng(0).standard_normal(hidden).astype(np.float32)
        half = layer.stream(bfloat16=True)
        peers = peer_calls("lstm", layer, torch.from_numpy(x).reshape(1, 1, hidden), carry=True)
        check_equal_work(peers, full.step(x).reshape(1, 1, hidden))
        calls: dict[str, TimedCall] = {"memfold": partial(full.step, x), "memfold_bfloat16": partial(half.step, x)}
        taken = medians(calls | peers, rounds)
        times = {f"{name}_us": seconds * 1e6 for name, seconds in taken.items()}
        points.append({"cell": "lstm", "hidden": hidden, **times, **ratios_to_peers(taken)})
    return {"machine": describe_machine(), "points": points}


def _series(budget: str = "60s") -> dict[str, Any]:
    """`memfold.bench.series.series`, which alone needs what reads tables.

    Raises:
        InputError: neuralforecast is not installed.
    """
    if not version_of("neuralforecast"):
        raise InputError(
            "series is measured beside neuralforecast, which is not installed here; make peers installs it"
        )
    from memfold.bench.series import series

    return series(budget)


BENCHMARKS: dict[str, Callable[..., dict[str, Any]]] = {
    "layers": layers,
    "stream": stream,
    "train": train,
    "series": _series,
    "bfloat16": bfloat16,
    "busy": busy,
    "tasks": tasks,
}


def _point(cell: str, batch: int, steps: int, hidden: int, peak_gflops: float, rounds: int) -> dict[str, Any]:
    layer = layer_of(cell, hidden)
    x = torch.randn(steps, batch, hidden)
    call: TimedCall = without_gradient(lambda: layer(x)[0])
    peers = peer_calls(cell, layer, x)
    check_equal_work(peers, call().numpy())
    taken = medians({"memfold": call, **peers}, rounds)
    ratios = ratios_to_peers(taken)
    operations = 2 * GATES[cell] * hidden * (2 * hidden) * batch * steps
    return {
        "cell": cell,
        "batch": batch,
        "steps": steps,
        "hidden": hidden,
        **{f"{name}_ms": seconds * 1e3 for name, seconds in taken.items()},
        **ratios,
        "ratio": min((ratios[f"ratio_{name}"] for name in YARDSTICKS if name in peers), default=math.nan),
        "peak_percent": operations / taken["memfold"] / peak_gflops / 1e7,
    }


def _ragged(rounds: int) -> dict[str, float]:
    """A bidirectional LSTM, B32 T100 H128, lengths uniform from 5 to 100: with lengths, padded, torch packed."""
    layer = LSTM(128, 128, bidirectional=True).eval()
    peer = layer.to_torch()
    x = torch.randn(100, 32, 128)
    lengths = torch.from_numpy(np.random.default_rng(0).integers(5, 101, 32))
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    taken = medians(
        {
            "memfold": without_gradient(lambda: layer(x, lengths=lengths)),
            "memfold_padded": without_gradient(lambda: layer(x)),
            "torch_packed": without_gradient(lambda: peer(packed)),
        },
        rounds,
    )
    return {f"{name}_ms": seconds * 1e3 for name, seconds in taken.items()} | {
        "of_padded": taken["memfold"] / taken["memfold_padded"],
        "ratio_torch_packed": taken["torch_packed"] / taken["memfold"],
    }


def _turns(rounds: int) -> dict[str, float]:
    """A 400x400 product of torch and an LSTM, B16 T100 H64, called in turns and each by itself.

    Threads of two teams would fight: those of the one spin for a while after their work, and the other waits for cores.
    """
    layer = LSTM(64, 64).eval()
    x = torch.randn(100, 16, 64)
    square = torch.randn(400, 400)
    multiply = without_gradient(lambda: square @ square)
    fold = without_gradient(lambda: layer(x))
    taken: dict[str, list[float]] = {"product": [], "product_alone": [], "memfold": [], "memfold_alone": []}
    for _ in range(rounds):
        for calls in ({"product_alone": multiply}, {"memfold_alone": fold}, {"product": multiply, "memfold": fold}):
            for name, seconds in timed_turn(calls).items():
                taken[name] += seconds
    return {f"{name}_us": statistics.median(seconds) * 1e6 for name, seconds in taken.items()}
