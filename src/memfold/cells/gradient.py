"""One step of every cell, backwards: the chain rule over the formulas of ``step``, written out by hand.

``dh`` is the derivative of the loss by h; ``d_i`` and the like are the derivatives by a gate's pre-activation.
"""

from typing import NamedTuple

import numpy as np

from memfold.cells.step import LAYER_NORM_EPS, Array, Values, Weights, gru, layer_norm, lstm, parts, rnn


class Gradients(NamedTuple):
    """Derivatives of a loss by what went into a step or a fold.

    Attributes:
        x: by the input, in its shape.
        state: by the state before, ``(h,)`` or ``(h, c)``.
        weights: by each weight, under its name.
    """

    x: Array
    state: tuple[Array, ...]
    weights: Values


def rnn_backward(x: Array, h: Array, weights: Weights, dh: Array, *, nonlinearity: str = "tanh") -> Gradients:
    """Derivatives of :func:`rnn`, by the arguments of that step.

    Args:
        x, h, weights, nonlinearity: as in the forward step.
        dh: derivative of the loss by the new hidden state, ``(B, H)``.

    Returns:
        The derivatives by x, ``(h,)`` and each weight.

    Raises:
        ValueError: an unknown nonlinearity, or shapes that do not fit.

    >>> w = {"weight_ih": np.ones((1, 1)), "weight_hh": np.ones((1, 1))}
    >>> rnn_backward(np.zeros((1, 1)), np.zeros((1, 1)), w, np.ones((1, 1))).x
    array([[1.]])
    """
    new = rnn(x, h, weights, nonlinearity=nonlinearity)["h"]
    pre = dh * (1 - new**2 if nonlinearity == "tanh" else new > 0)
    return _through_product(x, h, weights, pre)


def lstm_backward(
    x: Array, h: Array, c: Array, weights: Weights, dh: Array, dc: Array, *, coupled: bool = False
) -> Gradients:
    """Derivatives of :func:`lstm`, by the arguments of that step.

    Args:
        x, h, c, weights, coupled: as in the forward step.
        dh: derivative of the loss by the new hidden state, ``(B, H)``, or ``(B, P)`` with a projection.
        dc: derivative by the new cell state, ``(B, H)``.

    Returns:
        The derivatives by x, ``(h, c)`` and each weight.

    Raises:
        ValueError: shapes that do not fit.

    >>> w = {"weight_ih": np.zeros((4, 1)), "weight_hh": np.zeros((4, 1)), "bias_ih": np.array([0, 100.0, 0, 0])}
    >>> one, zero = np.ones((1, 1)), np.zeros((1, 1))
    >>> lstm_backward(one, zero, one, w, zero, one).state[1]  # an open forget gate carries the error back unchanged
    array([[1.]])
    """
    i, f, g, o, new_c, _ = lstm(x, h, c, weights, coupled=coupled).values()
    by_name: Values = {}
    tanh_c = np.tanh(layer_norm(new_c, weights["ln_c"]) if "ln_c" in weights else new_c)
    if "weight_hr" in weights:
        by_name["weight_hr"] = dh.T @ (o * tanh_c)
        dh = dh @ weights["weight_hr"]
    if coupled:
        p_i, p_o = parts(weights, "weight_ph", 2)
    else:
        p_i, p_f, p_o = parts(weights, "weight_ph", 3)

    d_o = dh * tanh_c * o * (1 - o)
    dc_by_h = dh * o * (1 - tanh_c**2)
    if "ln_c" in weights:
        dc_by_h, by_name["ln_c"] = _through_layer_norm(new_c, weights["ln_c"], dc_by_h)
    dc = dc + dc_by_h + d_o * p_o
    d_g = dc * i * (1 - g**2)
    if coupled:
        d_i = dc * (g - c) * i * (1 - i)
        pre, seen = [d_i, d_g, d_o], [d_i * c, d_o * new_c]
        dc_prev = dc * f + d_i * p_i
    else:
        d_i = dc * g * i * (1 - i)
        d_f = dc * c * f * (1 - f)
        pre, seen = [d_i, d_f, d_g, d_o], [d_i * c, d_f * c, d_o * new_c]
        dc_prev = dc * f + d_i * p_i + d_f * p_f

    if "weight_ph" in weights:
        by_name["weight_ph"] = np.concatenate(seen, axis=-1).sum(axis=0)
    dx, (dh_prev,), products = _through_product(x, h, weights, np.concatenate(pre, axis=-1))
    return Gradients(dx, (dh_prev, dc_prev), products | by_name)


