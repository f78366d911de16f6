"""A hash of data, so that a training is not resumed with other data."""

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

__all__ = ["digest"]


def digest(*parts: Any) -> str:
    """The SHA-256 of some data, in hexadecimal; different data have different ones.

    Every value goes in with its kind and length, so that nothing moves from one value into the next unseen.

    Args:
        parts: texts, bytes, numbers, None, arrays of NumPy, tensors of torch, data classes, and sequences and
            mappings of these. A tensor is the same as its array, a list the same as its tuple; of a mapping, whose
            keys are texts, the order does not matter.

    Raises:
        TypeError: anything else, such as a set, whose order is not certain.

    >>> digest("ab", "c") == digest("a", "bc")
    False
    >>> digest(["a"], np.zeros(2)) == digest(("a",), np.zeros(2))
    True
    """
    sha = hashlib.sha256()
    for piece in _pieces(parts):
        sha.update(piece)
    return sha.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    """What stands for a value: a letter for its kind, how long it is, and its content."""
    if value is None or isinstance(value, bool):
        yield f"{value}:".encode()
    elif isinstance(value, int):
        yield f"i{value}:".encode()
    elif isinstance(value, float):
        yield b"f" + struct.pack("<d", value)
    elif isinstance(value, str):
        content = value.encode("utf-8", "surrogatepass")
        yield b"s%d:" % len(content) + content
    elif isinstance(value, bytes):
        yield b"b%d:" % len(value) + value
    elif isinstance(value, np.ndarray | np.generic):
        yield from _pieces_of_array(np.asarray(value))
    elif isinstance(value, Mapping):
        yield b"m%d:" % len(value)
        for key in sorted(value):
            yield from _pieces(key)
            yield from _pieces(value[key])
    elif isinstance(value, Sequence):
        yield b"l%d:" % len(value)
        for entry in value:
            yield from _pieces(entry)
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"d{type(value).__qualname__}:".encode()
        yield from _pieces({field.name: getattr(value, field.name) for field in fields(value)})
    elif hasattr(value, "detach") and hasattr(value, "numpy"):  # of torch, which is not imported here
        yield from _pieces_of_array(value.detach().cpu().numpy())
    else:
        raise TypeError(f"a {type(value).__name__} has no hash here")


def _pieces_of_array(array: np.ndarray[Any, Any]) -> Iterator[bytes]:
    if array.dtype.kind not in "biufcmMSU":
        raise TypeError(f"an array of {array.dtype} has no hash here")
    yield f"a{array.dtype.str}{array.shape}:".encode()
    yield np.ascontiguousarray(array).tobytes()
