"""Cells to take in the hand: a weight matrix per gate, one step forward, one step back, the gradients by name.

They own weights only; every formula is the functional cells'.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from memfold.cells.folding import fold, fold_backward
from memfold.cells.step import Array, Values, Weights
from memfold.cells.table import CELLS


class _LearnersCell:
    """A matrix ``W_* (I+H, H)`` per gate for the joined row ``[x, h_prev]``, and a bias ``b_* (1, H)``.

    The rows of x start uniform (Glorot & Bengio 2010), those of h orthogonal (Saxe et al. 2014), the biases at 0.
    """

    cell: str  # the functional cell
    gates: ClassVar[tuple[str, ...]]  # in torch's order

    def __init__(self, input_size: int, hidden_size: int, seed: int = 0) -> None:
        self.input_size, self.hidden_size = input_size, hidden_size
        rng = np.random.default_rng(seed)
        limit = np.sqrt(6 / (input_size + hidden_size))
        for gate in self.gates:
            from_x = rng.uniform(-limit, limit, (input_size, hidden_size))
            from_h, _ = np.linalg.qr(rng.standard_normal((hidden_size, hidden_size)))
            setattr(self, f"W_{gate}", np.concatenate([from_x, from_h]))
            setattr(self, f"b_{gate}", np.zeros((1, hidden_size)))

    def parameters(self) -> Values:
        """The weights themselves by name, to be changed in place."""
        return {f"{kind}_{gate}": getattr(self, f"{kind}_{gate}") for kind in "Wb" for gate in self.gates}

    def weights(self) -> Values:
        """The same weights joined in torch's layout, as :func:`fold` and :func:`trace` take them."""
        joined = np.concatenate([getattr(self, f"W_{gate}") for gate in self.gates], axis=1).T  # (G*H, I+H)
        bias = np.concatenate([getattr(self, f"b_{gate}") for gate in self.gates], axis=1)[0]
        return {"weight_ih": joined[:, : self.input_size], "weight_hh": joined[:, self.input_size :], "bias_ih": bias}

    def gradients(self, by_weight: Weights) -> Values:
        """Derivatives by :meth:`weights` under the names of :meth:`parameters`."""
        joined = np.concatenate([by_weight["weight_ih"], by_weight["weight_hh"]], axis=1).T  # (I+H, G*H)
        W = np.split(joined, len(self.gates), axis=1)
        b = np.split(by_weight["bias_ih"][None], len(self.gates), axis=1)
        return {f"W_{gate}": d for gate, d in zip(self.gates, W, strict=True)} | {
            f"b_{gate}": d for gate, d in zip(self.gates, b, strict=True)
        }

    def _forward(self, x: ArrayLike, *state: ArrayLike) -> list[Array]:
        rows, shape = self._rows(x)
        new = CELLS[self.cell].step(rows, *self._states(state, len(rows)), self.weights())
        return [new[name].reshape(shape) for name in CELLS[self.cell].state]

    def _backward(self, x: ArrayLike, *states: ArrayLike) -> tuple[Array, list[Array], Values]:
        """States: those before the step, then the derivatives by those after it."""
        rows, shape = self._rows(x)
        arrays = self._states(states, len(rows))
        before, after = arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]
        d = CELLS[self.cell].backward(rows, *before, self.weights(), *after)
        return d.x.reshape(np.shape(x)), [s.reshape(shape) for s in d.state], self.gradients(d.weights)

    def _rows(self, x: ArrayLike) -> tuple[Array, tuple[int, ...]]:
        """x as ``(B, I)``, and the shape of the states to hand back."""
        array = np.asarray(x, float)
        if array.ndim not in (1, 2) or array.shape[-1] != self.input_size:
            raise ValueError(f"x must be ({self.input_size},) or (B, {self.input_size}), got shape {array.shape}")
        return np.atleast_2d(array), (*array.shape[:-1], self.hidden_size)

    def _states(self, states: tuple[ArrayLike, ...], batch: int) -> list[Array]:
        """Every state as ``(B, H)``; one of ``(H,)`` or ``(1, H)`` serves all rows."""
        for state in map(np.shape, states):
            if state not in [(self.hidden_size,), (1, self.hidden_size), (batch, self.hidden_size)]:
                raise ValueError(f"a state must be ({self.hidden_size},) or {(batch, self.hidden_size)}, got {state}")
        return [np.broadcast_to(np.asarray(state, float), (batch, self.hidden_size)) for state in states]


