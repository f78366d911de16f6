"""The engine as operators of PyTorch: ``torch.ops.memfold.fold`` and ``fold_backward``, one layer at a call.

``torch.compile`` and ``torch.export`` take them whole. The gradient is the engine's; the second derivative, and the
gradient of a gate that :meth:`Recurrent.trace` returned, are the composition's.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

import memfold.nn.composition as composition
from memfold import _engine, engine
from memfold.call import KEPT, Arrays, described, refuse_unlike
from memfold.cells.table import CELLS
from memfold.nn.composition import Values

__all__ = ["TENSORS", "Call", "Clock", "clock", "fold", "pack", "readable_rows", "values", "whole"]

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
    zones: Sequence[Tensor | None]  # of each part of the state (D, T, B, H): 1 where a unit keeps its old value, else 0
    cell: str
    directions: int
    clip: float | None
    zoneout: Sequence[float]  # the expectation's probability for each part of the state, where there are no zones
    bfloat16: bool = False  # products of bfloat16 numbers; sums, gates and state stay in float32

    @property
    def hidden(self) -> int:
        return self.weights[1].shape[1]

    @property
    def weight_names(self) -> list[str]:
        """Of one direction's weights, in their order."""
        count = len(self.weights) // self.directions
        return ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * (count > 3) + ["weight_ph"] * (count % 2)

    @property
    def kept_values(self) -> int:
        """How many values of a step the gradient needs: of a plain RNN its output will do, unless clip or zoneout hides
        what it computed."""
        hidden_by = self.clip is not None or any(zone is not None for zone in self.zones) or any(self.zoneout)
        count = len(KEPT[self.cell])
        return count if count > 1 or hidden_by else 0

    def by_direction(self, tensors: Sequence[Tensor]) -> list[Sequence[Tensor]]:
        """The weights, or their gradients, of each direction."""
        count = len(tensors) // self.directions
        return [tensors[d * count : (d + 1) * count] for d in range(self.directions)]


_ARGUMENTS = (
    "Tensor x, Tensor[] weights, Tensor[] state, Tensor? lengths, Tensor? resets, Tensor? mask, Tensor?[] zones, "
    "str cell, int directions, float? clip, float[] zoneout"
)

_library = torch.library.Library("memfold", "DEF")  # type: ignore[no-untyped-call]
_library.define(  # type: ignore[no-untyped-call]
    f"fold({_ARGUMENTS}, bool batch_first, bool keep, bool bfloat16=False) -> (Tensor y, Tensor[] state, Tensor kept)"
)
_library.define(  # type: ignore[no-untyped-call]
    f"fold_backward({_ARGUMENTS}, Tensor y, Tensor kept, Tensor? dy, Tensor?[] dstate, bool[] needs, "
    "bool bfloat16=False) -> Tensor[]"
)

_FIRST = len(Call.__annotations__) - 1  # bfloat16 is the operators' last argument: older programs leave it out


def _split(arguments: Sequence[Any], others: int) -> tuple[Any, ...]:
    """An operator's arguments: the call, and so many others."""
    end = _FIRST + others
    return Call(*arguments[:_FIRST], *arguments[end:]), *arguments[_FIRST:end]


def _joined(call: Call, *others: Any) -> tuple[Any, ...]:
    """The arguments that `_split` takes apart."""
    return (*call[:_FIRST], *others, call.bfloat16)


def fold(call: Call, *, batch_first: bool = False, keep: bool = False) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
    """Fold one layer.

    Args:
        batch_first: lay y out as ``(B, T, D*H)`` in memory.
        keep: return what the cell keeps of every step.

    Returns:
        ``y (T, B, D*H)``, the final state, formed as the first, and ``(T, B, D, values, H)`` of ``keep``, in the order
        of ``KEPT``.
    """
    fold = _fold_autograd if _plain(call.x) else torch.ops.memfold.fold
    y, state, kept = fold(*_joined(call, batch_first, keep))
    return y, tuple(state), kept


def _plain(x: Tensor) -> bool:
    """Whether a call may skip torch's dispatcher, which costs some 10 µs each time: nobody traces or transforms it."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack():
        return False
    return type(x) in (Tensor, nn.Parameter) and x.is_cpu


def values(call: Call, y: Tensor, kept: Tensor) -> list[Values]:
    """Every value of a fold that kept them, for each direction: ``(T, B, H)`` each, by the composition's names."""
    result = []
    for d, h in enumerate(y.chunk(call.directions, dim=-1)):
        named = {name: kept[:, :, d, k] for k, name in enumerate(KEPT[call.cell]) if kept.numel()} | {"h": h}
        for name, other in CELLS[call.cell].complements.items():
            named[name] = 1 - named[other]
            if call.lengths is not None:
                ended = torch.arange(len(y), device=y.device)[:, None, None] >= call.lengths[:, None]
                named[name] = named[name].masked_fill(ended, 0)
        result.append({name: named[name] for name in CELLS[call.cell].values})
    return result


