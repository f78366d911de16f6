"""Every cell folded in torch's own operators: the reference of the layers, and what serves where nothing faster does.

It is made of differentiable operators only, so every derivative and transform of torch goes through it. The formulas
are those of :mod:`memfold.cells`, where each stands under its source.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from memfold.cells.table import CELLS

__all__ = ["CELLS", "FORMULAS", "State", "Values", "Weights", "Zoneout", "fold", "share", "zoned"]

Weights = Mapping[str, Tensor]
Values = dict[str, Tensor]
State = tuple[Tensor, ...]  # (h,) or (h, c)
Zoneout = float | Tensor  # the probability that a unit keeps its value, or a bool mask of where it does
Formula = Callable[..., Values]  # (x's share, h for the product, state, weights, clip=) -> the cell's values

FORMULAS: dict[str, Formula] = {}  # one step of each cell of `CELLS`, by its name


def formula_of(cell: str, **options: Any) -> Callable[[Formula], Formula]:
    """Enter the function, with these options, as the formula of a cell."""

    def enter(function: Formula) -> Formula:
        FORMULAS[cell] = partial(function, **options) if options else function
        return function

    return enter


def share(a: Tensor, weights: Weights, side: str) -> Tensor:
    """What x (side ``"ih"``) or h (``"hh"``) adds to the pre-activations, ``(…, G*H)``: a product and a bias, the
    product normalised where the weights hold a gain for it (Ba, Kiros & Hinton 2016, supplement)."""
    weight, bias = weights[f"weight_{side}"], weights.get(f"bias_{side}")
    if f"ln_{side}" in weights:
        return F.layer_norm(F.linear(a, weight), weight.shape[:1], weights[f"ln_{side}"], bias)
    return F.linear(a, weight, bias)


def bound(pre: Tensor, clip: float | None) -> Tensor:
    """Pre-activations held within ±clip; NaN stays NaN."""
    return pre if clip is None else pre.clamp(-clip, clip)


def parts(weights: Weights, name: str, gates: int) -> Sequence[Tensor | None]:
    """A weight's rows, gate by gate; None for each where the weight is not there."""
    return weights[name].chunk(gates) if name in weights else (None,) * gates


def peek(pre: Tensor, peephole: Tensor | None, c: Tensor) -> Tensor:
    """A pre-activation that sees the cell, where there is a peephole."""
    return pre if peephole is None else pre + peephole * c


def zoned(new: Tensor, old: Tensor, keep: Zoneout) -> Tensor:
    """The new state where units of the mask ``keep`` stay at the old one, or the mean under the probability ``keep``
    (Krueger et al. 2017)."""
    if isinstance(keep, Tensor):
        return torch.where(keep, old, new)
    return keep * old + (1 - keep) * new if keep else new


@formula_of("rnn_tanh", relu=False)
@formula_of("rnn_relu", relu=True)
def rnn(from_x: Tensor, h: Tensor, state: State, weights: Weights, *, relu: bool, clip: float | None) -> Values:
    pre = bound(from_x + share(h, weights, "hh"), clip)
    return {"h": pre.relu() if relu else pre.tanh()}


@formula_of("lstm", coupled=False)
@formula_of("coupled_lstm", coupled=True)
def lstm(from_x: Tensor, h: Tensor, state: State, weights: Weights, *, coupled: bool, clip: float | None) -> Values:
    _, c = state
    pre = share(h, weights, "hh") + from_x  # (B, G*H)
    if coupled:
        pre_i, pre_g, pre_o = pre.chunk(3, dim=-1)
        p_i, p_o = parts(weights, "weight_ph", 2)
    else:
        pre_i, pre_f, pre_g, pre_o = pre.chunk(4, dim=-1)
        p_i, p_f, p_o = parts(weights, "weight_ph", 3)
    i = bound(peek(pre_i, p_i, c), clip).sigmoid()
    f = 1 - i if coupled else bound(peek(pre_f, p_f, c), clip).sigmoid()
    g = bound(pre_g, clip).tanh()
    c = f * c + i * g
    o = bound(peek(pre_o, p_o, c), clip).sigmoid()
    h = o * (F.layer_norm(c, c.shape[-1:], weights["ln_c"]) if "ln_c" in weights else c).tanh()
    if "weight_hr" in weights:
        h = F.linear(h, weights["weight_hr"])
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": h}


@formula_of("gru")
def gru(from_x: Tensor, h: Tensor, state: State, weights: Weights, *, clip: float | None) -> Values:
    """Reset after the product, as torch and cuDNN have it."""
    x_r, x_z, x_n = from_x.chunk(3, dim=-1)
    h_r, h_z, h_n = share(h, weights, "hh").chunk(3, dim=-1)
    r = bound(x_r + h_r, clip).sigmoid()
    z = bound(x_z + h_z, clip).sigmoid()
    n = bound(x_n + r * h_n, clip).tanh()
    return {"r": r, "z": z, "n": n, "h": (1 - z) * n + z * state[0]}


