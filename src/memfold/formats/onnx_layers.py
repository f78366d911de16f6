"""Recurrent layers in an ONNX model: its nodes LSTM, GRU and RNN."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memfold.errors import InputError
from memfold.formats.stored import Array, StoredLayer, refuse, reordered

__all__ = ["read_onnx"]

# where torch's gates stand among ONNX's: i f g o from i o f c, r z n from z r h (onnx.ai/onnx/operators)
ORDER = {"LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2], "RNN": [0]}
COUPLED = [0, 3, 1]  # i g o, the forget gate's rows being unused
USUAL = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"], "RNN": ["tanh"]}
SLOTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
SUFFIXES = {"forward": ("",), "bidirectional": ("", "_reverse")}


def read_onnx(path: Path, cells: Mapping[str, str]) -> Iterator[tuple[str, StoredLayer]]:
    """The layers by their nodes' names; a stack of several layers is one for each node.

    Raises:
        InputError: the file cannot be read, or a node has what memfold's layers do not have.
    """
    import onnx
    from onnx import helper, numpy_helper

    try:
        model = onnx.load(path)
    except Exception as error:  # of protobuf
        raise InputError(f"{path}: not readable as an ONNX model ({error})") from None
    constants = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    for number, node in enumerate(model.graph.node):
        if node.op_type in ORDER:
            name = node.name or f"{node.op_type}_{number}"
            options = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
            inputs = {slot: given for slot, given in zip(SLOTS, node.input, strict=False) if given}
            yield name, _stored(f"{path}: {name}", node.op_type, options, inputs, constants)


def _stored(where: str, op: str, options: Mapping[str, Any], inputs: Mapping[str, str], constants: Any) -> StoredLayer:
    direction = options.get("direction", b"forward").decode()
    if direction not in SUFFIXES:
        raise refuse(where, f"direction {direction!r}")
    cell = _cell(where, op, options, len(SUFFIXES[direction]))
    for slot in ("W", "R", "B", "P"):
        if slot in inputs and inputs[slot] not in constants:
            raise InputError(f"{where}: its {slot} is computed by the graph; fold the graph's constants first")
    given = {slot: constants[inputs[slot]] for slot in ("W", "R", "B", "P") if slot in inputs}
    order = COUPLED if cell == "coupled_lstm" else ORDER[op]
    weights: dict[str, Array] = {}
    for d, suffix in enumerate(SUFFIXES[direction]):
        halves = np.split(given["B"][d], 2) if "B" in given else []
        arrays = [given["W"][d], given["R"][d], *halves]
        for name, weight in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), arrays, strict=False):
            gates = np.split(weight, len(ORDER[op]))
            weights[f"{name}_l0{suffix}"] = np.concatenate([gates[k] for k in order])
        if "P" in given and given["P"].any():  # i o f there
            peepholes = reordered(given["P"][d], [0, 2, 1])
            if cell == "coupled_lstm":
                i, _, o = np.split(peepholes, 3)
                peepholes = np.concatenate([i, o])
            weights[f"weight_ph_l0{suffix}"] = peepholes
    clip = options.get("clip")
    return StoredLayer(where, cell, weights, clip, batch_first=options.get("layout", 0) == 1)


def _cell(where: str, op: str, options: Mapping[str, Any], directions: int) -> str:
    """The name of the node's cell."""
    named = [name.decode().lower() for name in options.get("activations", [])] or USUAL[op] * directions
    if named == ["relu"] * directions and op == "RNN":
        return "rnn_relu"
    if named != USUAL[op] * directions:
        raise refuse(where, f"activations {', '.join(named)}")
    if op == "GRU":
        return "gru" if options.get("linear_before_reset", 0) else "gru_reset_before"
    if op == "LSTM":
        return "coupled_lstm" if options.get("input_forget", 0) else "lstm"
    return "rnn_tanh"