def gru_backward(x: Array, h: Array, weights: Weights, dh: Array, *, reset_after: bool = True) -> Gradients:
    """Derivatives of :func:`gru` in either form, by the arguments of that step.

    Args:
        x, h, weights, reset_after: as in the forward step.
        dh: derivative of the loss by the new hidden state, ``(B, H)``.

    Returns:
        The derivatives by x, ``(h,)`` and each weight.

    Raises:
        ValueError: shapes that do not fit.

    >>> w = {"weight_ih": np.zeros((3, 1)), "weight_hh": np.zeros((3, 1)), "bias_ih": np.array([0, 100.0, 0])}
    >>> one = np.ones((1, 1))
    >>> gru_backward(one, one, w, one).state[0]  # an open update gate carries the error back unchanged
    array([[1.]])
    """
    r, z, n, _ = gru(x, h, weights, reset_after=reset_after).values()
    _, _, R_n = parts(weights, "weight_hh", 3)
    _, _, b_n = parts(weights, "bias_hh", 3)
    d_z = dh * (h - n) * z * (1 - z)
    d_n = dh * (1 - z) * (1 - n**2)
    if reset_after:
        d_r = d_n * (h @ R_n.T + b_n) * r * (1 - r)
        from_x = np.concatenate([d_r, d_z, d_n], axis=-1)
        from_h = np.concatenate([d_r, d_z, d_n * r], axis=-1)
        dh_prev = from_h @ weights["weight_hh"]
        weight_hh = from_h.T @ h
    else:
        d_rh = d_n @ R_n  # by the product r * h
        d_r = d_rh * h * r * (1 - r)
        from_x = from_h = np.concatenate([d_r, d_z, d_n], axis=-1)
        dh_prev = d_rh * r + np.concatenate([d_r, d_z], axis=-1) @ weights["weight_hh"][: -len(R_n)]
        weight_hh = np.concatenate([d_r.T @ h, d_z.T @ h, d_n.T @ (r * h)])
    by_name = {
        "weight_ih": from_x.T @ x,
        "weight_hh": weight_hh,
        "bias_ih": from_x.sum(axis=0),
        "bias_hh": from_h.sum(axis=0),
    }
    by_name = {name: d for name, d in by_name.items() if name in weights}
    return Gradients(from_x @ weights["weight_ih"], (dh * z + dh_prev,), by_name)


def _through_product(x: Array, h: Array, weights: Weights, pre: Array) -> Gradients:
    """Derivatives of ``W x + R h + b``, layer-normalised or not, from those by the pre-activations ``(B, G*H)``."""
    W, R = weights["weight_ih"], weights["weight_hh"]
    by_name = {"bias_ih": pre.sum(axis=0), "bias_hh": pre.sum(axis=0)}
    from_x = from_h = pre
    if "ln_ih" in weights:
        from_x, by_name["ln_ih"] = _through_layer_norm(x @ W.T, weights["ln_ih"], pre)
        from_h, by_name["ln_hh"] = _through_layer_norm(h @ R.T, weights["ln_hh"], pre)
    by_name |= {"weight_ih": from_x.T @ x, "weight_hh": from_h.T @ h}
    return Gradients(from_x @ W, (from_h @ R,), {name: d for name, d in by_name.items() if name in weights})


def _through_layer_norm(a: Array, gain: Array, d: Array) -> tuple[Array, Array]:
    """Derivatives of ``layer_norm(a, gain)`` by a and by gain, from those by its result."""
    centred = a - a.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + LAYER_NORM_EPS)
    normal = centred / deviation
    d_normal = d * gain
    mean, slope = d_normal.mean(axis=-1, keepdims=True), (d_normal * normal).mean(axis=-1, keepdims=True)
    return (d_normal - mean - normal * slope) / deviation, (d * normal).sum(axis=0)
