"""Random calls of a fold, shared by the tests of the engine."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.call import KEPT
from memfold.cells import table

Array = NDArray[Any]
CELLS = {name: table.CELLS[name] for name in KEPT}  # those that the engine has


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
    """Weights as torch draws them, with peepholes where asked and the cell can have some; NaN in the padding, where
    nothing may look."""
    limit = 1 / np.sqrt(hidden)
    shapes = CELLS[cell].shapes(input_size, hidden, hidden)
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] + ["weight_ph"] * peephole
    own = {name: shapes[name] for name in names if name in shapes}
    suffixes = ("", "_reverse") if bidirectional else ("",)
    weights = {name + end: rng.uniform(-limit, limit, shape) for end in suffixes for name, shape in own.items()}
    x = rng.standard_normal((steps, batch, input_size))
    shape = (2, batch, hidden) if bidirectional else (batch, hidden)
    state = [rng.standard_normal(shape) for _ in CELLS[cell].state]
    if lengths:
        options["lengths"] = rng.integers(0, steps + 1, batch)
        for row, length in enumerate(options["lengths"]):
            x[length:, row] = np.nan
    if resets:
        options["resets"] = rng.random((steps, batch)) < 0.2
    return Call(cell, x, weights, state, options)
