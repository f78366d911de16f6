"""Training beside the peers: torch.nn, eager and compiled loops in torch's operators, and JAX where it is installed."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from memfold.bench.peers import TimedCall, check_equal_work, jax_scan, version_of
from memfold.bench.timing import GATES, GRID, describe_machine, geometric_mean, layer_of, medians, ratios_to_peers
from memfold.nn import LSTM, dispatch
from memfold.nn.layer import Recurrent

__all__ = ["composed", "derived", "train"]

COMPILED = [(8, 100, 128), (32, 100, 128)]  # where the unrolled loop is compiled too, about two minutes each
RAGGED = (32, 100, 128)
MEMORY = (32, 100, 128)
CHARACTERS, EMBEDDING, HIDDEN = 65, 128, 512
BATCH, WINDOW = 32, 64


def train(cells: Sequence[str] = tuple(GATES), rounds: int = 5) -> dict[str, Any]:
    """Time forward and backward of one layer over the grid of ``layers``, and a whole step of a character model.

    The gradient is that of a fixed cotangent of the output, by x and every weight, in float32. For the peephole LSTM,
    which torch.nn has not, ``eager`` is its composition, a loop over the steps in torch's operators, and ``compiled``
    the same under ``torch.compile``, at the points of ``COMPILED`` alone and where there is a C++ compiler.

    Args:
        cells: of ``lstm gru rnn peephole``.
        rounds: turns that each peer has at each point.

    Returns:
        ``machine``; ``points``, each with the milliseconds of memfold and of each peer, the ratio to each, ``ratio``
        to torch.nn or ``eager``, and the per cent of the measured multiply-add peak, a backward pass counted as two
        forward ones; by cell and peer the geometric mean of each ratio; ``ragged``, ``step`` and ``memory``, one
        comparison each.

    Raises:
        RuntimeError: a peer does not compute what memfold does.
    """
    machine = describe_machine()
    points = [_point(cell, *size, machine["peak_gflops"], rounds) for cell in cells for size in GRID]
    ratios: dict[str, dict[str, float]] = {}
    for name in ("ratio", "ratio_torch", "ratio_eager", "ratio_compiled", "ratio_jax"):
        for cell in cells:
            if values := [p[name] for p in points if p["cell"] == cell and name in p]:
                ratios.setdefault(name, {})[cell] = geometric_mean(values)
    return {
        "machine": machine,
        "points": points,
        **ratios,
        "ragged": _ragged(rounds),
        "step": _step(rounds),
        "memory": {cell: _memory(cell) for cell in cells if cell != "peephole"},
    }


def _point(cell: str, batch: int, steps: int, hidden: int, peak_gflops: float, rounds: int) -> dict[str, Any]:
    layer = layer_of(cell, hidden)
    x, cotangent = torch.randn(2, steps, batch, hidden)
    call = derived(layer, x, cotangent)
    peers = _peers(cell, layer, x, cotangent)
    _check_equal_gradients(peers, call())
    taken = medians({"memfold": call, **peers}, rounds)
    ratios = ratios_to_peers(taken)
    operations = 3 * 2 * GATES[cell] * hidden * (2 * hidden) * batch * steps
    return {
        "cell": cell,
        "batch": batch,
        "steps": steps,
        "hidden": hidden,
        **{f"{name}_ms": seconds * 1e3 for name, seconds in taken.items()},
        **ratios,
        "ratio": ratios["ratio_eager" if cell == "peephole" else "ratio_torch"],
        "peak_percent": operations / taken["memfold"] / peak_gflops / 1e7,
    }


def _peers(cell: str, layer: Recurrent, x: Tensor, cotangent: Tensor) -> dict[str, TimedCall]:
    """A call of each peer that has this cell, which returns the output and the gradient of x, ``(T, B, ·)`` each."""
    calls: dict[str, TimedCall] = {}
    if cell == "peephole":
        calls["eager"] = derived(layer, x, cotangent, partial(composed, layer))
        steps, batch, hidden = x.shape
        if (batch, steps, hidden) in COMPILED and shutil.which(os.environ.get("CXX", "g++")):
            torch.compiler.reset()  # what was compiled for other sizes
            compiled = torch.compile(partial(composed, layer), dynamic=False)
            calls["compiled"] = derived(layer, x, cotangent, compiled)
    else:
        calls["torch"] = derived(layer.to_torch(), x, cotangent)
    if version_of("jax"):
        calls["jax"] = _jax(layer, x, cotangent)
    return calls


def composed(layer: Recurrent, x: Tensor) -> tuple[Tensor, Any]:
    """The layer's output and state by its composition, step by step in torch's operators."""
    zeros = x.new_zeros(1, x.shape[1], layer.hidden_size)
    y, state, _ = dispatch.composed(layer, x, (zeros, zeros), None, None)
    return y, state


def derived(
    module: nn.Module, x: Tensor, cotangent: Tensor, forward: Callable[[Any], tuple[Any, Any]] | None = None
) -> TimedCall:
    """A call of forward and backward that returns the output and the gradient of x.

    Args:
        module: whose weights get their gradients too.
        forward: of x to the output and the final state; the module's own when None.
    """
    x = x.detach().requires_grad_()
    forward = forward or module

    def run() -> tuple[Tensor, Tensor | None]:
        x.grad = None
        module.zero_grad()
        y = forward(x)[0].float()  # as a loss takes it, where it is bfloat16
        y.backward(cotangent)
        return y.detach(), x.grad

    return run


def _jax(layer: Recurrent, x: Tensor, cotangent: Tensor) -> TimedCall:
    """The jitted gradient of the ``lax.scan``, by the weights and x."""
    fold, weights, ready = jax_scan(layer, x.numpy())
    import jax

    def derive(weights: Any, x: Any, cotangent: Any) -> tuple[Any, Any, Any]:
        y, pull_back = jax.vjp(fold, weights, x)
        d_weights, dx = pull_back(cotangent)
        return y, dx, d_weights

    compiled = jax.jit(derive)
    given = jax.device_put(cotangent.numpy())
    return lambda: jax.block_until_ready(compiled(weights, ready, given))


def _check_equal_gradients(calls: Mapping[str, TimedCall], expected: Sequence[Tensor]) -> None:
    """Call every peer once and compare its output and its gradient of x with memfold's.

    Raises:
        RuntimeError: one of them does not compute what memfold does.
    """
    results = {name: call() for name, call in calls.items()}
    for part, what in enumerate(("outputs", "gradients of x")):
        returned = {name: partial(itemgetter(part), result) for name, result in results.items()}
        check_equal_work(returned, expected[part].numpy(), what)


def _ragged(rounds: int) -> dict[str, float]:
    """A bidirectional LSTM, B32 T100 H128, lengths uniform from 5 to 100: with lengths, padded, torch packed.

    Forward and backward; the sequence is packed before the clock starts.
    """
    batch, steps, hidden = RAGGED
    layer = LSTM(hidden, hidden, bidirectional=True, init="torch")
    x = torch.randn(steps, batch, hidden)
    cotangent = torch.randn(steps, batch, 2 * hidden)
    lengths = torch.from_numpy(np.random.default_rng(0).integers(5, steps + 1, batch))
    pack = partial(pack_padded_sequence, lengths=lengths, enforce_sorted=False)
    packed, peer = pack(x), layer.to_torch()

    def forward(data: Tensor) -> tuple[Tensor, Any]:
        y, state = peer(packed._replace(data=data))
        return y.data, state

    ours = derived(layer, x, cotangent, partial(layer, lengths=lengths))
    torch_packed = derived(peer, packed.data, pack(cotangent).data, forward)
    pad = partial(pad_packed_sequence, total_length=steps)
    _check_equal_gradients({"torch_packed": lambda: [pad(packed._replace(data=p))[0] for p in torch_packed()]}, ours())
    calls = {"memfold": ours, "memfold_padded": derived(layer, x, cotangent), "torch_packed": torch_packed}
    taken = medians(calls, rounds)
    return {f"{name}_ms": seconds * 1e3 for name, seconds in taken.items()} | {
        "of_padded": taken["memfold"] / taken["memfold_padded"],
        "ratio_torch_packed": taken["torch_packed"] / taken["memfold"],
    }


class _CharacterModel(nn.Module):
    """Embedding, one recurrent layer and a head; it keeps the detached state from one call to the next."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(CHARACTERS, EMBEDDING)
        self.layer = layer
        self.head = nn.Linear(HIDDEN, CHARACTERS)
        self.state: tuple[Tensor, Tensor] | None = None

    def forward(self, text: Tensor) -> Tensor:
        """The mean cross entropy of each next character of ``text (T + 1, B)``."""
        y, (h, c) = self.layer(self.embedding(text[:-1]), self.state)
        self.state = h.detach(), c.detach()
        return F.cross_entropy(self.head(y).flatten(0, 1), text[1:].flatten())