@formula_of("gru_reset_before")
def gru_reset_before(from_x: Tensor, h: Tensor, state: State, weights: Weights, *, clip: float | None) -> Values:
    """Reset before the product, as version 3 of Cho et al. 2014 has it: r acts on h itself."""
    hidden = weights["weight_hh"].shape[-1]
    bias = weights.get("bias_hh")
    R_rz, R_n = weights["weight_hh"].tensor_split([2 * hidden])
    b_rz, b_n = (None, None) if bias is None else bias.tensor_split([2 * hidden])
    x_rz, x_n = from_x.tensor_split([2 * hidden], dim=-1)
    r, z = bound(x_rz + F.linear(h, R_rz, b_rz), clip).sigmoid().chunk(2, dim=-1)
    n = bound(x_n + F.linear(r * h, R_n, b_n), clip).tanh()
    return {"r": r, "z": z, "n": n, "h": (1 - z) * n + z * state[0]}


def fold(
    cell: str,
    x: Tensor,
    weights: Weights,
    state: State,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    clip: float | None = None,
    recurrent_mask: Tensor | None = None,
    zoneout: Sequence[Zoneout] = (),
    keep: bool = False,
) -> tuple[Values, State]:
    """Fold a cell over a sequence: one layer in one direction.

    Args:
        cell: a name in ``CELLS``. An LSTM has peepholes, a projection or layer normalization when its weights hold
            ``weight_ph``, ``weight_hr`` or ``ln_ih``, ``ln_hh`` and ``ln_c``.
        x: input, ``(T, B, I)``.
        weights: ``weight_ih (G*H, I)``, ``weight_hh (G*H, H or P)`` and those the cell has besides, by torch's names.
        state: initial ``(h,)``, for LSTMs ``(h, c)``, ``(B, H)`` each.
        lengths: steps of each row, ``(B,)``, from 0 to T; what x holds past them changes nothing.
        resets: ``(T, B)`` bool. True at t cuts the sequence between t-1 and t: the state is set to 0 there.
        reverse: start at each row's last step and end at its first; ``y[t]`` still belongs to ``x[t]``.
        clip: bound of every pre-activation.
        recurrent_mask: factor on h before the recurrent product, the same in all steps, ``(B, H or P)``.
        zoneout: for each part of the state the probability that a unit keeps its value of the step before, of which
            the expectation is taken, or where units do, ``(T, B, ·)`` bool.
        keep: return every value of the cell, not ``h`` alone.

    Returns:
        Values by name, ``(T, B, H)`` each and 0 past a row's length, and the state after each row's last step. The
        output is the value ``"h"``.

    >>> running_sum = {"weight_ih": torch.ones(1, 1), "weight_hh": torch.ones(1, 1)}
    >>> x = torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None, None]
    >>> values, (h,) = fold("rnn_relu", x, running_sum, (torch.zeros(1, 1),), lengths=torch.tensor([3]), reverse=True)
    >>> values["h"].flatten()
    tensor([6., 5., 3., 0.])
    """
    known, step = CELLS[cell], FORMULAS[cell]
    steps = x.shape[0]
    valid = None if lengths is None else torch.arange(steps, device=x.device)[:, None, None] < lengths[:, None]
    cut = None if resets is None else resets[..., None]  # (T, B, 1)
    if valid is not None:
        x = torch.where(valid, x, 0)  # a product with 0 would let NaN through, here and in the backward pass
        cut = None if cut is None else cut & valid
    if cut is not None and reverse:  # a cut between t-1 and t comes before step t-1
        cut = torch.cat([cut[1:], torch.zeros_like(cut[:1])])

    from_x = share(x, weights, "ih").unbind()  # unbind, as the gradient of from_x[t] would be as large as x
    kept: dict[str, list[Tensor]] = {name: [] for name in (known.values if keep else ("h",))}
    for t in reversed(range(steps)) if reverse else range(steps):
        before = state if cut is None else tuple(torch.where(cut[t], 0, s) for s in state)
        h = before[0] if recurrent_mask is None else before[0] * recurrent_mask
        new = step(from_x[t], h, before, weights, clip=clip)
        for name, old, p in zip(known.state, before, zoneout, strict=False):
            new[name] = zoned(new[name], old, p[t] if isinstance(p, Tensor) else p)
        state = tuple(new[name] for name in known.state)
        if valid is not None:
            state = tuple(torch.where(valid[t], s, old) for s, old in zip(state, before, strict=True))
        for name, values in kept.items():
            values.append(new[name])

    stacked = {name: torch.stack(values[::-1] if reverse else values) for name, values in kept.items()}
    if valid is not None:
        stacked = {name: torch.where(valid, value, 0) for name, value in stacked.items()}
    return stacked, state
