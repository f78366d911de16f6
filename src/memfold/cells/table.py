"""The cells: one record for each, which every other part of memfold reads.

The engine says of its own cells which values of a step it keeps (``engine.KEPT``), and torch's operators have a formula
for each in ``nn/composition.py``; whatever else a cell is stands here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from memfold.cells.gradient import Gradients, gru_backward, lstm_backward, rnn_backward
from memfold.cells.step import Values, gru, lstm, rnn

__all__ = ["CELLS", "Cell"]


@dataclass(frozen=True)
class Cell:
    """What a fold must know of a cell.

    Attributes:
        step: one step in NumPy.
        backward: the same step backwards.
        gates: the blocks of H rows in ``weight_ih`` and ``weight_hh``, in their order.
        values: what a step returns, in its order.
        state: those of them that the next step receives; the first is h.
        peepholes: the gates that see the cell where the weights hold ``weight_ph``, in its order. A cell that has some
            may also have a projection and layer normalization.
        complements: values that are 1 minus another one, which alone is kept.
    """

    step: Callable[..., Values]
    backward: Callable[..., Gradients]
    gates: tuple[str, ...]
    values: tuple[str, ...]
    state: tuple[str, ...]
    peepholes: tuple[str, ...] = ()
    complements: Mapping[str, str] = field(default_factory=dict)

    def shapes(self, input_size: int, hidden: int, output: int) -> dict[str, tuple[int, ...]]:
        """Shapes of every weight that the cell may have in one direction, by name, torch's own first.

        Args:
            output: P of a projection, else H.

        >>> CELLS["gru"].shapes(input_size=3, hidden=2, output=2)
        {'weight_ih': (6, 3), 'weight_hh': (6, 2), 'bias_ih': (6,), 'bias_hh': (6,)}
        """
        rows = len(self.gates) * hidden
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size), "weight_hh": (rows, output)}
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.peepholes:
            shapes |= {"weight_hr": (output, hidden), "weight_ph": (len(self.peepholes) * hidden,)}
            shapes |= {"ln_ih": (rows,), "ln_hh": (rows,), "ln_c": (hidden,)}
        return shapes


_LSTM_VALUES, _GRU_VALUES = ("i", "f", "g", "o", "c", "h"), ("r", "z", "n", "h")
CELLS = {
    "rnn_tanh": Cell(rnn, rnn_backward, ("h",), ("h",), ("h",)),
    "rnn_relu": Cell(
        partial(rnn, nonlinearity="relu"), partial(rnn_backward, nonlinearity="relu"), ("h",), ("h",), ("h",)
    ),
    "lstm": Cell(lstm, lstm_backward, ("i", "f", "g", "o"), _LSTM_VALUES, ("h", "c"), peepholes=("i", "f", "o")),
    "coupled_lstm": Cell(
        partial(lstm, coupled=True),
        partial(lstm_backward, coupled=True),
        ("i", "g", "o"),
        _LSTM_VALUES,
        ("h", "c"),
        peepholes=("i", "o"),
        complements={"f": "i"},
    ),
    "gru": Cell(gru, gru_backward, ("r", "z", "n"), _GRU_VALUES, ("h",)),
    "gru_reset_before": Cell(
        partial(gru, reset_after=False), partial(gru_backward, reset_after=False), ("r", "z", "n"), _GRU_VALUES, ("h",)
    ),
}
