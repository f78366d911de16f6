"""The peers: one layer's weights and input in torch.nn, ONNX Runtime, JAX and Keras, each ready to be called.

All but torch.nn are measured only where they are installed, which `make peers` does.
"""

import os
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import nn

from memfold import engine
from memfold.nn.layer import Recurrent

__all__ = ["Array", "TimedCall", "check_equal_work", "jax_scan", "peer_calls", "version_of", "without_gradient"]

Array = np.ndarray[Any, Any]
TimedCall = Callable[[], Any]
# A peer of another gate order is wrong by 0.1 and more, one of the same by rounding alone: 1e-5.
TOLERANCE = 1e-3


def peer_calls(cell: str, layer: Recurrent, x: torch.Tensor, *, carry: bool = False) -> dict[str, TimedCall]:
    """A call of each peer that has this cell, which returns the output ``(T, B, H)``.

    Args:
        cell: as in ``layers``.
        layer: whose weights all of them take.
        x: (T, B, I), float32.
        carry: each call starts from the state that the last one left. JAX and Keras have no such call here.
    """
    calls: dict[str, TimedCall] = {}
    if cell != "peephole":
        calls["torch"] = _torch(layer, x, carry)
    if version_of("onnxruntime") and version_of("onnx"):
        calls["onnxruntime"] = _onnxruntime(layer, x.numpy(), carry)
    if version_of("jax") and not carry:
        calls["jax"] = _jax(layer, x.numpy())
    if version_of("keras") and cell != "peephole" and not carry:
        calls["keras"] = _keras(layer, x)
    return calls


def check_equal_work(
    calls: Mapping[str, TimedCall], expected: Array, what: str = "outputs", tolerance: float = TOLERANCE
) -> None:
    """Call every peer once and compare what it returns with memfold's.

    Raises:
        RuntimeError: one of them does not compute what memfold does.
    """
    for name, call in calls.items():
        result = np.asarray(call())
        if result.shape != expected.shape:
            raise RuntimeError(f"{name} returns {result.shape} where memfold returns {expected.shape}")
        if not (difference := float(np.abs(result - expected).max())) <= tolerance:
            raise RuntimeError(f"{name} computes something else than memfold: {what} differ by {difference:.1e}")


def _torch(layer: Recurrent, x: torch.Tensor, carry: bool) -> TimedCall:
    reference = layer.to_torch()
    state: list[Any] = [None]

    def run() -> Any:
        y, hx = reference(x, state[0])
        if carry:
            state[0] = hx
        return y

    return without_gradient(run)


def _onnxruntime(layer: Recurrent, x: Array, carry: bool) -> TimedCall:
    """One ONNX node with the layer's weights, reordered from i f g o to i o f c and from r z n to z r h."""
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    ours = {name: w.detach().numpy() for name, w in layer.weights(0).items()}
    order = {"lstm": [0, 3, 1, 2], "gru": [1, 0, 2]}.get(layer.cell, [0])

    def reordered(weight: Array) -> Array:
        return np.concatenate([np.split(weight, len(order))[gate] for gate in order])[None]

    operator = {"lstm": "LSTM", "gru": "GRU"}.get(layer.cell, "RNN")
    weights = {"W": reordered(ours["weight_ih"]), "R": reordered(ours["weight_hh"])}
    weights["B"] = np.concatenate([reordered(ours["bias_ih"]), reordered(ours["bias_hh"])], axis=1)
    if "weight_ph" in ours:
        i, f, o = np.split(ours["weight_ph"], 3)
        weights["P"] = np.concatenate([i, o, f])[None]
    states = ["h"] if operator != "LSTM" else ["h", "c"]
    zeros = np.zeros((1, x.shape[1], layer.hidden_size), np.float32)
    inputs = ["X", "W", "R", "B", "", *states] + (["P"] if "P" in weights else [])
    options: dict[str, Any] = {"linear_before_reset": 1} if operator == "GRU" else {}
    node = helper.make_node(
        operator, inputs, ["Y", *[f"{s}_last" for s in states]], hidden_size=layer.hidden_size, **options
    )
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, x.shape)]
        + [helper.make_tensor_value_info(s, onnx.TensorProto.FLOAT, zeros.shape) for s in states],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in node.output],
        [numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = engine.get_num_threads()
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options, providers=["CPUExecutionProvider"]
    )
    feed = {"X": x} | dict.fromkeys(states, zeros)

    def run() -> Any:
        y, *final = session.run(None, feed)
        if carry:
            feed.update(zip(states, final, strict=True))
        return y[:, 0]  # of one direction

    return run


