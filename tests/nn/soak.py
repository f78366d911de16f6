"""Random layers, shapes, options, precisions and thread counts, engine against composition, for as long as asked.

    python tests/nn/soak.py --minutes 60

Prints the number of cases, the largest difference of outputs and gradients in each type, and the process's memory after
each quarter of the time. Of products in bfloat16 torch keeps the programs that it has made for the last 1,024 shapes:
memory grows until there are so many. A case that differs too much is printed with its seed, and the run ends with an
error; where rounding alone moves the composition as far, it is counted as ill-conditioned instead.
"""

import contextlib
import math
import random
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer
from torch import Tensor

import memfold
from memfold import nn
from memfold.nn import dispatch
from memfold.nn.layer import Recurrent

# Differences, relative to 1 + the largest value of the array: float32 sums over hundreds of steps differ by rounding,
# in growing recurrent networks by much of it. Products in bfloat16 are held against the composition in float32: that is
# for what is grossly wrong, and what two thread counts return for what is wrong by a bit.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-3, torch.bfloat16: 0.5}
# A layer normalized LSTM of first weights is chaotic over tens of steps: what half a unit in the last place of the
# weights moves is as large as the difference. Such a case fails when it differs by more than these times as much. In
# bfloat16 every step rounds: there the moved weights are multiplied by torch's operators under autocast.
CONDITION = 10
DRAWS = 8


@dataclass
class Soak:
    """What a run has found."""

    cases: int = 0
    conditioned: int = 0
    largest: dict[torch.dtype, float] = field(default_factory=lambda: dict.fromkeys(TOLERANCE, 0.0))
    failed: list[int] = field(default_factory=list)

    def run(self, seconds: float, first_seed: int) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.add(first_seed + self.cases)

    def add(self, seed: int) -> None:
        dtype, difference, rounding = case(seed)
        self.cases += 1
        if difference <= TOLERANCE[dtype]:
            self.largest[dtype] = max(self.largest[dtype], difference)
        elif difference <= CONDITION * rounding:
            self.conditioned += 1
        else:
            self.failed.append(seed)


def case(seed: int) -> tuple[torch.dtype, float, float]:
    """One random layer and call: its products' type, the largest difference between engine and composition, and, where
    that is above the type's bound, how far rounding moves the composition."""
    choose = random.Random(seed)
    torch.manual_seed(seed)
    threads = choose.choice([1, 2, 2, 3, 5])
    precision = choose.choice([torch.float32, torch.float64, torch.bfloat16])
    dtype = torch.float64 if precision == torch.float64 else torch.float32
    layer = random_layer(choose, dtype)
    steps, batch = choose.choice([1, 2, 7, 20, 60]), choose.choice([1, 2, 3, 5, 8, 13, 33])
    shape = (batch, steps) if layer.batch_first else (steps, batch)
    x = torch.randn(*shape, layer.input_size, dtype=dtype, requires_grad=choose.random() < 0.8)
    rows = layer.num_layers * layer.num_directions
    widths = [layer.proj_size or layer.hidden_size, layer.hidden_size][: len(layer.zoneouts)]
    state = [torch.randn(rows, batch, width, dtype=dtype, requires_grad=True) for width in widths]
    hx: Any = None if choose.random() < 0.3 else tuple(state) if len(state) > 1 else state[0]
    lengths = torch.randint(0, steps + 1, (batch,)) if choose.random() < 0.5 else None
    resets = torch.rand(shape) < 0.15 if choose.random() < 0.3 else None
    call = layer.prepared(x, hx, lengths, resets)
    engine: Callable[..., Any] = dispatch.operated
    if layer.proj_size or getattr(layer, "layer_norm", False):
        engine = partial(dispatch.composed, by_rows=True)
    inputs = [t for t in (x, *(state if hx is not None else []), *layer.parameters()) if t.requires_grad]

    def results(fold: Callable[..., Any], threads: int, *, rounded: bool = False) -> list[Tensor]:
        memfold.set_num_threads(threads)
        torch.manual_seed(seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16 and (fold is engine or rounded)):
            y, final, _ = fold(layer, *call)
        torch.manual_seed(seed + 1)
        loss = sum((o * torch.randn(o.shape, dtype=dtype)).sum() for o in (y, *final))
        return [y.detach(), *(s.detach() for s in final), *torch.autograd.grad(loss, inputs)]

    ours, theirs = results(engine, threads), results(dispatch.composed, threads)
    if precision == torch.bfloat16:
        again = results(engine, threads % 3 + 1)
        if not all(torch.equal(a, b) for a, b in zip(ours, again, strict=True)):
            return precision, math.inf, 0.0
    difference, rounding = distance(ours, theirs), 0.0
    if not difference <= TOLERANCE[precision]:
        exact = [p.detach().clone() for p in layer.parameters()]
        draws = torch.Generator().manual_seed(seed)  # of its own, as every call begins anew with torch's
        for _ in range(DRAWS):
            with torch.no_grad():
                for parameter, value in zip(layer.parameters(), exact, strict=True):
                    off = torch.rand(value.shape, generator=draws, dtype=dtype) - 0.5
                    parameter.copy_(value * (1 + torch.finfo(precision).eps * off))
            moved = results(dispatch.composed, threads, rounded=True)
            rounding = max(rounding, distance(moved, theirs), distance(theirs, moved))
    return precision, difference, rounding


