"""Recurrent layers in a model of Keras 3, a ``.keras`` file: its configuration beside its weights."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memfold.errors import InputError
from memfold.formats.stored import Array, StoredLayer, refuse, reordered

__all__ = ["read_keras"]

KINDS = ("LSTM", "GRU", "SimpleRNN")
# where torch's gates stand among those of Keras: i f g o there too, r z n from z r h
ORDER = {"LSTM": [0, 1, 2, 3], "GRU": [1, 0, 2], "SimpleRNN": [0]}
USUAL = {"activation": "tanh", "recurrent_activation": "sigmoid"}


def read_keras(path: Path, cells: Mapping[str, str]) -> Iterator[tuple[str, StoredLayer]]:
    """The layers by their names in the model; x of each is ``(B, T, I)``.

    Raises:
        InputError: the file cannot be read, or a layer has what memfold's layers do not have.
    """
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            stored = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not readable as a model of Keras 3 ({error})") from None
    with stored:
        weights = _weights_by_name(stored)
    for layer in _layers(config):
        kind, options = layer["class_name"], layer["config"]
        name = options["name"]
        where = f"{path}: {name}"
        if kind == "Bidirectional":
            if options.get("merge_mode") != "concat":
                raise refuse(where, f"merge_mode {options.get('merge_mode')!r}")
            parts = [options["layer"], options.get("backward_layer") or options["layer"]]
            if parts[0]["class_name"] not in KINDS:
                continue
            first, second = (weights.get(f"{name}/{part}") for part in ("forward_layer", "backward_layer"))
            yield name, _stored(where, parts[0], [first, second])
        elif kind in KINDS:
            if options.get("go_backwards"):
                raise refuse(where, "go_backwards alone")
            yield name, _stored(where, layer, [weights.get(name)])


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """The configurations of layers in a model's, of nested models too, in their order; those in a Bidirectional are its
    own."""
    if isinstance(config, dict):
        if config.get("class_name") in (*KINDS, "Bidirectional"):
            yield config
            return
        for entry in config.values():
            yield from _layers(entry)
    elif isinstance(config, list):
        for entry in config:
            yield from _layers(entry)


def _weights_by_name(stored: Any) -> dict[str, list[Array]]:
    """The arrays of every recurrent cell by its layer's name; of a Bidirectional, ``NAME/forward_layer``."""
    by_name: dict[str, list[Array]] = {}

    def visit(path: str, group: Any) -> None:
        if not path.endswith("/cell/vars"):
            return
        layer = path.removesuffix("/cell/vars")
        above, _, part = layer.rpartition("/")
        direction = part in ("forward_layer", "backward_layer")
        name = stored[f"{above if direction else layer}/vars"].attrs["name"]
        name = name.decode() if isinstance(name, bytes) else str(name)
        by_name[f"{name}/{part}" if direction else name] = [group[key][()] for key in sorted(group, key=int)]

    stored.visititems(visit)
    return by_name


def _stored(where: str, layer: Mapping[str, Any], directions: list[list[Array] | None]) -> StoredLayer:
    kind, options = layer["class_name"], layer["config"]
    for option, usual in USUAL.items():
        given = options.get(option, usual)
        if given != usual and not (kind == "SimpleRNN" and option == "activation" and given == "relu"):
            raise refuse(where, f"{option} {given!r}")
    cell = {"LSTM": "lstm", "SimpleRNN": f"rnn_{options['activation']}"}.get(kind, "gru")
    if kind == "GRU" and not options["reset_after"]:
        cell = "gru_reset_before"
    weights: dict[str, Array] = {}
    for suffix, arrays in zip(("", "_reverse"), directions, strict=False):
        if arrays is None:
            raise InputError(f"{where}: the file has no weights of it")
        kernel, recurrent, *bias = arrays
        weights[f"weight_ih_l0{suffix}"] = reordered(kernel.T, ORDER[kind])
        weights[f"weight_hh_l0{suffix}"] = reordered(recurrent.T, ORDER[kind])
        if bias:  # of a GRU that resets after the product one for each product, else one for both
            both = bias[0] if bias[0].ndim == 2 else np.stack([bias[0], np.zeros_like(bias[0])])
            for name, half in zip(("bias_ih", "bias_hh"), both, strict=True):
                weights[f"{name}_l0{suffix}"] = reordered(half, ORDER[kind])
    return StoredLayer(where, cell, weights, batch_first=True)
