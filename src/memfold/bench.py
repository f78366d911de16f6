"""Side-by-side measurements with the peers: torch.nn and ONNX Runtime.

Each figure is the median of a call; the peers take turns in one process, so that whatever else the machine does falls
on all of them. Results are plain dictionaries: ``memfold bench NAME --json`` prints them, benchmarks/ makes a table.
"""

import math
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from memfold import _engine, engine
from memfold.nn import GRU, LSTM, RNN
from memfold.nn.layer import Recurrent

__all__ = ["BENCHMARKS", "layers", "stream"]

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
GATES = {"lstm": 4, "gru": 3, "rnn": 1, "peephole": 4}
Call = Callable[[], object]


def layers(cells: Sequence[str] = tuple(GATES), rounds: int = 5) -> dict[str, Any]:
    """Time inference of one layer over the grid of batch, steps and hidden size; input and hidden size are equal.

    Args:
        cells: of ``lstm gru rnn peephole``.
        rounds: turns that each peer has at each point.

    Returns:
        ``machine``; ``points``, each with the milliseconds of memfold and of each peer, the ratio to each and to the
        faster, and the per cent of the measured multiply-add peak; ``ratio``, the geometric mean of the ratios to the
        faster peer, by cell; ``ragged`` and ``bfloat16``, one comparison each.
    """
    machine = describe_machine()
    points = [_point(cell, *size, machine["peak_gflops"], rounds) for cell in cells for size in GRID]
    ratio = {c: _geometric_mean([p["ratio"] for p in points if p["cell"] == c]) for c in cells}
    return {
        "machine": machine,
        "points": points,
        "ratio": ratio,
        "ragged": _ragged(rounds),
        "bfloat16": _bfloat16(rounds),
    }


def stream(rounds: int = 9) -> dict[str, Any]:
    """Time one step of one LSTM layer, called from Python, for a single stream.

    Returns:
        ``machine`` and ``points``, each with the microseconds of memfold and of each peer, and the ratio to each.
    """
    points: list[dict[str, Any]] = []
    for hidden in (64, 128, 256, 512):
        layer = LSTM(hidden, hidden).eval()
        own, x = layer.stream(), np.random.default_rng(0).standard_normal(hidden).astype(np.float32)
        half = layer.stream(bfloat16=True)
        calls: dict[str, Call] = {"memfold": partial(own.step, x), "memfold_bfloat16": partial(half.step, x)}
        calls |= _peers("lstm", layer, torch.from_numpy(x).reshape(1, 1, hidden), carry=True)
        taken = _medians(calls, rounds)
        times = {f"{name}_us": seconds * 1e6 for name, seconds in taken.items()}
        points.append({"cell": "lstm", "hidden": hidden, **times, **_ratios(taken)})
    return {"machine": describe_machine(), "points": points}


BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {"layers": layers, "stream": stream}


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
        "versions": {name: _version(name) for name in ("memfold", "torch", "onnxruntime")},
    }


def fma_peak(threads: int) -> float:
    """Operations a second that this many threads reach on multiply-adds in registers alone; the best of five trials."""
    rounds, best = 2_000_000, 0.0
    for _ in range(5):
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as team:
            operations = sum(team.map(_engine.spend_operations, [rounds] * threads))
        best = max(best, operations / (time.perf_counter() - start))
    return best


def _point(cell: str, batch: int, steps: int, hidden: int, peak_gflops: float, rounds: int) -> dict[str, Any]:
    layer = _layer(cell, hidden)
    x = torch.randn(steps, batch, hidden)
    calls: dict[str, Call] = {"memfold": _without_gradient(lambda: layer(x))}
    taken = _medians(calls | _peers(cell, layer, x), rounds)
    ratios = _ratios(taken)
    operations = 2 * GATES[cell] * hidden * (2 * hidden) * batch * steps
    return {
        "cell": cell,
        "batch": batch,
        "steps": steps,
        "hidden": hidden,
        **{f"{name}_ms": seconds * 1e3 for name, seconds in taken.items()},
        **ratios,
        "ratio": min(ratios.values(), default=math.nan),
        "peak_percent": operations / taken["memfold"] / peak_gflops / 1e7,
    }


def _ragged(rounds: int) -> dict[str, float]:
    """A bidirectional LSTM, B32 T100 H128, lengths uniform from 5 to 100: with lengths, padded, torch packed."""
    layer = LSTM(128, 128, bidirectional=True).eval()
    peer = layer.to_torch()
    x, lengths = torch.randn(100, 32, 128), torch.from_numpy(np.random.default_rng(0).integers(5, 101, 32))
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    taken = _medians(
        {
            "memfold": _without_gradient(lambda: layer(x, lengths=lengths)),
            "memfold_padded": _without_gradient(lambda: layer(x)),
            "torch_packed": _without_gradient(lambda: peer(packed)),
        },
        rounds,
    )
    return {f"{name}_ms": seconds * 1e3 for name, seconds in taken.items()} | {
        "of_padded": taken["memfold"] / taken["memfold_padded"],
        "ratio_torch_packed": taken["torch_packed"] / taken["memfold"],
    }


