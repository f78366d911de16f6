"""The engine's face for NumPy arrays: recurrent layers folded in C++, without PyTorch.

The same results as :mod:`memfold.cells`, the readable specification, at the speed of the machine.
"""

import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memfold import _engine
from memfold.call import KEPT, NUMPY, described
from memfold.cells.arguments import (
    Zoneout,
    checked_clip,
    checked_lengths,
    checked_resets,
    checked_state,
    checked_zoneout,
    refuse_unnamed,
)
from memfold.cells.table import CELLS

__all__ = ["Packed", "Product", "fold", "get_num_threads", "isa", "pack", "set_num_threads", "trace"]

Array = NDArray[Any]

ENGINES_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ph")
LINEAR = "linear"  # y = W x + b, a stream's head


@dataclass(frozen=True)
class Packed:
    """A layer's weights in the engine's own layout, from :func:`pack`; for this process only."""

    cell: str
    dtype: np.dtype[Any]
    input_size: int
    hidden_size: int
    directions: tuple[_engine.Packed, ...]
    bfloat16: bool = False


class Product:
    """A matrix product, ``y = W x + b``, in which a row's bits do not depend on how many rows there are.

    BLAS rounds otherwise in another batch; what must be the same for one stream as among many is computed by this.

    Args:
        weight: ``(O, I)``; its type, float32 or float64, is that of the product.
        bias: ``(O,)``; none when None.

    >>> Product(np.array([[1.0, 2.0]]))(np.array([[3.0, 4.0], [5.0, 6.0]])).tolist()
    [[11.0], [17.0]]
    """

    def __init__(self, weight: Array, bias: Array | None = None) -> None:
        arrays = {"weight_ih": np.ascontiguousarray(weight)}
        if bias is not None:
            arrays["bias_ih"] = np.ascontiguousarray(bias, weight.dtype)
        self.dtype, (self.output_size, self.input_size) = weight.dtype, weight.shape
        self._packed = pack_arrays(LINEAR, arrays)

    def __call__(self, x: Array) -> Array:
        """Of x ``(n, I)``, y ``(n, O)``.

        Raises:
            ValueError: another shape.
        """
        given = np.ascontiguousarray(x, self.dtype)
        y = np.empty((len(given), self.output_size), self.dtype)
        if len(given) and not _engine.product(self._packed, given, y, len(given)):
            raise ValueError(f"x must be (n, {self.input_size}), got shape {given.shape}")
        return y


def isa() -> str:
    """The instruction set in use: ``"v2"``, ``"v3"`` or ``"v4"`` (levels of x86-64), ``"v4-bf16"`` (v4 and
    AVX512-BF16), ``"v4-amx"`` (and AMX-BF16), ``"neon"``, or ``"neon-bf16"`` (NEON and BFDOT).

    It is the machine's best unless the environment variable ``MEMFOLD_ISA`` named another before the import.
    """
    return _engine.isa()


_threads: int | None = None
_borrowed = False


def set_num_threads(threads: int) -> None:
    """Set how many threads a fold, or a step of a stream, may use.

    Streams follow this at once; a number set by torch they learn when the next stream is made.

    Raises:
        ValueError: threads below 1.
    """
    global _threads
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    _threads = int(threads)
    _engine.set_step_threads(_threads)


def get_num_threads() -> int:
    """How many threads a fold may use: as set, else torch's number once torch is loaded, else ``OMP_NUM_THREADS``, else
    the cores in reach.

    A fold takes fewer where it is too small to be worth them, where fewer cores are in reach when it is called, or
    where other programs have the cores.
    """
    return threads_and_reason()[0]


def threads_and_reason() -> tuple[int, str]:
    """What `get_num_threads` returns, and in words why it is that number."""
    if _threads is not None:
        return _threads, "set by memfold.set_num_threads"
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        return int(torch.get_num_threads()), "torch's number"
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # of a list for nested regions
    if first.isdigit() and int(first) > 0:
        return int(first), f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}"
    count, quota = _by_affinity(), _quota.cores()
    if quota < count:
        return quota, f"by the quota of its control group, of {count} cores"
    every = os.cpu_count() or 1
    return count, "one for each core" if count >= every else f"one for each core that its affinity allows, of {every}"


