"""memfold.cells against ONNX's own node tests of LSTM, GRU and RNN.

Most of them have one step and constant weights, so no mistake in the gates' order could fail them. They are here
because they are the standard's; the evidence is the matrix against ONNX Runtime.
"""

import warnings

import numpy as np
import pytest
from onnx import helper

from conformance import onnx_layer
from memfold import cells

with warnings.catch_warnings():  # loading runs the examples of every operator, with their overflows
    warnings.simplefilter("ignore")
    from onnx.backend.test.loader import load_model_tests

    CASES = [
        case for case in load_model_tests(kind="node") if case.model.graph.node[0].op_type in ("LSTM", "GRU", "RNN")
    ]


def test_all_18_node_tests_are_there():
    assert len(CASES) == 18


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fold_passes_the_node_test(case, record_difference):
    node = case.model.graph.node[0]
    ((inputs, expected),) = case.data_sets
    given = dict(zip(filter(None, node.input), inputs, strict=True))
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    direction = attributes.get("direction", b"forward").decode()
    cell = {"LSTM": "lstm", "GRU": "gru" if attributes.get("linear_before_reset") else "gru_reset_before"}.get(
        node.op_type, "rnn_tanh"
    )
    assert set(attributes) <= {"direction", "hidden_size", "layout", "linear_before_reset"}
    batch_first = attributes.get("layout", 0)
    x = given["X"].swapaxes(0, 1) if batch_first else given["X"]
    state = [given[name] for name in ("initial_h", "initial_c") if name in given] or None
    weights = onnx_layer.torch_weights(node.op_type, given)
    lengths = given.get("sequence_lens")
    if direction == "bidirectional":
        y, final = cells.bidirectional(cell, x, weights, state, lengths=lengths)
    else:
        start = state and [s[0] for s in state]
        y, final = cells.fold(cell, x, weights, start, lengths=lengths, reverse=direction == "reverse")
        final = [s[None] for s in final]

    steps, batch, _ = y.shape
    by_direction = y.reshape(steps, batch, len(given["W"]), -1).transpose(0, 2, 1, 3)
    ours = dict(zip(["Y", "Y_h", "Y_c"], [by_direction, *final], strict=False))
    for name, theirs in zip(filter(None, node.output), expected, strict=True):
        own = ours[name]
        if batch_first:
            own = own.transpose(2, 0, 1, 3) if name == "Y" else own.swapaxes(0, 1)
        record_difference("onnx node tests", node.op_type, float(np.abs(own - theirs).max()))
        np.testing.assert_allclose(own, theirs, rtol=case.rtol, atol=case.atol)
