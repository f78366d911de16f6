"""The engine as operators of PyTorch: ``torch.ops.memfold.fold`` and ``fold_backward``, one layer at a call.

``torch.compile`` and ``torch.export`` take them whole. The gradient is the engine's; the second derivative, and the
gradient of a gate that :meth:`Recurrent.trace` returned, are the composition's.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from memfold import _engine, engine
from memfold.nn import composition
from memfold.nn.composition import Values

__all__ = ["Call", "Clock", "clock", "described", "fold", "pack", "readable_rows", "values", "whole"]

Result = TypeVar("Result")


class Clock:
    """How long this process has spent in the operators' folds, forwards and backwards."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def time(self, function: Callable[..., Result]) -> Callable[..., Result]:
        """The function, whose calls count."""

        def timed(*arguments: Any) -> Result:
            begun = time.perf_counter()
            result = function(*arguments)
            self.seconds += time.perf_counter() - begun
            return result

        return timed


clock = Clock()


class Call(NamedTuple):
    """What both operators take first: a layer's input, weights and state, and its options.

    The weights of each direction follow one another: ``weight_ih``, ``weight_hh``, then ``bias_ih`` and ``bias_hh``,
    then ``weight_ph``, where there are such.
    """

    x: Tensor  # (T, B, I), any strides over time and batch
    weights: Sequence[Tensor]
    state: Sequence[Tensor]  # h, for LSTMs c, (D, B, H) each
    lengths: Tensor | None  # (B,) int64
    resets: Tensor | None  # (T, B) bool
    mask: Tensor | None  # (D, B, H): factor on h before the hidden product
    zones_h: Tensor | None  # (D, T, B, H): 1 where a unit keeps its old value, else 0
    zones_c: Tensor | None
    cell: str
    directions: int
    clip: float | None
    zoneout: Sequence[float]  # the expectation's probability for each part of the state, where there are no zones

    @property
    def hidden(self) -> int:
        return self.weights[1].shape[1]

    def by_direction(self, tensors: Sequence[Tensor]) -> list[Sequence[Tensor]]:
        """The weights, or their gradients, of each direction."""
        count = len(tensors) // self.directions
        return [tensors[d * count : (d + 1) * count] for d in range(self.directions)]


_ARGUMENTS = (
    "Tensor x, Tensor[] weights, Tensor[] state, Tensor? lengths, Tensor? resets, Tensor? mask, Tensor? zones_h, "
    "Tensor? zones_c, str cell, int directions, float? clip, float[] zoneout"
)

_library = torch.library.Library("memfold", "DEF")  # type: ignore[no-untyped-call]
_library.define(f"fold({_ARGUMENTS}, bool batch_first, bool keep) -> (Tensor y, Tensor h, Tensor c, Tensor kept)")  # type: ignore[no-untyped-call]
_library.define(  # type: ignore[no-untyped-call]
    f"fold_backward({_ARGUMENTS}, Tensor y, Tensor kept, Tensor? dy, Tensor? dh, Tensor? dc, bool[] needs) -> Tensor[]"
)


def fold(call: Call, *, batch_first: bool = False, keep: bool = False) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
    """Fold one layer.

    Args:
        batch_first: lay y out as ``(B, T, D*H)`` in memory.
        keep: return what the cell keeps of every step.

    Returns:
        ``y (T, B, D*H)``, the final state, formed as the first, and ``(T, B, D, values, H)`` of ``keep``, in the order
        of ``engine.KEPT``.
    """
    fold = _fold_autograd if _plain(call.x) else torch.ops.memfold.fold
    y, h, c, kept = fold(*call, batch_first, keep)
    return y, (h, c)[: len(call.state)], kept


def strides(tensor: Tensor | None) -> tuple[int, int]:
    """Of time and batch, in elements."""
    return (0, 0) if tensor is None else (tensor.stride(0), tensor.stride(1))