def _by_affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores() -> int:
    """Cores that this process may use now, by its affinity and its control groups' quotas."""
    return min(_by_affinity(), _quota.cores())


def threads_at_call() -> int:
    """How many threads a call that begins now may use; the engine itself looks at the caller's affinity."""
    return min(get_num_threads(), _quota.cores())


class _Quota:
    """What the process's control groups let it have of the processors. It may change at any time: looked at again once
    a second."""

    def __init__(self) -> None:
        self._cores, self._due = sys.maxsize, 0.0

    def cores(self) -> int:
        """Whole cores, rounded up; ``sys.maxsize`` where nothing limits them."""
        if time.monotonic() >= self._due:
            self._cores, self._due = quota_of(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")), time.monotonic() + 1
        return self._cores


_quota = _Quota()


def quota_of(groups: Path, root: Path) -> int:
    """Cores by the tightest quota of a process's control groups and of the groups around them.

    Args:
        groups: the list of the process's groups, a line each: hierarchy, controllers, path.
        root: where the hierarchies are mounted, of version 2 directly, of version 1 in a folder for each controller.
    """
    try:
        lines = [line.split(":", 2) for line in groups.read_text().splitlines()]
    except OSError:  # no control groups here
        return sys.maxsize
    shares = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / controllers if controllers else root
        group = mount / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(mount):
                shares += _share(folder)
    return max(1, math.ceil(min(shares))) if shares else sys.maxsize


def _share(group: Path) -> list[float]:
    """Quota over period of one group, of version 2 or 1; empty where there is none."""
    try:
        if (limit := group / "cpu.max").exists():
            quota, period = limit.read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return [int(quota) / int(period)] if int(quota) > 0 else []
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        return []


def pack(cell: str, weights: Mapping[str, ArrayLike], dtype: Any = np.float32, *, bfloat16: bool = False) -> Packed:
    """Lay out a layer's weights for the engine, once for many folds.

    Args:
        cell: ``"rnn_tanh"``, ``"rnn_relu"``, ``"lstm"``, ``"coupled_lstm"``, ``"gru"`` (reset after the product) or
            ``"gru_reset_before"``.
        weights: ``weight_ih (G*H, I)``, ``weight_hh (G*H, H)``, optionally ``bias_ih`` and ``bias_hh (G*H)`` and an
            LSTM's ``weight_ph``, as :func:`memfold.cells.fold` takes them. With ``_reverse`` after their names besides,
            those of a backward direction, which has the same ones.
        dtype: float32 or float64.
        bfloat16: products of bfloat16 numbers, of the matrices and of what they multiply; sums, biases, gates and state
            stay in float32.

    Raises:
        ValueError: an unknown cell, a weight that is missing, foreign to the cell or in one direction only, a shape
            that does not fit.
        TypeError: another dtype, bfloat16 with float64, or weights that are no mapping from names.
    """
    dtype = np.dtype(dtype)
    if cell not in KEPT:
        raise ValueError(f"cell must be one of {', '.join(KEPT)}, got {cell!r}")
    if dtype not in (np.float32, np.float64) or (bfloat16 and dtype != np.float32):
        raise TypeError(
            f"the engine computes in float32, optionally with products in bfloat16, or float64; got {dtype}"
        )
    refuse_unnamed(weights)
    named = [{n: w for n, w in weights.items() if not n.endswith("_reverse")}]
    if len(named[0]) < len(weights):
        named.append({n.removesuffix("_reverse"): w for n, w in weights.items() if n.endswith("_reverse")})
    if missing := {"weight_ih", "weight_hh"} - set(named[0]):
        raise ValueError(f"weights lack {', '.join(sorted(missing))}")
    for name in ("weight_ih", "weight_hh"):
        if np.ndim(weights[name]) != 2:
            raise ValueError(f"{name} must have two axes, got shape {np.shape(weights[name])}")
    input_size, hidden = np.shape(weights["weight_ih"])[-1], np.shape(weights["weight_hh"])[-1]
    directions = tuple(_packed_direction(cell, direction, input_size, hidden, dtype, bfloat16) for direction in named)
    _refuse_unlike(named[0], named[-1])
    return Packed(cell, dtype, input_size, hidden, directions, bfloat16)


def fold(
    cell: str,
    x: Array,
    weights: Mapping[str, ArrayLike] | Packed,
    state: Sequence[ArrayLike] | None = None,
    *,
    lengths: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    reverse: bool = False,
    clip: float | None = None,
    zoneout: Zoneout = 0.0,
    out: Array | None = None,
    precision: str | None = None,
) -> tuple[Array, tuple[Array, ...]]:
    """Fold a recurrent cell over a sequence, in one direction or both.

    Args:
        cell, weights: as :func:`pack` takes them, or what it returned. Weights of two directions fold in both, as
            :func:`memfold.cells.bidirectional` does.
        x: input, float32 or float64, ``(T, B, I)``; any strides over time and batch are read as they are.
        state: initial ``(h,)``, for LSTMs ``(h, c)``, each ``(B, H)``, or ``(2, B, H)`` with two directions; zeros when
            None.
        lengths, resets, reverse, clip, zoneout: as in :func:`memfold.cells.fold`.
        out: where y goes, in x's dtype, contiguous in its last axis, and every element in a place of its own; a new
            array when None.
        precision: of the products, ``"float32"`` or ``"bfloat16"`` for an x in float32, ``"float64"`` for one in
            float64; sums, gates and state are in x's type. None: x's type, or as the weights are packed.

    Returns:
        ``y (T, B, D*H)``, 0 past a row's length, and the state after each row's last step, in the form of ``state``.

    Raises:
        ValueError: an unknown cell, a missing weight, a shape or value that does not fit, an ``out`` whose strides do
            not or that is read-only, an unknown precision, or another than the weights are packed in.
        TypeError: x neither float32 nor float64, or not of the precision's type, lengths not integers, resets not
            bool, ``out`` no array, weights no mapping from names.

    >>> w = {"weight_ih": np.ones((4, 2)), "weight_hh": np.zeros((4, 1))}
    >>> y, (h, c) = fold("lstm", np.zeros((3, 1, 2)), w)
    >>> y.shape, h.shape
    ((3, 1, 1), (1, 1))
    """
    y, final, _ = _run(cell, x, weights, state, lengths, resets, reverse, clip, zoneout, precision, out, keep=False)
    return y, final


def trace(
    cell: str,
    x: Array,
    weights: Mapping[str, ArrayLike] | Packed,
    state: Sequence[ArrayLike] | None = None,
    *,
    lengths: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    reverse: bool = False,
    clip: float | None = None,
    zoneout: Zoneout = 0.0,
    precision: str | None = None,
) -> dict[str, Array]:
    """Every gate, cell and hidden value of a fold in one direction, as :func:`memfold.cells.trace` gives them.

    Args and errors: as :func:`fold`.

    >>> weights = {"weight_ih": np.zeros((4, 1)), "weight_hh": np.zeros((4, 1))}
    >>> {name: value.item() for name, value in trace("lstm", np.ones((1, 1, 1)), weights).items()}
    {'i': 0.5, 'f': 0.5, 'g': 0.0, 'o': 0.5, 'c': 0.0, 'h': 0.0}
    """
    y, _, kept = _run(cell, x, weights, state, lengths, resets, reverse, clip, zoneout, precision, None, keep=True)
    if kept.shape[2] > 1:
        raise ValueError("a trace follows one direction, got the weights of two")
    values = {name: kept[:, :, 0, k] for k, name in enumerate(KEPT[cell])} | {"h": y}
    ended = np.arange(len(y))[:, None, None] >= checked_lengths(lengths, *y.shape[:2])[:, None]
    for name, other in CELLS[cell].complements.items():
        values[name] = np.where(ended, 0, 1 - values[other])
    return {name: values[name] for name in CELLS[cell].values}


def _run(
    cell: str,
    x: Array,
    weights: Mapping[str, ArrayLike] | Packed,
    state: Sequence[ArrayLike] | None,
    lengths: ArrayLike | None,
    resets: ArrayLike | None,
    reverse: bool,
    clip: float | None,
    zoneout: Zoneout,
    precision: str | None,
    out: Array | None,
    keep: bool,
) -> tuple[Array, tuple[Array, ...], Array]:
    """y, the final state, and what was kept of every step, ``(T, B, D, values, H)``."""
    x = np.asarray(x)
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"x must be float32 or float64, got {x.dtype}")
    if x.ndim != 3:
        raise ValueError(f"x must be (T, B, I), got shape {x.shape}")
    if precision is not None:
        _refuse_precision(precision, x.dtype)
    half = precision == "bfloat16"
    packed = weights if isinstance(weights, Packed) else pack(cell, weights, x.dtype, bfloat16=half)
    if precision is not None and packed.bfloat16 != half:
        is_packed = "bfloat16" if packed.bfloat16 else packed.dtype
        raise ValueError(f"precision is {precision!r}, the weights are packed for products in {is_packed}")
    if packed.cell != cell or packed.dtype != x.dtype:
        raise ValueError(f"the weights are packed for {packed.cell!r} in {packed.dtype}, x is {x.dtype} for {cell!r}")
    steps, batch, input_size = x.shape
    if input_size != packed.input_size:
        raise ValueError(f"x must have {packed.input_size} features, got shape {x.shape}")
    checked_clip(clip)
    zoned = checked_zoneout(CELLS[cell], zoneout)
    directions, hidden, names = len(packed.directions), packed.hidden_size, CELLS[cell].state
    if reverse and directions == 2:
        raise ValueError("reverse is for one direction, got the weights of two")
    shape = (batch, hidden) if directions == 1 else (2, batch, hidden)
    first = None if state is None else checked_state(state, names, [shape] * len(names), x.dtype)
    final = tuple(np.empty(shape, x.dtype) for _ in names)
    y = np.empty((steps, batch, directions * hidden), x.dtype)
    if out is not None:
        y = checked_out(out, y.shape, x.dtype)
    kept = np.empty((steps, batch, directions, len(KEPT[cell]), hidden) if keep else (0,) * 5, x.dtype)
    rows = None if lengths is None else laid_out(checked_lengths(lengths, steps, batch), np.int64)
    cuts = None if resets is None else checked_resets(resets, steps, batch)

    if not _is_readable(x) or np.may_share_memory(x, y):
        x = np.array(x, order="C")
    if cuts is not None and np.may_share_memory(cuts, y):
        cuts = cuts.copy()

    borrow_threads()
    full_shape = (directions, batch, hidden)
    call = described(
        NUMPY,
        cell,
        x,
        [part.reshape(full_shape) for part in first or ()],
        y,
        hidden=hidden,
        directions=directions,
        reverse=reverse,
        kept=kept if keep else None,
        lengths=rows,
        resets=cuts,
        clip=clip,
        zoneout=tuple(zoned.values()),
    )
    _engine.fold(packed.directions, call, [NUMPY.address(part) for part in final], threads_at_call())
    return y, final, kept


