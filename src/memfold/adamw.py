"""AdamW with a bounded gradient and a running average of the weights, by the engine in two passes over them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from memfold import _engine, engine

__all__ = ["AdamW"]

BETAS, EPSILON = (0.9, 0.999), 1e-8  # torch's
TYPES: dict[torch.dtype, Any] = {torch.float32: _engine.OptimizerFloat, torch.float64: _engine.OptimizerDouble}


class AdamW:
    """AdamW (Loshchilov & Hutter 2019, algorithm 2) on a network's weights, float32 or float64, in memory.

    The gradient is scaled to a norm of ``clip_norm`` at most (Pascanu, Mikolov & Bengio 2013, algorithm 1), as
    `torch.nn.utils.clip_grad_norm_` does. Beside the weights stands a running average of them, and of the network's
    buffers (Polyak & Juditsky 1992). The bits do not depend on the number of threads.

    Args:
        network: whose weights are moved; a weight without a gradient stays.
        weight_decay: of every weight, times the learning rate, at each step.
        clip_norm: bound of the Euclidean norm of all gradients together.

    Attributes:
        average: by the names of the network's state; names of one weight share a tensor.
    """

    def __init__(self, network: nn.Module, weight_decay: float, clip_norm: float) -> None:
        self.clip_norm = clip_norm
        modules = dict(network.named_modules(remove_duplicate=False))
        at = {name: name.rpartition(".") for name, _ in network.named_buffers(remove_duplicate=False)}
        self.owners = {name: (modules[path], last) for name, (path, _, last) in at.items()}
        self.average = {name: value.detach().clone() for name, value in network.state_dict().items()}
        first: dict[int, str] = {}
        for name, weight in network.named_parameters(remove_duplicate=False):
            self.average[name] = self.average[first.setdefault(id(weight), name)]
        self.weights = [_Weight.of(weight, self.average[first[id(weight)]]) for weight in network.parameters()]
        groups = [[w for w in self.weights if w.weight.dtype == dtype] for dtype in TYPES]
        self.groups = [_Group(group, weight_decay) for group in groups if group]

    @torch.no_grad()
    def step(self, rate: float, share: float) -> float:
        """Move the weights along their gradients, and the average towards them.

        Args:
            rate: of learning, at this step.
            share: of the weights in their average.

        Returns:
            The norm of the gradients. Where it is not finite nothing is moved.

        Raises:
            ValueError: a weight has another type, shape or order in memory than before.
        """
        norm = math.hypot(*(group.gradient_norm() for group in self.groups))
        if not math.isfinite(norm):
            return norm
        scale = min(1.0, self.clip_norm / (norm + 1e-6))
        for group in self.groups:
            group.step(rate, scale, share)
        # Buffers have no gradient, and are averaged by themselves.
        for name, value in self.buffers():
            if name in self.average:
                kept = self.average[name]
                if value.is_floating_point():
                    kept.lerp_(value, share)
                else:
                    kept.copy_(value)
        return norm

    def buffers(self) -> Iterator[tuple[str, Tensor]]:
        """The network's buffers as they are now."""
        return ((name, getattr(module, last)) for name, (module, last) in self.owners.items())

    def state(self) -> dict[str, Tensor]:
        """What `restore` takes, by the weights' numbers and torch's names; the next step changes it."""
        result: dict[str, Tensor] = {}
        for number, moved in enumerate(self.weights):
            if moved.steps:
                values = {"step": torch.tensor(float(moved.steps)), "exp_avg": moved.mean, "exp_avg_sq": moved.square}
                result |= {f"{number}.{name}": value for name, value in values.items()}
        return result

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor], average: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave, and the average.

        Raises:
            ValueError: a running mean has another shape than its weight.
        """
        for number, moved in enumerate(self.weights):
            moved.steps = int(state.get(f"{number}.step", 0))
            for name, value in (("exp_avg", moved.mean), ("exp_avg_sq", moved.square)):
                if moved.steps:
                    given = state[f"{number}.{name}"]
                    if given.shape != value.shape:
                        raise ValueError(f"{number}.{name} must be {tuple(value.shape)}, got {tuple(given.shape)}")
                    value.copy_(given)
                else:
                    value.zero_()
        for name, value in self.average.items():
            value.copy_(average[name])


@dataclass
class _Weight:
    """A weight, the running means of its gradient and of the gradient's square, its average, and its steps so far."""

    weight: nn.Parameter
    mean: Tensor
    square: Tensor
    average: Tensor
    steps: int = 0

    @classmethod
    def of(cls, weight: nn.Parameter, average: Tensor) -> "_Weight":
        if weight.dtype not in TYPES or not weight.is_cpu or weight.stride() != average.stride():
            raise ValueError(f"weights must be float32 or float64 and lie in memory without gaps, got {weight.dtype}")
        return cls(weight, torch.zeros_like(weight), torch.zeros_like(weight), average)

    def check(self) -> None:
        """Raise ValueError where the numbers beside the weight are no longer in its type and order."""
        ours, now = self.average, self.weight
        if (now.dtype, now.shape, now.stride()) != (ours.dtype, ours.shape, ours.stride()) or not now.is_cpu:
            raise ValueError(
                f"a weight has become {tuple(now.shape)} in {now.dtype} on {now.device}, in another order or type than "
                f"{tuple(ours.shape)} in {ours.dtype}; make a new AdamW"
            )

    def addresses(self) -> tuple[int, ...]:
        return tuple(tensor.data_ptr() for tensor in (self.weight, self.mean, self.square, self.average))

    def gradient(self) -> Tensor | None:
        """Its numbers in the weight's order."""
        gradient = self.weight.grad
        if gradient is None or gradient.stride() == self.weight.stride():
            return gradient
        return torch.empty_like(self.weight).copy_(gradient)


class _Group:
    """Weights of one type."""

    def __init__(self, weights: Sequence[_Weight], decay: float) -> None:
        self.weights, self.decay = weights, decay
        self.places: list[tuple[int, ...]] = []
        self.gradients: list[Tensor | None] = []  # held until the step that reads them by address
        self.addresses: list[int] = []

    def gradient_norm(self) -> float:
        """The norm of the gradients, which are those of the next step."""
        places = [moved.addresses() for moved in self.weights]
        if places != self.places:  # at first, and when somebody has given a weight other memory
            for moved in self.weights:
                moved.check()
            counts = [moved.weight.numel() for moved in self.weights]
            optimizer = TYPES[self.weights[0].weight.dtype]
            self.optimizer, self.places = optimizer(places, counts, (*BETAS, EPSILON, self.decay)), places
        self.gradients = [moved.gradient() for moved in self.weights]
        self.addresses = [0 if gradient is None else gradient.data_ptr() for gradient in self.gradients]
        norm: float = self.optimizer.norm(self.addresses, engine.get_num_threads())
        return norm

    def step(self, rate: float, scale: float, share: float) -> None:
        for moved, address in zip(self.weights, self.addresses, strict=True):
            moved.steps += address != 0
        steps = [max(moved.steps, 1) for moved in self.weights]  # of one that has had none, none is made
        self.optimizer.step(self.addresses, steps, (rate, scale, share), engine.get_num_threads())
        self.gradients.clear()
        torch.autograd.graph.increment_version([moved.weight for moved in self.weights])
