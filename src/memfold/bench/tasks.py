"""A training step of each task beside the same network on torch.nn, on the same batches."""

import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import _VF, Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from memfold.adamw import AdamW
from memfold.bench.examples import written
from memfold.bench.peers import TOLERANCE, TimedCall
from memfold.bench.timing import describe_machine, geometric_mean, medians, ratios_to_peers
from memfold.display import say
from memfold.nn.layer import Recurrent
from memfold.nn.ops import clock
from memfold.tasks.precision import BFLOAT16, FLOAT32, Precision, precision_for
from memfold.tasks.registry import TASKS, task_class
from memfold.training import Begun, Problem

__all__ = ["OnTorch", "TorchsAdamW", "tasks", "with_torch_layers"]

BATCHES = 6  # that lie ready in memory, and are taken in turn
BUDGET = "3m"  # that the plans are made for
PARTS = 5  # steps over which the shares are taken


def tasks(names: Sequence[str] = tuple(TASKS), rounds: int = 5, compiled: bool = False) -> dict[str, Any]:
    """Time a training step of each task, with memfold's layers and with torch.nn's in their places.

    The network, its first weights and the batches are the same; the update too, AdamW with a bounded gradient and a
    running average, by the engine here and by torch's fused operator there. Ragged batches go through torch.nn packed,
    by `pack_padded_sequence`. Examples are made up, of the size that people have; the sizes are those that the task's
    plan takes for them, and batches lie ready.

    Args:
        names: of tasks.
        rounds: turns that each peer has.
        compiled: try torch.compile on torch.nn's network too, which takes a minute or more for each task.

    Returns:
        ``machine``; ``points``, one a task: its ``weights``; the ``precision`` that a fit takes by itself here;
        milliseconds of a step for ``memfold`` and ``torch``, and for ``memfold_bfloat16`` and ``torch_bfloat16``, under
        autocast and where the processor has it; the ratio of each of torch's to memfold's in that precision, and
        ``ratio``, of the fastest; of memfold's step in float32 the milliseconds ``forward``, ``backward`` and of the
        ``update`` of the weights, and the per cent that its layers take; and the milliseconds of the ``preparation`` of
        a batch, which is in no other figure. ``ratio``, the geometric mean, and ``least``.

    Raises:
        RuntimeError: a network on torch.nn does not compute what memfold's does.
    """
    points = []
    for name in names:
        say(f"{name} ...")
        points.append(_point(name, rounds, compiled))
    ratios = [point["ratio"] for point in points]
    return {
        "machine": describe_machine(),
        "points": points,
        "ratio": geometric_mean(ratios),
        "least": min(ratios),
    }