class _HiddenStateCell(_LearnersCell):
    """A cell whose state is h alone."""

    def forward(self, x: ArrayLike, h_prev: ArrayLike) -> Array:
        """One step: x ``(I,)`` or ``(B, I)`` and h_prev to h, ``(H,)`` or ``(B, H)`` as x has it.

        Raises:
            ValueError: a shape that does not fit.
        """
        (h,) = self._forward(x, h_prev)
        return h

    def backward(self, x: ArrayLike, h_prev: ArrayLike, dh: ArrayLike) -> tuple[Array, Array, Values]:
        """The same step backwards, one step of back-propagation through time.

        Args:
            x, h_prev: as they went forward.
            dh: derivative of the loss by h.

        Returns:
            The derivatives by x, by h_prev, to be handed to the step before, and by the weights, by name.

        Raises:
            ValueError: a shape that does not fit.
        """
        dx, (dh_prev,), by_name = self._backward(x, h_prev, dh)
        return dx, dh_prev, by_name


class RNNCell(_HiddenStateCell):
    """A simple recurrent cell, ``h = tanh([x, h_prev] W_h + b_h)``: see :func:`rnn`.

    Args:
        input_size: I.
        hidden_size: H.
        seed: of the initial weights.

    Attributes:
        W_h: ``(I+H, H)``, for x and h_prev joined.
        b_h: ``(1, H)``.

    >>> cell = RNNCell(input_size=3, hidden_size=2)
    >>> cell.forward(np.zeros(3), np.zeros(2))
    array([0., 0.])
    """

    cell, gates = "rnn_tanh", ("h",)
    W_h: Array
    b_h: Array


class GRUCell(_HiddenStateCell):
    """A gated recurrent unit: see :func:`gru`.

    Args:
        input_size: I.
        hidden_size: H.
        seed: of the initial weights.
        reset_after: whether the reset gate acts after the product with h, as in torch, or before it.

    Attributes:
        W_r, W_z, W_n: ``(I+H, H)``, reset gate, update gate and candidate, for x and h_prev joined.
        b_r, b_z, b_n: ``(1, H)``.

    >>> cell = GRUCell(input_size=3, hidden_size=2)
    >>> cell.b_z += 100  # an open update gate keeps the state
    >>> cell.forward(np.zeros(3), np.array([0.5, -0.5]))
    array([ 0.5, -0.5])
    """

    gates = ("r", "z", "n")
    W_r: Array
    W_z: Array
    W_n: Array
    b_r: Array
    b_z: Array
    b_n: Array

    def __init__(self, input_size: int, hidden_size: int, seed: int = 0, reset_after: bool = True) -> None:
        super().__init__(input_size, hidden_size, seed)
        self.cell = "gru" if reset_after else "gru_reset_before"


class LSTMCell(_LearnersCell):
    """Long short-term memory: see :func:`lstm`.

    Args:
        input_size: I.
        hidden_size: H.
        seed: of the initial weights.

    Attributes:
        W_i, W_f, W_o, W_c: ``(I+H, H)``, input, forget and output gate and candidate, for x and h_prev joined.
        b_i, b_f, b_o, b_c: ``(1, H)``. b_f starts at 1 (Jozefowicz, Zaremba & Sutskever 2015), the others at 0.

    >>> cell = LSTMCell(input_size=3, hidden_size=2)
    >>> h, c = cell.forward(np.ones((5, 3)), np.zeros((5, 2)), np.zeros((5, 2)))
    >>> h.shape, c.shape
    ((5, 2), (5, 2))
    """

    cell, gates = "lstm", ("i", "f", "c", "o")
    W_i: Array
    W_f: Array
    W_c: Array
    W_o: Array
    b_i: Array
    b_f: Array
    b_c: Array
    b_o: Array

    def __init__(self, input_size: int, hidden_size: int, seed: int = 0) -> None:
        super().__init__(input_size, hidden_size, seed)
        self.b_f += 1

    def forward(self, x: ArrayLike, h_prev: ArrayLike, c_prev: ArrayLike) -> tuple[Array, Array]:
        """One step: x ``(I,)`` or ``(B, I)``, h_prev and c_prev to h and c, ``(H,)`` or ``(B, H)`` as x has it.

        Raises:
            ValueError: a shape that does not fit.
        """
        h, c = self._forward(x, h_prev, c_prev)
        return h, c

    def backward(
        self, x: ArrayLike, h_prev: ArrayLike, c_prev: ArrayLike, dh: ArrayLike, dc: ArrayLike
    ) -> tuple[Array, Array, Array, Values]:
        """The same step backwards, one step of back-propagation through time.

        Args:
            x, h_prev, c_prev: as they went forward.
            dh, dc: derivatives of the loss by h and c.

        Returns:
            The derivatives by x, by h_prev and c_prev, to be handed to the step before, and by the weights, by name.

        Raises:
            ValueError: a shape that does not fit.

        >>> cell = LSTMCell(input_size=1, hidden_size=1)
        >>> cell.b_f += 100  # an open forget gate carries the error back unchanged
        >>> cell.backward([0.0], [0.0], [2.0], dh=[0.0], dc=[1.0])[2]
        array([1.])
        """
        dx, (dh_prev, dc_prev), by_name = self._backward(x, h_prev, c_prev, dh, dc)
        return dx, dh_prev, dc_prev, by_name


