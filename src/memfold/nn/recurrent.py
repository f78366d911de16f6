"""The layers: LSTM, GRU and RNN with torch.nn's signatures, parameter names and results."""

import math
import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import _VF, Tensor, nn
from torch.nn.utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "RNN"]

State = tuple[Tensor, ...]  # (h,) or (h, c), each (L*D, B, ·)


class _Recurrent(nn.Module):
    """What the layers share: parameters under torch.nn's names, and the way of a call."""

    gates: int
    state_names: tuple[str, ...] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        _check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not isinstance(bias, bool) or not isinstance(batch_first, bool):
            raise TypeError(f"bias and batch_first must be bool, got {bias!r} and {batch_first!r}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"proj_size must be 0 (none) or below hidden_size {hidden_size}, got {proj_size}")
        _check_probability(dropout=dropout)
        if dropout > 0 and num_layers == 1:
            warnings.warn(f"dropout={dropout} acts between layers, and num_layers is 1", stacklevel=3)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else self.output_size
            for suffix in self._suffixes(layer):
                for name, shape in self._weight_shapes(width).items():
                    parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(f"{name}_{suffix}", parameter)
        self.reset_parameters()

    @property
    def output_size(self) -> int:
        """Features of the output: D * (P or H)."""
        return (2 if self.bidirectional else 1) * (self.proj_size or self.hidden_size)

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """Parameters by layer and direction, in torch.nn's order."""
        return [
            [getattr(self, f"{name}_{suffix}") for name in self._weight_shapes(0)]
            for layer in range(self.num_layers)
            for suffix in self._suffixes(layer)
        ]

    def flatten_parameters(self) -> None:
        """Do nothing: there is no joint buffer to rebuild. Code written for torch.nn calls it."""

    def reset_parameters(self) -> None:
        """Draw every parameter from U(-1/sqrt(H), 1/sqrt(H)), as torch.nn does."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        for name, default in {**defaults, "bidirectional": False}.items():
            if (value := getattr(self, name)) != default:
                parts.append(f"{name}={value}")
        return ", ".join(parts)

    def _suffixes(self, layer: int) -> list[str]:
        return [f"l{layer}", f"l{layer}_reverse"] if self.bidirectional else [f"l{layer}"]

    def _weight_shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        rows = self.gates * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, width),
            "weight_hh": (rows, self.proj_size or self.hidden_size),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        return shapes

    def _call(self, x: Tensor | PackedSequence, hx: Any) -> tuple[Any, State]:
        if isinstance(x, PackedSequence):
            return self._call_packed(x, hx)
        if not isinstance(x, Tensor):
            raise AttributeError(f"x must be a tensor or a PackedSequence, got {type(x).__name__}")
        if x.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__} takes x (T, I) or (T, B, I), got shape {tuple(x.shape)}")
        batched = x.dim() == 3
        batch_dim = 0 if self.batch_first else 1
        if not batched:
            x = x.unsqueeze(batch_dim)
        self._check_input(x)
        state = self._initial_state(x, hx, x.shape[batch_dim], batched)
        y, state = self._torch(x, None, state)
        if not batched:
            return y.squeeze(batch_dim), tuple(s.squeeze(1) for s in state)
        return y, state

    def _call_packed(self, packed: PackedSequence, hx: Any) -> tuple[PackedSequence, State]:
        x, batch_sizes, sorted_indices, unsorted_indices = packed
        self._check_input(x)
        state = self._initial_state(x, hx, int(batch_sizes[0]), batched=True)
        if sorted_indices is not None:
            state = tuple(s.index_select(1, sorted_indices) for s in state)
        y, state = self._torch(x, batch_sizes, state)
        if unsorted_indices is not None:
            state = tuple(s.index_select(1, unsorted_indices) for s in state)
        return PackedSequence(y, batch_sizes, sorted_indices, unsorted_indices), state

    def _torch(self, x: Tensor, batch_sizes: Tensor | None, state: State) -> tuple[Tensor, State]:
        """Fold on torch's own operators."""
        operator = getattr(_VF, self._operator())
        weights = [weight for weights in self.all_weights for weight in weights]
        hx = state if len(state) > 1 else state[0]
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if batch_sizes is None:
            y, *final = operator(x, hx, weights, *options, self.batch_first)
        else:
            y, *final = operator(x, batch_sizes, hx, weights, *options)
        return y, tuple(final)

    def _operator(self) -> str:
        return type(self).__name__.lower()

    def _check_input(self, x: Tensor) -> None:
        weight = self.get_parameter("weight_ih_l0")
        if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
            raise ValueError(f"x is {x.dtype}, the weights are {weight.dtype}")
        if x.shape[-1] != self.input_size:
            raise RuntimeError(f"x must have input_size={self.input_size} features, got shape {tuple(x.shape)}")

    def _initial_state(self, x: Tensor, hx: Any, batch: int, batched: bool) -> State:
        rows = self.num_layers * (2 if self.bidirectional else 1)
        widths = (self.proj_size or self.hidden_size, self.hidden_size)
        if hx is None:
            return tuple(x.new_zeros(rows, batch, width) for _, width in zip(self.state_names, widths, strict=False))
        given: Sequence[Tensor] = (hx,) if len(self.state_names) == 1 else (hx[0], hx[1])
        state = []
        for name, width, value in zip(self.state_names, widths, given, strict=False):
            if not isinstance(value, Tensor):
                raise AttributeError(f"{name} of hx must be a tensor, got {type(value).__name__}")
            expected = (rows, batch, width) if batched else (rows, width)
            if value.shape != expected:
                raise RuntimeError(f"{name} of hx must be {expected}, got shape {tuple(value.shape)}")
            if value.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
                raise RuntimeError(f"{name} of hx is {value.dtype}, x is {x.dtype}")
            state.append(value if batched else value.unsqueeze(1))
        return tuple(state)


class LSTM(_Recurrent):
    """Long short-term memory, as torch.nn.LSTM.

    >>> y, (h, c) = LSTM(3, 4)(torch.zeros(5, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
    """

    gates = 4
    state_names = ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        )

    def forward(
        self, x: Tensor | PackedSequence, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        y, (h, c) = self._call(x, hx)
        return y, (h, c)


class GRU(_Recurrent):
    """Gated recurrent unit, as torch.nn.GRU."""

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )

    def forward(self, x: Tensor | PackedSequence, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        y, (h,) = self._call(x, hx)
        return y, h


class RNN(_Recurrent):
    """The plain recurrent layer of Elman, as torch.nn.RNN."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )
        self.nonlinearity = nonlinearity

    def forward(self, x: Tensor | PackedSequence, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        y, (h,) = self._call(x, hx)
        return y, h

    def _operator(self) -> str:
        return f"rnn_{self.nonlinearity}"


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int):
            raise TypeError(f"{name} must be an int, got {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name} must be positive, got {size}")


def _check_probability(**probabilities: float) -> None:
    for name, value in probabilities.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value <= 1:
            raise ValueError(f"{name} must be a number in [0, 1], got {value!r}")
