"""The engine's face for NumPy arrays: recurrent layers folded in C++, without PyTorch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memfold import _engine

__all__ = ["fold"]

Array = NDArray[Any]


def fold(
    cell: str, x: Array, weights: Mapping[str, Array], state: tuple[ArrayLike, ArrayLike] | None = None
) -> tuple[Array, tuple[Array, Array]]:
    """Fold a recurrent cell over a sequence.

    Args:
        cell: ``"lstm"``.
        x: input, float32 or float64, ``(T, B, I)``.
        weights: ``weight_ih (4H, I)`` and ``weight_hh (4H, H)``, gates in the order i f g o, and optionally ``bias_ih``
            and ``bias_hh (4H)``.
        state: initial ``h`` and ``c``, ``(B, H)`` each; zeros when None.

    Returns:
        ``y (T, B, H)`` and the final ``(h, c)``, ``(B, H)`` each, in x's dtype.

    Raises:
        ValueError: an unknown cell, a missing weight, or a shape that does not fit.
        TypeError: x is neither float32 nor float64.

    >>> w = {"weight_ih": np.ones((4, 2)), "weight_hh": np.zeros((4, 1))}
    >>> y, (h, c) = fold("lstm", np.zeros((3, 1, 2)), w)
    >>> y.shape, h.shape
    ((3, 1, 1), (1, 1))
    """
    if cell != "lstm":
        raise ValueError(f"cell must be 'lstm', got {cell!r}")
    x = np.ascontiguousarray(x)
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"x must be float32 or float64, got {x.dtype}")
    if x.ndim != 3:
        raise ValueError(f"x must be (T, B, I), got shape {x.shape}")
    _, batch, input_size = x.shape
    if missing := {"weight_ih", "weight_hh"} - set(weights):
        raise ValueError(f"weights lack {', '.join(sorted(missing))}")
    hidden = np.shape(weights["weight_hh"])[-1]
    weight_ih = _checked(weights["weight_ih"], "weight_ih", (4 * hidden, input_size), x.dtype)
    weight_hh = _checked(weights["weight_hh"], "weight_hh", (4 * hidden, hidden), x.dtype)
    bias = np.zeros(4 * hidden, x.dtype)
    for name in ("bias_ih", "bias_hh"):
        if name in weights:
            bias += _checked(weights[name], name, (4 * hidden,), x.dtype)
    h, c = (np.zeros((batch, hidden), x.dtype),) * 2 if state is None else state
    h = _checked(h, "h", (batch, hidden), x.dtype).copy()
    c = _checked(c, "c", (batch, hidden), x.dtype).copy()
    y = np.empty((*x.shape[:2], hidden), x.dtype)
    _engine.lstm_fold(x, weight_ih, weight_hh, bias, h, c, y)
    return y, (h, c)


def _checked(array: ArrayLike, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    result = np.ascontiguousarray(array, dtype)
    if result.shape != shape:
        raise ValueError(f"{name} must be {shape}, got shape {result.shape}")
    return result
