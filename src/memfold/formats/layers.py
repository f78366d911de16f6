"""Recurrent layers out of the files of PyTorch, ONNX and Keras."""

import importlib
from collections.abc import Mapping
from pathlib import Path

from memfold.errors import InputError
from memfold.formats.stored import OPTIONS, layer_of
from memfold.nn.layer import Recurrent

__all__ = ["load_weights"]

READERS = {  # suffix -> module:function, and the package that it needs
    ".pt": ("torch_layers:read_torch", "torch"),
    ".pth": ("torch_layers:read_torch", "torch"),
    ".bin": ("torch_layers:read_torch", "torch"),
    ".ckpt": ("torch_layers:read_torch", "torch"),
    ".safetensors": ("torch_layers:read_torch", "safetensors"),
    ".onnx": ("onnx_layers:read_onnx", "onnx"),
    ".keras": ("keras_layers:read_keras", "h5py"),
}


def load_weights(path: str | Path, *, cells: Mapping[str, str] | None = None) -> dict[str, Recurrent]:
    """Every recurrent layer in a file of PyTorch, ONNX or Keras 3, as a layer of `memfold.nn` with its weights.

    Args:
        path: a state dict (``.pt``, ``.pth``, ``.bin``, ``.ckpt``, ``.safetensors``), an ONNX model (``.onnx``) or a
            model of Keras 3 (``.keras``).
        cells: of a state dict, which tells a layer's cell by shapes alone, what these do not tell: by the layer's name
            ``"rnn_relu"``, ``"coupled_lstm"`` or ``"gru_reset_before"``; else it is ``rnn_tanh`` or ``gru``.

    Returns:
        The layers by their names there, in evaluation mode: ``LSTM``, ``GRU`` or ``RNN``. Layers of Keras are
        ``batch_first``, as x is there.

    Raises:
        InputError: a file that cannot be read, without recurrent layers, or with one that memfold does not have; an
            unknown cell, or a name in ``cells`` that the file does not hold.

    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "tagger.pt"
    >>> torch.save({"lstm.weight_ih_l0": torch.zeros(8, 3), "lstm.weight_hh_l0": torch.zeros(8, 2)}, path)
    >>> load_weights(path)
    {'lstm': LSTM(3, 2, bias=False)}
    """
    path, cells = Path(path), cells or {}
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix not in READERS:
        raise InputError(f"{path}: expected a name that ends in {', '.join(READERS)}")
    for name, cell in cells.items():
        if cell not in OPTIONS:
            raise InputError(f"cells: {name!r} is {cell!r}, expected one of {', '.join(OPTIONS)}")
    (module, _, function), package = READERS[path.suffix][0].partition(":"), READERS[path.suffix][1]
    try:
        importlib.import_module(package)
    except ModuleNotFoundError:
        raise InputError(f"{path}: reading it needs {package}: pip install {package}") from None
    read = getattr(importlib.import_module(f"memfold.formats.{module}"), function)
    layers = {name: layer_of(stored) for name, stored in read(path, cells)}
    if not layers:
        raise InputError(f"{path}: holds no LSTM, GRU or plain RNN")
    if unknown := sorted(cells.keys() - layers.keys()):
        raise InputError(f"cells: {path} has no layer {unknown[0]!r}; it has {', '.join(map(repr, layers))}")
    return layers
