"""memfold.cells against ONNX Runtime: peepholes, coupled gates, clip, lengths, both GRUs, three directions."""

import itertools

import numpy as np
import pytest

from conformance import onnx_layer
from conformance.layers import largest_difference, random_state, random_weights
from memfold import cells

CELLS = ["rnn_tanh", "rnn_relu", "lstm", "coupled_lstm", "gru", "gru_reset_before"]
MATRIX = [
    (cell, peephole, *rest)
    for cell, peephole, *rest in itertools.product(
        CELLS,
        [False, True],
        ["forward", "reverse", "bidirectional"],
        [None, 0.3],
        [False, True],
        [False, True],
        [False, True],
    )
    if "lstm" in cell or not peephole
]


def _id(case):
    cell, peephole, direction, clip, *flags = case
    words = [direction, "peephole" * peephole, "clip" * bool(clip)]
    words += [word * flag for word, flag in zip(["ragged", "bias", "state"], flags, strict=True)]
    return " ".join([cell, *filter(None, words)])


@pytest.mark.parametrize("case", MATRIX, ids=_id)
def test_fold_equals_onnxruntime(case, record_difference):
    cell, peephole, direction, clip, ragged, bias, given_state = case
    directions = 2 if direction == "bidirectional" else 1
    rng = np.random.default_rng(3)
    weights = random_weights(
        rng, cell, 4, 6, bias=bias, peephole=peephole, bidirectional=directions == 2, dtype=np.float32
    )
    x = rng.standard_normal((9, 5, 4)).astype(np.float32)
    lengths = [9, 1, 4, 8, 2] if ragged else None
    state = random_state(rng, cell, (directions, 5, 6)) if given_state else None

    theirs, their_final = onnx_layer.run(cell, x, weights, state, lengths=lengths, clip=clip, direction=direction)
    if directions == 2:
        ours, final = cells.bidirectional(cell, x, weights, state, lengths=lengths, clip=clip)
    else:
        start = state and [s[0] for s in state]
        ours, final = cells.fold(cell, x, weights, start, lengths=lengths, clip=clip, reverse=direction == "reverse")
        final = [s[None] for s in final]
    difference = largest_difference([ours, *final], [theirs, *their_final])
    record_difference("onnxruntime", f"{'peephole ' * peephole}{cell}", difference)
    assert difference <= 1e-6


def test_clip_of_the_matrix_changes_the_result():
    rng = np.random.default_rng(3)
    weights = random_weights(rng, "lstm", 4, 6, peephole=True)
    x = rng.standard_normal((9, 5, 4))
    free, _ = cells.fold("lstm", x, weights)
    clipped, _ = cells.fold("lstm", x, weights, clip=0.3)
    assert np.abs(free - clipped).max() > 0.01


def test_an_empty_row_keeps_its_state_here_and_loses_it_in_onnxruntime():
    rng = np.random.default_rng(4)
    weights = random_weights(rng, "gru", 2, 3, dtype=np.float32)
    x = rng.standard_normal((4, 2, 2)).astype(np.float32)
    start = np.ones((1, 2, 3))
    _, (theirs,) = onnx_layer.run("gru", x, weights, [start], lengths=[4, 0])
    _, (ours,) = cells.fold("gru", x, weights, [start[0]], lengths=[4, 0])
    assert np.allclose(ours[0], theirs[0, 0], atol=1e-6)
    assert (theirs[0, 1] == 0).all()
    assert (ours[1] == 1).all()