def distance(results: list[Tensor], others: list[Tensor]) -> float:
    """The largest difference, relative to 1 + the largest value of the other array."""
    pairs = [(a, b) for a, b in zip(results, others, strict=True) if b.numel()]
    return max(float((a - b).abs().max() / (1 + b.abs().max())) for a, b in pairs)


def random_layer(choose: random.Random, dtype: torch.dtype) -> Recurrent:
    kind = choose.choice(["LSTM", "LSTM", "GRU", "RNN"])
    options: dict[str, Any] = {
        "num_layers": choose.choice([1, 1, 2]),
        "bidirectional": choose.random() < 0.4,
        "batch_first": choose.random() < 0.3,
        "bias": choose.random() < 0.8,
    }
    if kind == "LSTM":
        options |= {"peephole": choose.random() < 0.4, "coupled": choose.random() < 0.3}
    # Rounding alone may move a unit over a kink, relu's or a clip's, and with it the gradient: in float32 anywhere, in
    # float64 where orthogonal weights cancel to exactly 0.
    kinks = dtype == torch.float64
    if kind == "RNN":
        nonlinearity = choose.choice(["tanh", "tanh", "relu"])
        options |= {"nonlinearity": nonlinearity if kinks else "tanh", "init": "torch"}
    if choose.random() < 0.2 and kinks:
        options["clip"] = choose.uniform(0.3, 2)
    if choose.random() < 0.2:
        options["zoneout"] = choose.choice([0.1, 0.5])
    if choose.random() < 0.2:
        options["recurrent_dropout"] = choose.choice([0.1, 0.5])
    sizes = (choose.choice([1, 3, 16, 40, 70]), choose.choice([1, 2, 15, 16, 17, 33, 64, 100, 130]))
    if kind == "LSTM" and choose.random() < 0.2:
        options["proj_size"] = choose.randrange(sizes[1])
    if kind == "LSTM" and choose.random() < 0.2 and sizes[1] > 2:  # of few units the variance is rounding
        options["layer_norm"] = True
    return getattr(nn, kind)(*sizes, dtype=dtype, **options).train(choose.random() < 0.7)  # type: ignore[no-any-return]


def memory() -> float:
    """Resident memory of this process, MB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def main(minutes: float = 60.0, seed: int = 0) -> None:
    torch.set_num_threads(2)
    soak, used, start = Soak(), [memory()], time.process_time()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends a run early
        for _ in range(4):
            soak.run(minutes * 15, seed)
            used.append(memory())
    print(f"{(time.process_time() - start) / 60:.0f} minutes of processor time:", end=" ")
    quarters = ", ".join(f"{megabytes:.0f}" for megabytes in used[1:])
    print(f"{soak.cases} cases, {soak.conditioned} ill-conditioned, {len(soak.failed)} failed,", end=" ")
    print(f"memory {used[0]:.0f} MB before and, by quarters, {quarters}")
    print("largest differences:", ", ".join(f"{dtype} {d:.1e}" for dtype, d in soak.largest.items()))
    if soak.failed:
        raise SystemExit(f"failed seeds: {soak.failed[:20]}")


if __name__ == "__main__":
    typer.run(main)
