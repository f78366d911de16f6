"""What the layers share: the way of a call, from its arguments to whoever computes it."""

from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import memfold.nn.dispatch as dispatch
import memfold.nn.inference as inference
from memfold.cells.table import CELLS
from memfold.nn.composition import State, Values
from memfold.nn.conversion import converted
from memfold.nn.ragged import Integers, checked_lengths, checked_resets
from memfold.nn.stack import Stack
from memfold.stream import Stream

__all__ = ["Recurrent"]

Layer = TypeVar("Layer", bound=nn.Module)


class Recurrent(Stack):
    """A stack of recurrent layers in one direction or both, whatever the cell."""

    # Options that torch.nn's layer of the same name takes too.
    TORCH_OPTIONS: tuple[str, ...] = (
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
    )

    def trace(
        self,
        x: Tensor,
        hx: Any = None,
        *,
        lengths: Integers | None = None,
        resets: Any = None,
    ) -> dict[str, Values]:
        """Every gate, cell and hidden value of a call.

        Args and errors: as :meth:`forward`; a PackedSequence is not taken.

        Returns:
            For each layer and direction, ``"l0"``, ``"l0_reverse"``, ``"l1"`` …, the values by name: ``i f g o c h`` of
            an LSTM, ``r z n h`` of a GRU, ``h`` of an RNN. Each is ``(T, B, H)``, also with ``batch_first``; ``h`` is
            ``(T, B, P)`` with a projection; for an unbatched x there is no B. They are 0 past a row's length, part of
            torch's graph, and under zoneout c and h are those that the next step receives.
        """
        if not isinstance(x, Tensor):
            raise TypeError(f"trace takes a tensor, with lengths where rows end early, got {type(x).__name__}")
        traces = dispatch.traced(self, *self.prepared(x, hx, lengths, resets))
        if x.dim() == 3:
            return traces
        return {key: {name: v.squeeze(1) for name, v in values.items()} for key, values in traces.items()}

    def outputs(
        self,
        x: Tensor,
        hx: Any = None,
        *,
        lengths: Integers | None = None,
        resets: Any = None,
    ) -> list[Tensor]:
        """What every layer returns, the first layer's first; a loss can be taken of each.

        Args and errors: as :meth:`forward`; a PackedSequence is not taken.

        Returns:
            L outputs, each formed as that of :meth:`forward`, which is the last; the others are without the dropout
            between layers.
        """
        if not isinstance(x, Tensor):
            raise TypeError(f"outputs takes a tensor, with lengths where rows end early, got {type(x).__name__}")
        time_first, state, checked, cuts = self.prepared(x, hx, lengths, resets)
        below: list[Tensor] = []
        last, _ = dispatch.fold(self, time_first, state, checked, cuts, between=below)
        every = [*(converted(y, last.dtype) for y in below), last]  # under autocast too
        if x.dim() == 2:
            return [y.squeeze(1) for y in every]
        return [y.transpose(0, 1) if self.batch_first else y for y in every]

    def stream(self, streams: int = 1, *, bfloat16: bool = False) -> Stream:
        """The layer as a :class:`memfold.stream.Stream`, which takes one step at a call and needs no torch.

        Args:
            streams: S, how many independent streams go in step.
            bfloat16: products of bfloat16 numbers, with half the memory to read in every step; sums and state stay in
                float32.

        Raises:
            ValueError: a bidirectional layer, or a cell or option that streams do not have.

        >>> import memfold, numpy
        >>> memfold.nn.LSTM(3, 4).stream(streams=2).step(numpy.zeros((2, 3), numpy.float32)).shape
        (2, 4)
        """
        return inference.stream(self, streams, bfloat16)

    @classmethod
    def from_torch(cls, module: nn.RNNBase) -> Self:
        """The same layer as torch.nn's ``module``, with copies of its weights.

        Raises:
            TypeError: ``module`` is not torch.nn's layer of this class's name.
        """
        if type(module) is not cls._torch_class():
            raise TypeError(f"{cls.__name__}.from_torch takes a torch.nn.{cls.__name__}, got {type(module).__name__}")
        options = {name: getattr(module, name) for name in cls.TORCH_OPTIONS}
        return _with_weights_of(module, cls(**options, init="torch", device="meta"))

    def to_torch(self) -> nn.RNNBase:
        """The same layer of torch.nn, with copies of the weights.

        Raises:
            ValueError: torch.nn has no such cell.
        """
        if variants := [f"{name}={getattr(self, name)}" for name in self.variants()]:
            raise ValueError(f"torch.nn.{type(self).__name__} has no {', '.join(variants)}")
        options = {name: getattr(self, name) for name in self.TORCH_OPTIONS}
        return _with_weights_of(self, self._torch_class()(**options, device="meta"))

    @classmethod
    def _torch_class(cls) -> type[nn.RNNBase]:
        layer: type[nn.RNNBase] | None = getattr(nn, cls.__name__, None)
        if layer is None:
            raise ValueError(f"torch.nn has no {cls.__name__}")
        return layer

    def _call(
        self, x: Tensor | PackedSequence, hx: Any, lengths: Integers | None, resets: Any
    ) -> tuple[Tensor | PackedSequence, State]:
        if isinstance(x, PackedSequence):
            return self._call_packed(x, hx, lengths, resets)
        if not isinstance(x, Tensor):
            raise AttributeError(f"x must be a tensor or a PackedSequence, got {type(x).__name__}")
        time_first, state, checked, cuts = self.prepared(x, hx, lengths, resets)
        y, state = dispatch.fold(self, time_first, state, checked, cuts)
        if x.dim() == 2:
            return y.squeeze(1), tuple(s.squeeze(1) for s in state)
        return y.transpose(0, 1) if self.batch_first else y, state

    def _call_packed(
        self, packed: PackedSequence, hx: Any, lengths: Integers | None, resets: Any
    ) -> tuple[PackedSequence, State]:
        if lengths is not None:
            raise ValueError("a PackedSequence holds its own lengths: leave lengths out beside it")
        data, batch_sizes, sorted_indices, unsorted_indices = packed
        self._check_features(data)
        batch = int(batch_sizes[0])
        state = self._initial_state(data, hx, batch, batched=True)
        cuts = None
        if resets is not None:
            cuts = checked_resets(resets, len(batch_sizes), batch, self.batch_first, data.device)
        if sorted_indices is not None:
            state = tuple(s.index_select(1, sorted_indices) for s in state)
            cuts = None if cuts is None else cuts.index_select(1, sorted_indices)
        if dispatch.served_by(self, data, state, ragged=cuts is not None) == "torch":
            y, state = dispatch.torchs_own(self, data, batch_sizes, state)
        else:
            x, rows = pad_packed_sequence(PackedSequence(data, batch_sizes))
            y, state = dispatch.fold(self, x, state, rows.to(data.device), cuts, packed=True)
            y = pack_padded_sequence(y, rows).data
        if unsorted_indices is not None:
            state = tuple(s.index_select(1, unsorted_indices) for s in state)
        return PackedSequence(y, batch_sizes, sorted_indices, unsorted_indices), state

    def prepared(
        self, x: Tensor, hx: Any, lengths: Integers | None, resets: Any
    ) -> tuple[Tensor, State, Tensor | None, Tensor | None]:
        """A call's arguments, checked, with time first and a batch."""
        if x.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__} takes x (T, I) or (T, B, I), got shape {tuple(x.shape)}")
        self._check_features(x)
        batched = x.dim() == 3
        if not batched:
            x = x.unsqueeze(1)
            lengths = None if lengths is None else torch.as_tensor(lengths).reshape(-1)
            resets = None if resets is None else torch.as_tensor(resets).unsqueeze(0 if self.batch_first else 1)
        elif self.batch_first:
            x = x.transpose(0, 1)
        steps, batch, _ = x.shape
        if steps == 0:
            raise RuntimeError("x must have at least one step, got T=0")
        state = self._initial_state(x, hx, batch, batched)
        rows = None if lengths is None else checked_lengths(lengths, steps, batch, x.device)
        cuts = None if resets is None else checked_resets(resets, steps, batch, self.batch_first, x.device)
        return x, state, rows, cuts

    def _check_features(self, x: Tensor) -> None:
        weight = getattr(self, self.weight_names[0]["weight_ih"])
        if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
            raise ValueError(f"x is {x.dtype}, the weights are {weight.dtype}: convert one with .to(dtype)")
        if x.shape[-1] != self.input_size:
            raise RuntimeError(f"x must have input_size={self.input_size} features, got shape {tuple(x.shape)}")

    def _initial_state(self, x: Tensor, hx: Any, batch: int, batched: bool) -> State:
        names = CELLS[self.cell].state
        rows = self.num_layers * self.num_directions
        widths = (self.proj_size or self.hidden_size, self.hidden_size)[: len(names)]
        if hx is None:
            return tuple(x.new_zeros(rows, batch, width) for width in widths)
        state = []
        for name, width, part in zip(names, widths, (hx,) if len(names) == 1 else (hx[0], hx[1]), strict=True):
            if not isinstance(part, Tensor):
                raise AttributeError(f"{name} of hx must be a tensor, got {type(part).__name__}")
            expected = (rows, batch, width) if batched else (rows, width)
            if part.shape != expected:
                raise RuntimeError(f"{name} of hx must be {expected}, got shape {tuple(part.shape)}")
            if part.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
                raise RuntimeError(f"{name} of hx is {part.dtype}, x is {x.dtype}")
            state.append(part if batched else part.unsqueeze(1))
        return tuple(state)


def _with_weights_of(source: nn.Module, layer: Layer) -> Layer:
    """``layer``, made on the meta device, with copies of the source's weights and its mode."""
    layer.load_state_dict({name: weight.clone() for name, weight in source.state_dict().items()}, assign=True)
    for parameter, other in zip(layer.parameters(), source.parameters(), strict=True):
        parameter.requires_grad_(other.requires_grad)
    return layer.train(source.training)
