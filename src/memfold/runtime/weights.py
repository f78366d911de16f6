"""The arrays of a model by name, each taken once and held against the shape that it must have."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from memfold.errors import InputError, shown
from memfold.stream import Layer

__all__ = ["Weights"]

Array = NDArray[Any]


class Weights:
    """Named arrays.

    Args:
        arrays: by name.
        where: they are from, for errors.
    """

    def __init__(self, arrays: Mapping[str, Array], where: str = "the model") -> None:
        self.arrays, self.where = dict(arrays), where
        self.taken: set[str] = set()

    @classmethod
    def read(cls, file: str | os.PathLike[str]) -> Self:
        """Those of a safetensors file.

        Raises:
            InputError: it cannot be read, or a value in it is not finite.
        """
        try:
            with safe_open(file, framework="np") as opened:
                arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, TypeError) as error:
            raise InputError(f"{file}: not readable as safetensors ({error})") from None
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise InputError(f"{file}: tensor {shown(name)} holds a value that is no finite number")
        return cls(arrays, str(file))

    def take(self, name: str, shape: Sequence[int], dtype: Any = np.float32) -> Array:
        """One of them.

        Raises:
            InputError: it is missing, or of another shape or type.
        """
        if name not in self.arrays:
            raise InputError(f"{self.where}: tensor {name!r} is missing")
        array = self.arrays[name]
        if array.shape != tuple(shape):
            raise InputError(f"{self.where}: tensor {name!r} has shape {array.shape}, the model {tuple(shape)}")
        if array.dtype != dtype:
            raise InputError(f"{self.where}: tensor {name!r} is {array.dtype}, the model {np.dtype(dtype)}")
        self.taken.add(name)
        return array

    def linear(self, prefix: str, inputs: int, outputs: int, bias: bool = True) -> dict[str, Array]:
        """``weight (O, I)`` and ``bias (O)`` of a linear layer."""
        layer = {"weight": self.take(f"{prefix}.weight", (outputs, inputs))}
        return layer | ({"bias": self.take(f"{prefix}.bias", (outputs,))} if bias else {})

    def recurrent(
        self, prefix: str, cell: str, inputs: int, hidden: int, *, gates: int, layers: int = 1, both: bool = False
    ) -> list[Layer]:
        """Recurrent layers with biases, from the bottom up, named as torch names them.

        Args:
            gates: G, so many blocks of H rows have the matrices.
            both: whether each has a second direction, whose names end in ``_reverse``.
        """
        result = []
        for k in range(layers):
            weights = {}
            for suffix in ("", "_reverse") if both else ("",):
                columns = {"weight_ih": (gates * hidden, inputs), "weight_hh": (gates * hidden, hidden)}
                rows = {"bias_ih": (gates * hidden,), "bias_hh": (gates * hidden,)}
                for name, shape in {**columns, **rows}.items():
                    weights[f"{name}{suffix}"] = self.take(f"{prefix}.{name}_l{k}{suffix}", shape)
            result.append(Layer(cell, weights))
            inputs = 2 * hidden if both else hidden
        return result

    def finish(self) -> None:
        """Refuse arrays that nothing has taken.

        Raises:
            InputError: naming the first.
        """
        for name in sorted(self.arrays.keys() - self.taken):
            raise InputError(f"{self.where}: tensor {name!r} is unexpected")
