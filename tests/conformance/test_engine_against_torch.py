"""The engine's float32 error against the float64 specification, beside torch's own."""

import numpy as np
import pytest

from conformance import torch_layer
from conformance.layers import random_weights
from memfold import cells, engine


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
@pytest.mark.parametrize(("steps", "batch", "size"), [(30, 1, 16), (30, 5, 64), (100, 8, 33), (100, 3, 128)])
def test_the_error_is_at_most_four_times_torchs(cell, steps, batch, size, record_difference):
    rng = np.random.default_rng(size)
    weights = random_weights(rng, cell, size, size)
    x = rng.standard_normal((steps, batch, size))
    exact, _ = cells.fold(cell, x, weights)
    single = {name: w.astype(np.float32) for name, w in weights.items()}
    theirs, _ = torch_layer.run(torch_layer.build(cell, single), x.astype(np.float32))
    ours, _ = engine.fold(cell, x.astype(np.float32), single)
    error, limit = np.abs(ours - exact).max(), np.abs(theirs - exact).max()
    record_difference("float64 cells", f"engine float32 {cell}", float(error))
    record_difference("float64 cells", f"torch float32 {cell}", float(limit))
    assert error <= 4 * limit
