"""One step at a time: LSTMCell, GRUCell and RNNCell with torch.nn's signatures and the layers' variants."""

from typing import Any

import torch
from torch import Tensor, nn

from memfold.cells.table import CELLS
from memfold.nn.composition import FORMULAS, State, share, zoned
from memfold.nn.options import Device, checked_clip, checked_sizes, checked_zoneout, described, refuse
from memfold.nn.weights import checked_init, initialise, refuse_reshaped, shapes

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class RecurrentCell(nn.Module):
    """What the cells share: parameters under torch.nn's names, and the way of a call."""

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        bias: bool,
        device: Device,
        dtype: torch.dtype | None,
        *,
        clip: float | None,
        zoneout: float | tuple[float, float],
        init: str,
        peephole: bool = False,
        layer_norm: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__()
        checked_sizes(input_size=input_size, hidden_size=hidden_size)
        self.cell = cell
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.clip = checked_clip(clip)
        self.zoneouts = checked_zoneout(zoneout, CELLS[cell].state)
        self.zoneout = zoneout if any(self.zoneouts) else 0.0
        self.init = checked_init(init, cell, bias, forget_bias)
        self.forget_bias = forget_bias
        named = shapes(cell, input_size, hidden_size, bias=bias, peephole=peephole, layer_norm=layer_norm)
        for name, shape in named.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self._weight_shapes = named
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every parameter anew, as ``init`` says."""
        initialise(self.cell, self.weights(), self.init, self.forget_bias)

    def extra_repr(self) -> str:
        return described(self)

    def weights(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in self._weight_shapes}

    def _step(self, x: Tensor, hx: Any) -> State:
        if x.dim() not in (1, 2):
            raise ValueError(f"{type(self).__name__} takes x (I,) or (B, I), got shape {tuple(x.shape)}")
        if x.shape[-1] != self.input_size:
            raise RuntimeError(f"x must have input_size={self.input_size} features, got shape {tuple(x.shape)}")
        names = CELLS[self.cell].state
        before = self._state_before(x, hx, names)
        weights = self.weights()
        refuse_reshaped(weights, self._weight_shapes)
        new = FORMULAS[self.cell](share(x, weights, "ih"), before[0], before, weights, clip=self.clip)
        after = []
        for name, old, p in zip(names, before, self.zoneouts, strict=True):
            keep = torch.rand_like(old) < p if self.training and p else p
            after.append(zoned(new[name], old, keep))
        return tuple(after)

    def _state_before(self, x: Tensor, hx: Any, names: tuple[str, ...]) -> State:
        expected = (*x.shape[:-1], self.hidden_size)
        if hx is None:
            return tuple(x.new_zeros(expected) for _ in names)
        state = (hx,) if len(names) == 1 else (hx[0], hx[1])
        for name, part in zip(names, state, strict=True):
            if part.dim() not in (1, 2):
                raise ValueError(f"{name} of hx must be {expected}, got shape {tuple(part.shape)}")
            if part.shape != expected:
                raise RuntimeError(f"{name} of hx must be {expected}, got shape {tuple(part.shape)}")
            if part.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
                raise RuntimeError(f"{name} of hx is {part.dtype}, x is {x.dtype}")
        return state


class LSTMCell(RecurrentCell):
    """One step of :class:`memfold.nn.LSTM`.

    Args:
        input_size: I, features of x.
        hidden_size: H.
        bias: whether there are ``bias_ih`` and ``bias_hh``.
        device, dtype: of the parameters.
        peephole, coupled, layer_norm, forget_bias, clip, zoneout, init: as of the layer. A step draws a zoneout mask.

    Raises:
        ValueError: an option out of its range, or one that the cell does not have.
        TypeError: a size that is not an int, or an unknown option.

    >>> h, c = LSTMCell(3, 4)(torch.randn(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        peephole: bool = False,
        coupled: bool = False,
        layer_norm: bool = False,
        forget_bias: float = 1.0,
        clip: float | None = None,
        zoneout: float | tuple[float, float] = 0.0,
        init: str = "memfold",
        **lacking: object,
    ) -> None:
        refuse("LSTMCell", lacking)
        super().__init__(
            "coupled_lstm" if coupled else "lstm",
            input_size,
            hidden_size,
            bias,
            device,
            dtype,
            peephole=peephole,
            layer_norm=layer_norm,
            forget_bias=forget_bias,
            clip=clip,
            zoneout=zoneout,
            init=init,
        )
        self.peephole = peephole
        self.coupled = coupled
        self.layer_norm = layer_norm

    def forward(self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Take one step.

        Args:
            x: ``(B, I)`` or ``(I,)``.
            hx: h and c of the step before, ``(B, H)`` or ``(H,)`` each; zeros when None.

        Returns:
            The new h and c, formed as hx.

        Raises:
            ValueError: x or hx of another rank.
            RuntimeError: x or hx of another shape or dtype.
        """
        h, c = self._step(x, hx)
        return h, c


class GRUCell(RecurrentCell):
    """One step of :class:`memfold.nn.GRU`.

    Args:
        input_size, hidden_size, bias, device, dtype: as :class:`LSTMCell`.
        reset_after, clip, zoneout, init: as of the layer. A step draws a zoneout mask.

    Raises:
        ValueError, TypeError: as :class:`LSTMCell`.

    >>> GRUCell(3, 4)(torch.randn(2, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        clip: float | None = None,
        zoneout: float = 0.0,
        init: str = "memfold",
        **lacking: object,
    ) -> None:
        refuse("GRUCell", lacking)
        cell = "gru" if reset_after else "gru_reset_before"
        super().__init__(cell, input_size, hidden_size, bias, device, dtype, clip=clip, zoneout=zoneout, init=init)
        self.reset_after = reset_after

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Tensor:
        """Take one step: as :meth:`LSTMCell.forward`, with h alone."""
        (h,) = self._step(x, hx)
        return h


class RNNCell(RecurrentCell):
    """One step of :class:`memfold.nn.RNN`.

    Args:
        input_size, hidden_size, bias, device, dtype: as :class:`LSTMCell`.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        clip, zoneout, init: as of the layer. A step draws a zoneout mask.

    Raises:
        ValueError, TypeError: as :class:`LSTMCell`.

    >>> RNNCell(3, 4)(torch.randn(3)).shape
    torch.Size([4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        clip: float | None = None,
        zoneout: float = 0.0,
        init: str = "memfold",
        **lacking: object,
    ) -> None:
        refuse("RNNCell", lacking)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        cell = f"rnn_{nonlinearity}"
        super().__init__(cell, input_size, hidden_size, bias, device, dtype, clip=clip, zoneout=zoneout, init=init)
        self.nonlinearity = nonlinearity

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Tensor:
        """Take one step: as :meth:`LSTMCell.forward`, with h alone."""
        (h,) = self._step(x, hx)
        return h
