"""One call of the engine: what it reads and writes, by address.

The engine works on memory where NumPy's arrays or torch's tensors have it. A call is described to it here and nowhere
else, so here the sizes and types of all that belongs to one are held against each other.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from memfold import _engine
from memfold.cells.table import CELLS

__all__ = ["KEPT", "NUMPY", "Arrays", "described", "refuse_unlike"]

# The cells that the engine has, and what it keeps of every step of each, in its order: as native/cells.hpp names it.
KEPT = {name: kept for name, _, _, kept, _ in _engine.cells()}


class Arrays(NamedTuple):
    """How the arrays of one library are read."""

    address: Callable[[Any], int]
    strides: Callable[[Any], tuple[int, int]]  # of the first two axes, in elements
    int64: Any
    bool: Any


NUMPY = Arrays(
    address=lambda array: int(array.ctypes.data),
    strides=lambda array: (array.strides[0] // array.itemsize, array.strides[1] // array.itemsize),
    int64=np.dtype(np.int64),
    bool=np.dtype(np.bool_),
)


def refuse_unlike(name: str, array: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """Refuse an array of another shape or type: the engine would read or write beyond it.

    Raises:
        ValueError: it names both.
    """
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} must be {shape} in {dtype}, got {tuple(array.shape)} in {array.dtype}")


def described(
    arrays: Arrays,
    cell: str,
    x: Any,
    state: Sequence[Any],
    y: Any,
    *,
    hidden: int,
    directions: int,
    reverse: bool = False,
    kept: Any = None,
    lengths: Any = None,
    resets: Any = None,
    mask: Any = None,
    zones: Sequence[Any] = (),
    clip: float | None = None,
    zoneout: Sequence[float] = (),
    y_rounded: Any = None,
) -> _engine.Call:
    """A fold of one layer as the engine takes it; the caller holds the memory until the engine is done.

    Args:
        arrays: whose arrays all of these are.
        x: ``(T, B, I)``, any strides over time and batch; like y's, its last axis is contiguous.
        state: each part ``(D, B, H)``, contiguous, as is all that follows but resets; none for zeros.
        y: ``(T, B, D*H)``, any strides over time and batch.
        kept: ``(T, B, D, values, H)``, the values of ``KEPT``.
        lengths: ``(B,)`` int64.
        resets: ``(T, B)`` bool, any strides.
        mask: ``(D, B, H)``, factor on h before the hidden product.
        zones: of each part of the state ``(D, T, B, H)`` or None: 1 where a unit keeps its old value, else 0.
        clip: bound of every pre-activation.
        zoneout: of each part of the state the probability, where there are no zones.
        y_rounded: y's type where that is bfloat16, which the engine rounds its output to when its products are so.

    Raises:
        ValueError: a size or type that does not fit.
    """
    steps, batch, _ = x.shape
    dtype, parts = x.dtype, CELLS[cell].state
    if directions not in (1, 2):
        raise ValueError(f"directions must be 1 or 2, got {directions}")
    count, unit = len(parts), (directions, batch, hidden)
    if len(state) not in (0, count) or len(zones) not in (0, count) or len(zoneout) not in (0, count):
        for name, given in (("state", state), ("zones", zones), ("zoneout", zoneout)):
            if len(given) not in (0, count):
                raise ValueError(f"{name} must have {count} parts, {', '.join(parts)}; got {len(given)}")
    for k, part in enumerate(state):  # this stands in every small call: what fits is looked at here
        if part.shape != unit or part.dtype != dtype:
            refuse_unlike(parts[k], part, unit, dtype)
    if y.shape != (steps, batch, directions * hidden) or y.dtype != (y_rounded or dtype):
        refuse_unlike("y", y, (steps, batch, directions * hidden), y_rounded or dtype)
    if kept is not None:
        refuse_unlike("kept", kept, (steps, batch, directions, len(KEPT[cell]), hidden), dtype)
    if lengths is not None:
        refuse_unlike("lengths", lengths, (batch,), arrays.int64)
    if resets is not None:
        refuse_unlike("resets", resets, (steps, batch), arrays.bool)
    if mask is not None:
        refuse_unlike("mask", mask, unit, dtype)
    for k, zone in enumerate(zones):
        if zone is not None:
            refuse_unlike(f"the zones of {parts[k]}", zone, (directions, steps, batch, hidden), dtype)

    address, strides = arrays.address, arrays.strides
    return _engine.Call(
        reverse,
        (steps, batch),
        address(x),
        strides(x),
        [address(part) for part in state],
        address(y),
        strides(y),
        0 if kept is None else address(kept),
        0 if lengths is None else address(lengths),
        0 if resets is None else address(resets),
        (0, 0) if resets is None else strides(resets),
        0 if mask is None else address(mask),
        [0 if zone is None else address(zone) for zone in zones],
        math.inf if clip is None else clip,
        zoneout,
        y_rounded is not None,
    )