def _bfloat16(rounds: int) -> dict[str, float]:
    """An LSTM, B1 T100 H512, with weights in float32 and in bfloat16; the largest difference of their outputs."""
    layer = LSTM(512, 512).eval()
    weights = {name: w.detach().numpy() for name, w in layer._weights(0).items()}
    x = np.random.default_rng(0).standard_normal((100, 1, 512)).astype(np.float32)
    single, half = engine.pack("lstm", weights), engine.pack("lstm", weights, bfloat16=True)
    taken = _medians(
        {"float32": lambda: engine.fold("lstm", x, single), "bfloat16": lambda: engine.fold("lstm", x, half)}, rounds
    )
    difference = np.abs(engine.fold("lstm", x, single)[0] - engine.fold("lstm", x, half)[0]).max()
    return {
        "float32_ms": taken["float32"] * 1e3,
        "bfloat16_ms": taken["bfloat16"] * 1e3,
        "ratio": taken["float32"] / taken["bfloat16"],
        "largest_difference": float(difference),
    }


def _layer(cell: str, hidden: int) -> Recurrent:
    torch.manual_seed(0)
    if cell == "gru":
        return GRU(hidden, hidden).eval()
    if cell == "rnn":
        return RNN(hidden, hidden).eval()
    return LSTM(hidden, hidden, peephole=cell == "peephole").eval()


def _peers(cell: str, layer: Recurrent, x: torch.Tensor, *, carry: bool = False) -> dict[str, Call]:
    """A call of each peer that has this cell: over x, and with ``carry`` from the state that the last call left."""
    calls: dict[str, Call] = {}
    if cell != "peephole":
        reference = layer.to_torch()
        state: list[Any] = [None]

        def step() -> None:
            _, hx = reference(x, state[0])
            if carry:
                state[0] = hx

        calls["torch"] = _without_gradient(step)
    if _version("onnxruntime") and _version("onnx"):
        calls["onnxruntime"] = _onnxruntime(layer, x.numpy(), carry)
    return calls


def _onnxruntime(layer: Recurrent, x: np.ndarray[Any, Any], carry: bool) -> Call:
    """One ONNX node with the layer's weights, reordered from i f g o to i o f c and from r z n to z r h."""
    import onnx
    import onnxruntime  # type: ignore[import-untyped]
    from onnx import helper, numpy_helper

    own = {name: w.detach().numpy() for name, w in layer._weights(0).items()}
    order = {"lstm": [0, 3, 1, 2], "gru": [1, 0, 2]}.get(layer.cell, [0])

    def reordered(weight: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.concatenate([np.split(weight, len(order))[gate] for gate in order])[None]

    operator = {"lstm": "LSTM", "gru": "GRU"}.get(layer.cell, "RNN")
    weights = {"W": reordered(own["weight_ih"]), "R": reordered(own["weight_hh"])}
    weights["B"] = np.concatenate([reordered(own["bias_ih"]), reordered(own["bias_hh"])], axis=1)
    if "weight_ph" in own:
        i, f, o = np.split(own["weight_ph"], 3)
        weights["P"] = np.concatenate([i, o, f])[None]
    states = ["h"] if operator != "LSTM" else ["h", "c"]
    zeros = np.zeros((1, x.shape[1], layer.hidden_size), np.float32)
    inputs = ["X", "W", "R", "B", "", *states] + (["P"] if "P" in weights else [])
    options: dict[str, Any] = {"linear_before_reset": 1} if operator == "GRU" else {}
    node = helper.make_node(
        operator, inputs, ["Y", *[f"{s}_last" for s in states]], hidden_size=layer.hidden_size, **options
    )
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, x.shape)]
        + [helper.make_tensor_value_info(s, onnx.TensorProto.FLOAT, zeros.shape) for s in states],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in node.output],
        [numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = engine.get_num_threads()
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options, providers=["CPUExecutionProvider"]
    )
    feed = {"X": x} | dict.fromkeys(states, zeros)

    def run() -> None:
        _, *final = session.run(None, feed)
        if carry:
            feed.update(zip(states, final, strict=True))

    return run


def _without_gradient(call: Call) -> Call:
    def run() -> object:
        with torch.no_grad():
            return call()

    return run


def _medians(calls: Mapping[str, Call], rounds: int, turn: float = 0.05) -> dict[str, float]:
    """Median seconds of each call.

    A turn begins with a pause, in which the threads of the one before stop spinning (ONNX Runtime's go on for over
    5 ms, and halve the speed of whoever comes next), and a few calls that do not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(0.25)
            for _ in range(3):
                call()
            end = time.perf_counter() + turn
            while True:
                start = time.perf_counter()
                call()
                stop = time.perf_counter()
                taken[name].append(stop - start)
                if stop >= end:
                    break
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _ratios(taken: Mapping[str, float]) -> dict[str, float]:
    peers = [name for name in taken if not name.startswith("memfold")]
    return {f"ratio_{name}": taken[name] / taken["memfold"] for name in peers}


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(math.log(v) for v in values))


def _version(name: str) -> str:
    """Of an installed package, or nothing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
