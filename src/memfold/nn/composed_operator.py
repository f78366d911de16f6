"""The composition as an operator of PyTorch, ``torch.ops.memfold.compose``, one layer and direction at a call.

A compiler or an exporter would unroll the composition, a copy of the cell for every step, and so fix the number of
steps. It takes this operator whole. Outside of both the composition itself is called. Of cells that the engine folds by
rows the operator runs that.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

import memfold.nn.composition as composition
import memfold.nn.row_wise as row_wise

__all__ = ["Composed", "compose"]


class Composed(NamedTuple):
    """What the operator takes; as `memfold.nn.composition.fold` has it.

    ``zones`` hold, for each part of the state, where a unit keeps its value ``(T, B, ·)``, or nothing.
    """

    x: Tensor
    weights: Sequence[Tensor]
    state: Sequence[Tensor]
    lengths: Tensor | None
    resets: Tensor | None
    mask: Tensor | None
    zones: Sequence[Tensor | None]
    names: Sequence[str]  # of the weights
    cell: str
    reverse: bool
    clip: float | None
    zoneout: Sequence[float]

    @property
    def width(self) -> int:
        """Features of the output: P with a projection, else H."""
        return self.state[0].shape[-1]


_library = torch.library.Library("memfold", "FRAGMENT")  # type: ignore[no-untyped-call]
_library.define(  # type: ignore[no-untyped-call]
    "compose(Tensor x, Tensor[] weights, Tensor[] state, Tensor? lengths, Tensor? resets, Tensor? mask, "
    "Tensor?[] zones, str[] names, str cell, bool reverse, float? clip, float[] zoneout) -> (Tensor y, Tensor[] state)"
)


def compose(call: Composed) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Fold one layer in one direction: ``y (T, B, H or P)`` and the final state."""
    y, state = torch.ops.memfold.compose(*call)
    return y, tuple(state)


def _compose(*arguments: Any) -> tuple[Tensor, list[Tensor]]:
    call = Composed(*arguments)
    weights = dict(zip(call.names, call.weights, strict=True))
    options: dict[str, Any] = {
        "lengths": call.lengths,
        "resets": call.resets,
        "reverse": call.reverse,
        "clip": call.clip,
        "recurrent_mask": call.mask,
        "zoneout": [p if z is None else z.bool() for z, p in zip(call.zones, call.zoneout, strict=True)],
    }
    if row_wise.has(call.cell, weights) and row_wise.reads([call.x, *call.state, *call.weights]):
        y, state = row_wise.fold(call.cell, call.x, weights, tuple(call.state), **options)
        return y, list(state)
    values, state = composition.fold(call.cell, call.x, weights, tuple(call.state), **options)
    return values["h"], [part.clone() for part in state]  # no output is another's memory


def _compose_meta(*arguments: Any) -> tuple[Tensor, list[Tensor]]:
    call = Composed(*arguments)
    y = call.x.new_empty(*call.x.shape[:2], call.width)
    return y, [torch.empty_like(part) for part in call.state]


class _Compose(torch.autograd.Function):
    """The composition, computed again for its gradient."""

    @staticmethod
    def forward(ctx: Any, rest: tuple[Any, ...], parts: int, x: Tensor, *tensors: Tensor) -> Any:
        state, weights = tensors[:parts], tensors[parts:]
        with torch._C._AutoDispatchBelowAutograd():
            y, last = torch.ops.memfold.compose(x, weights, state, *rest)
        (*masks, zones), ctx.options, ctx.parts, ctx.zones = rest[:4], rest[4:], parts, len(rest[3])
        ctx.save_for_backward(x, *masks, *zones, *tensors)
        return y, *last

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, lengths, resets, mask, *rest = ctx.saved_tensors
        zones, state, weights = rest[: ctx.zones], rest[ctx.zones :][: ctx.parts], rest[ctx.zones + ctx.parts :]
        needs = ctx.needs_input_grad[2:]
        gradients = torch.ops.memfold.compose_backward(
            x, weights, state, lengths, resets, mask, zones, *ctx.options, grads, needs
        )
        return (None, None, *(g if need else None for g, need in zip(gradients, needs, strict=True)))


_library.define(  # type: ignore[no-untyped-call]
    "compose_backward(Tensor x, Tensor[] weights, Tensor[] state, Tensor? lengths, Tensor? resets, Tensor? mask, "
    "Tensor?[] zones, str[] names, str cell, bool reverse, float? clip, float[] zoneout, Tensor[] grads, bool[] needs) "
    "-> Tensor[]"
)


def _compose_backward(*arguments: Any) -> list[Tensor]:
    *first, grads, needs = arguments
    call = Composed(*first)
    given = (call.x, *call.state, *call.weights)
    with torch.enable_grad():
        inputs = [t.detach().requires_grad_(need) for t, need in zip(given, needs, strict=True)]
        parts = len(call.state)
        y, state = _compose(*call._replace(x=inputs[0], state=inputs[1 : 1 + parts], weights=inputs[1 + parts :]))
        asked = [tensor for tensor in inputs if tensor.requires_grad]
        gradients = iter(torch.autograd.grad([y, *state], asked, grads, materialize_grads=True))
    return [next(gradients) if need else t.new_empty(0) for t, need in zip(given, needs, strict=True)]


def _compose_backward_meta(*arguments: Any) -> list[Tensor]:
    *first, _grads, needs = arguments
    call = Composed(*first)
    given = (call.x, *call.state, *call.weights)
    return [torch.empty_like(t) if need else t.new_empty(0) for t, need in zip(given, needs, strict=True)]


def _compose_autograd(*arguments: Any) -> tuple[Tensor, list[Tensor]]:
    call = Composed(*arguments)
    inputs = (call.x, *call.state, *call.weights)
    if torch.is_grad_enabled() and any(t.requires_grad for t in inputs):
        y, *last = _Compose.apply(tuple(call[3:]), len(call.state), *inputs)  # type: ignore[no-untyped-call]
        return y, last
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.memfold.compose(*call)  # type: ignore[no-any-return]


for _name, _implementation, _key in (
    ("compose", _compose, "CompositeExplicitAutograd"),
    ("compose", _compose_meta, "Meta"),
    ("compose", _compose_autograd, "Autograd"),
    ("compose_backward", _compose_backward, "CompositeExplicitAutograd"),
    ("compose_backward", _compose_backward_meta, "Meta"),
):
    _library.impl(_name, _implementation, _key)  # type: ignore[no-untyped-call]
