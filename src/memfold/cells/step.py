"""One step of every cell: the formulas, each under its equation and its source.

Notation: ``W`` is ``weight_ih``, ``R`` is ``weight_hh``, ``b`` the sum of both biases, ``s`` the logistic sigmoid and
``*`` the elementwise product. A gate's value before its activation is called ``pre``. Weights bear torch's names and
layouts.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Weights = Mapping[str, Array]
Values = dict[str, Array]

LAYER_NORM_EPS = 1e-5


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``, accurate in both tails and without overflow; NaN stays NaN.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    small = np.exp(-np.abs(x))  # in (0, 1]
    result: Array = np.where(x >= 0, 1, small) / (1 + small)
    return result


def bound(pre: Array, clip: float | None) -> Array:
    """Pre-activations held within ±clip, as ONNX's ``clip`` does; all of them pass when clip is None."""
    return pre if clip is None else np.clip(pre, -clip, clip)


def layer_norm(a: Array, gain: Array) -> Array:
    """``gain * (a - mean) / sqrt(variance + 1e-5)`` over the last axis (Ba, Kiros & Hinton 2016, eq. 3).

    >>> layer_norm(np.array([[1.0, 3.0]]), np.array([1.0, 2.0])).round(3)
    array([[-1.,  2.]])
    """
    centred = a - a.mean(axis=-1, keepdims=True)
    result: Array = gain * centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + LAYER_NORM_EPS)
    return result


def parts(weights: Weights, name: str, gates: int) -> list[Any]:
    """A weight's rows, gate by gate; zeros for a weight that is not there."""
    return np.split(weights[name], gates) if name in weights else [0.0] * gates


def summed(x: Array, h: Array, weights: Weights) -> Array:
    """``W x + R h + b``, or ``LN(W x) + LN(R h) + b`` where the weights hold ``ln_ih`` and ``ln_hh``; ``(B, G*H)``."""
    from_x = x @ weights["weight_ih"].T
    from_h = h @ weights["weight_hh"].T
    if "ln_ih" in weights:
        from_x = layer_norm(from_x, weights["ln_ih"])
        from_h = layer_norm(from_h, weights["ln_hh"])
    pre: Array = from_x + from_h + weights.get("bias_ih", 0) + weights.get("bias_hh", 0)
    return pre


def rnn(x: Array, h: Array, weights: Weights, *, nonlinearity: str = "tanh", clip: float | None = None) -> Values:
    """One step of the simple recurrent network (Elman 1990).

    ::

        h' = tanh(W x + R h + b)        or        h' = max(0, W x + R h + b)

    Args:
        x: input, ``(B, I)``.
        h: previous hidden state, ``(B, H)``.
        weights: ``weight_ih (H, I)``, ``weight_hh (H, H)`` and optionally ``bias_ih``, ``bias_hh (H)``.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        clip: bound of the pre-activation.

    Returns:
        ``h (B, H)`` by name.

    Raises:
        ValueError: an unknown nonlinearity, or shapes that do not fit.

    >>> w = {"weight_ih": np.array([[1.0]]), "weight_hh": np.array([[0.5]])}
    >>> rnn(np.array([[-2.0]]), np.array([[3.0]]), w, nonlinearity="relu")
    {'h': array([[0.]])}
    """
    pre = bound(summed(x, h, weights), clip)
    if nonlinearity == "tanh":
        return {"h": np.tanh(pre)}
    if nonlinearity == "relu":
        return {"h": np.maximum(pre, 0)}
    raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")