def _refuse_precision(precision: str, dtype: np.dtype[Any]) -> None:
    types = {"float32": np.float32, "bfloat16": np.float32, "float64": np.float64}
    if precision not in types:
        raise ValueError(f"precision must be one of {', '.join(types)}, got {precision!r}")
    if dtype != types[precision]:
        raise TypeError(f"precision={precision!r} takes x in {np.dtype(types[precision])}, got {dtype}")


def laid_out(array: ArrayLike, dtype: Any) -> Array:
    """The array as the engine reads it by its address alone: in C order, on the boundaries of its type.

    A copy is made only where the array is laid out otherwise.
    """
    return np.require(np.asarray(array), dtype, ["C", "ALIGNED"])


def checked_out(out: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The given ``out``, into all of which the engine can write, and into nothing else.

    Raises:
        TypeError: not an array.
        ValueError: another shape or type, read-only, or strides that the engine cannot follow.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, {shape} in {dtype}, got a {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out must be {shape} in {dtype}, got {out.shape} in {out.dtype}")
    if not out.flags.writeable:
        raise ValueError(f"out must be writeable, got a read-only array with strides {out.strides}")
    if not _is_readable(out):
        raise ValueError(
            f"out must be contiguous in its last axis and aligned to its items of {out.itemsize} bytes, "
            f"got strides {out.strides}"
        )
    extent = out.itemsize  # of all axes that lie within the present one
    for stride, count in sorted((abs(s), n) for s, n in zip(out.strides, out.shape, strict=True) if n > 1):
        if stride < extent:
            raise ValueError(f"out must not overlap itself, got shape {out.shape} with strides {out.strides}")
        extent += stride * (count - 1)
    return out


def _is_readable(array: Array) -> bool:
    """Whether the engine can follow the strides: whole items on their boundaries, the last axis contiguous."""
    steps = [stride for stride, count in zip(array.strides, array.shape, strict=True) if count > 1]
    dense = array.shape[-1] < 2 or array.strides[-1] == array.itemsize
    return dense and array.flags.aligned and not any(stride % array.itemsize for stride in steps)


def borrow_threads() -> None:
    """Work on torch's threads once torch is loaded: threads of our own beside them would fight for the cores."""
    global _borrowed
    if not _borrowed and "torch" in sys.modules:
        _engine.borrow_openmp()
        _borrowed = True


def _packed_direction(
    cell: str, weights: Mapping[str, ArrayLike], input_size: int, hidden: int, dtype: np.dtype[Any], bfloat16: bool
) -> _engine.Packed:
    every = CELLS[cell].shapes(input_size, hidden, hidden)
    shapes = {name: every[name] for name in ENGINES_WEIGHTS if name in every}
    if missing := {"weight_ih", "weight_hh"} - set(weights):
        raise ValueError(f"weights lack {', '.join(sorted(missing))}")
    arrays: dict[str, Array] = {}
    for name, weight in weights.items():
        if name not in shapes:
            raise ValueError(f"the engine's {cell} has no weight {name!r}")
        arrays[name] = laid_out(weight, dtype)
        if arrays[name].shape != shapes[name]:
            raise ValueError(f"{name} must be {shapes[name]}, got shape {arrays[name].shape}")
    return pack_arrays(cell, arrays, bfloat16)


def _refuse_unlike(forward: Mapping[str, ArrayLike], backward: Mapping[str, ArrayLike]) -> None:
    """Refuse directions of different weights: the engine folds both as one layer."""
    if alone := sorted(forward.keys() ^ backward.keys()):
        has = [name if name in forward else f"{name}_reverse" for name in alone]
        lacks = [f"{name}_reverse" if name in forward else name for name in alone]
        raise ValueError(f"both directions must have the same weights, got {', '.join(has)} without {', '.join(lacks)}")


def pack_arrays(cell: str, arrays: Mapping[str, Array], bfloat16: bool = False) -> _engine.Packed:
    """One direction from contiguous arrays of one type, which are not looked at again."""
    rows, input_size = arrays["weight_ih"].shape
    hidden = arrays["weight_hh"].shape[1] if "weight_hh" in arrays else rows
    ih, hh, bias_ih, bias_hh, ph = (NUMPY.address(arrays[name]) if name in arrays else 0 for name in ENGINES_WEIGHTS)
    is_double = arrays["weight_ih"].dtype == np.float64
    return _engine.pack(cell, is_double, bfloat16, (input_size, hidden), (ih, hh, bias_ih, bias_hh, ph))
