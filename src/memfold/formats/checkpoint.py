"""Files that are whole or absent, and the checkpoint: one safetensors file with counters as JSON in its metadata."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from memfold.errors import InputError

__all__ = ["read_checkpoint", "write_aside", "write_checkpoint"]

_KEY = "memfold_checkpoint"


def write_aside(path: Path, write: Callable[[Path], None]) -> None:
    """Have ``write`` fill a file beside ``path``, sync it to the disk, and only then give it its name.

    Raises:
        InputError: the file could not be written; what stood at ``path`` before is untouched.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(aside)
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be written ({error}); what was there before is untouched") from None
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder, not only the files' contents, reach the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_checkpoint(path: Path, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
    """Write a checkpoint; a crash at any moment leaves the previous one whole."""
    metadata = {_KEY: json.dumps(counters)}
    write_aside(path, lambda aside: save_file({k: v.contiguous() for k, v in tensors.items()}, aside, metadata))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_checkpoint` wrote.

    Raises:
        InputError: the file is truncated or was not written by memfold.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if _KEY not in metadata:
                raise InputError(f"{path}: not a memfold checkpoint")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable checkpoint ({error}); delete it to start again") from None
    return tensors, json.loads(metadata[_KEY])
