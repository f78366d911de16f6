"""memfold.nn against ONNX Runtime: peepholes, coupled gates, clip, lengths, both GRUs, three directions."""

import itertools

import numpy as np
import pytest
import torch

from conformance import onnx_layer
from conformance.layers import largest_difference, random_state, random_weights
from conformance.test_nn_against_cells import make_layer
from memfold.nn import composition

MATRIX = [
    (cell, peephole, *rest)
    for cell, peephole, *rest in itertools.product(
        ["rnn_tanh", "rnn_relu", "lstm", "coupled_lstm", "gru", "gru_reset_before"],
        [False, True],
        ["forward", "reverse", "bidirectional"],
        [None, 0.3],
        [False, True],
        [False, True],
    )
    if "lstm" in cell or not peephole
]


def _id(case):
    cell, peephole, direction, clip, *flags = case
    words = [direction, "peephole" * peephole, "clip" * bool(clip)]
    words += [word * flag for word, flag in zip(["ragged", "state"], flags, strict=True)]
    return " ".join([cell, *filter(None, words)])


@pytest.mark.parametrize("case", MATRIX, ids=_id)
def test_layer_equals_onnxruntime(case, record_difference):
    cell, peephole, direction, clip, ragged, given_state = case
    directions = 2 if direction == "bidirectional" else 1
    rng = np.random.default_rng(3)
    weights = random_weights(rng, cell, 4, 6, peephole=peephole, bidirectional=directions == 2, dtype=np.float32)
    x = rng.standard_normal((9, 5, 4)).astype(np.float32)
    lengths = [9, 1, 4, 8, 2] if ragged else None
    state = random_state(rng, cell, (directions, 5, 6)) if given_state else None
    theirs, their_final = onnx_layer.run(cell, x, weights, state, lengths=lengths, clip=clip, direction=direction)

    hx = None if state is None else tuple(torch.tensor(s, dtype=torch.float32) for s in state)
    with torch.no_grad():
        if direction == "reverse":  # the layers have it beside the forward direction only
            zeros = torch.zeros(5, 6)
            y, final = composition.fold(
                cell,
                torch.tensor(x),
                {name: torch.tensor(w) for name, w in weights.items()},
                (zeros, zeros)[: len(their_final)] if hx is None else tuple(s[0] for s in hx),
                lengths=None if lengths is None else torch.tensor(lengths),
                reverse=True,
                clip=clip,
            )
            y, final = y["h"], tuple(s[None] for s in final)
        else:
            options = {"peephole": True} if peephole else {}
            layer = make_layer(
                cell, 4, 6, weights, dtype=torch.float32, bidirectional=directions == 2, clip=clip, **options
            )
            y, final = layer(torch.tensor(x), hx if hx is None or len(hx) > 1 else hx[0], lengths=lengths)
            final = final if isinstance(final, tuple) else (final,)
    difference = largest_difference([t.numpy() for t in (y, *final)], [theirs, *their_final])
    record_difference("onnxruntime", f"nn, {'peephole ' * peephole}{cell}", difference)
    assert difference <= 2e-6
