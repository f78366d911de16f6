"""How much of the loss's gradient reaches back over a lag: measured, for cells before any training."""

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from memfold.errors import InputError
from memfold.lab.networks import COMPARED_CELLS, INITS, recurrent
from memfold.lab.options import checked_cells, checked_lags
from memfold.lab.record import Record
from memfold.nn import composition
from memfold.nn.layer import Recurrent
from memfold.words import Said, said

__all__ = ["Case", "gradient_by_lag", "run_gradient"]

HIDDEN, INPUTS, ROWS = 64, 16, 32
BIASED = 3.0  # the forget bias that the plain RNN is compared with
SMALL = 0.01  # scale of small inputs
FACTOR = 1e4


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes:
        forget_bias: of the gate that keeps the state, f of an LSTM and z of a GRU; None leaves it to ``init``.
        scale: standard deviation of the inputs.
    """

    cell: str
    init: str
    forget_bias: float | None
    scale: float

    def sentence(self) -> Said:
        """The case in words."""
        if self.forget_bias is None:
            return said("case", cell=self.cell, init=self.init, scale=self.scale)
        return said("case biased", cell=self.cell, init=self.init, bias=self.forget_bias, scale=self.scale)


def run_gradient(
    name: str,
    lags: str | None = None,
    cells: str = ",".join(COMPARED_CELLS),
    init: str | None = None,
    forget_bias: float | None = None,
    scale: float | None = None,
) -> Record:
    """Measure |dloss/dh| so many steps before the loss, in float64, averaged over 32 sequences of normal inputs.

    Args:
        lags: to be listed; the last one is the farthest that is measured.
        cells: of `COMPARED_CELLS`, with commas between.
        init: of `INITS`; all of them when None.
        forget_bias: see `Case`; the init's own, 1 and 3 when None.
        scale: of the inputs; 1 and 0.01 when None.

    Raises:
        InputError: an option that cannot be read.
    """
    listed = sorted(checked_lags(lags) or [10, 50, 100])
    starts = INITS if init is None else [init]
    scales = [1.0, SMALL] if scale is None else [scale]
    cases = []
    for cell, start in product(checked_cells(cells), starts):
        if cell == "rnn" and start == "chrono":  # which would be memfold's
            continue
        for bias in _biases(cell, start, forget_bias):
            cases += [Case(cell, start, bias, size) for size in scales]
    if not cases:
        raise InputError("a plain RNN has no gates: choose another --init than chrono")
    lines = {case: measured(case, listed[-1]) for case in cases}
    rows: list[dict[str, Any]] = []
    for case, line in lines.items():
        row = {"cell": case.cell, "init": case.init, "forget bias": case.forget_bias, "inputs": case.scale}
        rows.append(row | {said("at lag", lag=lag): line[lag] for lag in listed})
    what = said("what gradient")
    curves: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for case, line in lines.items():
        picture = curves.setdefault(said("inputs of", scale=case.scale), {})
        picture[case.sentence()] = ([float(lag) for lag in range(len(line))], line)
    settings = {"hidden_size": HIDDEN, "inputs": INPUTS, "sequences": ROWS, "seed": 0}
    axes = ("lag", "share of the gradient", True)
    return Record(name, what, rows, compared(lines, listed[-1]), curves, axes, settings)


def _biases(cell: str, init: str, given: float | None) -> list[float | None]:
    if cell == "rnn":
        return [None]
    if given is not None:
        return [given]
    return [None, 1.0, BIASED] if init == "torch" else [None]


def measured(case: Case, longest: int) -> list[float]:
    """The shares of the gradient at lags 0 to ``longest``."""
    torch.manual_seed(0)
    layer = recurrent(case.cell, INPUTS, HIDDEN, case.init, max(longest, 8)).double()
    if case.forget_bias is not None:
        gates = composition.CELLS[layer.cell].gates
        place = gates.index("z" if case.cell == "gru" else "f")
        with torch.no_grad():
            for name, value in (("bias_ih_l0", case.forget_bias), ("bias_hh_l0", 0.0)):
                layer.get_parameter(name)[place * HIDDEN : (place + 1) * HIDDEN] = value
    x = case.scale * torch.randn(longest + 1, ROWS, INPUTS, dtype=torch.float64)
    direction = torch.randn(ROWS, HIDDEN, dtype=torch.float64)
    norms = gradient_by_lag(layer, x, direction)["h"].mean(1)  # (T,)
    return (norms / norms[0]).tolist()


def gradient_by_lag(layer: Recurrent, x: Tensor, direction: Tensor) -> dict[str, Tensor]:
    """The norm of the gradient of ``sum(direction * h_T)`` by every state on the way, by automatic differentiation.

    The gradient by h_t goes through all that follows from h_t, the cells c_{t+1} ... included, but not through c_t,
    which does not follow from it; that by c_t includes h_t.

    Args:
        layer: of one layer and direction.
        x: (T, B, I).
        direction: (B, H).

    Returns:
        By ``h`` and, of an LSTM, ``c``: norms (T, B), the last step first, so that the index is the lag.
    """
    formula, names = composition.FORMULAS[layer.cell], composition.CELLS[layer.cell].state
    weights = layer.weights(0)
    state = tuple(x.new_zeros(x.shape[1], layer.hidden_size) for _ in names)
    kept: dict[str, list[Tensor]] = {name: [] for name in names}
    for from_x in composition.share(x, weights, "ih"):
        values = formula(from_x, state[0], state, weights, clip=layer.clip)
        state = tuple(values[name] for name in names)
        for name, value in zip(names, state, strict=True):
            value.retain_grad()
            kept[name].append(value)
    (state[0] * direction).sum().backward()  # type: ignore[no-untyped-call]
    norms = {}
    for name, tensors in kept.items():
        gradients = [tensor.grad if tensor.grad is not None else torch.zeros_like(tensor) for tensor in tensors]
        norms[name] = torch.stack(gradients[::-1]).norm(dim=-1)
    return norms


def compared(lines: dict[Case, list[float]], lag: int) -> list[Said]:
    """The plain RNN beside the LSTM with a forget bias of 3, torch's first values and the same inputs."""
    findings = []
    for case, line in lines.items():
        other = Case("lstm", "torch", BIASED, case.scale)
        if case.cell != "rnn" or other not in lines:
            continue
        ratio = lines[other][lag] / line[lag] if line[lag] > 0 else math.inf
        findings.append(
            said(
                "gradient smaller" if ratio >= 1 else "gradient greater",
                case=case.sentence(),
                other=other.sentence(),
                lag=lag,
                ratio=max(ratio, 1 / ratio),
                factor=FACTOR,
                holds=said("holds" if ratio >= FACTOR else "holds not"),
            )
        )
    return findings
