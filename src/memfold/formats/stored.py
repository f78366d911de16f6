"""A recurrent layer as it stands in somebody's file, and the layer of memfold that it becomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.cells.table import CELLS
from memfold.errors import InputError
from memfold.nn import GRU, LSTM, RNN
from memfold.nn.layer import Recurrent

__all__ = ["Array", "StoredLayer", "layer_of", "refuse", "reordered"]

Array = NDArray[Any]
OPTIONS: dict[str, tuple[type[Recurrent], dict[str, Any]]] = {
    "lstm": (LSTM, {}),
    "coupled_lstm": (LSTM, {"coupled": True}),
    "gru": (GRU, {}),
    "gru_reset_before": (GRU, {"reset_after": False}),
    "rnn_tanh": (RNN, {}),
    "rnn_relu": (RNN, {"nonlinearity": "relu"}),
}


@dataclass(frozen=True)
class StoredLayer:
    """A stack of layers of one cell.

    Attributes:
        where: file and layer, for errors.
        cell: a name in `CELLS`.
        weights: by torch's names, ``weight_ih_l0``, with ``_reverse`` of a second direction.
        clip: bound of the pre-activations.
        batch_first: whether its x is ``(B, T, I)``.
    """

    where: str
    cell: str
    weights: Mapping[str, Array]
    clip: float | None = None
    batch_first: bool = field(default=False, kw_only=True)


def refuse(where: str, what: str) -> InputError:
    """The error for what memfold's layers do not have."""
    return InputError(f"{where}: {what}, which no layer of memfold has")


def reordered(weight: Array, order: list[int]) -> Array:
    """The gates' blocks of rows in another order."""
    gates = np.split(weight, len(order))
    return np.concatenate([gates[k] for k in order])


def layer_of(stored: StoredLayer) -> Recurrent:
    """The layer with these weights, in evaluation mode.

    Raises:
        InputError: weights that are missing, too many, or of shapes that do not fit each other.
    """
    import torch

    w = stored.weights
    try:
        first, hidden = w["weight_ih_l0"], w["weight_hh_l0"]
    except KeyError as error:
        raise InputError(f"{stored.where}: has no {error.args[0]}") from None
    projected = "weight_hr_l0" in w
    size = w["weight_hr_l0"].shape[1] if projected else hidden.shape[-1]
    kind, options = OPTIONS[stored.cell]
    if first.ndim != 2 or first.shape[0] != len(CELLS[stored.cell].gates) * size:
        raise InputError(
            f"{stored.where}: weight_ih_l0 has shape {first.shape}, which is no {stored.cell} of {size} units"
        )
    if kind is LSTM:
        options = options | {
            "peephole": "weight_ph_l0" in w,
            "layer_norm": "ln_ih_l0" in w,
            "proj_size": hidden.shape[1] if projected else 0,
        }
    layers = 0
    while f"weight_ih_l{layers}" in w:
        layers += 1
    layer: Recurrent = kind(
        first.shape[1],
        size,
        num_layers=layers,
        bias="bias_ih_l0" in w,
        batch_first=stored.batch_first,
        bidirectional="weight_ih_l0_reverse" in w,
        clip=stored.clip,
        dtype=torch.float64 if first.dtype == np.float64 else torch.float32,
        **options,
    )
    state = {name: torch.from_numpy(np.array(value, first.dtype)) for name, value in w.items()}
    try:
        layer.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{stored.where}: {' '.join(str(error).split())}") from None
    return layer.eval()