def _plain(x: Tensor) -> bool:
    """Whether a call may skip torch's dispatcher, which costs some 10 µs each time: nobody traces or transforms it."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack():
        return False
    return type(x) in (Tensor, nn.Parameter) and x.is_cpu


def values(call: Call, y: Tensor, kept: Tensor) -> list[Values]:
    """Every value of a fold that kept them, for each direction: ``(T, B, H)`` each, by the composition's names."""
    result = []
    for d, h in enumerate(y.chunk(call.directions, dim=-1)):
        own = {name: kept[:, :, d, k] for k, name in enumerate(engine.KEPT[call.cell]) if kept.numel()} | {"h": h}
        for name, other in composition.CELLS[call.cell].complements.items():
            own[name] = 1 - own[other]
            if call.lengths is not None:
                ended = torch.arange(len(y), device=y.device)[:, None, None] >= call.lengths[:, None]
                own[name] = own[name].masked_fill(ended, 0)
        result.append({name: own[name] for name in composition.CELLS[call.cell].values})
    return result


def pack(cell: str, weights: Sequence[Tensor]) -> _engine.Packed:
    """One direction's contiguous weights as the engine reads them."""
    weight, hidden = weights[0], weights[1].shape[1]
    is_double = weight.dtype == torch.float64
    return _engine.pack(cell, is_double, False, (weight.shape[1], hidden), _addresses(weights))


def _address(tensor: Tensor | None) -> int:
    return tensor.data_ptr() if tensor is not None and tensor.numel() else 0


def _addresses(weights: Sequence[Tensor]) -> tuple[int, int, int, int, int]:
    """Of ih, hh, their biases and the peepholes; an empty tensor has the address 0."""
    own = [_address(w) for w in weights]
    bias_ih, bias_hh = own[2:4] if len(own) > 3 else (0, 0)
    return own[0], own[1], bias_ih, bias_hh, own[-1] if len(own) % 2 else 0


def described(call: Call, y: Tensor, kept: Tensor | None) -> _engine.Call:
    """The call as the engine takes it: addresses of memory, which the caller holds."""

    return _engine.Call(
        False,
        (call.x.shape[0], call.x.shape[1]),
        _address(call.x),
        strides(call.x),
        [_address(part) for part in call.state],
        _address(y),
        strides(y),
        _address(kept),
        _address(call.lengths),
        _address(call.resets),
        strides(call.resets),
        _address(call.mask),
        [_address(call.zones_h), _address(call.zones_c)],
        math.inf if call.clip is None else call.clip,
        call.zoneout,
    )


def readable_rows(tensor: Tensor) -> Tensor:
    """``(T, B, ·)`` as the engine reads it: any strides over time and batch, contiguous features, no sign put off."""
    tensor = tensor.resolve_neg()
    return tensor if tensor.stride(2) == 1 or tensor.shape[2] == 1 else tensor.contiguous()


def whole(tensor: Tensor) -> Tensor:
    """A tensor as the engine reads it by its address alone: contiguous, no sign put off."""
    return tensor.resolve_neg().contiguous()


