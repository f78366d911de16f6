"""A fold's arguments, checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from memfold.cells.step import Array, Values, Weights
from memfold.cells.table import CELLS, Cell

__all__ = [
    "Folding",
    "Zoneout",
    "checked_clip",
    "checked_lengths",
    "checked_resets",
    "checked_state",
    "checked_zoneout",
    "refuse_unnamed",
    "sizes",
]

Zoneout = float | tuple[float, float]


@dataclass(frozen=True)
class Folding:
    """The checked arguments of a fold."""

    cell: Cell
    x: Array  # (T, B, I), 0 past a row's length
    weights: Values
    state: list[Array]  # initial, (B, H) each
    valid: Array  # (T, B), True within a row's length
    cut: Array  # (T, B), True where the state is set to 0 before the step
    order: range  # the steps, in the order of the fold

    @classmethod
    def checked(
        cls,
        cell: str,
        x: Array,
        weights: Mapping[str, ArrayLike],
        state: Sequence[ArrayLike] | None,
        lengths: ArrayLike | None,
        resets: ArrayLike | None,
        reverse: bool,
    ) -> "Folding":
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}, got {cell!r}")
        x = np.asarray(x)
        if x.dtype not in (np.float32, np.float64):
            raise TypeError(f"x must be float32 or float64, got {x.dtype}")
        if x.ndim != 3:
            raise ValueError(f"x must be (T, B, I), got shape {x.shape}")
        steps, batch, input_size = x.shape
        refuse_unnamed(weights)
        arrays = _checked_weights(cell, {k: np.asarray(w, x.dtype) for k, w in weights.items()}, input_size)
        hidden, output = sizes(arrays)
        shapes = [(batch, output), (batch, hidden)]
        start = checked_state(state, CELLS[cell].state, shapes, x.dtype)
        valid = np.arange(steps)[:, None] < checked_lengths(lengths, steps, batch)
        cut = checked_resets(resets, steps, batch) & valid
        if reverse:  # a cut between t-1 and t comes before step t-1
            cut = np.concatenate([cut[1:], np.zeros_like(cut[:1])])
        order = range(steps - 1, -1, -1) if reverse else range(steps)
        return cls(CELLS[cell], np.where(valid[..., None], x, 0), arrays, start, valid, cut, order)


def sizes(weights: Weights) -> tuple[int, int]:
    """Width of the cell and width of its output: H and H, or H and P with a projection."""
    output = weights["weight_hh"].shape[-1]
    return (weights["weight_hr"].shape[-1] if "weight_hr" in weights else output), output


def refuse_unnamed(weights: object) -> None:
    """Refuse weights that are no arrays by name, with a TypeError."""
    if not isinstance(weights, Mapping):
        raise TypeError(
            f'weights must be a mapping such as {{"weight_ih": array, ...}}, got a {type(weights).__name__}'
        )
    for name in weights:
        if not isinstance(name, str):
            raise TypeError(f"a weight's name must be text such as 'weight_ih', got {name!r}")


def _checked_weights(cell: str, weights: Values, input_size: int) -> Values:
    if missing := {"weight_ih", "weight_hh"} - set(weights):
        raise ValueError(f"weights lack {', '.join(sorted(missing))}")
    for name in ("weight_ih", "weight_hh"):
        if weights[name].ndim != 2:
            raise ValueError(f"{name} must have two axes, got shape {weights[name].shape}")
    hidden, output = sizes(weights)
    shapes = CELLS[cell].shapes(input_size, hidden, output)
    for name, weight in weights.items():
        if name not in shapes:
            raise ValueError(f"{cell} has no weight {name!r}")
        if weight.shape != shapes[name]:
            raise ValueError(f"{name} must be {shapes[name]}, got shape {weight.shape}")
    layer_norm = {"ln_ih", "ln_hh", "ln_c"}
    if 0 < len(lacking := layer_norm - set(weights)) < 3:
        raise ValueError(f"weights lack {', '.join(sorted(lacking))}")
    return weights


def checked_state(
    state: Sequence[ArrayLike] | None,
    names: tuple[str, ...],
    shapes: Sequence[tuple[int, ...]],
    dtype: np.dtype[np.generic],
    prefix: str = "",
) -> list[Array]:
    if state is None:
        return [np.zeros(shape, dtype) for _, shape in zip(names, shapes, strict=False)]
    if len(state) != len(names):
        raise ValueError(f"the state must be ({', '.join(names)}), got {len(state)} arrays")
    arrays = [np.array(s, dtype, order="C") for s in state]  # the engine reads rows one after the other
    for name, array, shape in zip(names, arrays, shapes, strict=False):
        if array.shape != shape:
            raise ValueError(f"{prefix}{name} must be {shape}, got shape {array.shape}")
    return arrays


def checked_lengths(lengths: ArrayLike | None, steps: int, batch: int) -> Array:
    if lengths is None:
        return np.full(batch, steps)
    array = np.asarray(lengths)
    if array.shape != (batch,):
        raise ValueError(f"lengths must be ({batch},), got shape {array.shape}")
    if batch and not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"lengths must be integers, got {array.dtype}")
    for row in np.flatnonzero((array < 0) | (array > steps)):
        raise ValueError(f"lengths must be from 0 to T = {steps}, got {array[row]} in row {row}")
    return array


def checked_resets(resets: ArrayLike | None, steps: int, batch: int) -> Array:
    if resets is None:
        return np.zeros((steps, batch), bool)
    array = np.asarray(resets)
    if array.shape != (steps, batch):
        raise ValueError(f"resets must be {(steps, batch)}, got shape {array.shape}")
    if array.dtype != bool:
        raise TypeError(f"resets must be bool, got {array.dtype}")
    return array


def checked_clip(clip: float | None) -> float | None:
    if clip is not None and not clip > 0:
        raise ValueError(f"clip must be above 0, got {clip}")
    return clip


def checked_zoneout(cell: Cell, zoneout: Zoneout) -> dict[str, float]:
    """The probability of each part of the state, by name."""
    pair = zoneout if isinstance(zoneout, tuple) else (zoneout,) * len(cell.state)
    if len(pair) != len(cell.state):
        raise ValueError(f"zoneout must be a number or a pair (h, c); this cell's state is {', '.join(cell.state)}")
    if not all(0 <= p <= 1 for p in pair):
        raise ValueError(f"zoneout must be from 0 to 1, got {zoneout}")
    return dict(zip(cell.state, pair, strict=True))
