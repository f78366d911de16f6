"""Layers under autocast in bfloat16, beside themselves in float32 and torch.nn in both."""

import math
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from memfold import engine
from memfold.bench.peers import TimedCall, check_equal_work, in_bfloat16, peer_calls, without_gradient
from memfold.bench.timing import GATES, GRID, describe_machine, fma_peak, geometric_mean, layer_of, medians
from memfold.bench.train import composed, derived

__all__ = ["bfloat16"]

MODES = ("infer", "train")
TOLERANCE = 0.05  # of outputs, which are 1 at most; bfloat16 has 8 significant bits


def bfloat16(cells: Sequence[str] = tuple(GATES), rounds: int = 5, *, modes: Sequence[str] = MODES) -> dict[str, Any]:
    """Time one layer over the grid of ``layers`` with products in bfloat16.

    Args:
        cells: of ``lstm gru rnn peephole``.
        rounds: turns that each peer has at each point.
        modes: ``infer``, a call without a gradient, and ``train``, forward and backward.

    Returns:
        ``machine``, with the peak of multiply-adds in bfloat16 besides; ``points``, each with its mode, cell and size,
        the milliseconds of memfold and torch.nn under autocast in bfloat16 and in float32, ``ratio`` to the fastest
        peer and ``ratio_float32`` to memfold in float32, and the per cent of that peak, a backward pass counted as two
        forward ones. The peephole LSTM, which torch.nn has not, is beside ONNX Runtime in inference, and beside its
        loop in torch's operators in training, both in float32. ``ratio`` by cell and mode is the geometric mean,
        ``least`` the least.

    Raises:
        RuntimeError: a peer does not compute what memfold does.
    """
    threads = engine.get_num_threads()
    machine = describe_machine() | {"peak_bfloat16_gflops": fma_peak(threads, bfloat16=True) / 1e9}
    points = [
        _point(cell, mode, *size, machine["peak_bfloat16_gflops"], rounds)
        for cell, mode, size in product(cells, modes, GRID)
    ]
    ratios: dict[str, list[float]] = {}
    for point in points:
        ratios.setdefault(f"{point['cell']}, {point['mode']}", []).append(point["ratio"])
    return {
        "machine": machine,
        "points": points,
        "ratio": {name: geometric_mean(values) for name, values in ratios.items()},
        "least": {name: min(values) for name, values in ratios.items()},
    }


def _point(
    cell: str, mode: str, batch: int, steps: int, hidden: int, peak_gflops: float, rounds: int
) -> dict[str, Any]:
    calls = _calls(cell, mode, batch, steps, hidden)
    outputs = {name: partial(_output, call) for name, call in calls.items()}
    check_equal_work(outputs, outputs["memfold_float32"]().numpy(), tolerance=TOLERANCE)
    taken = medians(calls, rounds)
    peers = [seconds for name, seconds in taken.items() if not name.startswith("memfold")]
    operations = (3 if mode == "train" else 1) * 2 * GATES[cell] * hidden * (2 * hidden) * batch * steps
    return {
        "cell": cell,
        "mode": mode,
        "batch": batch,
        "steps": steps,
        "hidden": hidden,
        **{f"{name}_ms": seconds * 1e3 for name, seconds in taken.items()},
        "ratio": min(peers, default=math.nan) / taken["memfold"],
        "ratio_float32": taken["memfold_float32"] / taken["memfold"],
        "peak_percent": operations / taken["memfold"] / peak_gflops / 1e7,
    }


def _calls(cell: str, mode: str, batch: int, steps: int, hidden: int) -> dict[str, TimedCall]:
    """memfold's call in bfloat16, and those that it is held against."""
    layer = layer_of(cell, hidden)
    x, cotangent = torch.randn(2, steps, batch, hidden)

    def call(module: nn.Module, half: bool) -> TimedCall:
        forward = partial(in_bfloat16, module) if half else module
        if mode == "infer":
            return without_gradient(partial(forward, x))
        return derived(module, x, cotangent, forward)

    calls = {"memfold": call(layer, True), "memfold_float32": call(layer, False)}
    if cell != "peephole":
        theirs = layer.to_torch()
        return calls | {"torch": call(theirs, False), "torch_bfloat16": call(theirs, True)}
    if mode == "train":
        return calls | {"eager": derived(layer, x, cotangent, partial(composed, layer))}
    return calls | {name: peer for name, peer in peer_calls(cell, layer, x).items() if name == "onnxruntime"}


def _output(call: TimedCall) -> Tensor:
    result = call()
    y: Tensor = torch.as_tensor(result[0] if isinstance(result, tuple) else result)
    return y.float()
