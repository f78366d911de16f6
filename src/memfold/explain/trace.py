"""Every gate, cell and hidden value of a network's recurrent layers in one call, as named arrays.

A file that ends in .npz holds for every layer, say ``lstm.l0``, the arrays ``lstm.l0/i`` and so on, ``(T, H)``; the
state it started from, ``lstm.l0/h0`` and ``lstm.l0/c0``, ``(H,)``; the names of its steps, ``lstm.l0/labels``; and for
all of them ``about``, a text of JSON:
``{"schema": 1, "layers": {"lstm.l0": {"cell": "lstm", "reverse": false, "plain": true}}}``.
A file that ends in .json holds the same object, in which each layer has ``labels``, ``values`` and ``start`` besides,
the latter two by name as nested lists.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from memfold.errors import InputError
from memfold.files import write_file
from memfold.nn import composition
from memfold.nn.layer import Recurrent

__all__ = ["Array", "LayerCall", "LayerTrace", "Trace", "calls_of", "recurrent_layers", "traced"]

Array = NDArray[np.floating[Any]]
SCHEMA = 1


@dataclass(frozen=True)
class LayerTrace:
    """One layer in one direction, over one sequence.

    Attributes:
        cell: as `memfold.cells` names it.
        reverse: whether it reads from the last step to the first.
        values: by name, ``i f g o c h`` of an LSTM, ``r z n h`` of a GRU, ``h`` of an RNN; (T, H), or (T, P) of
            a projection.
        start: the state before the first step that it reads, ``h`` and of an LSTM ``c``, (H,).
        labels: what each step is: a character, a word, a time; T of them.
        plain: whether nothing but the cell changed the state: no resets, no zoneout.
    """

    cell: str
    reverse: bool
    values: dict[str, Array]
    start: dict[str, Array]
    labels: list[str]
    plain: bool = True


@dataclass(frozen=True)
class Trace:
    """The layers of a network by name: the module's path, and ``l0``, ``l0_reverse``, ``l1`` ... within it."""

    layers: dict[str, LayerTrace]

    def save(self, path: str | Path) -> None:
        """Write the trace, as the module's head describes it.

        Raises:
            InputError: the name ends neither in .npz nor in .json.
        """
        path = Path(path)
        if path.suffix == ".npz":
            arrays = {"about": np.array(json.dumps(self._about()))}
            for name, layer in self.layers.items():
                arrays |= {f"{name}/{key}": value for key, value in layer.values.items()}
                arrays |= {f"{name}/{key}0": value for key, value in layer.start.items()}
                arrays[f"{name}/labels"] = np.array(layer.labels, dtype=np.str_)

            def write(aside: Path) -> None:
                with open(aside, "wb") as file:  # a name alone would be given an end of its own
                    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

        elif path.suffix == ".json":

            def write(aside: Path) -> None:
                aside.write_text(json.dumps(self._about(full=True), ensure_ascii=False), encoding="utf-8")

        else:
            raise InputError(f"{path}: a trace's name ends in .npz or .json")
        write_file(path, write)

    def _about(self, full: bool = False) -> dict[str, Any]:
        layers: dict[str, dict[str, Any]] = {}
        for name, layer in self.layers.items():
            layers[name] = {"cell": layer.cell, "reverse": layer.reverse, "plain": layer.plain}
            if full:
                layers[name] |= {
                    "labels": layer.labels,
                    "values": {key: value.tolist() for key, value in layer.values.items()},
                    "start": {key: value.tolist() for key, value in layer.start.items()},
                }
        return {"schema": SCHEMA, "layers": layers}

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        """Read what `save` wrote.

        Raises:
            InputError: the file is no trace.
        """
        path = Path(path)
        try:
            if path.suffix == ".json":
                return cls._from_json(json.loads(path.read_text(encoding="utf-8")))
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls._from_arrays(dict(arrays))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (KeyError, ValueError, TypeError, AttributeError, OSError, EOFError, BadZipFile) as error:
            raise InputError(f"{path}: not a trace of memfold's ({error})") from None

    @classmethod
    def _from_json(cls, content: dict[str, Any]) -> "Trace":
        _check_schema(content)
        layers = {}
        for name, layer in content["layers"].items():
            values, start = (
                {key: np.array(value, np.float32) for key, value in layer[part].items()} for part in ("values", "start")
            )
            layers[name] = LayerTrace(layer["cell"], layer["reverse"], values, start, layer["labels"], layer["plain"])
        return cls(layers)

    @classmethod
    def _from_arrays(cls, arrays: dict[str, Any]) -> "Trace":
        about = json.loads(str(arrays.pop("about")))
        _check_schema(about)
        layers = {}
        for name, layer in about["layers"].items():
            cell = composition.CELLS[layer["cell"]]
            values = {key: arrays[f"{name}/{key}"] for key in cell.values}
            start = {key: arrays[f"{name}/{key}0"] for key in cell.state}
            labels = [str(label) for label in arrays[f"{name}/labels"]]
            layers[name] = LayerTrace(layer["cell"], layer["reverse"], values, start, labels, layer["plain"])
        return cls(layers)


