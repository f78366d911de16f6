"""What a session remembers, as bytes: the attributes that a step changes, written and put back.

A class lists the names of these attributes in ``moves``; everything else is the model's. Bytes are put back into a
session that has just been opened: what does not have the form of what is there is refused.
"""

import json
import math
import struct
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from memfold.errors import InputError
from memfold.stream import Row, Stream

__all__ = ["header_of", "packed", "unpacked"]

KEY = "memfold_state"
MOST = 64 << 20  # bytes of a state
Scalar = int | float | str | bool | None


def packed(root: Any, model: str, outline: Any = None) -> bytes:
    """The state of an object with ``moves``.

    Args:
        model: the hash of the model that it is a state of.
        outline: JSON that says what the object is made of, where that changes.
    """
    values: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for path, value in _walk(root, ""):
        if isinstance(value, np.ndarray):
            arrays[path] = np.ascontiguousarray(value)
        elif isinstance(value, list | deque) and value and all(isinstance(one, np.ndarray) for one in value):
            arrays[path], values[path] = np.stack(list(value)), {"arrays": len(value)}
        elif isinstance(value, list | deque) and value and all(type(one) is float for one in value):
            arrays[path], values[path] = np.array(value, np.float64), {"floats": len(value)}
        else:
            values[path] = list(value) if isinstance(value, deque) else value
    text = json.dumps({"model": model, "outline": outline, "values": values})
    return save(arrays or {"": np.zeros(0, np.float32)}, {KEY: text})


def header_of(state: bytes, model: str) -> dict[str, Any]:
    """What `packed` wrote beside the arrays.

    Raises:
        InputError: these bytes are no state, or one of another model.
    """
    try:
        if len(state) > MOST:
            raise ValueError(f"{len(state)} bytes")
        (length,) = struct.unpack_from("<Q", state)
        header = json.loads(json.loads(state[8 : 8 + length])["__metadata__"][KEY])
        if set(header) != {"model", "outline", "values"} or not isinstance(header["values"], dict):
            raise ValueError("other entries")
    except (struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"not the state of a session ({' '.join(str(error).split())[:100]})") from None
    if header["model"] != model:
        raise InputError("the state is one of another model")
    return dict(header)


def unpacked(root: Any, state: bytes, model: str) -> None:
    """Put a state back into an object of the same form.

    Raises:
        InputError: these bytes are no state of such an object, or one of another model.
    """
    values: Mapping[str, Any] = header_of(state, model)["values"]
    try:
        arrays = load(state)
    except (SafetensorError, ValueError, TypeError) as error:
        raise InputError(f"not the state of a session ({error})") from None
    try:
        _put_back(root, "", values, arrays)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(f"not a state of this model ({' '.join(str(error).split())[:100]})") from None


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every part of a value that is no object with parts, by its path."""
    if isinstance(value, Stream | Row):
        for k, layer in enumerate(value.state):
            for part, array in enumerate(layer):
                yield f"{path}.{k}.{part}", array
    elif hasattr(value, "moves"):
        for name in value.moves:
            yield from _walk(getattr(value, name), f"{path}.{name}" if path else name)
    elif _has_parts(value):
        for k, part in enumerate(value):
            yield from _walk(part, f"{path}.{k}")
    else:
        yield path, value


def _has_parts(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(hasattr(part, "moves") for part in value)


def _put_back(value: Any, path: str, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The value with what is stored of it; objects are changed and returned."""
    if isinstance(value, Stream | Row):
        value.state = tuple(
            tuple(_array(path_of, arrays, array) for path_of, array in _parts(path, k, layer))
            for k, layer in enumerate(value.state)
        )
        return value
    if hasattr(value, "moves"):
        for name in value.moves:
            before = getattr(value, name)
            setattr(value, name, _put_back(before, f"{path}.{name}" if path else name, values, arrays))
        return value
    if _has_parts(value):
        for k, part in enumerate(value):
            _put_back(part, f"{path}.{k}", values, arrays)
        return value
    if isinstance(value, np.ndarray):
        return _array(path, arrays, value)
    stored = values[path]
    if isinstance(value, list | deque):
        items = _items(path, stored, arrays)
        return deque(items, value.maxlen) if isinstance(value, deque) else items
    if stored is not None and value is not None and not _like(stored, value):
        raise ValueError(f"{path} is {stored!r}")
    return float(stored) if isinstance(value, float) else stored


def _parts(path: str, k: int, layer: tuple[NDArray[Any], ...]) -> Iterator[tuple[str, NDArray[Any]]]:
    return ((f"{path}.{k}.{part}", array) for part, array in enumerate(layer))


def _array(path: str, arrays: Mapping[str, NDArray[Any]], like: NDArray[Any]) -> NDArray[Any]:
    array = arrays[path]
    if array.shape != like.shape or array.dtype != like.dtype:
        raise ValueError(f"{path} is {array.dtype} {array.shape}, not {like.dtype} {like.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{path} is not finite")
    return array.copy()


def _items(path: str, stored: Any, arrays: Mapping[str, NDArray[Any]]) -> list[Any]:
    if isinstance(stored, list):
        return list(stored)
    (kind,) = stored
    array = arrays[path]
    if len(array) != stored[kind] or not np.isfinite(array).all():
        raise ValueError(f"{path} is not as long as it says, or not finite")
    if kind == "floats":
        return [float(number) for number in array]
    return [row.copy() for row in array]


def _like(stored: Scalar, value: Scalar) -> bool:
    if isinstance(value, bool) or isinstance(stored, bool):
        return type(stored) is type(value)
    if isinstance(value, int | float):
        finite = isinstance(stored, int | float) and (math.isfinite(stored) or not math.isfinite(value))
        return finite and (isinstance(value, float) or isinstance(stored, int))
    return type(stored) is type(value)
