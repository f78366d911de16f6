"""LSTMs whose steps need all units of a row at once, with layer normalization or a projection of h: by the engine.

What x adds to the pre-activations is made by torch, of all steps at once, and so are the gradients of the weights; the
engine does what goes step by step. Second derivatives are the composition's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import memfold.nn.composition as composition
from memfold import _engine, engine
from memfold.nn.composition import State, Weights

__all__ = ["fold", "has"]

HIDDEN = ("weight_hh", "weight_hr", "ln_hh", "ln_c", "weight_ph")  # what the steps read of the weights


def has(cell: str, weights: Weights) -> bool:
    """Whether this is such a cell."""
    return cell.endswith("lstm") and ("weight_hr" in weights or "ln_c" in weights)


@dataclass(frozen=True)
class _Options:
    """What a fold is told besides its tensors with gradients; as `composition.fold` has it."""

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
class _Kept:
    """What the steps leave for the gradient, ``(T, B, ·)``; past a row's length 0."""

    seen: Tensor  # h as its product sees it
    before: Tensor  # c before the step
    gates: Tensor
    opened: Tensor  # what the output gate opens
    normed: Tensor | None
    scale: Tensor | None
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
        bfloat16: whether the products are those of bfloat16 numbers; that of x is rounded to it, too, and everything
            else is of the state's type.
    """
    if lengths is not None:
        valid = torch.arange(len(x))[:, None, None] < lengths[:, None]
        x = torch.where(valid, x, 0)  # a product with 0 would let NaN through in the backward pass
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        from_x = composition.share(x, weights, "ih")
    if "bias_hh" in weights:
        from_x = from_x + weights["bias_hh"]
    h, c = state
    dtype = h.dtype
    zones = [p.to(dtype) if isinstance(p, Tensor) else None for p in zoneout]
    options = _Options(
        cell,
        lengths,
        resets,
        reverse,
        clip,
        recurrent_mask,
        zones or [None, None],
        [0.0 if isinstance(p, Tensor) else p for p in zoneout] or [0.0, 0.0],
        bfloat16,
    )
    tensors = (from_x.to(dtype), h, c, *(weights.get(name) for name in HIDDEN))
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        y, h, c = _RowWise.apply(options, *tensors)  # type: ignore[no-untyped-call]
    else:
        y, h, c, _ = _folded(options, tensors, keep=False)
    return y, (h, c)


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _whole(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().resolve_neg().contiguous()


def _packed(weight: Tensor | None, bfloat16: bool) -> _engine.Packed | None:
    """A matrix ``(O, I)`` as the engine reads it."""
    if weight is None:
        return None
    whole = weight.contiguous()
    is_double, (outputs, inputs) = whole.dtype == torch.float64, whole.shape
    return _engine.pack(engine.LINEAR, is_double, bfloat16, (inputs, outputs), (whole.data_ptr(), 0, 0, 0, 0))


def _call(
    options: _Options,
    tensors: Sequence[Tensor | None],
    size: tuple[int, int, int, int],
    products: Sequence[_engine.Packed | None],
    state: Sequence[Tensor],
    kept: _Kept | None,
) -> _engine.RowCall:
    """A fold as the engine takes it; the tensors are whole, and whoever calls holds them."""
    from_x, _h, _c, _hh, _hr, gain, cell_gain, peephole = tensors
    product, projection = products
    assert product is not None
    resets = options.resets
    read = (gain, cell_gain, peephole, from_x, options.mask, *options.zones)
    return _engine.RowCall(
        size,
        options.cell == "coupled_lstm",
        options.reverse,
        product,
        projection,
        math.inf if options.clip is None else options.clip,
        options.zoneout,
        _address(options.lengths),
        _address(resets),
        (0, 0) if resets is None else (resets.stride(0), resets.stride(1)),
        [_address(tensor) for tensor in read],
        [_address(tensor) for tensor in state],
        [0] * 8 if kept is None else [_address(tensor) for tensor in kept.all],
    )


def _size(tensors: Sequence[Tensor | None]) -> tuple[int, int, int, int]:
    """T, B, H and P."""
    from_x, h, c, *_ = tensors
    assert from_x is not None
    assert h is not None
    assert c is not None
    return from_x.shape[0], from_x.shape[1], c.shape[1], h.shape[1]


def _folded(
    options: _Options, tensors: Sequence[Tensor | None], *, keep: bool
) -> tuple[Tensor, Tensor, Tensor, _Kept | None]:
    """y, the final state, and what is kept."""
    whole = [_whole(tensor) for tensor in tensors]
    from_x, h, c, weight, projection, gain, cell_gain, _peephole = whole
    assert from_x is not None
    assert weight is not None
    steps, batch, hidden, width = size = _size(tensors)

    def made(*shape: int) -> Tensor:
        return from_x.new_empty(shape) if options.lengths is None else from_x.new_zeros(shape)

    kept = None
    if keep:
        normed = None if gain is None else made(steps, batch, len(weight))
        cell_normed = None if cell_gain is None else made(steps, batch, hidden)
        kept = _Kept(
            made(steps, batch, width),
            made(steps, batch, hidden),
            made(steps, batch, len(weight)),
            made(steps, batch, hidden),
            normed,
            None if normed is None else made(steps, batch),
            cell_normed,
            None if cell_normed is None else made(steps, batch),
        )
    assert h is not None
    assert c is not None
    y, last = made(steps, batch, width), [h.clone(), c.clone()]
    products = _packed(weight, options.bfloat16), _packed(projection, options.bfloat16)
    engine.borrow_threads()
    _engine.fold_rows(_call(options, whole, size, products, (*last, y), kept), engine.threads_at_call())
    return y, last[0], last[1], kept


class _RowWise(torch.autograd.Function):
    """The fold from what x adds, with the engine's gradient."""

    @staticmethod
    def forward(ctx: Any, options: _Options, *tensors: Tensor | None) -> Any:
        ctx.set_materialize_grads(False)
        y, h, c, kept = _folded(options, tensors, keep=True)
        assert kept is not None
        own = (options.lengths, options.resets, options.mask, *options.zones)
        ctx.save_for_backward(*tensors, *own, *kept.all)
        ctx.options = replace(options, lengths=None, resets=None, mask=None, zones=())
        return y, h, c

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dh: Tensor | None, dc: Tensor | None) -> Any:
        saved = ctx.saved_tensors
        tensors, (lengths, resets, mask, *zones), kept = saved[:8], saved[8:13], _Kept(*saved[13:])
        options = replace(ctx.options, lengths=lengths, resets=resets, mask=mask, zones=zones)
        derive = _composed if torch.is_grad_enabled() else _derived
        gradients = derive(options, tensors, kept, (dy, dh, dc))
        return None, *(g if need else None for g, need in zip(gradients, ctx.needs_input_grad[1:], strict=True))


