"""The layers without a gradient: the engine, with weights packed once and kept."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import memfold.nn.ops as ops
from memfold import _engine, engine
from memfold.call import KEPT, described
from memfold.nn.composition import State
from memfold.nn.stack import Stack
from memfold.stream import Layer, Stream

__all__ = ["fold", "stream"]


def fold(
    layer: Stack,
    x: Tensor,
    state: State,
    lengths: Tensor | None,
    resets: Tensor | None,
    *,
    bfloat16: bool,
    dtype: torch.dtype,
) -> tuple[Tensor, State]:
    """Fold all layers: x is ``(T, B, I)``, state, lengths and resets as :meth:`Recurrent.prepared` leaves them.

    Args:
        bfloat16: whether products are those of bfloat16 numbers.
        dtype: of the output, x's or, where products are in bfloat16, that; the state has x's.
    """
    steps, batch, _ = x.shape
    directions = layer.num_directions
    whole = [ops.whole(s) for s in state]  # (L*D, B, H)
    final = [torch.empty_like(s) for s in whole]
    first = _by_layer(whole, layer.num_layers)
    lasts = _by_layer(final, layer.num_layers)
    rows = None if lengths is None else lengths.contiguous()
    engine.borrow_threads()
    for k, packed in enumerate(_cache.packed(layer, bfloat16)):
        x = ops.readable_rows(x)
        y_type = dtype if k == layer.num_layers - 1 else x.dtype
        if layer.batch_first:
            y = x.new_empty(batch, steps, directions * layer.hidden_size, dtype=y_type).transpose(0, 1)
        else:
            y = x.new_empty(steps, batch, directions * layer.hidden_size, dtype=y_type)
        call = described(
            ops.TENSORS,
            layer.cell,
            x,
            first[k],
            y,
            hidden=layer.hidden_size,
            directions=directions,
            lengths=rows,
            resets=resets,
            clip=layer.clip,
            zoneout=layer.zoneouts,
            y_rounded=None if y_type == x.dtype else y_type,
        )
        _engine.fold(packed, call, [part.data_ptr() for part in lasts[k]], engine.threads_at_call())
        x = F.dropout(y, layer.dropout, layer.training) if k < layer.num_layers - 1 else y
    return x, tuple(final)


def _by_layer(state: Sequence[Tensor], layers: int) -> Sequence[Sequence[Tensor]]:
    """Each layer's part of a state ``(L*D, B, H)``; a single layer has the whole, which costs no views."""
    return [state] if layers == 1 else list(zip(*(part.chunk(layers) for part in state), strict=True))


def stream(layer: Stack, streams: int, bfloat16: bool) -> Stream:
    """The layers as a stream with copies of their weights.

    Raises:
        ValueError: a bidirectional layer, or a cell or option that the engine has not.
    """
    name = type(layer).__name__
    if layer.bidirectional:
        raise ValueError(f"a bidirectional {name} cannot stream: its backward direction starts at the end")
    if layer.cell not in KEPT:
        raise ValueError(f"streams have no cell {layer.cell!r}")
    for option in ("proj_size", "layer_norm"):
        if getattr(layer, option, False):
            raise ValueError(f"streams have no {option}")
    zoneout = layer.zoneouts[0] if len(layer.zoneouts) == 1 else (layer.zoneouts[0], layer.zoneouts[1])
    layers = []
    for k in range(layer.num_layers):
        weights = {name: w.detach().cpu().numpy().copy() for name, w in layer.checked_weights(k).items()}
        layers.append(Layer(layer.cell, weights, layer.clip, zoneout, bfloat16))
    return Stream(layers, streams=streams, dtype=layers[0].weights["weight_ih"].dtype)  # type: ignore[union-attr]


@dataclass(frozen=True)
class _Entry:
    """One layer's packed weights, and what they were packed from."""

    key: int  # of the weights' addresses and bytes
    packed: Sequence[_engine.Packed]


class _Cache:
    """Packed weights by module, valid as long as each weight has the address and the bytes it was packed from.

    The bytes are looked at in every call. Nothing cheaper is right: fused optimisers, ``.data`` and NumPy views all
    write without raising a tensor's version. Modules are keys here, and do not hold their entries: no copy, pickle or
    state dict ever meets one.
    """

    def __init__(self) -> None:
        self._entries: WeakKeyDictionary[nn.Module, dict[tuple[int, bool], _Entry]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def packed(self, layer: Stack, bfloat16: bool) -> list[Sequence[_engine.Packed]]:
        """Packed weights of each layer, one for each direction."""
        with self._lock:
            entries = self._entries.setdefault(layer, {})
        result = []
        for k in range(layer.num_layers):
            rows = range(k * layer.num_directions, (k + 1) * layer.num_directions)
            weights = [[w.contiguous() for w in layer.checked_weights(row).values()] for row in rows]
            key = _engine.fingerprint([(w.data_ptr(), w.nbytes) for direction in weights for w in direction])
            entry = entries.get((k, bfloat16))
            if entry is None or entry.key != key:
                entry = _Entry(key, [ops.pack(layer.cell, direction, bfloat16) for direction in weights])
                entries[k, bfloat16] = entry  # another thread may do the same at the same time: both are right
            result.append(entry.packed)
        return result


_cache = _Cache()
