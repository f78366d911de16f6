"""The checkpoint of a training: one safetensors file with counters as JSON in its metadata."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from memfold.errors import InputError
from memfold.files import write_file

__all__ = ["read_checkpoint", "read_counters", "write_checkpoint"]

_KEY = "memfold_checkpoint"


def write_checkpoint(path: Path, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
    """Write a checkpoint; a crash at any moment leaves the previous one whole."""
    metadata = {_KEY: json.dumps(counters)}
    write_file(path, lambda aside: save_file({k: v.contiguous() for k, v in tensors.items()}, aside, metadata))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_checkpoint` wrote.

    Raises:
        InputError: the file is truncated or was not written by memfold.
    """
    with _opened(path) as file:
        # Copies: what is mapped from the file keeps Windows from replacing it by the next checkpoint.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        return tensors, _counters(path, file)


def read_counters(path: Path) -> dict[str, Any]:
    """The counters alone.

    Raises:
        InputError: the file is truncated or was not written by memfold.
    """
    with _opened(path) as file:
        return _counters(path, file)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable checkpoint ({error}); delete it to start again") from None


def _counters(path: Path, file: Any) -> dict[str, Any]:
    metadata = file.metadata() or {}
    if _KEY not in metadata:
        raise InputError(f"{path}: not a memfold checkpoint")
    counters: dict[str, Any] = json.loads(metadata[_KEY])
    return counters
