"""LSTMs whose steps need all units of a row at once, with layer normalization or a projection of h: by the engine.

The gradients of the weights are made of all steps at once by torch; everything else is the engine's. Second derivatives
are the composition's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

import memfold.nn.composition as composition
import memfold.nn.ops as ops
from memfold import _engine, engine
from memfold.call import refuse_unlike
from memfold.nn.composition import State, Weights

__all__ = ["fold", "has", "reads"]

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ph", "weight_hr", "ln_ih", "ln_hh", "ln_c")


def has(cell: str, weights: Weights) -> bool:
    """Whether this is such a cell."""
    return cell.endswith("lstm") and ("weight_hr" in weights or "ln_c" in weights)


def reads(tensors: Sequence[Tensor]) -> bool:
    """Whether the engine can read all of them: plain ones in memory, of one type."""
    dtype = tensors[0].dtype
    plain = all(type(t) in (Tensor, nn.Parameter) and t.is_cpu and t.dtype == dtype for t in tensors)
    return plain and dtype in (torch.float32, torch.float64)


@dataclass(frozen=True)
class _Options:
    """What a fold takes besides its tensors with gradients; as `composition.fold` has it."""

    cell: str
    lengths: Tensor | None
    resets: Tensor | None
    reverse: bool
    clip: float | None
    mask: Tensor | None
    zones: Sequence[Tensor | None]  # (T, B, ·): 1 where a unit keeps its old value, else 0
    zoneout: Sequence[float]
    bfloat16: bool


@dataclass(frozen=True)
class _Given:
    """What a fold reads, in the order in which autograd has it."""

    x: Tensor
    h: Tensor
    c: Tensor
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    weight_ph: Tensor | None
    weight_hr: Tensor | None
    ln_ih: Tensor | None
    ln_hh: Tensor | None
    ln_c: Tensor | None

    @property
    def all(self) -> tuple[Tensor | None, ...]:
        return tuple(vars(self).values())

    @property
    def size(self) -> tuple[int, int, int, int, int]:
        """T, B, I, H and P."""
        return *self.x.shape, self.c.shape[1], self.h.shape[1]


@dataclass(frozen=True)
class _Kept:
    """What the steps leave for the gradient, ``(T, B, ·)``; past a row's length 0."""

    x_normed: Tensor | None
    x_scale: Tensor | None
    h_normed: Tensor | None
    h_scale: Tensor | None
    seen: Tensor  # h as its product sees it
    before: Tensor  # c before the step
    gates: Tensor
    opened: Tensor  # what the output gate opens
    cell_normed: Tensor | None
    cell_scale: Tensor | None

    @property
    def all(self) -> tuple[Tensor | None, ...]:
        return tuple(vars(self).values())


def fold(
    cell: str,
    x: Tensor,
    weights: Weights,
    state: State,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    clip: float | None = None,
    recurrent_mask: Tensor | None = None,
    zoneout: Sequence[composition.Zoneout] = (),
    bfloat16: bool = False,
) -> tuple[Tensor, State]:
    """As `composition.fold`, of a cell that `has` names, on the CPU: y ``(T, B, H or P)`` and the final state.

    Args:
        bfloat16: whether the products are those of bfloat16 numbers; everything else is of the weights' type.

    Raises:
        ValueError: shapes or types that do not fit together.
    """
    _refuse_malformed(cell, x, weights, state, lengths, resets, recurrent_mask, zoneout)
    zones = [p.to(x.dtype) if isinstance(p, Tensor) else None for p in zoneout] or [None, None]
    expected = [0.0 if isinstance(p, Tensor) else p for p in zoneout] or [0.0, 0.0]
    options = _Options(cell, lengths, resets, reverse, clip, recurrent_mask, zones, expected, bfloat16)
    tensors = (x, *state, *(weights.get(name) for name in NAMES))
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        y, h, c = _RowWise.apply(options, *tensors)  # type: ignore[no-untyped-call]
    else:
        y, h, c, _ = _folded(options, _readable(tensors), keep=False)
    return y, (h, c)