class PeepholeLSTMCell(LSTMCell):
    """An LSTM whose gates see the cell: see :func:`lstm`. Used as :class:`LSTMCell`.

    Attributes:
        p_i, p_f, p_o: ``(1, H)``, the peepholes; they start at 0. The others as in :class:`LSTMCell`.

    >>> cell = PeepholeLSTMCell(input_size=3, hidden_size=2)
    >>> sorted(cell.parameters())
    ['W_c', 'W_f', 'W_i', 'W_o', 'b_c', 'b_f', 'b_i', 'b_o', 'p_f', 'p_i', 'p_o']
    """

    def __init__(self, input_size: int, hidden_size: int, seed: int = 0) -> None:
        super().__init__(input_size, hidden_size, seed)
        self.p_i, self.p_f, self.p_o = (np.zeros((1, hidden_size)) for _ in range(3))

    def parameters(self) -> Values:
        """The weights themselves by name, to be changed in place."""
        return super().parameters() | {"p_i": self.p_i, "p_f": self.p_f, "p_o": self.p_o}

    def weights(self) -> Values:
        """The same weights joined in torch's layout, as :func:`fold` and :func:`trace` take them."""
        return super().weights() | {"weight_ph": np.concatenate([self.p_i, self.p_f, self.p_o], axis=1)[0]}

    def gradients(self, by_weight: Weights) -> Values:
        """Derivatives by :meth:`weights` under the names of :meth:`parameters`."""
        p_i, p_f, p_o = np.split(by_weight["weight_ph"][None], 3, axis=1)
        return super().gradients(by_weight) | {"p_i": p_i, "p_f": p_f, "p_o": p_o}


class Bidirectional:
    """Two cells that read a sequence from its two ends: see :func:`bidirectional`.

    Args:
        forward_cell: reads from the first step to the last.
        reverse_cell: reads from the last step to the first.

    >>> both = Bidirectional(LSTMCell(3, 2, seed=0), LSTMCell(3, 2, seed=1))
    >>> both.forward(np.zeros((7, 3))).shape
    (7, 4)
    """

    def __init__(self, forward_cell: _LearnersCell, reverse_cell: _LearnersCell) -> None:
        self.forward_cell, self.reverse_cell = forward_cell, reverse_cell

    def forward(self, x: ArrayLike) -> Array:
        """A whole sequence: x ``(T, I)`` or ``(T, B, I)`` to the hidden values, ``(T, 2H)`` or ``(T, B, 2H)``.

        Raises:
            ValueError: a shape that does not fit.
        """
        batch = _batched(x)
        ahead, _ = fold(self.forward_cell.cell, batch, self.forward_cell.weights())
        back, _ = fold(self.reverse_cell.cell, batch, self.reverse_cell.weights(), reverse=True)
        return np.concatenate([ahead, back], axis=-1).reshape(*np.shape(x)[:-1], -1)

    def backward(self, x: ArrayLike, dy: ArrayLike) -> tuple[Array, Values, Values]:
        """Derivatives by x and by the weights of both cells, from those by what forward gave, in its shape.

        Raises:
            ValueError: a shape that does not fit.
        """
        batch, dy = _batched(x), _batched(dy)
        d_ahead, d_back = np.split(dy, [self.forward_cell.hidden_size], axis=-1)
        ahead = fold_backward(self.forward_cell.cell, batch, self.forward_cell.weights(), d_ahead)
        back = fold_backward(self.reverse_cell.cell, batch, self.reverse_cell.weights(), d_back, reverse=True)
        dx = (ahead.x + back.x).reshape(np.shape(x))
        return dx, self.forward_cell.gradients(ahead.weights), self.reverse_cell.gradients(back.weights)


def _batched(x: ArrayLike) -> Array:
    """``(T, B, ·)`` from ``(T, ·)`` too."""
    array = np.asarray(x, float)
    return array[:, None] if array.ndim == 2 else array