def pack(cell: str, weights: Sequence[Tensor], bfloat16: bool) -> _engine.Packed:
    """One direction's contiguous weights as the engine reads them."""
    weight, hidden = weights[0], weights[1].shape[1]
    is_double = weight.dtype == torch.float64
    return _engine.pack(cell, is_double, bfloat16, (weight.shape[1], hidden), _addresses(weights))


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()  # of an empty one 0 too


def _strides(tensor: Tensor | None) -> tuple[int, int]:
    """Of time and batch, in elements."""
    return (0, 0) if tensor is None else (tensor.stride(0), tensor.stride(1))


TENSORS = Arrays(address=Tensor.data_ptr, strides=_strides, int64=torch.int64, bool=torch.bool)


def _addresses(weights: Sequence[Tensor]) -> tuple[int, int, int, int, int]:
    """Of ih, hh, their biases and the peepholes; an empty tensor has the address 0."""
    at = [_address(w) for w in weights]
    bias_ih, bias_hh = at[2:4] if len(at) > 3 else (0, 0)
    return at[0], at[1], bias_ih, bias_hh, at[-1] if len(at) % 2 else 0


def _described(call: Call, y: Tensor, kept: Tensor | None) -> _engine.Call:
    return described(
        TENSORS,
        call.cell,
        call.x,
        call.state,
        y,
        hidden=call.hidden,
        directions=call.directions,
        kept=kept if kept is not None and kept.numel() else None,
        lengths=call.lengths,
        resets=call.resets,
        mask=call.mask,
        zones=call.zones,
        clip=call.clip,
        zoneout=call.zoneout,
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
    plain = call.lengths is None and call.mask is None and not any(zone is not None for zone in call.zones)
    if plain and all(t.is_contiguous() and not t.is_neg() for t in (call.x, *call.state, *call.weights)):
        return call  # as nearly every call is: to copy it takes as long as some steps

    def optional(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else whole(tensor)

    return call._replace(
        x=readable_rows(call.x),
        weights=[whole(w) for w in call.weights],
        state=[whole(s) for s in call.state],
        lengths=optional(call.lengths),
        mask=optional(call.mask),
        zones=[optional(zone) for zone in call.zones],
    )


def _outputs(call: Call, batch_first: bool, keep: bool) -> tuple[Tensor, list[Tensor], Tensor]:
    """Where a fold's results go: y, the state, and what is kept, empty where there is nothing."""
    x, hidden = call.x, call.hidden
    steps, batch, _ = x.shape
    width = call.directions * hidden
    y = x.new_empty(batch, steps, width).transpose(0, 1) if batch_first else x.new_empty(steps, batch, width)
    last = [x.new_empty(call.directions, batch, hidden) for _ in call.state]
    values = call.kept_values if keep else 0
    return y, last, x.new_empty(steps, batch, call.directions, values, hidden)


def _refuse_malformed(call: Call) -> None:
    """Refuse weights that are not the cell's: of the rest the engine's call looks at every size."""
    if call.cell not in KEPT:
        raise ValueError(f"cell must be one of {', '.join(KEPT)}, got {call.cell!r}")
    if call.x.dim() != 3:
        raise ValueError(f"x must be (T, B, I), got shape {tuple(call.x.shape)}")
    if call.directions not in (1, 2) or len(call.weights) // call.directions not in (2, 3, 4, 5):
        raise ValueError(f"{call.directions} directions must have 2 to 5 weights each, got {len(call.weights)}")
    if call.weights[1].dim() != 2:
        raise ValueError(f"weight_hh must have two axes, got shape {tuple(call.weights[1].shape)}")
    if call.bfloat16 and call.x.dtype != torch.float32:
        raise ValueError(f"products in bfloat16 take x in float32, got {call.x.dtype}")
    if len(call.state) != len(CELLS[call.cell].state):
        raise ValueError(f"the state must be ({', '.join(CELLS[call.cell].state)}), got {len(call.state)} tensors")
    shapes = CELLS[call.cell].shapes(call.x.shape[2], call.hidden, call.hidden)
    for weights in call.by_direction(call.weights):
        for name, weight in zip(call.weight_names, weights, strict=True):
            if name not in shapes:
                raise ValueError(f"the engine's {call.cell} has no weight {name!r}")
            refuse_unlike(name, weight, shapes[name], call.x.dtype)


def _refuse_lengths(call: Call) -> None:
    """Refuse lengths out of range, which nobody has looked at in a compiled or exported program."""
    steps, batch, _ = call.x.shape
    if call.lengths is not None and batch:
        for length in map(int, call.lengths.aminmax()):
            if not 0 <= length <= steps:
                raise ValueError(f"lengths must be from 0 to T={steps}, got {length}")


@clock.time
def _fold_cpu(*arguments: Any) -> tuple[Tensor, list[Tensor], Tensor]:
    call, batch_first, keep = _split(arguments, 2)
    call = _readable(call)
    _refuse_lengths(call)
    y, last, kept = _outputs(call, batch_first, keep)
    engine.borrow_threads()
    packed = [pack(call.cell, weights, call.bfloat16) for weights in call.by_direction(call.weights)]
    described_call = _described(call, y, kept)
    _engine.fold(packed, described_call, [_address(part) for part in last], engine.threads_at_call())
    return y, last, kept


def _fold_meta(*arguments: Any) -> tuple[Tensor, list[Tensor], Tensor]:
    return _outputs(*_split(arguments, 2))


def _gradients(call: Call, needs: Sequence[bool]) -> list[Tensor]:
    """Where the gradients of x, the state and the weights go; empty where none is needed."""
    inputs = (call.x, *call.state, *call.weights)
    dx, *rest = (torch.empty_like(t) if need else t.new_empty(0) for t, need in zip(inputs, needs, strict=True))
    if needs[0] and dx.stride(2) != 1:  # of an x whose rows overlap
        dx = dx.new_empty(dx.shape)
    return [dx, *rest]


def _refuse_malformed_gradients(
    call: Call, kept: Tensor, dy: Tensor | None, dstate: Sequence[Tensor | None], needs: Sequence[bool]
) -> None:
    """Refuse what a backward pass has besides its fold's call, where it does not fit to that."""
    (steps, batch, _), hidden, dtype = call.x.shape, call.hidden, call.x.dtype
    refuse_unlike("kept", kept, (steps, batch, call.directions, call.kept_values, hidden), dtype)
    if dy is not None:
        refuse_unlike("dy", dy, (steps, batch, call.directions * hidden), dtype)
    if len(dstate) != len(call.state):
        raise ValueError(f"dstate must have {len(call.state)} parts, got {len(dstate)}")
    for name, part in zip(CELLS[call.cell].state, dstate, strict=True):
        if part is not None:
            refuse_unlike(f"d{name}", part, (call.directions, batch, hidden), dtype)
    if len(needs) != 1 + len(call.state) + len(call.weights):
        raise ValueError(f"needs must be given for x, each state and each weight, got {len(needs)} values")


@clock.time
def _fold_backward_cpu(*arguments: Any) -> list[Tensor]:
    call, y, kept, dy, dstate, needs = _split(arguments, 5)
    call, y, kept = _readable(call), readable_rows(y), whole(kept)
    gradients = _gradients(call, needs)
    dx, *rest = gradients
    d_state, d_weights = rest[: len(call.state)], rest[len(call.state) :]

    dy = None if dy is None else readable_rows(dy)
    dstate = [None if part is None else whole(part) for part in dstate]
    engine.borrow_threads()
    _engine.fold_backward(
        _described(call, y, kept),
        call.cell,
        call.x.dtype == torch.float64,
        call.bfloat16,
        (call.x.shape[2], call.hidden),
        [_addresses(weights) for weights in call.by_direction(call.weights)],
        [_addresses(weights) for weights in call.by_direction(d_weights)],
        _address(dy),
        _strides(dy),
        [_address(part) for part in dstate],
        [_address(part) for part in d_state],
        _address(dx),
        _strides(dx if needs[0] else None),
        engine.threads_at_call(),
    )
    return gradients


def _fold_backward_meta(*arguments: Any) -> list[Tensor]:
    call, _y, _kept, _dy, _dstate, needs = _split(arguments, 5)
    return _gradients(_readable(call), needs)


class _Fold(torch.autograd.Function):
    """The fold with the engine's gradient."""

    @staticmethod
    def forward(ctx: Any, batch_first: bool, rest: tuple[Any, ...], parts: int, x: Tensor, *tensors: Tensor) -> Any:
        ctx.set_materialize_grads(False)
        state, weights = tensors[:parts], tensors[parts:]
        fold = _fold_cpu if _plain(x) else torch.ops.memfold.fold
        with torch._C._AutoDispatchBelowAutograd():
            y, last, kept = fold(*_joined(Call(x, weights, state, *rest), batch_first, True))
        (*masks, zones), ctx.options, ctx.parts, ctx.zones = rest[:4], rest[4:], parts, len(rest[3])
        ctx.save_for_backward(x, y, kept, *masks, *zones, *tensors)
        return y, kept, *last

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dkept: Tensor | None, *dstate: Tensor | None) -> Any:
        x, y, kept, lengths, resets, mask, *rest = ctx.saved_tensors
        zones, state, weights = rest[: ctx.zones], rest[ctx.zones :][: ctx.parts], rest[ctx.zones + ctx.parts :]
        call = Call(x, weights, state, lengths, resets, mask, zones, *ctx.options)
        needs = ctx.needs_input_grad[3:]
        if torch.is_grad_enabled() or dkept is not None:
            gradients = _composed(call, (dy, dkept, *dstate), needs)
        else:
            backward = _fold_backward_cpu if _plain(x) else torch.ops.memfold.fold_backward
            needed = backward(*_joined(call, y, kept, dy, dstate, needs))
            gradients = [g if need else None for g, need in zip(needed, needs, strict=True)]
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
        call = call._replace(x=inputs[0], state=inputs[1 : 1 + parts], weights=inputs[1 + parts :])
        outputs = _composition(call)
        pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None]
        asked = [tensor for tensor, need in zip(inputs, needs, strict=True) if need]
        derived = iter(
            torch.autograd.grad(
                [o for o, _ in pairs], asked, [g for _, g in pairs], create_graph=create_graph, allow_unused=True
            )
        )
    return [next(derived) if need else None for need in needs]


