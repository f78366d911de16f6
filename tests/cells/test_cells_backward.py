"""Every derivative written by hand against finite differences in float64."""

import numpy as np
import pytest

from conformance.finite_difference import finite_difference
from conformance.layers import random_state, random_weights
from memfold import cells

VARIANTS = {
    "rnn_tanh": ("rnn_tanh", {}),
    "rnn_relu": ("rnn_relu", {}),
    "lstm": ("lstm", {}),
    "lstm without bias": ("lstm", {"bias": False}),
    "peephole lstm": ("lstm", {"peephole": True}),
    "coupled lstm": ("coupled_lstm", {}),
    "coupled peephole lstm": ("coupled_lstm", {"peephole": True}),
    "projected peephole lstm": ("lstm", {"proj_size": 2, "peephole": True}),
    "layer-norm peephole lstm": ("lstm", {"layer_norm": True, "peephole": True}),
    "gru": ("gru", {}),
    "gru without bias": ("gru", {"bias": False}),
    "gru_reset_before": ("gru_reset_before", {}),
}


@pytest.mark.parametrize("ragged", [False, True], ids=["", "lengths and resets"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_fold_backward_equals_finite_differences(variant, reverse, ragged):
    cell, own = VARIANTS[variant]
    rng = np.random.default_rng(8)
    weights = random_weights(rng, cell, 2, 3, **own)
    output = own.get("proj_size", 3)
    x = rng.standard_normal((5, 4, 2))
    state = random_state(rng, cell, (4, output), (4, 3))
    dy, dstate = rng.standard_normal((5, 4, output)), random_state(rng, cell, (4, output), (4, 3))
    options = {"reverse": reverse}
    if ragged:
        options |= {"lengths": [5, 0, 3, 2], "resets": rng.random((5, 4)) < 0.3}

    def loss():
        y, final = cells.fold(cell, x, weights, state, **options)
        return (y * dy).sum() + sum((s * d).sum() for s, d in zip(final, dstate, strict=True))

    ours = cells.fold_backward(cell, x, weights, dy, dstate, state, **options)
    assert set(ours.weights) == set(weights)
    for name, analytic, array in [
        ("x", ours.x, x),
        *zip("hc", ours.state, state, strict=False),
        *((name, ours.weights[name], weights[name]) for name in weights),
    ]:
        np.testing.assert_allclose(analytic, finite_difference(loss, array), rtol=1e-6, atol=1e-8, err_msg=name)


def test_padding_has_no_gradient_and_no_influence_on_one():
    rng = np.random.default_rng(9)
    weights = random_weights(rng, "lstm", 2, 3)
    x, dy = rng.standard_normal((4, 2, 2)), rng.standard_normal((4, 2, 3))
    clean = cells.fold_backward("lstm", x, weights, dy, lengths=[4, 2])
    x[2:, 1] = dy[2:, 1] = np.nan
    dirty = cells.fold_backward("lstm", x, weights, dy, lengths=[4, 2])
    assert (clean.x[2:, 1] == 0).all()
    assert (clean.x == dirty.x).all()
    assert all((clean.weights[name] == dirty.weights[name]).all() for name in weights)


def test_a_gradient_of_another_shape_is_named():
    weights = random_weights(np.random.default_rng(), "lstm", 2, 3)
    with pytest.raises(ValueError, match=r"dy must be \(4, 2, 3\), got shape \(4, 2, 2\)"):
        cells.fold_backward("lstm", np.zeros((4, 2, 2)), weights, np.zeros((4, 2, 2)))
    dstate = [np.zeros((2, 3)), np.zeros((2, 2))]
    with pytest.raises(ValueError, match=r"dc must be \(2, 3\), got shape \(2, 2\)"):
        cells.fold_backward("lstm", np.zeros((4, 2, 2)), weights, np.zeros((4, 2, 3)), dstate)
