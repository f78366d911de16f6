"""Step-by-step inference without PyTorch: layers on top of each other, a linear head, many streams at once.

>>> import numpy as np
>>> ones = {"weight_ih": np.ones((1, 1)), "weight_hh": np.ones((1, 1))}
>>> running_sum = Stream([Layer("rnn_relu", ones)])
>>> [running_sum.step(np.array([x], np.float32)).item() for x in (1, 2, 3)]
[1.0, 3.0, 6.0]
"""

import json
import math
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from memfold import _engine
from memfold.cells.arguments import Zoneout, checked_clip, checked_state, checked_zoneout, refuse_unnamed
from memfold.cells.table import CELLS
from memfold.engine import LINEAR, Packed, checked_out, laid_out, pack, pack_arrays, threads_at_call
from memfold.errors import InputError, shown
from memfold.files import CONFIG, FolderKind, read_json, settle, sha256, write_folder

__all__ = ["Layer", "Row", "Stream"]

Array = NDArray[Any]
FORMAT, WEIGHTS, DTYPES = "memfold stream 1", "model.safetensors", ("float32", "float64")
FOLDER = FolderKind("stream", lambda config: config.get("format") == FORMAT, frozenset({CONFIG, WEIGHTS}))


@dataclass(frozen=True)
class Layer:
    """One recurrent layer of a stream.

    Args:
        cell, weights: as :func:`memfold.engine.pack` takes them, of one direction.
        clip, zoneout: as in :func:`memfold.engine.fold`.
        bfloat16: products of bfloat16 numbers, with half the memory to read in every step; sums and state stay in
            float32.
    """

    cell: str
    weights: Mapping[str, ArrayLike]
    clip: float | None = None
    zoneout: Zoneout = 0.0
    bfloat16: bool = False