def _point(name: str, rounds: int, compiled: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path, parameters = written(name, Path(folder))
        task = task_class(name)(**parameters, precision=FLOAT32)
        ours = task.before_training(task.parts([path]), BUDGET)
        theirs = ours.like(with_torch_layers(ours.problem.model))
        begun = time.perf_counter()
        batches = list(islice(ours.problem.batches(0), BATCHES))
        preparation = (time.perf_counter() - begun) / len(batches)
        _check_equal_losses(name, ours.problem, theirs.problem, batches)
        calls: dict[str, TimedCall] = {"memfold": _stepping(ours, batches), "torch": _stepping(theirs, batches)}
        for whose, training in (("memfold", ours), ("torch", theirs)):
            in_half = _stepping(training, batches, BFLOAT16)
            try:
                in_half()
                calls[f"{whose}_bfloat16"] = in_half
            except RuntimeError as error:
                said = str(error).splitlines()[0][:80]
                say(f"{name}: no bfloat16 for {whose}'s network on this processor ({said})")
        if compiled:
            torch.compiler.reset()
            network = with_torch_layers(ours.problem.model)
            again = ours.like(network)
            network.forward = torch.compile(network.forward, dynamic=True)
            calls["torch_compiled"] = _stepping(again, batches)
        taken = medians(calls, rounds)
        precision = precision_for(type(task).halves)
        ratios = ratios_to_peers(taken, "memfold_bfloat16" if precision == BFLOAT16 else "memfold")
        return {
            "task": name,
            "precision": precision,
            "weights": sum(weight.numel() for weight in ours.problem.model.parameters()),
            **{f"{peer}_ms": seconds * 1e3 for peer, seconds in taken.items()},
            **ratios,
            "ratio": min(ratios.values()),
            **_shares(ours, batches),
            "preparation_ms": preparation * 1e3,
        }


def _stepping(begun: "Begun", batches: Sequence[Any], precision: Precision = FLOAT32) -> TimedCall:
    """A call that makes one step with the next batch."""
    begun = replace(begun, settings=replace(begun.settings, precision=precision))
    loop, following = begun.loop(), cycle(batches)
    if any(isinstance(module, OnTorch) for module in begun.problem.model.modules()):
        loop.optimizer = TorchsAdamW(begun.problem.model, begun.settings.weight_decay, begun.settings.clip_norm)
    return lambda: loop.take_step(next(following), begun.settings.lr)


def _shares(begun: "Begun", batches: Sequence[Any]) -> dict[str, float]:
    """Milliseconds of the parts of a step, and the per cent that the layers take of it."""
    loop = begun.loop()
    begun.problem.model.train()
    spent = dict.fromkeys(("forward", "backward", "update"), 0.0)
    in_layers = clock.seconds
    for batch in islice(cycle(batches), PARTS):
        loss = _timed(spent, "forward", partial(begun.problem.loss, batch))
        begun.problem.model.zero_grad(set_to_none=True)
        _timed(spent, "backward", loss.backward)
        _timed(spent, "update", partial(loop.update, begun.settings.lr))
    seconds_in_all = sum(spent.values())
    shares = {f"{part}_ms": seconds / PARTS * 1e3 for part, seconds in spent.items()}
    return {**shares, "layers_percent": 100 * (clock.seconds - in_layers) / seconds_in_all}


def _timed(spent: dict[str, float], part: str, work: Callable[[], Any]) -> Any:
    begun = time.perf_counter()
    result = work()
    spent[part] += time.perf_counter() - begun
    return result


@torch.no_grad()
def _check_equal_losses(name: str, ours: "Problem", theirs: "Problem", batches: Sequence[Any]) -> None:
    """Compare the losses of the batches, without dropout.

    Raises:
        RuntimeError: they differ.
    """
    for problem in (ours, theirs):
        problem.model.eval()
    for batch in batches:
        torch.manual_seed(0)
        expected = ours.loss(batch).item()
        torch.manual_seed(0)
        on_torch = theirs.loss(batch).item()
        if not abs(on_torch - expected) <= TOLERANCE * max(1.0, abs(expected)):
            raise RuntimeError(f"{name}: the loss is {on_torch} on torch.nn and {expected} with memfold's layers")


def with_torch_layers(network: nn.Module) -> nn.Module:
    """A copy of a network whose recurrent layers are torch.nn's, with copies of the weights.

    Raises:
        ValueError: torch.nn has no such layer.
    """
    copied = copy.deepcopy(network)
    for module in list(copied.modules()):
        for name, child in module.named_children():
            if isinstance(child, Recurrent):
                setattr(module, name, OnTorch(child))
    return copied


class OnTorch(nn.Module):
    """A recurrent layer of torch.nn that is called as memfold's: ragged rows are packed, and padded again.

    Args:
        layer: whose weights it copies.
    """

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.layer = layer.to_torch()
        self.batch_first = layer.batch_first

    def forward(self, x: Tensor, hx: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        if lengths is None:
            y, state = self.layer(x, hx)
            return y, state
        y, state = self.layer(self._packed(x, lengths), hx)
        return self._padded(y, x), state

    def outputs(self, x: Tensor, lengths: Tensor) -> list[Tensor]:
        """What every layer returns: torch.nn returns the last one's, so its operator is called for each layer."""
        layer, packed = self.layer, self._packed(x, lengths)
        operator = getattr(_VF, layer.mode.lower())
        directions, of_layer = 1 + layer.bidirectional, len(layer._flat_weights) // layer.num_layers
        h = x.new_zeros(directions, int(packed.batch_sizes[0]), layer.hidden_size)
        data, outputs = packed.data, []
        for k in range(layer.num_layers):
            weights = layer._flat_weights[k * of_layer : (k + 1) * of_layer]
            options = layer.bias, 1, 0.0, layer.training, layer.bidirectional
            y, *_ = operator(data, packed.batch_sizes, [h, h] if layer.mode == "LSTM" else h, weights, *options)
            outputs.append(packed._replace(data=y))
            data = F.dropout(y, layer.dropout, layer.training)
        return [self._padded(y, x) for y in outputs]

    def _packed(self, x: Tensor, lengths: Tensor) -> PackedSequence:
        counts = torch.as_tensor(lengths).clamp_min(1).cpu()  # it takes no empty rows
        return pack_padded_sequence(x, counts, self.batch_first, enforce_sorted=False)

    def _padded(self, y: PackedSequence, x: Tensor) -> Tensor:
        return pad_packed_sequence(y, self.batch_first, total_length=x.shape[1 if self.batch_first else 0])[0]


class TorchsAdamW(AdamW):
    """The same steps by torch's operators: `clip_grad_norm_`, fused AdamW, and an average of all tensors at once."""

    def __init__(self, network: nn.Module, weight_decay: float, clip_norm: float) -> None:
        super().__init__(network, weight_decay, clip_norm)
        self.network = network
        self.optimizer = torch.optim.AdamW(network.parameters(), weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self, rate: float, share: float) -> float:
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm).item()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        buffers = dict(self.buffers())
        current: dict[str, Tensor] = {**dict(self.network.named_parameters()), **buffers}
        moving = [name for name, value in current.items() if name in self.average and value.is_floating_point()]
        torch._foreach_lerp_([self.average[n] for n in moving], [current[n] for n in moving], share)
        for name in buffers.keys() & self.average.keys() - set(moving):
            self.average[name].copy_(current[name])
        return norm
