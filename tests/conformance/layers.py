"""Random weights of one layer under torch's names, for every test that compares a layer with an oracle."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "coupled_lstm": 3, "gru": 3, "gru_reset_before": 3}


def random_weights(
    rng: np.random.Generator,
    cell: str,
    input_size: int,
    hidden_size: int,
    *,
    bias: bool = True,
    peephole: bool = False,
    proj_size: int = 0,
    layer_norm: bool = False,
    bidirectional: bool = False,
    dtype: type = np.float64,
) -> dict[str, Array]:
    """Weights of a layer, uniform as torch draws them; the backward direction's with ``_reverse`` after their names."""
    rows, output = GATES[cell] * hidden_size, proj_size or hidden_size
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size), "weight_hh": (rows, output)}
    if bias:
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    if peephole:
        shapes |= {"weight_ph": (rows - hidden_size,)}
    if proj_size:
        shapes |= {"weight_hr": (proj_size, hidden_size)}
    if layer_norm:
        shapes |= {"ln_ih": (rows,), "ln_hh": (rows,), "ln_c": (hidden_size,)}
    limit = 1 / np.sqrt(hidden_size)
    return {
        name + suffix: (rng.uniform(-limit, limit, shape) + name.startswith("ln")).astype(dtype)
        for suffix in (["", "_reverse"] if bidirectional else [""])
        for name, shape in shapes.items()
    }


def random_state(rng: np.random.Generator, cell: str, *shapes: tuple[int, ...]) -> list[Array]:
    """``(h,)`` or ``(h, c)`` of these shapes; one shape serves both."""
    names = ["h", "c"] if "lstm" in cell else ["h"]
    return [rng.standard_normal(shapes[min(k, len(shapes) - 1)]) for k in range(len(names))]


def largest_difference(ours: list[Array], theirs: list[Array]) -> float:
    """The largest absolute difference over pairs of arrays, whose shapes must agree."""
    assert [a.shape for a in ours] == [np.shape(b) for b in theirs]
    return max(float(np.abs(a - b).max(initial=0)) for a, b in zip(ours, theirs, strict=True))