class Stream:
    """Recurrent layers that take one step of every stream at each call.

    A step gives the same bits as a fold over the whole sequence, and allocates nothing. Where it is long enough, other
    threads help with steps that follow each other closely; they start when the stream is made, in a forked child when
    they are first called.

    Args:
        layers: from the bottom up.
        head: a linear layer on top, ``weight (O, H)`` and optionally ``bias (O)``; none when None.
        streams: S, how many independent streams go in step.
        dtype: float32 or float64.

    Raises:
        ValueError: no layer, a layer that does not fit on the one below, or whose weights do not fit its cell.
        TypeError: another dtype, or weights that are no mapping from names.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        head: Mapping[str, ArrayLike] | None = None,
        *,
        streams: int = 1,
        dtype: Any = np.float32,
    ) -> None:
        if not layers:
            raise ValueError("a stream needs at least one layer")
        if streams < 1:
            raise ValueError(f"streams must be at least 1, got {streams}")
        if head is not None:
            refuse_unnamed(head)
        self.layers = tuple(layers)
        self.head = None if head is None else {name: laid_out(w, dtype) for name, w in head.items()}
        self.streams = streams
        self.dtype = np.dtype(dtype)
        self._packed = [_packed(k, layer, self.dtype) for k, layer in enumerate(layers)]
        _engine.set_step_threads(threads_at_call())
        self._stack = (_engine.StackFloat if self.dtype == np.float32 else _engine.StackDouble)(streams)
        self.input_size = self.output_size = self._packed[0].input_size
        for k, (layer, packed) in enumerate(zip(layers, self._packed, strict=True)):
            if packed.input_size != self.output_size:
                raise ValueError(
                    f"layer {k} takes {packed.input_size} features, the one below gives {self.output_size}"
                )
            zoned = checked_zoneout(CELLS[layer.cell], layer.zoneout)
            clip = math.inf if layer.clip is None else layer.clip
            checked_clip(clip)
            self._stack.add(packed.directions[0], clip, tuple(zoned.values()))
            self.output_size = packed.hidden_size
        if self.head is not None:
            self._stack.add(_packed_head(self.head, self.output_size), math.inf, ())
            self.output_size = len(self.head["weight"])
        self._y = np.zeros((streams, self.output_size), self.dtype)
        self._y_row = self._y[0]

    def step(self, x: Array, out: Array | None = None) -> Array:
        """Take one step of every stream.

        Args:
            x: ``(S, I)``, or ``(I,)`` of a single stream; it may be what an earlier step returned.
            out: where y goes; the stream's own buffer, which the next step overwrites, when None.

        Returns:
            ``y (S, O)``, or ``(O,)`` for a single stream's ``(I,)``.

        Raises:
            ValueError: a shape that does not fit, or an ``out`` of another type or layout.
            TypeError: ``out`` no array.
        """
        if out is None:
            y = self._y_row if np.ndim(x) == 1 else self._y
            on_itself = getattr(x, "base", x) is self._y or x is self._y
        else:
            y = out
            if self.streams > 1:  # whose rows might overlap; the engine looks at all else
                self._check_out(out)
            on_itself = np.may_share_memory(x, out)
        if on_itself:  # y is written while x is still read
            x = np.array(x)
        if self._stack.step(x, y):
            return y
        return self._step_converted(x, y)

    def step_rows(self, rows: ArrayLike, x: ArrayLike, out: Array | None = None) -> Array:
        """Take one step of some of the streams; the others stay where they are.

        A row's bits are those of :meth:`step`, whichever go with it. Other threads of Python run meanwhile, which must
        leave this stream alone.

        Args:
            rows: which, n whole numbers from 0 to S-1, each once.
            x: ``(n, I)``, row i for stream ``rows[i]``.
            out: where y goes; a new array when None.

        Returns:
            ``y (n, O)``.

        Raises:
            IndexError: a row outside 0 to S-1.
            ValueError: a row twice, or a shape that does not fit.
        """
        chosen = np.array(rows, np.int64)
        if chosen.ndim != 1:
            raise ValueError(f"rows must be (n,), got shape {chosen.shape}")
        if len(chosen) and not (chosen.min() >= 0 and chosen.max() < self.streams):
            raise IndexError(f"rows must be from 0 to {self.streams - 1}, got {chosen.min()} to {chosen.max()}")
        if len(np.unique(chosen)) < len(chosen):
            raise ValueError("rows must be different ones")
        given = np.ascontiguousarray(x, self.dtype)
        if given.shape != (len(chosen), self.input_size):
            raise ValueError(f"x must be {(len(chosen), self.input_size)}, got shape {given.shape}")
        shape = (len(chosen), self.output_size)
        y = np.empty(shape, self.dtype) if out is None else out
        if out is not None:
            checked_out(out, shape, self.dtype)
            if np.may_share_memory(given, out):
                given = given.copy()
        if len(chosen):
            self._stack.step_rows(chosen, given, y)
        return y

    def state_of(self, row: int) -> tuple[tuple[Array, ...], ...]:
        """For each layer a copy of one stream's ``(h,)`` or ``(h, c)``, each ``(1, H)``, as a stream of its own has it.

        Raises:
            IndexError: a row outside 0 to S-1.
        """
        return self._state(*self._one(row))

    def set_state_of(self, row: int, state: Sequence[Sequence[ArrayLike]]) -> None:
        """Set what :meth:`state_of` gives.

        Raises:
            IndexError: a row outside 0 to S-1.
            ValueError: another number of layers, or shapes that do not fit.
        """
        self._set_state(state, *self._one(row))

    def _one(self, row: int) -> tuple[int, int]:
        if not 0 <= row < self.streams:
            raise IndexError(f"the row must be from 0 to {self.streams - 1}, got {row}")
        return int(row), 1

    def _check_out(self, out: Array) -> None:
        shape: tuple[int, ...] = (self.streams, self.output_size)
        if self.streams == 1 and np.shape(out) == shape[1:]:
            shape = shape[1:]
        checked_out(out, shape, self.dtype)

    def _step_converted(self, x: Array, y: Array) -> Array:
        """A step for an x of another type or layout; the errors of :meth:`step`."""
        converted = np.array(x, self.dtype, order="C")
        if converted.shape != (self.streams, self.input_size) and (
            self.streams > 1 or converted.shape != (self.input_size,)
        ):
            raise ValueError(f"x must be {(self.streams, self.input_size)}, got shape {converted.shape}")
        self._check_out(y)
        self._stack.step(converted, y)
        return y

    @property
    def state(self) -> tuple[tuple[Array, ...], ...]:
        """For each layer a copy of its ``(h,)`` or ``(h, c)``, each ``(S, H)``. Assign such a tuple to set it."""
        return self._state(0, self.streams)

    @state.setter
    def state(self, state: Sequence[Sequence[ArrayLike]]) -> None:
        self._set_state(state, 0, self.streams)

    def _state(self, first: int, count: int) -> tuple[tuple[Array, ...], ...]:
        """Of so many streams, from the first on."""
        result = []
        for k, layer in enumerate(self.layers):
            arrays = []
            for part in range(len(CELLS[layer.cell].state)):
                arrays.append(np.empty((count, self._packed[k].hidden_size), self.dtype))
                self._stack.get(k, part, arrays[-1], first)
            result.append(tuple(arrays))
        return tuple(result)

    def _set_state(self, state: Sequence[Sequence[ArrayLike]], first: int, count: int) -> None:
        if len(state) != len(self.layers):
            raise ValueError(f"the state must have {len(self.layers)} layers, got {len(state)}")
        checked = [
            checked_state(given, names, [(count, packed.hidden_size)] * len(names), self.dtype)
            for given, packed in zip(state, self._packed, strict=True)
            for names in [CELLS[packed.cell].state]
        ]
        for k, arrays in enumerate(checked):
            for part, array in enumerate(arrays):
                self._stack.set(k, part, array, first)

    def reset(self, rows: Sequence[int] | None = None) -> None:
        """Set the state of these streams to 0; of all when None.

        Raises:
            IndexError: a row outside 0 to S-1.
        """
        for row in range(self.streams) if rows is None else rows:
            if not 0 <= row < self.streams:
                raise IndexError(f"rows must be from 0 to {self.streams - 1}, got {row}")
            self._stack.reset(int(row))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the stream, without its state, as a folder: ``config.json`` and ``model.safetensors``.

        A stream that stood there before is replaced once the new one is whole on the disk.

        Raises:
            InputError: a ValueError; the folder holds something else or cannot be written, and is untouched.
        """
        tensors = {
            f"layers.{k}.{name}": np.ascontiguousarray(weight, self.dtype)
            for k, layer in enumerate(self.layers)
            for name, weight in layer.weights.items()
        }
        tensors |= {f"head.{name}": weight for name, weight in (self.head or {}).items()}

        def write(aside: Path) -> None:
            save_file(tensors, aside / WEIGHTS)
            config = {
                "format": FORMAT,
                "dtype": self.dtype.name,
                "layers": [
                    {"cell": o.cell, "clip": o.clip, "zoneout": o.zoneout, "bfloat16": o.bfloat16} for o in self.layers
                ],
                "shapes": {name: list(tensor.shape) for name, tensor in tensors.items()},
                "sha256": sha256(aside / WEIGHTS),
            }
            (aside / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")

        write_folder(Path(path), FOLDER, write)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, streams: int = 1) -> Self:
        """Read a stream from the directory that :meth:`save` wrote.

        Raises:
            FileNotFoundError: no such file.
            InputError: a ValueError; a file that is truncated, changed or foreign; it names the file and the check that
                failed.
        """
        settle(Path(path))
        config_file, model_file = Path(path) / CONFIG, Path(path) / WEIGHTS
        config = _description(config_file)
        if sha256(model_file) != config["sha256"]:
            raise InputError(f"{model_file}: the hash is not the one that {config_file.name} names")
        tensors = _read(model_file, config["shapes"], np.dtype(config["dtype"]))
        try:
            layers = [
                Layer(
                    entry["cell"],
                    _below(f"layers.{k}.", tensors),
                    entry["clip"],
                    tuple(zoneout) if isinstance(zoneout := entry["zoneout"], list) else zoneout,
                    entry["bfloat16"],
                )
                for k, entry in enumerate(config["layers"])
            ]
            return cls(layers, _below("head.", tensors) or None, streams=streams, dtype=config["dtype"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{config_file}: its layers and weights make no stream ({error})") from None


class Row:
    """One of a stream's rows, with a state as a stream of its own has it."""

    def __init__(self, stream: Stream, row: int = 0) -> None:
        self.stream, self.row = stream, row

    def step(self, x: Array) -> Array:
        """Take one step of this row alone.

        Args:
            x: ``(I,)``.

        Returns:
            ``y (O,)``; of a stream with a single row its own buffer, which the next step overwrites.
        """
        if self.stream.streams == 1:
            return self.stream.step(x)
        y: Array = self.stream.step_rows([self.row], x[None])[0]
        return y

    @property
    def state(self) -> tuple[tuple[Array, ...], ...]:
        """For each layer a copy of its ``(h,)`` or ``(h, c)``, each ``(1, H)``. Assign such a tuple to set it."""
        return self.stream.state_of(self.row)

    @state.setter
    def state(self, state: Sequence[Sequence[ArrayLike]]) -> None:
        self.stream.set_state_of(self.row, state)


def _description(file: Path) -> dict[str, Any]:
    """What a stream's ``config.json`` holds, with the types that `Stream.save` writes."""
    try:
        config = read_json(file)
    except InputError as error:
        raise InputError(f"{file}: not the description of a stream ({error})") from None
    if not isinstance(config, dict) or "format" not in config:
        raise InputError(f"{file}: not the description of a stream")
    if config["format"] != FORMAT:
        raise InputError(f"{file}: the format is {shown(config['format'])}, expected {FORMAT!r}")
    layers, shapes = config.get("layers"), config.get("shapes")
    fits = {
        "dtype": config.get("dtype") in DTYPES,
        "sha256": isinstance(config.get("sha256"), str),
        "shapes": isinstance(shapes, dict) and all(isinstance(shape, list) for shape in shapes.values()),
        "layers": isinstance(layers, list) and all(isinstance(o, dict) and _is_layer(o) for o in layers),
    }
    if wrong := [name for name, right in fits.items() if not right]:
        raise InputError(f"{file}: its {wrong[0]!r} is not that of a stream: {shown(config.get(wrong[0]))}")
    return config


def _is_layer(entry: dict[str, Any]) -> bool:
    numbers = entry.get("zoneout")
    return (
        entry.keys() == {"cell", "clip", "zoneout", "bfloat16"}
        and entry["cell"] in list(CELLS)
        and (entry["clip"] is None or type(entry["clip"]) in (int, float))
        and all(type(number) in (int, float) for number in (numbers if isinstance(numbers, list) else [numbers]))
        and type(entry["bfloat16"]) is bool
    )


def _packed(k: int, layer: Layer, dtype: np.dtype[Any]) -> Packed:
    packed = pack(layer.cell, layer.weights, dtype, bfloat16=layer.bfloat16)
    if len(packed.directions) > 1:
        raise ValueError(f"layer {k} is bidirectional; a stream only goes forward")
    return packed


def _packed_head(head: Mapping[str, Array], hidden: int) -> _engine.Packed:
    weight, bias = head.get("weight"), head.get("bias")
    if weight is None or weight.ndim != 2 or weight.shape[1] != hidden:
        raise ValueError(f"the head's weight must be (O, {hidden}), got {'none' if weight is None else weight.shape}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"the head's bias must be {weight.shape[:1]}, got shape {bias.shape}")
    return pack_arrays(LINEAR, {"weight_ih": weight} | ({} if bias is None else {"bias_ih": bias}))


def _below(prefix: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _read(file: Path, shapes: Mapping[str, Sequence[int]], dtype: np.dtype[Any]) -> dict[str, Array]:
    """The tensors of a file whose header names exactly these shapes."""
    try:
        with safe_open(file, "numpy") as opened:
            stored = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118
            if stored != {name: list(shape) for name, shape in shapes.items()}:
                raise InputError(f"{file}: its tensors are not those that config.json names")
            tensors: dict[str, Array] = {name: opened.get_tensor(name) for name in stored}
    except (SafetensorError, struct.error) as error:
        raise InputError(f"{file}: not a safetensors file ({error})") from None
    for name, tensor in tensors.items():
        if tensor.dtype != dtype:
            raise InputError(f"{file}: {name} is {tensor.dtype}, config.json says {dtype}")
    return tensors
