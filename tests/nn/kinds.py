"""The layers' cells, by class and options, for the tests that run over all of them.

A new class comes in by itself; a new option of one has a line here.
"""

from typing import Any

from memfold import nn
from memfold.call import KEPT
from memfold.nn.layer import Recurrent

Kind = tuple[str, dict[str, Any]]

PLAIN: list[Kind] = [(name, {}) for name in nn.__all__ if issubclass(getattr(nn, name), Recurrent)]
EVERY: list[Kind] = [
    *PLAIN,
    ("LSTM", {"peephole": True}),
    ("LSTM", {"coupled": True}),
    ("LSTM", {"coupled": True, "peephole": True}),
    ("GRU", {"reset_after": False}),
    ("RNN", {"nonlinearity": "relu"}),
]
SERVED: list[Kind] = [(name, options) for name, options in EVERY if getattr(nn, name)(1, 1, **options).cell in KEPT]
