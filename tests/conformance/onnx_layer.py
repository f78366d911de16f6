"""One recurrent layer as an ONNX model of one node, run by ONNX Runtime: an oracle for what torch.nn has not.

Its semantics, established by running it: input_forget means f = 1 - i; clip bounds every pre-activation, after the
peephole term; outputs past a length are 0. One trap: a row of length 0 ends with state 0, not with its initial state.
It computes in float32.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import ArrayLike, NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]

# Where torch's gates stand among ONNX's, and the other way round: i f g o from i o f c, r z n from z r h.
TORCH_FROM_ONNX = {"LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2], "RNN": [0]}
ONNX_FROM_TORCH = {op: [int(k) for k in np.argsort(order)] for op, order in TORCH_FROM_ONNX.items()}
DIRECTIONS = {"forward": [""], "reverse": [""], "bidirectional": ["", "_reverse"]}


def run(
    cell: str,
    x: Array,
    weights: Mapping[str, Array],
    state: Sequence[Array] | None = None,
    *,
    lengths: ArrayLike | None = None,
    clip: float | None = None,
    direction: str = "forward",
) -> tuple[Array, tuple[Array, ...]]:
    """Fold a cell of :mod:`memfold.cells` with ONNX Runtime.

    Args:
        cell: a name that :func:`memfold.cells.fold` knows.
        x: ``(T, B, I)``.
        weights: under torch's names, ``_reverse`` added for the second direction of a bidirectional layer.
        state: ``(h,)`` or ``(h, c)``, each ``(D, B, H)``.
        lengths: ``(B,)``.
        clip: bound of the pre-activations.
        direction: ``"forward"``, ``"reverse"`` or ``"bidirectional"``.

    Returns:
        ``y (T, B, D*H)`` and the final state, each ``(D, B, H)``, in float32.
    """
    op = operator(cell)
    inputs = onnx_weights(cell, weights, direction)
    for name, array in zip(["initial_h", "initial_c"], state or [], strict=False):
        inputs[name] = array
    inputs = {name: np.asarray(array, np.float32) for name, array in inputs.items()}
    if lengths is not None:
        inputs["sequence_lens"] = np.asarray(lengths, np.int32)

    slots = ["X", "W", "R", "B", "sequence_lens", "initial_h"] + (["initial_c", "P"] if op == "LSTM" else [])
    outputs = ["Y", "Y_h", "Y_c"] if op == "LSTM" else ["Y", "Y_h"]
    present = [name if name == "X" or name in inputs else "" for name in slots]
    while not present[-1]:
        present.pop()
    attributes: dict[str, Any] = {"hidden_size": inputs["R"].shape[2], "direction": direction}
    if clip is not None:
        attributes["clip"] = float(clip)
    if cell == "coupled_lstm":
        attributes["input_forget"] = 1
    if cell == "gru":
        attributes["linear_before_reset"] = 1
    if cell == "rnn_relu":
        attributes["activations"] = ["Relu"] * len(DIRECTIONS[direction])
    graph = helper.make_graph(
        [helper.make_node(op, present, outputs, **attributes)],
        "one_layer",
        [helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in inputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    y, *final = session.run(outputs, {"X": np.asarray(x, np.float32)})  # y (T, D, B, H)
    return joined_directions(y), tuple(final)


def operator(cell: str) -> str:
    """ONNX's operator: LSTM, GRU or RNN."""
    return {"lstm": "LSTM", "coupled_lstm": "LSTM", "gru": "GRU", "gru_reset_before": "GRU"}.get(cell, "RNN")


def joined_directions(y: Array) -> Array:
    """``(T, B, D*H)`` from ONNX's ``(T, D, B, H)``."""
    return y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1)


def onnx_weights(cell: str, weights: Mapping[str, Array], direction: str) -> dict[str, Array]:
    """W, R, B and P, each ``(D, ·)`` in ONNX's gate order."""
    order = ONNX_FROM_TORCH[operator(cell)]
    result: dict[str, list[Array]] = {}
    for suffix in DIRECTIONS[direction]:
        own = {
            name: _with_idle_forget_gate(name, weights[name + suffix])
            if cell == "coupled_lstm"
            else weights[name + suffix]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ph")
            if name + suffix in weights
        }
        result.setdefault("W", []).append(_reordered(own["weight_ih"], order))
        result.setdefault("R", []).append(_reordered(own["weight_hh"], order))
        if "bias_ih" in own:
            both = [_reordered(own[name], order) for name in ("bias_ih", "bias_hh")]
            result.setdefault("B", []).append(np.concatenate(both))
        if "weight_ph" in own:  # i f o here, i o f there
            result.setdefault("P", []).append(_reordered(own["weight_ph"], [0, 2, 1]))
    return {name: np.stack(arrays) for name, arrays in result.items()}


def torch_weights(op: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The inverse: weights under torch's names from a node's W, R, B and P."""
    order = TORCH_FROM_ONNX[op]
    result = {}
    for d in range(len(inputs["W"])):
        suffix = "_reverse" if d else ""
        result["weight_ih" + suffix] = _reordered(inputs["W"][d], order)
        result["weight_hh" + suffix] = _reordered(inputs["R"][d], order)
        if "B" in inputs:
            for name, half in zip(["bias_ih", "bias_hh"], np.split(inputs["B"][d], 2), strict=True):
                result[name + suffix] = _reordered(half, order)
        if "P" in inputs:
            result["weight_ph" + suffix] = _reordered(inputs["P"][d], [0, 2, 1])
    return result


def _reordered(weight: Array, order: list[int]) -> Array:
    gates = np.split(weight, len(order))
    return np.concatenate([gates[k] for k in order])


def _with_idle_forget_gate(name: str, weight: Array) -> Array:
    """ONNX keeps a forget gate's rows in a coupled LSTM, and must not look at them."""
    parts = np.split(weight, 2 if name == "weight_ph" else 3)
    return np.concatenate([parts[0], np.full_like(parts[0], 7.0), *parts[1:]])
