"""Lengths and resets as the layers take them: from whatever a person has, checked against the input."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Integers", "checked_lengths", "checked_resets"]

Integers = Sequence[int] | NDArray[np.integer[Any]] | Tensor


def checked_lengths(lengths: Integers, steps: int, batch: int, device: torch.device) -> Tensor:
    """Steps of each row, ``(B,)`` int64 on ``device``.

    Raises:
        TypeError: not integers.
        ValueError: another shape, or a row's length not from 0 to T.

    >>> checked_lengths([3, 5], 4, 2, torch.device("cpu"))
    Traceback (most recent call last):
    ValueError: lengths must be from 0 to T=4, got 5 in row 1
    """
    result = torch.as_tensor(lengths)
    if result.shape != (batch,):
        raise ValueError(f"lengths must be ({batch},), got shape {tuple(result.shape)}")
    if batch and (result.is_floating_point() or result.is_complex() or result.dtype == torch.bool):
        raise TypeError(f"lengths must be integers, got {result.dtype}")
    if _has_values(result):
        for row, length in enumerate(result.tolist()):
            if not 0 <= length <= steps:
                raise ValueError(f"lengths must be from 0 to T={steps}, got {length} in row {row}")
    return result.to(device, torch.int64)


def checked_resets(resets: Any, steps: int, batch: int, batch_first: bool, device: torch.device) -> Tensor:
    """Resets ``(T, B)`` bool on ``device``, from ``(B, T)`` with ``batch_first``.

    Raises:
        TypeError: not bool.
        ValueError: another shape.
    """
    result = torch.as_tensor(resets)
    expected = (batch, steps) if batch_first else (steps, batch)
    if result.shape != expected:
        raise ValueError(f"resets must be {expected}, got shape {tuple(result.shape)}")
    if result.dtype != torch.bool:
        raise TypeError(f"resets must be bool, got {result.dtype}")
    return (result.T if batch_first else result).to(device)


def _has_values(lengths: Tensor) -> bool:
    """False under vmap and torch.compile, where there is no value to look at."""
    if torch.compiler.is_compiling():
        return False
    while torch._C._functorch.is_functorch_wrapped_tensor(lengths):
        if torch._C._functorch.is_batchedtensor(lengths):
            return False
        lengths = torch._C._functorch.get_unwrapped(lengths)
    return True