def _composition(call: Call) -> tuple[Tensor, ...]:
    """y, what is kept and each part of the state, in torch's operators."""
    values, finals = [], []
    for d, weights in enumerate(call.by_direction(call.weights)):
        named, final = composition.fold(
            call.cell,
            call.x,
            dict(zip(call.weight_names, weights, strict=True)),
            tuple(s[d] for s in call.state),
            lengths=call.lengths,
            resets=call.resets,
            reverse=d == 1,
            clip=call.clip,
            recurrent_mask=None if call.mask is None else call.mask[d],
            zoneout=[p if z is None else z[d].bool() for z, p in zip(call.zones, call.zoneout, strict=True)],
            keep=True,
        )
        values.append(named)
        finals.append(final)
    last = [torch.stack(parts) for parts in zip(*finals, strict=True)]
    absent = torch.zeros_like(values[0]["h"])  # what the engine keeps for itself
    kept = [torch.stack([named.get(name, absent) for name in KEPT[call.cell]], dim=2) for named in values]
    return torch.cat([named["h"] for named in values], dim=-1), torch.stack(kept, 2), *last


def _fold_autograd(*arguments: Any) -> tuple[Tensor, list[Tensor], Tensor]:
    call, batch_first, keep = _split(arguments, 2)
    inputs = (call.x, *call.state, *call.weights)
    if torch.is_grad_enabled() and any(t.requires_grad for t in inputs):
        y, kept, *last = _Fold.apply(  # type: ignore[no-untyped-call]
            batch_first, tuple(call[3:]), len(call.state), *inputs
        )
        return y, last, kept
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.memfold.fold(*_joined(call, batch_first, keep))  # type: ignore[no-any-return]


def _checked_fold(implementation: Callable[..., Result]) -> Callable[..., Result]:
    """For calls that come by torch's dispatcher, from anywhere: the layers have looked at their weights themselves."""

    def checked(*arguments: Any) -> Result:
        call, *_ = _split(arguments, 2)
        _refuse_malformed(call)
        return implementation(*arguments)

    return checked


def _checked_fold_backward(*arguments: Any) -> list[Tensor]:
    call, _y, kept, dy, dstate, needs = _split(arguments, 5)
    _refuse_malformed(call)
    _refuse_lengths(call)
    _refuse_malformed_gradients(call, kept, dy, dstate, needs)
    return _fold_backward_cpu(*arguments)


for _name, _implementation, _key in (
    ("fold", _checked_fold(_fold_cpu), "CPU"),
    ("fold", _fold_meta, "Meta"),
    ("fold", _checked_fold(_fold_autograd), "Autograd"),
    ("fold_backward", _checked_fold_backward, "CPU"),
    ("fold_backward", _fold_backward_meta, "Meta"),
):
    _library.impl(_name, _implementation, _key)  # type: ignore[no-untyped-call]
