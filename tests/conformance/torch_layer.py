"""One layer of torch.nn with given weights: the oracle for what torch has."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Array = NDArray[Any]


def build(cell: str, weights: Mapping[str, Array]) -> torch.nn.RNNBase:
    """The torch.nn layer of one of rnn_tanh, rnn_relu, lstm and gru, with these weights, in their dtype."""
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(cell, torch.nn.RNN)
    own: dict[str, Any] = {"nonlinearity": cell.removeprefix("rnn_")} if kind is torch.nn.RNN else {}
    hidden_size = weights["weight_hh"].shape[1]
    if "weight_hr" in weights:
        own["proj_size"], hidden_size = weights["weight_hr"].shape
    layer = kind(
        weights["weight_ih"].shape[1],
        hidden_size,
        bias="bias_ih" in weights,
        bidirectional="weight_ih_reverse" in weights,
        dtype=torch.from_numpy(weights["weight_ih"]).dtype,
        **own,
    )
    layer.load_state_dict({_layer_0(name): torch.from_numpy(w) for name, w in weights.items()})
    return layer


def run(
    layer: torch.nn.RNNBase, x: Array, state: Sequence[Array] | None = None, lengths: Sequence[int] | None = None
) -> tuple[Array, tuple[Array, ...]]:
    """``y (T, B, D*H)`` and the final state, each ``(D, B, H)``; lengths, all above 0, go through a PackedSequence."""
    tensors = None if state is None else tuple(torch.from_numpy(s.astype(x.dtype)) for s in state)
    hx = tensors[0] if tensors is not None and len(tensors) == 1 else tensors
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        if lengths is None:
            y, final = layer(torch.from_numpy(x), hx)
        else:
            packed, final = layer(pack_padded_sequence(torch.from_numpy(x), lengths, enforce_sorted=False), hx)
            y, _ = pad_packed_sequence(packed, total_length=len(x))
    return np.asarray(y), tuple(np.asarray(s) for s in (final if isinstance(final, tuple) else (final,)))


def _layer_0(name: str) -> str:
    """``weight_ih_l0_reverse`` from ``weight_ih_reverse``."""
    stem = name.removesuffix("_reverse")
    return f"{stem}_l0{name.removeprefix(stem)}"
