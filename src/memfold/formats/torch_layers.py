"""Recurrent layers in a state dict of PyTorch, as ``torch.save`` or safetensors wrote it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memfold.errors import InputError
from memfold.formats.stored import Array, StoredLayer

__all__ = ["read_torch"]

FIRST = "weight_ih_l0"
BY_GATES = {4: "lstm", 3: "gru", 1: "rnn_tanh"}
NESTED = ("state_dict", "model_state_dict", "model")  # where checkpoints keep it
NAMES = ("weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l", "weight_hr_l", "weight_ph_l", "ln_ih_l", "ln_hh_l",
         "ln_c_l")  # fmt: skip


def read_torch(path: Path, cells: Mapping[str, str]) -> Iterator[tuple[str, StoredLayer]]:
    """The layers by their names in the state dict; a layer that is the whole of it is called ``""``.

    Args:
        cells: what the shapes do not tell, by name: ``rnn_relu``, ``coupled_lstm`` or ``gru_reset_before``.

    Raises:
        InputError: the file cannot be read.
    """
    tensors = _tensors(path)
    for prefix in sorted(name.removesuffix(FIRST) for name in tensors if name.endswith(FIRST)):
        arrays = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        weights = {name: value for name, value in arrays.items() if name.startswith(NAMES)}
        name = prefix.removesuffix(".")
        yield (
            name,
            StoredLayer(f"{path}: {name or 'the layer'}", cells.get(name) or _cell(path, name, weights), weights),
        )


def _cell(path: Path, name: str, weights: Mapping[str, Array]) -> str:
    rows, units = len(weights[FIRST]), weights["weight_hr_l0" if "weight_hr_l0" in weights else "weight_hh_l0"].shape[1]
    gates = rows / units
    if gates == 3 and "weight_ph_l0" in weights:
        return "coupled_lstm"
    if gates not in BY_GATES:
        raise InputError(f"{path}: {name}: {rows} rows for {units} units are no LSTM's, GRU's or plain RNN's")
    return BY_GATES[int(gates)]


def _tensors(path: Path) -> dict[str, Array]:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path}: not readable as safetensors ({error})") from None
    import torch

    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of pickle, zipfile, torch
        raise InputError(
            f"{path}: not readable as tensors alone ({' '.join(str(error).split())[:200]}); save a state dict: "
            "torch.save(model.state_dict(), FILE)"
        ) from None
    for key in NESTED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected a state dict")
    tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    return {name: _array(value.detach()) for name, value in tensors.items()}


def _array(tensor: Any) -> Array:
    import torch

    exact = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    return np.asarray(exact.numpy())