def _jax(layer: Recurrent, x: Array) -> TimedCall:
    fold, weights, ready = jax_scan(layer, x)
    import jax

    compiled = jax.jit(fold)
    return lambda: compiled(weights, ready).block_until_ready()


def jax_scan(layer: Recurrent, x: Array) -> tuple[Callable[[Any, Any], Any], Any, Any]:
    """A ``lax.scan`` of the cell for JAX to compile, of the layer's weights and x; the weights; x.

    The input product is made for all steps at once.
    """
    os.environ["NPROC"] = str(engine.get_num_threads())  # XLA reads it when its first array is made
    import jax
    from jax import lax
    from jax import numpy as jnp

    ours = {name: w.detach().numpy() for name, w in layer.weights(0).items()}
    peephole = "weight_ph" in ours
    peep = np.split(ours["weight_ph"], 3) if peephole else None
    # (I, G*H), (H, G*H), (G*H,), (G*H,), three of (H,)
    weights = jax.device_put(
        (ours["weight_ih"].T.copy(), ours["weight_hh"].T.copy(), ours["bias_ih"], ours["bias_hh"], peep)
    )

    def fold(weights: Any, x: Any) -> Any:
        w, r, b_x, b_h, peep = weights

        def lstm(state: Any, from_x: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(from_x + h @ r + b_h, 4, axis=-1)
            if peephole:
                i, f = i + peep[0] * c, f + peep[1] * c
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            if peephole:
                o = o + peep[2] * c
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        def gru(h: Any, from_x: Any) -> Any:
            r_x, z_x, n_x = jnp.split(from_x, 3, axis=-1)
            r_h, z_h, n_h = jnp.split(h @ r + b_h, 3, axis=-1)
            z = jax.nn.sigmoid(z_x + z_h)
            h = (1 - z) * jnp.tanh(n_x + jax.nn.sigmoid(r_x + r_h) * n_h) + z * h
            return h, h

        def rnn(h: Any, from_x: Any) -> Any:
            h = jnp.tanh(from_x + h @ r + b_h)
            return h, h

        step = {"lstm": lstm, "gru": gru}.get(layer.cell, rnn)
        zeros = jnp.zeros((x.shape[1], r.shape[0]), x.dtype)  # (B, H)
        return lax.scan(step, (zeros, zeros) if step is lstm else zeros, x @ w + b_x)[1]

    return fold, weights, jax.device_put(x)


def _keras(layer: Recurrent, x: torch.Tensor) -> TimedCall:
    """Keras' layer on its torch backend; gates are reordered from r z n to z r h, those of an LSTM need not be."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    ours = {name: w.detach().numpy() for name, w in layer.weights(0).items()}
    if layer.cell == "gru":
        ours = {name: np.concatenate([np.split(w, 3)[gate] for gate in (1, 0, 2)]) for name, w in ours.items()}
        peer, bias = keras.layers.GRU, np.stack([ours["bias_ih"], ours["bias_hh"]])  # reset after is its default
    else:
        peer = keras.layers.LSTM if layer.cell == "lstm" else keras.layers.SimpleRNN
        bias = ours["bias_ih"] + ours["bias_hh"]
    reference = peer(layer.hidden_size, return_sequences=True)
    rows = x.transpose(0, 1).contiguous()  # (B, T, I)
    reference.build(tuple(rows.shape))
    reference.set_weights([ours["weight_ih"].T, ours["weight_hh"].T, bias])
    return without_gradient(lambda: reference(rows).transpose(0, 1))


def without_gradient(call: TimedCall) -> TimedCall:
    def run() -> object:
        with torch.no_grad():
            return call()

    return run


def in_bfloat16(module: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """A layer's output and state under autocast in bfloat16."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = module(x)
    return y, state


def version_of(name: str) -> str:
    """Of an installed package, or nothing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