def _readable(call: Call) -> Call:
    """The call with every tensor laid out as the engine reads it."""

    def optional(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else whole(tensor)

    return call._replace(
        x=readable_rows(call.x),
        weights=[whole(w) for w in call.weights],
        state=[whole(s) for s in call.state],
        lengths=optional(call.lengths),
        mask=optional(call.mask),
        zones_h=optional(call.zones_h),
        zones_c=optional(call.zones_c),
    )


def _outputs(call: Call, batch_first: bool, keep: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Where a fold's results go: y, h, c and what is kept; the last two empty where there is none."""
    x, hidden = call.x, call.hidden
    steps, batch, _ = x.shape
    width = call.directions * hidden
    y = x.new_empty(batch, steps, width).transpose(0, 1) if batch_first else x.new_empty(steps, batch, width)
    last = [x.new_empty(call.directions, batch, hidden) for _ in call.state]
    c = last[1] if len(last) > 1 else x.new_empty(0)
    # A plain RNN keeps its output only, unless clip or zoneout hides what it computed.
    hidden_by = call.clip is not None or call.zones_h is not None or any(call.zoneout)
    keeps = keep and (len(engine.KEPT[call.cell]) > 1 or hidden_by)
    values = len(engine.KEPT[call.cell]) if keeps else 0
    return y, last[0], c, x.new_empty(steps, batch, call.directions, values, hidden)


def _refuse_lengths(call: Call) -> None:
    """Refuse lengths out of range, which nobody has looked at in a compiled or exported program."""
    steps, batch, _ = call.x.shape
    if call.lengths is not None and batch:
        for length in map(int, call.lengths.aminmax()):
            if not 0 <= length <= steps:
                raise ValueError(f"lengths must be from 0 to T={steps}, got {length}")


@clock.time
def _fold_cpu(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *first, batch_first, keep = arguments
    call = _readable(Call(*first))
    _refuse_lengths(call)
    y, h, c, kept = _outputs(call, batch_first, keep)
    engine.borrow_threads()
    packed = [pack(call.cell, weights) for weights in call.by_direction(call.weights)]
    own = described(call, y, kept)
    last = [_address(part) for part in (h, c)[: len(call.state)]]
    _engine.fold(packed, own, last, engine.threads_at_call())
    return y, h, c, kept


def _fold_meta(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *first, batch_first, keep = arguments
    return _outputs(Call(*first), batch_first, keep)


def _gradients(call: Call, needs: Sequence[bool]) -> list[Tensor]:
    """Where the gradients of x, the state and the weights go; empty where none is needed."""
    inputs = (call.x, *call.state, *call.weights)
    dx, *rest = (torch.empty_like(t) if need else t.new_empty(0) for t, need in zip(inputs, needs, strict=True))
    if needs[0] and dx.stride(2) != 1:  # of an x whose rows overlap
        dx = dx.new_empty(dx.shape)
    return [dx, *rest]


@clock.time
def _fold_backward_cpu(*arguments: Any) -> list[Tensor]:
    *first, y, kept, dy, dh, dc, needs = arguments
    call = _readable(Call(*first))
    gradients = _gradients(call, needs)
    dx, *rest = gradients
    d_state, d_weights = rest[: len(call.state)], rest[len(call.state) :]

    dy = None if dy is None else readable_rows(dy)
    dh, dc = (None if d is None else whole(d) for d in (dh, dc))
    engine.borrow_threads()
    _engine.fold_backward(
        described(call, y, kept),
        call.cell,
        call.x.dtype == torch.float64,
        (call.x.shape[2], call.hidden),
        [_addresses(own) for own in call.by_direction(call.weights)],
        [_addresses(own) for own in call.by_direction(d_weights)],
        _address(dy),
        strides(dy),
        [_address(d) for d in (dh, dc)[: len(call.state)]],
        [_address(d) for d in d_state],
        _address(dx),
        strides(dx) if needs[0] else (0, 0),
        engine.threads_at_call(),
    )
    return gradients


def _fold_backward_meta(*arguments: Any) -> list[Tensor]:
    *first, _y, _kept, _dy, _dh, _dc, needs = arguments
    return _gradients(_readable(Call(*first)), needs)


class _Fold(torch.autograd.Function):
    """The fold with the engine's gradient."""

    @staticmethod
    def forward(ctx: Any, batch_first: bool, rest: tuple[Any, ...], parts: int, x: Tensor, *tensors: Tensor) -> Any:
        ctx.set_materialize_grads(False)
        state, weights = tensors[:parts], tensors[parts:]
        fold = _fold_cpu if _plain(x) else torch.ops.memfold.fold
        with torch._C._AutoDispatchBelowAutograd():
            y, h, c, kept = fold(x, weights, state, *rest, batch_first, True)
        masks, ctx.options, ctx.parts = rest[:5], rest[5:], parts
        ctx.save_for_backward(x, y, kept, *masks, *tensors)
        if parts == 1:
            ctx.mark_non_differentiable(c)
        return y, h, c, kept

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dh: Tensor | None, dc: Tensor | None, dkept: Tensor | None) -> Any:
        x, y, kept, *rest = ctx.saved_tensors
        masks, state, weights = rest[:5], rest[5 : 5 + ctx.parts], rest[5 + ctx.parts :]
        call = Call(x, weights, state, *masks, *ctx.options)
        needs = ctx.needs_input_grad[3:]
        if torch.is_grad_enabled() or dkept is not None:
            gradients = _composed(call, (dy, dh, dc, dkept), needs)
        else:
            backward = _fold_backward_cpu if _plain(x) else torch.ops.memfold.fold_backward
            found = backward(*call, y, kept, dy, dh, dc, needs)
            gradients = [g if need else None for g, need in zip(found, needs, strict=True)]
        return (None, None, None, *gradients)


def _composed(call: Call, grads: Sequence[Tensor | None], needs: Sequence[bool]) -> list[Tensor | None]:
    """The gradients of x, the state and the weights by way of the composition, part of torch's graph when asked."""
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views are inputs of their own: where the state was made from x, dx must not go by way of the state.
        given = (call.x, *call.state, *call.weights)
        inputs = [t.view_as(t) if create_graph else t.detach() for t in given]
        for tensor, need in zip(inputs, needs, strict=True):
            if need and not tensor.requires_grad:
                tensor.requires_grad_()
        parts = len(call.state)
        own = call._replace(x=inputs[0], state=inputs[1 : 1 + parts], weights=inputs[1 + parts :])
        outputs = _composition(own)
        pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None and o is not None]
        asked = [tensor for tensor, need in zip(inputs, needs, strict=True) if need]
        found = iter(
            torch.autograd.grad(
                [o for o, _ in pairs], asked, [g for _, g in pairs], create_graph=create_graph, allow_unused=True
            )
        )
    return [next(found) if need else None for need in needs]


def _composition(call: Call) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """What the fold returns, in torch's operators."""
    values, finals = [], []
    count = len(call.weights) // call.directions
    names = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * (count > 3) + ["weight_ph"] * (count % 2)
    for d, weights in enumerate(call.by_direction(call.weights)):
        zones = (call.zones_h, call.zones_c)[: len(call.state)]
        own, final = composition.fold(
            call.cell,
            call.x,
            dict(zip(names, weights, strict=True)),
            tuple(s[d] for s in call.state),
            lengths=call.lengths,
            resets=call.resets,
            reverse=d == 1,
            clip=call.clip,
            recurrent_mask=None if call.mask is None else call.mask[d],
            zoneout=[p if z is None else z[d].bool() for z, p in zip(zones, call.zoneout, strict=True)],
            keep=True,
        )
        values.append(own)
        finals.append(final)
    last = [torch.stack(parts) for parts in zip(*finals, strict=True)]
    absent = torch.zeros_like(values[0]["h"])  # what the engine keeps for itself
    kept = [torch.stack([own.get(name, absent) for name in engine.KEPT[call.cell]], dim=2) for own in values]
    return (
        torch.cat([own["h"] for own in values], dim=-1),
        last[0],
        last[1] if len(last) > 1 else None,
        torch.stack(kept, 2),
    )


def _fold_autograd(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *first, batch_first, keep = arguments
    call = Call(*first)
    inputs = (call.x, *call.state, *call.weights)
    if torch.is_grad_enabled() and any(t.requires_grad for t in inputs):
        result: tuple[Tensor, Tensor, Tensor, Tensor] = _Fold.apply(  # type: ignore[no-untyped-call]
            batch_first, tuple(call[3:]), len(call.state), *inputs
        )
        return result
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.memfold.fold(*call, batch_first, keep)  # type: ignore[no-any-return]


for _name, _implementation, _key in (
    ("fold", _fold_cpu, "CPU"),
    ("fold", _fold_meta, "Meta"),
    ("fold", _fold_autograd, "Autograd"),
    ("fold_backward", _fold_backward_cpu, "CPU"),
    ("fold_backward", _fold_backward_meta, "Meta"),
):
    _library.impl(_name, _implementation, _key)  # type: ignore[no-untyped-call]
