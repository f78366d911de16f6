"""The weights of a model, ``model.safetensors``: written, counted, and held against the network they are for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from memfold.errors import InputError

__all__ = ["at_most_tensors", "checked_weights", "write_weights"]


def write_weights(file: Path, weights: Mapping[str, Tensor]) -> None:
    """Write tensors by name."""
    save_file({name: value.contiguous() for name, value in weights.items()}, file)


def checked_weights(
    arrays: Mapping[str, NDArray[Any]], where: str, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Arrays as tensors, after holding every name, shape and dtype against ``expected`` (meta tensors serve).

    Args:
        where: the arrays are from, for errors.

    Raises:
        InputError: one is missing, unexpected, or of another shape or dtype.
    """
    for name in sorted(arrays.keys() ^ expected.keys()):
        raise InputError(f"{where}: tensor {name!r} is {'unexpected' if name in arrays else 'missing'}")
    tensors = {name: torch.from_numpy(np.asarray(arrays[name])) for name in expected}
    for name, tensor in expected.items():
        stored = tensors[name]
        if stored.shape != tensor.shape:
            raise InputError(
                f"{where}: tensor {name!r} has shape {tuple(stored.shape)}, the model {tuple(tensor.shape)}"
            )
        if stored.dtype != tensor.dtype:
            raise InputError(f"{where}: tensor {name!r} is {stored.dtype}, the model {tensor.dtype}")
    return tensors


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
