"""How a layer's call is computed: by the engine, by torch's own operators or by the composition, and who chooses."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import _VF, Tensor, nn
from torch.autograd import forward_ad

import memfold.nn.composed_operator as composed_operator
import memfold.nn.composition as composition
import memfold.nn.inference as inference
import memfold.nn.ops as ops
import memfold.nn.row_wise as row_wise
from memfold.call import KEPT
from memfold.nn.composition import State, Values
from memfold.nn.conversion import converted
from memfold.nn.stack import Stack

__all__ = ["composed", "fold", "operated", "served_by", "torchs_own", "traced"]

Way = Literal["packed", "operator", "rows", "torch", "composition"]


def served_by(layer: Stack, x: Tensor, state: State, *, ragged: bool) -> Way:
    """Which implementation serves a call: the one place where this is decided.

    Returns:
        ``"packed"``: the engine, on weights packed once, where nobody asks for a derivative. ``"operator"``: the engine
        as an operator of torch. ``"rows"``: the engine row by row, for layer normalization and projections.
        ``"torch"``: torch.nn's own, for what the engine does not know: other devices and types. ``"composition"``:
        everything else, and whatever transforms the call: vmap, forward-mode derivatives.

    Raises:
        RuntimeError: torch's older exporter to ONNX, which traces, would fix the number of steps.
    """
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return "composition"
    compiling = torch.compiler.is_compiling()
    if layer.cell in KEPT and not torch._C._get_tracing_state():
        tensors = [x, *state, *(w for row in range(len(layer.weight_names)) for w in layer.weights(row).values())]
        if layer.proj_size or getattr(layer, "layer_norm", False):
            plain = not compiling and not torch._C._len_torch_dispatch_stack() and x.is_cpu
            if plain and _readable(tensors, compiling):
                return "rows"
        elif _readable(tensors, compiling):
            asks = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
            draws = layer.training and (layer.recurrent_dropout or layer.zoneout)
            if asks or draws or compiling or torch._C._len_torch_dispatch_stack() or not x.is_cpu:
                return "operator"
            return "packed"
    in_use = [name for name in layer.variants() if name != "recurrent_dropout" or layer.training]
    torch_has_it = hasattr(_VF, layer.cell) and not in_use
    if torch_has_it and not ragged and not compiling:
        return "torch"
    if torch._C._get_tracing_state() and torch.onnx.is_in_onnx_export():
        what = ", ".join(in_use) or ("lengths or resets" if ragged else layer.cell)
        raise RuntimeError(
            f"torch.onnx.export(dynamo=False) has no form for {what}: it would write down every step of this input; "
            "memfold.export.export takes a module as a memfold.runtime.Part"
        )
    return "composition"


def _readable(tensors: Sequence[Tensor], compiling: bool) -> bool:
    """Whether the engine can read all of them: plain ones of one type, in memory. The last is a weight."""
    dtype = tensors[-1].dtype
    if dtype not in (torch.float32, torch.float64):
        return False
    mixed = torch.is_autocast_enabled("cpu")  # x and the state are converted then
    for tensor in tensors:
        if not (tensor.is_cpu or tensor.is_meta) or (tensor.dtype != dtype and not mixed):
            return False
        if not compiling and type(tensor) not in (Tensor, nn.Parameter):
            return False
    return True


def fold(
    layer: Stack,
    x: Tensor,
    state: State,
    lengths: Tensor | None,
    resets: Tensor | None,
    *,
    packed: bool = False,
    between: list[Tensor] | None = None,
) -> tuple[Tensor, State]:
    """Fold all layers: x is ``(T, B, I)``, the rest as :meth:`Recurrent.prepared` leaves it.

    Args:
        packed: whether x was a PackedSequence, of which torch answers in another type under autocast.
        between: takes up what each layer but the last returns, ``(T, B, D*H)``, before dropout.
    """
    way = served_by(layer, x, state, ragged=lengths is not None or resets is not None)
    if between is not None and way in ("torch", "packed"):  # which return the last layer's alone
        way = "operator" if way == "packed" else "composition"
    if way == "torch":
        return torchs_own(layer, x, None, state)
    if way == "composition":
        y, state, _ = composed(layer, x, state, lengths, resets, between=between)
        return y, state
    bfloat16, dtype = _in_bfloat16(layer), _answers_type(layer, state, packed)
    x, state = _in_the_weights_type(layer, x, state)
    if way == "packed":
        y_type = dtype if bfloat16 else x.dtype
        y, state = inference.fold(layer, x, state, lengths, resets, bfloat16=bfloat16, dtype=y_type)
    elif way == "rows":
        y, state, _ = composed(layer, x, state, lengths, resets, by_rows=True, between=between)
    else:
        y, state, _ = operated(layer, x, state, lengths, resets, between=between)
    if not bfloat16 or dtype == x.dtype:
        return y, state
    return converted(y, dtype), tuple(s.to(dtype) for s in state)


def traced(layer: Stack, x: Tensor, state: State, lengths: Tensor | None, resets: Tensor | None) -> dict[str, Values]:
    """Every value of every layer and direction, from what the engine keeps where it serves the call."""
    way = served_by(layer, x, state, ragged=True)
    if way in ("composition", "rows"):
        return composed(layer, x, state, lengths, resets, keep=True)[2]
    return operated(layer, *_in_the_weights_type(layer, x, state), lengths, resets, keep=True)[2]


def _in_the_weights_type(layer: Stack, x: Tensor, state: State) -> tuple[Tensor, State]:
    """Under autocast the engine takes x and the state in the type of the weights, whatever products are made in."""
    if not torch.is_autocast_enabled("cpu"):  # then they are of one type
        return x, state
    dtype = layer.weights(0)["weight_ih"].dtype
    if x.dtype == dtype and all(s.dtype == dtype for s in state):  # to ask each costs as much as some steps
        return x, state
    return converted(x, dtype), tuple(s.to(dtype) for s in state)


def _in_bfloat16(layer: Stack) -> bool:
    """Whether the engine makes products in bfloat16: torch.autocast asks for it, and the weights are float32."""
    if not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return False
    return layer.weights(0)["weight_ih"].dtype == torch.float32


def _answers_type(layer: Stack, state: State, packed: bool) -> torch.dtype:
    """The type in which torch.nn answers under autocast in bfloat16. Its LSTM and RNN return bfloat16; its GRU, and its
    LSTM of a PackedSequence, blend the state into the output and keep its type."""
    keeps = layer.cell.startswith("gru") or (packed and layer.cell.endswith("lstm"))
    return state[0].dtype if keeps else torch.bfloat16


def torchs_own(layer: Stack, x: Tensor, batch_sizes: Tensor | None, state: State) -> tuple[Tensor, State]:
    """Fold on torch's own operator: x is ``(T, B, I)``, or a PackedSequence's data beside its batch sizes."""
    weights = [w for row in range(len(layer.weight_names)) for w in layer.checked_weights(row).values()]
    hx = state if len(state) > 1 else state[0]
    options = (layer.bias, layer.num_layers, layer.dropout, layer.training, layer.bidirectional)
    operator = getattr(_VF, layer.cell)
    if batch_sizes is None:
        y, *final = operator(x, hx, weights, *options, False)
    else:
        y, *final = operator(x, batch_sizes, hx, weights, *options)
    return y, tuple(final)


def operated(
    layer: Stack,
    x: Tensor,
    state: State,
    lengths: Tensor | None,
    resets: Tensor | None,
    *,
    keep: bool = False,
    between: list[Tensor] | None = None,
) -> tuple[Tensor, State, dict[str, Values]]:
    """Fold on the engine's operators: output, final state and, of ``keep``, every value by layer and direction.

    Args:
        between: as of :func:`fold`.
    """
    finals: list[State] = []
    traces: dict[str, Values] = {}
    for k in range(layer.num_layers):
        rows = range(k * layer.num_directions, (k + 1) * layer.num_directions)
        start = tuple(s[rows.start : rows.stop] for s in state)
        mask, zones = _drawn(layer, start, x.shape[0])
        call = ops.Call(
            x=x,
            weights=[weight for row in rows for weight in layer.checked_weights(row).values()],
            state=start,
            lengths=lengths,
            resets=resets,
            mask=mask,
            zones=zones,
            cell=layer.cell,
            directions=layer.num_directions,
            clip=layer.clip,
            zoneout=[0.0 if layer.training else p for p in layer.zoneouts],
            bfloat16=_in_bfloat16(layer),
        )
        y, final, kept = ops.fold(call, batch_first=layer.batch_first, keep=keep)
        finals.append(final)
        if keep:
            named = zip((f"l{k}", f"l{k}_reverse"), ops.values(call, y, kept), strict=False)
            traces |= dict(named)
        if between is not None and k < layer.num_layers - 1:
            between.append(y)
        x = F.dropout(y, layer.dropout, layer.training) if k < layer.num_layers - 1 else y
    state = finals[0] if len(finals) == 1 else tuple(torch.cat(parts) for parts in zip(*finals, strict=True))
    return x, state, traces


def composed(
    layer: Stack,
    x: Tensor,
    state: State,
    lengths: Tensor | None,
    resets: Tensor | None,
    *,
    keep: bool = False,
    by_rows: bool = False,
    between: list[Tensor] | None = None,
) -> tuple[Tensor, State, dict[str, Values]]:
    """As :func:`operated`, on the composition; as an operator where a compiler or an exporter would unroll it.

    Args:
        by_rows: by the engine instead, of which no values are kept.
    """
    operator = torch.compiler.is_compiling() and not keep
    finals: list[State] = []
    traces: dict[str, Values] = {}
    for k in range(layer.num_layers):
        outputs = []
        rows = range(k * layer.num_directions, (k + 1) * layer.num_directions)
        mask, zones = _drawn(layer, tuple(s[rows.start : rows.stop] for s in state), x.shape[0])
        for direction, row in enumerate(rows):
            if operator:
                y, final = composed_operator.compose(
                    composed_operator.Composed(
                        x=x,
                        weights=list(layer.checked_weights(row).values()),
                        state=[s[row] for s in state],
                        lengths=lengths,
                        resets=resets,
                        mask=None if mask is None else mask[direction],
                        zones=[None if z is None else z[direction] for z in zones],
                        names=list(layer.weight_names[row]),
                        cell=layer.cell,
                        reverse=direction == 1,
                        clip=layer.clip,
                        zoneout=[0.0 if layer.training else p for p in layer.zoneouts],
                    )
                )
                outputs.append(y)
                finals.append(final)
                continue
            arguments = layer.cell, x, layer.checked_weights(row), tuple(s[row] for s in state)
            options: dict[str, Any] = {
                "lengths": lengths,
                "resets": resets,
                "reverse": direction == 1,
                "clip": layer.clip,
                "recurrent_mask": None if mask is None else mask[direction],
                "zoneout": [
                    (0.0 if layer.training else p) if z is None else z[direction].bool()
                    for z, p in zip(zones, layer.zoneouts, strict=True)
                ],
            }
            if by_rows:
                y, final = row_wise.fold(*arguments, **options, bfloat16=_in_bfloat16(layer))
            else:
                values, final = composition.fold(*arguments, **options, keep=keep)
                y = values["h"]
                traces[f"l{k}" + "_reverse" * direction] = values
            outputs.append(y)
            finals.append(final)
        x = torch.cat(outputs, dim=-1)  # (T, B, D*H)
        if k < layer.num_layers - 1:
            if between is not None:
                between.append(x)
            x = F.dropout(x, layer.dropout, layer.training)
    return x, tuple(torch.stack(parts) for parts in zip(*finals, strict=True)), traces


def _drawn(layer: Stack, state: State, steps: int) -> tuple[Tensor | None, list[Tensor | None]]:
    """The random masks of one layer's call in training: on h, ``(D, B, H or P)``, and for each part of the state where
    it stays, ``(D, T, B, ·)``, 1 or 0. None for those that are not drawn."""
    mask: Tensor | None = None
    zones: list[Tensor | None] = [None for _ in state]
    if layer.training and layer.recurrent_dropout:
        mask = F.dropout(torch.ones_like(state[0]), layer.recurrent_dropout)
    if layer.training and layer.zoneout:
        zones = [
            (torch.rand(len(s), steps, *s.shape[1:], device=s.device, dtype=s.dtype) < p).to(s.dtype) if p else None
            for s, p in zip(state, layer.zoneouts, strict=True)
        ]
    return mask, zones
