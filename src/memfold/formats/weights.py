"""The weights of a model, ``model.safetensors``: written, counted, and held against the network they are for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from memfold.errors import InputError
from memfold.formats.directory import WEIGHTS

__all__ = ["at_most_tensors", "count_weights", "read_weights", "write_weights"]


def write_weights(file: Path, weights: Mapping[str, Tensor]) -> None:
    """Write tensors by name."""
    save_file({name: value.contiguous() for name, value in weights.items()}, file)


def count_weights(path: Path) -> int:
    """How many tensors ``model.safetensors`` holds.

    Raises:
        InputError: the file cannot be read.
    """
    file = path / WEIGHTS
    try:
        with safe_open(file, framework="pt") as stored:
            return len(stored.keys())
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file}: not readable as safetensors ({error})") from None


def read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read ``model.safetensors`` after holding every name, shape and dtype against ``expected`` (meta tensors serve).

    Raises:
        InputError: a tensor is missing, unexpected, or of another shape or dtype.
    """
    file = path / WEIGHTS
    try:
        with safe_open(file, framework="pt") as stored:
            names = set(stored.keys())
            for name in sorted(names ^ set(expected)):
                raise InputError(f"{file}: tensor {name!r} is {'unexpected' if name in names else 'missing'}")
            for name, tensor in expected.items():
                part = stored.get_slice(name)
                if (shape := tuple(part.get_shape())) != tuple(tensor.shape):
                    raise InputError(f"{file}: tensor {name!r} has shape {shape}, the model {tuple(tensor.shape)}")
                if (dtype := part.get_dtype()) != _DTYPES[tensor.dtype]:
                    raise InputError(f"{file}: tensor {name!r} is {dtype}, the model {_DTYPES[tensor.dtype]}")
            return {name: stored.get_tensor(name) for name in expected}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file}: not readable as safetensors ({error})") from None


@contextmanager
def at_most_tensors(stored: int) -> Iterator[None]:
    """While networks are made, refuse one that has far more tensors than the file of its weights.

    A number of layers or members costs time to make, before any shape can be compared.

    Raises:
        InputError: there are more.
    """
    made = 0

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal made
        made += tensor is not None
        if made > 2 * stored + 50:  # tied ones are made twice, and some are not saved
            raise InputError(f"more tensors than the {stored} of the weights")

    hooks = [
        register_module_parameter_registration_hook(count),
        register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
