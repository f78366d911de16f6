"""The networks that are compared: one recurrent layer of a kind, and a linear layer for the answer."""

import torch
from torch import Tensor, nn

from memfold.errors import InputError
from memfold.nn import GRU, LSTM, RNN
from memfold.nn.layer import Recurrent

__all__ = ["COMPARED_CELLS", "INITS", "Reader", "recurrent"]

COMPARED_CELLS = ("rnn", "lstm", "peephole", "gru")
INITS = ("chrono", "memfold", "torch", "orthogonal")


def recurrent(cell: str, inputs: int, hidden: int, init: str, lag: int) -> Recurrent:
    """One recurrent layer.

    Args:
        cell: of `COMPARED_CELLS`.
        init: of `INITS`. ``chrono`` prepares the gates for ``lag`` steps; a plain RNN, which has none, starts as
            memfold starts it, with an orthogonal matrix. ``orthogonal`` is torch's but for the recurrent matrices.

    Raises:
        InputError: an unknown ``init``.
    """
    if init not in INITS:
        raise InputError(f"--init: there is no {init!r}; there is {', '.join(INITS)}")
    known = {"orthogonal": "torch", "chrono": "memfold" if cell == "rnn" else f"chrono:{lag}"}.get(init, init)
    layer: Recurrent
    if cell == "rnn":
        layer = RNN(inputs, hidden, init=known)
    elif cell == "gru":
        layer = GRU(inputs, hidden, init=known)
    else:
        layer = LSTM(inputs, hidden, peephole=cell == "peephole", init=known)
    if init == "orthogonal":
        for name, weight in layer.named_parameters():
            if name.startswith("weight_hh"):
                for block in torch.split(weight.data, hidden):
                    nn.init.orthogonal_(block)
    return layer


class Reader(nn.Module):
    """Reads a sequence and answers at its last steps."""

    def __init__(self, layer: Recurrent, outputs: int) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(layer.hidden_size, outputs)

    def forward(self, x: Tensor, lengths: Tensor | None = None, steps: int = 1) -> Tensor:
        """The answers (K, B, outputs) at the last ``steps`` of x (T, B, I)."""
        h: Tensor = self.layer(x, lengths=lengths)[0]
        answers: Tensor = self.head(h[-steps:])
        return answers