def _check_schema(content: dict[str, Any]) -> None:
    if content["schema"] != SCHEMA:
        raise ValueError(f"schema {content['schema']!r}; this memfold reads {SCHEMA}")


@dataclass(frozen=True)
class LayerCall:
    """A layer's call: its name within the network, and what it was given."""

    name: str
    layer: Recurrent
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    @property
    def state(self) -> Any:
        """The initial state that was given, or None."""
        return self.arguments[1] if len(self.arguments) > 1 else self.options.get("hx")


def recurrent_layers(network: nn.Module) -> dict[str, Recurrent]:
    """The network's recurrent layers by their paths; a network that is one itself has the path ``""``."""
    return {name: module for name, module in network.named_modules() if isinstance(module, Recurrent)}


@contextmanager
def calls_of(network: nn.Module) -> Iterator[list[LayerCall]]:
    """While open, every call of a recurrent layer of the network is added to the list."""
    calls: list[LayerCall] = []
    hooks = []
    for name, layer in recurrent_layers(network).items():

        def hook(module: nn.Module, arguments: Any, options: Any, name: str = name, layer: Recurrent = layer) -> None:
            calls.append(LayerCall(name, layer, arguments, options))

        hooks.append(layer.register_forward_pre_hook(hook, with_kwargs=True))
    try:
        yield calls
    finally:
        for handle in hooks:
            handle.remove()


@torch.no_grad()
def traced(
    network: nn.Module, run: Callable[[], Any], labels: Callable[[str, int], Sequence[str]] | None = None
) -> Trace:
    """Run a network on one sequence and trace its recurrent layers.

    Args:
        run: calls the network, each layer once and with one row.
        labels: names the T steps of a layer, given the layer's path and T; numbers when None.

    Raises:
        ValueError: a layer was called more than once, or with several rows.
    """
    with calls_of(network) as calls:
        run()
    layers: dict[str, LayerTrace] = {}
    for call in calls:
        for part, trace in _of_call(call, labels or (lambda _, steps: [str(t) for t in range(steps)])):
            name = f"{call.name}.{part}".lstrip(".")
            if name in layers:
                raise ValueError(f"the layer {name!r} was called more than once")
            layers[name] = trace
    return Trace(layers)


def _of_call(call: LayerCall, labels: Callable[[str, int], Sequence[str]]) -> Iterator[tuple[str, LayerTrace]]:
    layer, state = call.layer, call.state
    lengths = call.options.get("lengths")
    plain = call.options.get("resets") is None and not any(layer.zoneouts)
    states = None if state is None else ((state,) if isinstance(state, torch.Tensor) else tuple(state))
    traces = layer.trace(*call.arguments, **call.options)
    for row, (part, values) in enumerate(traces.items()):
        if (rows := values["h"].shape[1] if values["h"].dim() == 3 else 1) != 1:
            raise ValueError(f"the layer {call.name!r} was called with {rows} rows; one is traced at a time")
        steps = len(values["h"]) if lengths is None else int(torch.as_tensor(lengths).reshape(-1)[0])
        arrays = {name: value.reshape(len(value), -1)[:steps].numpy().copy() for name, value in values.items()}
        names = composition.CELLS[layer.cell].state
        start = {name: np.zeros(arrays[name].shape[1], arrays[name].dtype) for name in names}
        if states is not None:
            start = {name: initial[row].reshape(-1).numpy().copy() for name, initial in zip(names, states, strict=True)}
        named = list(labels(call.name, steps))
        yield part, LayerTrace(layer.cell, part.endswith("_reverse"), arrays, start, named, plain)
