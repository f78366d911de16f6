"""Random calls of a fold, shared by the tests of the engine."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
CELLS = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "coupled_lstm": 3, "gru": 3}


@dataclass
class Call:
    """The arguments of one fold, in float64."""

    cell: str
    x: Array
    weights: dict[str, Array]
    state: list[Array]
    options: dict[str, Any] = field(default_factory=dict)


def random_call(
    rng: np.random.Generator,
    cell: str,
    steps: int,
    batch: int,
    input_size: int,
    hidden: int,
    *,
    peephole: bool = False,
    bidirectional: bool = False,
    lengths: bool = False,
    resets: bool = False,
    **options: Any,
) -> Call:
    """Weights as torch draws them; NaN in the padding, where nothing may look."""
    limit = 1 / np.sqrt(hidden)
    rows = CELLS[cell] * hidden
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden)}
    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    if peephole:
        shapes["weight_ph"] = (rows - hidden,)
    suffixes = ("", "_reverse") if bidirectional else ("",)
    weights = {name + end: rng.uniform(-limit, limit, shape) for end in suffixes for name, shape in shapes.items()}
    x = rng.standard_normal((steps, batch, input_size))
    shape = (2, batch, hidden) if bidirectional else (batch, hidden)
    state = [rng.standard_normal(shape) for _ in range(2 if "lstm" in cell else 1)]
    if lengths:
        options["lengths"] = rng.integers(0, steps + 1, batch)
        for row, length in enumerate(options["lengths"]):
            x[length:, row] = np.nan
    if resets:
        options["resets"] = rng.random((steps, batch)) < 0.2
    return Call(cell, x, weights, state, options)