def _derived(
    options: _Options, tensors: Sequence[Tensor | None], kept: _Kept, grads: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients by each of the tensors, by the engine."""
    whole = [_whole(tensor) for tensor in tensors]
    _from_x, h, c, weight, projection, gain, cell_gain, peephole = whole
    steps, batch, hidden, width = size = _size(tensors)
    assert h is not None
    assert c is not None
    assert weight is not None
    ragged = options.lengths is not None

    def made(last: int) -> Tensor:
        shape = steps, batch, last
        return h.new_zeros(shape) if ragged else h.new_empty(shape)

    dy, dh, dc = (_whole(g) for g in grads)
    by_h = torch.zeros_like(h) if dh is None else dh.clone()
    by_c = torch.zeros_like(c) if dc is None else dc.clone()
    d_pre = made(len(weight))
    d_product = d_pre if gain is None else made(len(weight))
    d_output = None if projection is None else made(width)
    d_opened = None if cell_gain is None else made(hidden)
    products = (
        _packed(weight.t(), options.bfloat16),
        None if projection is None else _packed(projection.t(), options.bfloat16),
    )
    results = (dy, by_h, by_c, d_pre, None if gain is None else d_product, d_output, d_opened)
    engine.borrow_threads()
    _engine.fold_rows_backward(
        _call(options, whole, size, products, (h, c, h), kept),  # the state and y are not read
        [_address(tensor) for tensor in results],
        engine.threads_at_call(),
    )
    # The gradients of the weights, of all steps at once.
    by_weight = _product(d_product, kept.seen, options.bfloat16)
    by_projection = by_gain = by_cell_gain = by_peephole = None
    *_, o = parts = torch.split(kept.gates, hidden, dim=2)
    if d_output is not None:
        by_projection = _product(d_output, o * kept.opened, options.bfloat16)
    if kept.normed is not None:
        by_gain = (d_pre * kept.normed).sum((0, 1))
    if d_opened is not None and kept.cell_normed is not None:
        by_cell_gain = (d_opened * kept.cell_normed).sum((0, 1))
    if peephole is not None:
        i, g = parts[0], parts[-2]
        cell = (1 - i if len(parts) == 3 else parts[1]) * kept.before + i * g
        *d_early, _, d_o = torch.split(d_pre, hidden, dim=2)
        seen = [*((d, kept.before) for d in d_early), (d_o, cell)]
        by_peephole = torch.cat([(d * at).sum((0, 1)) for d, at in seen])
    return [d_pre, by_h, by_c, by_weight, by_projection, by_gain, by_cell_gain, by_peephole]


def _product(d: Tensor, a: Tensor, bfloat16: bool) -> Tensor:
    """Of (T, B, O) and (T, B, I) the gradient of a matrix ``(O, I)``."""
    d, a = d.flatten(0, 1), a.flatten(0, 1)
    return (d.bfloat16().t() @ a.bfloat16()).to(d.dtype) if bfloat16 else d.t() @ a


def _composed(
    options: _Options, tensors: Sequence[Tensor | None], _kept: _Kept, grads: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The same by the composition, as part of torch's graph."""
    inputs = [None if t is None else t.view_as(t) for t in tensors]
    for tensor in inputs:
        if tensor is not None and not tensor.requires_grad:
            tensor.requires_grad_()
    from_x, h, c, *hidden = inputs
    assert from_x is not None
    assert h is not None
    assert c is not None
    values, state = composition.fold_shares(
        options.cell,
        from_x,
        {name: weight for name, weight in zip(HIDDEN, hidden, strict=True) if weight is not None},
        (h, c),
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