def lstm(x: Array, h: Array, c: Array, weights: Weights, *, coupled: bool = False, clip: float | None = None) -> Values:
    """One step of long short-term memory (Hochreiter & Schmidhuber 1997; f from Gers, Schmidhuber & Cummins 2000).

    ::

        i  = s(W_i x + R_i h + p_i * c + b_i)
        f  = s(W_f x + R_f h + p_f * c + b_f)          coupled:  f = 1 - i
        g  = tanh(W_g x + R_g h + b_g)
        c' = f * c + i * g
        o  = s(W_o x + R_o h + p_o * c' + b_o)
        h' = o * tanh(c')                              projected:  h' = W_hr (o * tanh(c'))

    What the weights hold decides the rest:

    - ``weight_ph``: peepholes ``p`` (Gers & Schmidhuber 2000; Gers, Schraudolph & Schmidhuber 2002). i and f see the
      cell of the step before, o sees the new one. Without it ``p`` is 0.
    - ``weight_hr``: recurrent projection (Sak, Senior & Beaufays 2014).
    - ``ln_ih``, ``ln_hh``, ``ln_c``: layer normalization (Ba, Kiros & Hinton 2016, supplement, with one bias):
      ``LN(W x) + LN(R h) + b`` over the joined gates, and ``h' = o * tanh(LN(c'))``. The carried c' is not normalised.

    The coupled gates are ONNX's ``input_forget`` and the CIFG of Greff et al. 2017; the input gate is the one kept.

    Args:
        x: input, ``(B, I)``.
        h: previous hidden state, ``(B, H)``, or ``(B, P)`` with a projection.
        c: previous cell state, ``(B, H)``.
        weights: gates in the order i f g o: ``weight_ih (4H, I)``, ``weight_hh (4H, H)``; optionally ``bias_ih``,
            ``bias_hh (4H)``, ``weight_ph (3H)`` in the order i f o, ``weight_hr (P, H)``, ``ln_ih``, ``ln_hh (4H)``,
            ``ln_c (H)``. Coupled: gates i g o, so 3H for 4H, and ``weight_ph (2H)`` in the order i o.
        coupled: take ``1 - i`` for the forget gate.
        clip: bound of every pre-activation, after the peephole term.

    Returns:
        ``i f g o c (B, H)`` and ``h (B, H)`` or ``(B, P)`` by name; c and h are the new state.

    Raises:
        ValueError: shapes that do not fit.

    >>> w = {"weight_ih": np.zeros((4, 1)), "weight_hh": np.zeros((4, 1)), "bias_ih": np.array([0, 100.0, 0, 0])}
    >>> lstm(np.ones((1, 1)), np.zeros((1, 1)), np.array([[2.0]]), w)["c"]  # an open forget gate keeps the cell
    array([[2.]])
    """
    pre = summed(x, h, weights)
    if coupled:
        pre_i, pre_g, pre_o = np.split(pre, 3, axis=-1)
        p_i, p_o = parts(weights, "weight_ph", 2)
    else:
        pre_i, pre_f, pre_g, pre_o = np.split(pre, 4, axis=-1)
        p_i, p_f, p_o = parts(weights, "weight_ph", 3)
    i = sigmoid(bound(pre_i + p_i * c, clip))
    f = 1 - i if coupled else sigmoid(bound(pre_f + p_f * c, clip))
    g = np.tanh(bound(pre_g, clip))
    c = f * c + i * g
    o = sigmoid(bound(pre_o + p_o * c, clip))
    h = o * np.tanh(layer_norm(c, weights["ln_c"]) if "ln_c" in weights else c)
    if "weight_hr" in weights:
        h = h @ weights["weight_hr"].T
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": h}


def gru(x: Array, h: Array, weights: Weights, *, reset_after: bool = True, clip: float | None = None) -> Values:
    """One step of the gated recurrent unit (Cho et al. 2014, arXiv 1406.1078).

    ::

        r  = s(W_r x + b_r + R_r h + b'_r)
        z  = s(W_z x + b_z + R_z h + b'_z)
        n  = tanh(W_n x + b_n + r * (R_n h + b'_n))    reset after the product: torch, cuDNN; the paper's versions 1, 2
        n  = tanh(W_n x + b_n + R_n (r * h) + b'_n)    reset before the product: the paper's version 3
        h' = (1 - z) * n + z * h

    Args:
        x: input, ``(B, I)``.
        h: previous hidden state, ``(B, H)``.
        weights: gates in the order r z n: ``weight_ih (3H, I)``, ``weight_hh (3H, H)`` and optionally ``bias_ih`` (b),
            ``bias_hh`` (b') ``(3H)``.
        reset_after: which of the two forms.
        clip: bound of every pre-activation.

    Returns:
        ``r z n h (B, H)`` by name; h is the new state.

    Raises:
        ValueError: shapes that do not fit.

    >>> w = {"weight_ih": np.zeros((3, 1)), "weight_hh": np.zeros((3, 1)), "bias_ih": np.array([0, 100.0, 0])}
    >>> gru(np.ones((1, 1)), np.array([[2.0]]), w)["h"]  # an open update gate keeps the state
    array([[2.]])
    """
    x_r, x_z, x_n = np.split(x @ weights["weight_ih"].T + weights.get("bias_ih", 0), 3, axis=-1)
    R_r, R_z, R_n = parts(weights, "weight_hh", 3)
    b_r, b_z, b_n = parts(weights, "bias_hh", 3)
    r = sigmoid(bound(x_r + h @ R_r.T + b_r, clip))
    z = sigmoid(bound(x_z + h @ R_z.T + b_z, clip))
    h_n = r * (h @ R_n.T + b_n) if reset_after else (r * h) @ R_n.T + b_n
    n = np.tanh(bound(x_n + h_n, clip))
    return {"r": r, "z": z, "n": n, "h": (1 - z) * n + z * h}
