"""The parameters of a cell: their names and shapes, and the values they start from."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from memfold.cells.table import CELLS

__all__ = ["checked_init", "initialise", "refuse_reshaped", "shapes"]

DEFAULT_LONGEST_LAG = 1000.0


def shapes(
    cell: str,
    width: int,
    hidden: int,
    *,
    bias: bool,
    projection: int = 0,
    peephole: bool = False,
    layer_norm: bool = False,
) -> dict[str, tuple[int, ...]]:
    """Shapes of one layer's and direction's parameters by name, torch's own first and in torch's order.

    Args:
        cell: a name in ``CELLS``.
        width: features of the layer's input.
        hidden: H.
        projection: P, or 0 for none.

    >>> shapes("lstm", 3, 2, bias=True, peephole=True)
    {'weight_ih': (8, 3), 'weight_hh': (8, 2), 'bias_ih': (8,), 'bias_hh': (8,), 'weight_ph': (6,)}
    """
    every = CELLS[cell].shapes(width, hidden, projection or hidden)
    lacking = set()
    if not bias:
        lacking |= {"bias_ih", "bias_hh"}
    if not projection:
        lacking |= {"weight_hr"}
    if not peephole:
        lacking |= {"weight_ph"}
    if not layer_norm:
        lacking |= {"ln_ih", "ln_hh", "ln_c"}
    return {name: shape for name, shape in every.items() if name not in lacking}


def refuse_reshaped(weights: Mapping[str, Tensor], made: Mapping[str, tuple[int, ...]], suffix: str = "") -> None:
    """Refuse weights of other shapes than those they were made with: whoever reads them by address relies on these.

    Raises:
        RuntimeError: it names the parameter, by its name and the suffix, and both shapes.
    """
    for name, shape in made.items():
        if weights[name].shape != shape:
            raise RuntimeError(f"{name}{suffix} must be {shape}, got shape {tuple(weights[name].shape)}")


def checked_init(init: str, cell: str, bias: bool, forget_bias: float) -> str:
    """The given ``init``.

    Raises:
        ValueError: an unknown one, or one that the cell or another option does not go with.
    """
    name, _, lag = init.partition(":")
    if name not in ("memfold", "torch", "chrono") or (lag and name != "chrono"):
        raise ValueError(f"init must be 'memfold', 'torch', 'chrono' or 'chrono:LAG', got {init!r}")
    if name == "chrono":
        if "f" not in CELLS[cell].values and "z" not in CELLS[cell].values:
            raise ValueError(f"init={init!r} sets the biases of gates, and RNN has no gates")
        if not bias:
            raise ValueError(f"init={init!r} sets biases, and bias is False")
        _longest_lag(init)
    if name != "memfold" and forget_bias != 1.0:
        raise ValueError(f"init={init!r} sets its own forget bias, got forget_bias={forget_bias} beside it")
    return init


@torch.no_grad()
def initialise(cell: str, weights: Mapping[str, Tensor], init: str, forget_bias: float) -> None:
    """Draw the first values of one layer's and direction's parameters, in place, from torch's generator.

    Args:
        init: ``"torch"``: everything from U(-1/sqrt(H), 1/sqrt(H)). ``"memfold"``: each gate's recurrent block, and a
            projection, orthogonal (Saxe et al. 2014), each gate's input block Glorot-uniform (Glorot & Bengio 2010),
            biases and peepholes 0, forget bias ``forget_bias`` (Jozefowicz et al. 2015). ``"chrono"``: as memfold, but
            the bias of the gate that keeps the state is log U(1, LAG - 1), of the one that writes to it the negative
            (Tallec & Ollivier 2018), for memories of up to LAG steps. Gains of layer normalization are 1.
        forget_bias: of ``"memfold"``; a coupled LSTM, where f = 1 - i, has its negative as the bias of i.
    """
    gates = CELLS[cell].gates
    hidden = weights["weight_ih"].shape[0] // len(gates)
    for name, weight in weights.items():
        if name.startswith("ln_"):
            weight.fill_(1)
        elif init == "torch":
            weight.uniform_(-1 / math.sqrt(hidden), 1 / math.sqrt(hidden))
        elif name == "weight_ih":
            for block in weight.chunk(len(gates)):
                nn.init.xavier_uniform_(block)
        elif name == "weight_hh":
            for block in weight.chunk(len(gates)):
                _orthogonal(block)
        elif name == "weight_hr":
            _orthogonal(weight)
        else:
            weight.zero_()
    if init == "torch" or "bias_ih" not in weights:
        return
    bias = dict(zip(gates, weights["bias_ih"].chunk(len(gates)), strict=True))
    keeping = bias.get("f", bias.get("z"))  # in torch's GRU z keeps the state
    if init.startswith("chrono"):
        drawn = torch.empty_like(bias[gates[0]]).uniform_(1, _longest_lag(init) - 1).log_()
    else:
        drawn = torch.full_like(bias[gates[0]], forget_bias if "c" in CELLS[cell].state else 0.0)
    if keeping is not None:
        keeping.copy_(drawn)
    if "i" in bias and (keeping is None or init.startswith("chrono")):
        bias["i"].copy_(-drawn)


def _longest_lag(init: str) -> float:
    _, _, lag = init.partition(":")
    try:
        steps = float(lag) if lag else DEFAULT_LONGEST_LAG
    except ValueError:
        steps = math.nan
    if not 2 < steps < math.inf:
        raise ValueError(f"the lag of init='chrono:LAG' must be a number of steps above 2, got {init!r}")
    return steps


def _orthogonal(block: Tensor) -> None:
    """Orthogonal rows or columns. LAPACK has no half precision: those are drawn in float32."""
    exact = block if block.dtype in (torch.float32, torch.float64) else block.float()
    block.copy_(nn.init.orthogonal_(exact))
