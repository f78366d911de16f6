"""A cell folded over a sequence, forward and backward, in one direction or both."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from memfold.cells.arguments import (
    Folding,
    Zoneout,
    checked_clip,
    checked_state,
    checked_zoneout,
    refuse_unnamed,
    sizes,
)
from memfold.cells.gradient import Gradients
from memfold.cells.step import Array, Values

__all__ = ["bidirectional", "fold", "fold_backward", "trace"]


def fold(
    cell: str,
    x: Array,
    weights: Mapping[str, ArrayLike],
    state: Sequence[ArrayLike] | None = None,
    *,
    lengths: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    reverse: bool = False,
    clip: float | None = None,
    zoneout: Zoneout = 0.0,
) -> tuple[Array, tuple[Array, ...]]:
    """Fold a cell over a sequence: one layer in one direction.

    Args:
        cell: ``"rnn_tanh"``, ``"rnn_relu"``, ``"lstm"``, ``"coupled_lstm"``, ``"gru"`` (reset after the product, as
            torch) or ``"gru_reset_before"``. An LSTM has peepholes, a projection or layer normalization when its
            weights hold ``weight_ph``, ``weight_hr`` or ``ln_ih``, ``ln_hh`` and ``ln_c``.
        x: input, float32 or float64, ``(T, B, I)``.
        weights: as :func:`rnn`, :func:`lstm` and :func:`gru` take them; used in x's dtype.
        state: initial ``(h,)``, for LSTMs ``(h, c)``, each ``(B, H)``; zeros when None.
        lengths: steps of each row, ``(B,)`` integers from 0 to T; what x holds past them changes nothing.
        resets: ``(T, B)`` bool. True at t cuts the sequence between t-1 and t: the state is set to 0 there, before step
            t when folding forward, before step t-1 in reverse. At 0 it drops the initial state of a forward fold; past
            a row's length it changes nothing.
        reverse: start at each row's last step and end at its first; ``y[t]`` still belongs to ``x[t]``.
        clip: bound of every pre-activation.
        zoneout: probability that a unit keeps its value of the step before (Krueger et al. 2017), of which this is the
            expectation; one number for h and c or a pair ``(h, c)``.

    Returns:
        ``y (T, B, H)``, 0 past a row's length, and the state after each row's last step, in the form of ``state``. A
        row of length 0 keeps its initial state.

    Raises:
        ValueError: an unknown cell, a weight that is missing or foreign to it, a shape or value that does not fit.
        TypeError: x not float32 or float64, lengths not integers, resets not bool.

    >>> running_sum = {"weight_ih": np.ones((1, 1)), "weight_hh": np.ones((1, 1))}
    >>> x = np.array([1.0, 2.0, 3.0, 4.0])[:, None, None]
    >>> y, (h,) = fold("rnn_relu", x, running_sum)
    >>> y.ravel(), h
    (array([ 1.,  3.,  6., 10.]), array([[10.]]))
    >>> fold("rnn_relu", x, running_sum, lengths=[3], reverse=True)[0].ravel()
    array([6., 5., 3., 0.])
    """
    sequence = Folding.checked(cell, x, weights, state, lengths, resets, reverse)
    values, _, final = _run(sequence, clip, zoneout)
    return values["h"], final


def trace(
    cell: str,
    x: Array,
    weights: Mapping[str, ArrayLike],
    state: Sequence[ArrayLike] | None = None,
    *,
    lengths: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    reverse: bool = False,
    clip: float | None = None,
    zoneout: Zoneout = 0.0,
) -> Values:
    """Every gate, cell and hidden value of a fold.

    Args and errors: as :func:`fold`.

    Returns:
        ``(T, B, H)`` arrays by name, 0 past a row's length: ``i f g o c h`` of an LSTM, ``r z n h`` of a GRU, ``h`` of
        an RNN. ``h`` is ``(T, B, P)`` with a projection. Under zoneout c and h are those that the next step receives.

    >>> weights = {"weight_ih": np.zeros((4, 1)), "weight_hh": np.zeros((4, 1))}
    >>> {name: value.item() for name, value in trace("lstm", np.ones((1, 1, 1)), weights).items()}
    {'i': 0.5, 'f': 0.5, 'g': 0.0, 'o': 0.5, 'c': 0.0, 'h': 0.0}
    """
    values, _, _ = _run(Folding.checked(cell, x, weights, state, lengths, resets, reverse), clip, zoneout)
    return values


def fold_backward(
    cell: str,
    x: Array,
    weights: Mapping[str, ArrayLike],
    dy: Array,
    dstate: Sequence[ArrayLike] | None = None,
    state: Sequence[ArrayLike] | None = None,
    *,
    lengths: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    reverse: bool = False,
) -> Gradients:
    """Back-propagation through time: derivatives of a loss by all that went into :func:`fold`.

    Args:
        cell, x, weights, state, lengths, resets, reverse: as in :func:`fold`.
        dy: derivative of the loss by ``y``, ``(T, B, H)``; what it holds past a row's length changes nothing.
        dstate: derivative by the final state, in the form of ``state``; zeros when None.

    Returns:
        The derivatives by x ``(T, B, I)``, 0 past a row's length, by the initial state, and by each weight.

    Raises:
        ValueError, TypeError: as :func:`fold`.

    >>> running_sum = {"weight_ih": np.ones((1, 1)), "weight_hh": np.ones((1, 1))}
    >>> dy = np.array([0.0, 0.0, 1.0])[:, None, None]  # the loss is the last output
    >>> fold_backward("rnn_relu", np.ones((3, 1, 1)), running_sum, dy).x.ravel()
    array([1., 1., 1.])
    """
    sequence = Folding.checked(cell, x, weights, state, lengths, resets, reverse)
    _, received, final = _run(sequence, clip=None, zoneout=0.0)
    if np.shape(dy) != (*x.shape[:2], final[0].shape[-1]):
        raise ValueError(f"dy must be {(*x.shape[:2], final[0].shape[-1])}, got shape {np.shape(dy)}")
    running = checked_state(dstate, sequence.cell.state, [s.shape for s in final], x.dtype, "d")
    dx = np.zeros_like(sequence.x)
    by_weight = {name: np.zeros_like(w) for name, w in sequence.weights.items()}
    for t in reversed(sequence.order):
        here = sequence.valid[t, :, None]
        by_state = [np.where(here, d, 0) for d in running]
        by_state[0] = by_state[0] + np.where(here, dy[t], 0)
        before = [received[name][t] for name in sequence.cell.state]
        step = sequence.cell.backward(sequence.x[t], *before, sequence.weights, *by_state)
        dx[t] = step.x
        for name, gradient in step.weights.items():
            by_weight[name] += gradient
        cut = sequence.cut[t, :, None]
        running = [np.where(here, np.where(cut, 0, new), d) for new, d in zip(step.state, running, strict=True)]
    return Gradients(dx, tuple(running), by_weight)


def bidirectional(
    cell: str,
    x: Array,
    weights: Mapping[str, ArrayLike],
    state: Sequence[ArrayLike] | None = None,
    *,
    lengths: ArrayLike | None = None,
    resets: ArrayLike | None = None,
    clip: float | None = None,
    zoneout: Zoneout = 0.0,
) -> tuple[Array, tuple[Array, ...]]:
    """Two folds over the same input, one in each direction (Schuster & Paliwal 1997; Graves & Schmidhuber 2005).

    Args:
        cell, x, lengths, resets, clip, zoneout: as in :func:`fold`.
        weights: those of both directions, the backward one's with ``_reverse`` after their names, as torch names them.
        state: initial ``(h,)`` or ``(h, c)``, each ``(2, B, H)``: forward, backward.

    Returns:
        ``y (T, B, 2H)``, forward then backward, and the final states ``(2, B, H)``.

    Raises:
        ValueError, TypeError: as :func:`fold`.

    >>> running_sum = {name: np.ones((1, 1)) for name in ("weight_ih", "weight_hh")}
    >>> both = running_sum | {f"{name}_reverse": w for name, w in running_sum.items()}
    >>> y, (h,) = bidirectional("rnn_relu", np.array([1.0, 2.0, 3.0])[:, None, None], both)
    >>> y[:, 0]
    array([[1., 6.],
           [3., 5.],
           [6., 3.]])
    """
    refuse_unnamed(weights)
    directions = [
        {name: w for name, w in weights.items() if not name.endswith("_reverse")},
        {name.removesuffix("_reverse"): w for name, w in weights.items() if name.endswith("_reverse")},
    ]
    outputs, finals = [], []
    for d, direction in enumerate(directions):
        start = None if state is None else [np.asarray(s)[d] for s in state]
        y, final = fold(
            cell, x, direction, start, lengths=lengths, resets=resets, reverse=bool(d), clip=clip, zoneout=zoneout
        )
        outputs.append(y)
        finals.append(final)
    return np.concatenate(outputs, axis=-1), tuple(np.stack(both) for both in zip(*finals, strict=True))


def _run(sequence: Folding, clip: float | None, zoneout: Zoneout) -> tuple[Values, Values, tuple[Array, ...]]:
    """All values of the fold, the state that each step received, and the final state."""
    cell, state = sequence.cell, sequence.state
    checked_clip(clip)
    keep = checked_zoneout(cell, zoneout)
    hidden, output = sizes(sequence.weights)
    steps, batch, _ = sequence.x.shape
    dtype = sequence.x.dtype
    values = {name: np.zeros((steps, batch, output if name == "h" else hidden), dtype) for name in cell.values}
    received = {name: np.zeros_like(values[name]) for name in cell.state}
    for t in sequence.order:
        state = [np.where(sequence.cut[t, :, None], 0, s) for s in state]
        new = cell.step(sequence.x[t], *state, sequence.weights, clip=clip)
        for name, old in zip(cell.state, state, strict=True):
            received[name][t] = old
            if keep[name]:
                new[name] = keep[name] * old + (1 - keep[name]) * new[name]
        here = sequence.valid[t, :, None]
        for name in cell.values:
            values[name][t] = np.where(here, new[name], 0)
        state = [np.where(here, new[name], old) for name, old in zip(cell.state, state, strict=True)]
    return values, received, tuple(state)