def _step(rounds: int) -> dict[str, float]:
    """A training step of a character model: embedding of 128, LSTM of 512, head, cross entropy, fused Adam.

    Batch 32, windows of 64 with carried state, the same with torch.nn.LSTM in the layer's place.
    """
    torch.manual_seed(0)
    layer = LSTM(EMBEDDING, HIDDEN, init="torch")
    text = torch.randint(CHARACTERS, (WINDOW + 1, BATCH))

    def stepping(model: nn.Module) -> TimedCall:
        adam = torch.optim.Adam(model.parameters(), fused=True)

        def run() -> Tensor:
            adam.zero_grad()
            loss: Tensor = model(text)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            return loss.detach()

        return run

    calls = {"torch": stepping(_CharacterModel(layer.to_torch())), "memfold": stepping(_CharacterModel(layer))}
    for _ in range(2):  # the second from another state and other weights
        check_equal_work({"torch": calls["torch"]}, calls["memfold"]().numpy(), "losses")
    taken = medians(calls, rounds)
    return (
        {f"{name}_ms": seconds * 1e3 for name, seconds in taken.items()}
        | {f"{name}_tokens_per_second": BATCH * WINDOW / seconds for name, seconds in taken.items()}
        | {"ratio": taken["torch"] / taken["memfold"]}
    )


def _memory(cell: str) -> dict[str, float]:
    """Bytes that autograd keeps for one layer, B32 T100 H128, besides its input, output and weights."""
    batch, steps, hidden = MEMORY
    layer = layer_of(cell, hidden)
    kept = {
        f"{name}_bytes": _bytes_kept(module, torch.randn(steps, batch, hidden, requires_grad=True))
        for name, module in {"memfold": layer, "torch": layer.to_torch()}.items()
    }
    return {**kept, "ratio": kept["torch_bytes"] / kept["memfold_bytes"]}


def _bytes_kept(module: nn.Module, x: Tensor) -> int:
    kept: dict[int, tuple[int, Tensor]] = {}  # by address: the size, and the tensor, so that no other moves in

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y, _ = module(x)
    for tensor in (x, y, *module.parameters()):
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(size for size, _ in kept.values())
