"""The parameters of a stack of recurrent layers, under torch.nn's names, and its options."""

import warnings

import torch
from torch import nn

from memfold.cells.table import CELLS
from memfold.nn.composition import Weights
from memfold.nn.options import (
    VARIANTS,
    Device,
    checked_clip,
    checked_probability,
    checked_sizes,
    checked_zoneout,
    described,
)
from memfold.nn.weights import checked_init, initialise, refuse_reshaped, shapes

__all__ = ["Stack"]


class Stack(nn.Module):
    """What whoever computes a call knows of the layers: :class:`memfold.nn.layer.Recurrent` adds the call itself."""

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: Device,
        dtype: torch.dtype | None,
        *,
        clip: float | None,
        recurrent_dropout: float,
        zoneout: float | tuple[float, float],
        init: str,
        proj_size: int = 0,
        peephole: bool = False,
        layer_norm: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__()
        checked_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not isinstance(bias, bool) or not isinstance(batch_first, bool):
            raise TypeError(f"bias and batch_first must be bool, got {bias!r} and {batch_first!r}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"proj_size must be 0 (none) or below hidden_size={hidden_size}, got {proj_size}")
        self.cell = cell
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = checked_probability("dropout", dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self.clip = checked_clip(clip)
        self.recurrent_dropout = checked_probability("recurrent_dropout", recurrent_dropout)
        self.zoneouts = checked_zoneout(zoneout, CELLS[cell].state)
        self.zoneout = zoneout if any(self.zoneouts) else 0.0
        self.init = checked_init(init, cell, bias, forget_bias)
        self.forget_bias = forget_bias
        if dropout > 0 and num_layers == 1:
            warnings.warn(f"dropout={dropout} acts between layers, and num_layers is 1", stacklevel=3)
        self.weight_names: list[dict[str, str]] = []  # by layer and direction, from {"weight_ih": "weight_ih_l0"} on
        self._weight_shapes: list[dict[str, tuple[int, ...]]] = []
        for layer in range(num_layers):
            width = input_size if layer == 0 else self.output_size
            named = shapes(
                cell, width, hidden_size, bias=bias, projection=proj_size, peephole=peephole, layer_norm=layer_norm
            )
            for suffix in (f"l{layer}", f"l{layer}_reverse")[: self.num_directions]:
                self.weight_names.append({name: f"{name}_{suffix}" for name in named})
                self._weight_shapes.append(named)
                for name, shape in named.items():
                    empty = torch.empty(shape, device=device, dtype=dtype)
                    self.register_parameter(f"{name}_{suffix}", nn.Parameter(empty))
        self.reset_parameters()

    @property
    def num_directions(self) -> int:
        """D: 2 when bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Features of the output: D*P with a projection, else D*H."""
        return self.num_directions * (self.proj_size or self.hidden_size)

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """Parameters by layer and direction, in torch.nn's order."""
        return [[getattr(self, name) for name in names.values()] for names in self.weight_names]

    def flatten_parameters(self) -> None:
        """Do nothing: there is no joint buffer to rebuild. Code written for torch.nn calls it."""

    def reset_parameters(self) -> None:
        """Draw every parameter anew, as ``init`` says."""
        for row in range(len(self.weight_names)):
            initialise(self.cell, self.weights(row), self.init, self.forget_bias)

    def extra_repr(self) -> str:
        return described(self)

    def variants(self) -> list[str]:
        """Options in use that torch.nn's layer of this name has not."""
        return [name for name, without in VARIANTS.items() if getattr(self, name, without) != without]

    def weights(self, row: int) -> Weights:
        """Parameters of one layer and direction by their names without the suffix."""
        parameters = self._parameters  # not getattr alone, which is slow; a parametrized weight is not among them
        return {
            short: getattr(self, name) if (weight := parameters.get(name)) is None else weight
            for short, name in self.weight_names[row].items()
        }

    def checked_weights(self, row: int) -> Weights:
        """The same, of the shapes that the layer was made with.

        Raises:
            RuntimeError: a parameter, or its ``data``, was replaced by one of another shape.
        """
        weights = self.weights(row)
        refuse_reshaped(
            weights, self._weight_shapes[row], self.weight_names[row]["weight_ih"].removeprefix("weight_ih")
        )
        return weights