def _refuse_malformed(
    cell: str,
    x: Tensor,
    weights: Weights,
    state: State,
    lengths: Tensor | None,
    resets: Tensor | None,
    mask: Tensor | None,
    zoneout: Sequence[composition.Zoneout],
) -> None:
    """Refuse what does not fit together: the engine would read or write beyond it.

    Raises:
        ValueError: it names the shape or type that it must have.
    """
    if x.dim() != 3 or weights["weight_hh"].dim() != 2:
        raise ValueError(f"x must be (T, B, I), got {tuple(x.shape)}, and weight_hh a matrix")
    (steps, batch, inputs), gates = x.shape, 3 if cell == "coupled_lstm" else 4
    rows, width = weights["weight_hh"].shape
    hidden = rows // gates
    shapes = {"weight_ih": (rows, inputs), "weight_hh": (gates * hidden, width), "bias_ih": (rows,), "bias_hh": (rows,)}
    shapes |= {"weight_ph": ((gates - 1) * hidden,), "weight_hr": (width, hidden), "ln_c": (hidden,)}
    shapes |= {"ln_ih": (rows,), "ln_hh": (rows,)}
    for name, weight in weights.items():
        refuse_unlike(name, weight, shapes[name], x.dtype)
    if len({"ln_ih", "ln_hh", "ln_c"} & weights.keys()) % 3 or len({"bias_ih", "bias_hh"} & weights.keys()) == 1:
        raise ValueError(f"gains and biases come together, got {', '.join(weights)}")
    if "weight_hr" not in weights and width != hidden:
        raise ValueError(f"weight_hh must have {hidden} columns without a projection, got {width}")
    sizes = [(batch, width), (batch, hidden)]
    for name, part, size in zip("hc", state, sizes, strict=True):
        refuse_unlike(name, part, size, x.dtype)
    if lengths is not None:
        refuse_unlike("lengths", lengths, (batch,), torch.int64)
    if resets is not None:
        refuse_unlike("resets", resets, (steps, batch), torch.bool)
    if mask is not None:
        refuse_unlike("mask", mask, sizes[0], x.dtype)
    for name, zone, size in zip("hc", zoneout, sizes, strict=False):
        if isinstance(zone, Tensor):
            refuse_unlike(f"the zones of {name}", zone, (steps, *size), zone.dtype)


def _readable(tensors: Sequence[Tensor | None]) -> _Given:
    """The tensors as the engine reads them."""
    x, *rest = tensors
    assert x is not None
    return _Given(ops.readable_rows(x.detach()), *(None if t is None else ops.whole(t.detach()) for t in rest))  # type: ignore[arg-type]


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _packed(weight: Tensor, bfloat16: bool) -> _engine.Packed:
    """A matrix ``(O, I)`` as the engine reads it."""
    whole = weight.contiguous()
    is_double, (outputs, inputs) = whole.dtype == torch.float64, whole.shape
    return _engine.pack(engine.LINEAR, is_double, bfloat16, (inputs, outputs), (whole.data_ptr(), 0, 0, 0, 0))


class _Call:
    """A fold as the engine takes it, and what it reads."""

    def __init__(
        self, options: _Options, given: _Given, state: Sequence[Tensor], kept: _Kept | None, *, backward: bool, dx: bool
    ) -> None:
        def packed(weight: Tensor | None) -> _engine.Packed | None:
            if weight is None:
                return None
            return _packed(weight.t() if backward else weight, options.bfloat16)

        biases = [bias for bias in (given.bias_ih, given.bias_hh) if bias is not None]
        bias = torch.stack(biases).sum(0) if biases else None
        resets, zones = options.resets, [None if zone is None else ops.whole(zone) for zone in options.zones]
        mask = None if options.mask is None else ops.whole(options.mask)
        lengths = None if options.lengths is None else options.lengths.contiguous()
        read = (given.x, given.ln_ih, given.ln_hh, given.ln_c, bias, given.weight_ph, mask, *zones)
        self.held = (given, state, kept, read, lengths, resets)
        self.call = _engine.RowCall(
            given.size,
            (given.x.dtype == torch.float64, options.bfloat16, options.cell == "coupled_lstm", options.reverse),
            packed(given.weight_ih) if dx or not backward else None,
            packed(given.weight_hh),
            packed(given.weight_hr),
            math.inf if options.clip is None else options.clip,
            options.zoneout,
            _address(lengths),
            _address(resets),
            (0, 0) if resets is None else (resets.stride(0), resets.stride(1)),
            (given.x.stride(0), given.x.stride(1)),
            [_address(tensor) for tensor in read],
            [_address(tensor) for tensor in state],
            [0] * 10 if kept is None else [_address(tensor) for tensor in kept.all],
        )


def _folded(options: _Options, given: _Given, *, keep: bool) -> tuple[Tensor, Tensor, Tensor, _Kept | None]:
    """y, the final state, and what is kept."""
    steps, batch, _, hidden, width = given.size
    gates = len(given.weight_hh)

    def made(*shape: int, there: bool = True) -> Any:
        if not there:
            return None
        full = (steps, batch, *shape)
        return given.x.new_empty(full) if options.lengths is None else given.x.new_zeros(full)

    kept = None
    if keep:
        normal = given.ln_c is not None
        kept = _Kept(
            made(gates, there=normal),
            made(there=normal),
            made(gates, there=normal),
            made(there=normal),
            made(width),
            made(hidden),
            made(gates),
            made(hidden),
            made(hidden, there=normal),
            made(there=normal),
        )
    h, c, y = given.h.clone(), given.c.clone(), made(width)
    engine.borrow_threads()
    call = _Call(options, given, (h, c, y), kept, backward=False, dx=False)
    _engine.fold_rows(call.call, engine.threads_at_call())
    return y, h, c, kept


