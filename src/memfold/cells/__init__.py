"""Recurrent cells in plain NumPy: the readable specification of memfold, and the oracle of its tests.

- One step of a cell: :func:`rnn`, :func:`lstm`, :func:`gru`, and their derivatives :func:`rnn_backward`,
  :func:`lstm_backward`, :func:`gru_backward`.
- A whole sequence: :func:`fold`, :func:`bidirectional`, :func:`trace`, :func:`fold_backward`.
- Cells to learn with: :class:`LSTMCell`, :class:`PeepholeLSTMCell`, :class:`GRUCell`, :class:`RNNCell`,
  :class:`Bidirectional`.
"""

from memfold.cells.folding import bidirectional, fold, fold_backward, trace
from memfold.cells.gradient import Gradients, gru_backward, lstm_backward, rnn_backward
from memfold.cells.learn import Bidirectional, GRUCell, LSTMCell, PeepholeLSTMCell, RNNCell
from memfold.cells.step import gru, lstm, rnn, sigmoid

__all__ = [
    "Bidirectional",
    "GRUCell",
    "Gradients",
    "LSTMCell",
    "PeepholeLSTMCell",
    "RNNCell",
    "bidirectional",
    "fold",
    "fold_backward",
    "gru",
    "gru_backward",
    "lstm",
    "lstm_backward",
    "rnn",
    "rnn_backward",
    "sigmoid",
    "trace",
]
