"""The options of layers and cells, checked as they come in."""

import numbers
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

__all__ = [
    "VARIANTS",
    "Device",
    "checked_clip",
    "checked_probability",
    "checked_sizes",
    "checked_zoneout",
    "described",
    "refuse",
]

Device = torch.device | str | int | None

# Options that torch.nn has not, each with the value that means without.
VARIANTS: Mapping[str, Any] = {
    "peephole": False,
    "coupled": False,
    "layer_norm": False,
    "reset_after": True,
    "clip": None,
    "recurrent_dropout": 0.0,
    "zoneout": 0.0,
}


# Options of some layer or cell that another lacks.
_ELSEWHERE = {*VARIANTS, "forget_bias", "proj_size", "nonlinearity"}
_ELSEWHERE |= {"num_layers", "batch_first", "dropout", "bidirectional"}


def refuse(layer: str, options: Mapping[str, object]) -> None:
    """Raise for options that a layer does not have.

    Raises:
        ValueError: an option of another cell.
        TypeError: an option of none.
    """
    for name in options:
        if name in _ELSEWHERE:
            raise ValueError(f"{layer} has no option {name!r}")
        raise TypeError(f"{layer}() got an unexpected keyword argument {name!r}")


def checked_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int):
            raise TypeError(f"{name} must be an int, got {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name} must be positive, got {size}")


def checked_probability(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number in [0, 1], got {value!r}")
    return float(value)


def checked_zoneout(zoneout: float | tuple[float, float], names: tuple[str, ...]) -> tuple[float, ...]:
    """A probability for each part of the state."""
    if not isinstance(zoneout, tuple):
        return (checked_probability("zoneout", zoneout),) * len(names)
    if len(zoneout) != len(names):
        raise ValueError(f"zoneout must be a number or one for each of {', '.join(names)}, got {zoneout}")
    return tuple(checked_probability("zoneout", p) for p in zoneout)


def checked_clip(clip: float | None) -> float | None:
    if clip is not None and not clip > 0:
        raise ValueError(f"clip must be above 0, got {clip}")
    return clip


def described(module: nn.Module) -> str:
    """Sizes and the options that differ from torch.nn's defaults, for ``extra_repr``."""
    defaults: dict[str, Any] = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
    defaults |= {"bidirectional": False, "nonlinearity": "tanh", **VARIANTS}
    values = {name: getattr(module, name, default) for name, default in defaults.items()}
    given = [f"{name}={value!r}" for name, value in values.items() if value != defaults[name]]
    return ", ".join([f"{module.input_size}, {module.hidden_size}", *given])