class _RowWise(torch.autograd.Function):
    """The fold with the engine's gradient."""

    @staticmethod
    def forward(ctx: Any, options: _Options, *tensors: Tensor | None) -> Any:
        ctx.set_materialize_grads(False)
        y, h, c, kept = _folded(options, _readable(tensors), keep=True)
        assert kept is not None
        others = (options.lengths, options.resets, options.mask, *options.zones)
        ctx.save_for_backward(*tensors, *others, *kept.all)
        ctx.options, ctx.count = replace(options, lengths=None, resets=None, mask=None, zones=()), len(tensors)
        return y, h, c

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        tensors, rest = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
        lengths, resets, mask, *zones = rest[:5]
        options = replace(ctx.options, lengths=lengths, resets=resets, mask=mask, zones=zones)
        if torch.is_grad_enabled():
            gradients = _composed(options, tensors, grads)
        else:
            gradients = _derived(options, _readable(tensors), _Kept(*rest[5:]), grads, dx=ctx.needs_input_grad[1])
        return None, *(g if need else None for g, need in zip(gradients, ctx.needs_input_grad[1:], strict=True))


def _derived(
    options: _Options, given: _Given, kept: _Kept, grads: Sequence[Tensor | None], *, dx: bool
) -> Sequence[Tensor | None]:
    """The gradients by each tensor of `_Given`."""
    steps, batch, inputs, hidden, width = given.size
    gates, normal = len(given.weight_hh), given.ln_c is not None

    def made(last: int, there: bool = True) -> Any:
        if not there:
            return None
        shape = steps, batch, last
        return given.x.new_empty(shape) if options.lengths is None else given.x.new_zeros(shape)

    dy, dh, dc = (None if g is None else ops.whole(g) for g in grads)
    by_h = torch.zeros_like(given.h) if dh is None else dh.clone()
    by_c = torch.zeros_like(given.c) if dc is None else dc.clone()
    d_pre, d_by_x, d_by_h = made(gates), made(gates, normal), made(gates, normal)
    by_x, d_output, d_opened = made(inputs, dx), made(width, given.weight_hr is not None), made(hidden, normal)
    results = (dy, by_h, by_c, d_pre, d_by_x, d_by_h, by_x, d_output, d_opened)
    engine.borrow_threads()
    unread = (given.h, given.c, given.h)  # the state and y
    call = _Call(options, given, unread, kept, backward=True, dx=dx)
    _engine.fold_rows_backward(call.call, [_address(result) for result in results], engine.threads_at_call())

    # The gradients of the weights, of all steps at once. A product with 0 would let NaN through past a row's end.
    x = given.x
    if options.lengths is not None:
        x = torch.where(torch.arange(steps)[:, None, None] < options.lengths[:, None], x, 0)

    def of_matrix(d: Tensor, a: Tensor) -> Tensor:
        d, a = d.flatten(0, 1), a.flatten(0, 1)
        return (d.bfloat16().t() @ a.bfloat16()).to(d.dtype) if options.bfloat16 else d.t() @ a

    def of_gain(d: Tensor, normed: Tensor | None) -> Tensor | None:
        return None if normed is None else (d * normed).sum((0, 1))

    bias = None if given.bias_ih is None else d_pre.sum((0, 1))
    *early, g, o = torch.split(kept.gates, hidden, dim=2)
    peephole = None
    if given.weight_ph is not None:
        forget = early[1] if len(early) == 2 else 1 - early[0]
        cell = forget * kept.before + early[0] * g
        *d_early, _, d_o = torch.split(d_pre, hidden, dim=2)
        peephole = torch.cat([*((d * kept.before).sum((0, 1)) for d in d_early), (d_o * cell).sum((0, 1))])
    return (
        by_x,
        by_h,
        by_c,
        of_matrix(d_by_x if normal else d_pre, x),
        of_matrix(d_by_h if normal else d_pre, kept.seen),
        bias,
        bias,
        peephole,
        None if d_output is None else of_matrix(d_output, o * kept.opened),
        of_gain(d_pre, kept.x_normed),
        of_gain(d_pre, kept.h_normed),
        None if d_opened is None else of_gain(d_opened, kept.cell_normed),
    )


def _composed(
    options: _Options, tensors: Sequence[Tensor | None], grads: Sequence[Tensor | None]
) -> Sequence[Tensor | None]:
    """The same by the composition, as part of torch's graph."""
    # Views are inputs of their own: where the state was made from x, dx must not go by way of the state.
    inputs = [None if t is None else t.view_as(t) for t in tensors]
    for tensor in inputs:
        if tensor is not None and not tensor.requires_grad:
            tensor.requires_grad_()
    x, h, c, *weights = inputs
    values, state = composition.fold(
        options.cell,
        x,  # type: ignore[arg-type]
        {name: weight for name, weight in zip(NAMES, weights, strict=True) if weight is not None},
        (h, c),  # type: ignore[arg-type]
        lengths=options.lengths,
        resets=options.resets,
        reverse=options.reverse,
        clip=options.clip,
        recurrent_mask=options.mask,
        zoneout=[p if z is None else z.bool() for z, p in zip(options.zones, options.zoneout, strict=True)],
    )
    pairs = [(o, g) for o, g in zip((values["h"], *state), grads, strict=True) if g is not None]
    asked = [tensor for tensor in inputs if tensor is not None]
    derived = iter(
        torch.autograd.grad([o for o, _ in pairs], asked, [g for _, g in pairs], create_graph=True, allow_unused=True)
    )
    return [None if tensor is None else next(derived) for tensor in inputs]
