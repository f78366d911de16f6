"""The layers: LSTM, GRU and RNN with torch.nn's signatures and results, and the variants torch.nn has never had."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from memfold.nn.layer import Recurrent
from memfold.nn.options import Device, refuse
from memfold.nn.ragged import Integers

__all__ = ["GRU", "LSTM", "RNN"]


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000).

    ::

        i, f, o = sigmoid(W x + R h + b)        peephole: i and f see p * c, o sees p * c'; coupled: f = 1 - i
        g       = tanh(W x + R h + b)
        c'      = f * c + i * g
        h'      = o * tanh(c')                  proj_size: h' = W_hr (o * tanh(c'))

    What torch.nn.LSTM takes means what it means there, and the weights bear its names: state dicts load both ways.

    Args:
        input_size: I, features of x.
        hidden_size: H.
        num_layers: L, stacked.
        bias: whether there are ``bias_ih`` and ``bias_hh``.
        batch_first: x and y are ``(B, T, ·)``.
        dropout: on the output of every layer but the last, in training.
        bidirectional: a second fold from the end; outputs are joined, forward first.
        proj_size: P, recurrent projection of h (Sak, Senior & Beaufays 2014); 0 for none.
        device, dtype: of the parameters.
        peephole: gates see the cell (Gers & Schmidhuber 2000), by ``weight_ph (3H)`` in the order i f o.
        coupled: f = 1 - i (CIFG of Greff et al. 2017). Gates i g o, weights ``(3H, ·)``, ``weight_ph (2H)``: i o.
        layer_norm: LN(W x) + LN(R h) + b and h' = o * tanh(LN(c')), by the gains ``ln_ih``, ``ln_hh``, ``ln_c`` (Ba,
            Kiros & Hinton 2016, supplement, with one bias). The carried c' is not normalised.
        forget_bias: first value of the forget gate's bias, in ``bias_ih``; a coupled LSTM's i starts at the negative.
        clip: bound of every pre-activation, after the peephole term; None for none.
        recurrent_dropout: on h before the recurrent product, one mask for a whole sequence (Gal & Ghahramani 2016).
        zoneout: probability that a unit of the state keeps its value of the step before, or a pair for h and c; in
            evaluation the expectation (Krueger et al. 2017).
        init: ``"memfold"``, ``"torch"``, ``"chrono"`` or ``"chrono:LAG"``; see :func:`memfold.nn.weights.initialise`.

    Raises:
        ValueError: an option out of its range, or one that the LSTM does not have.
        TypeError: a size that is not an int, or an unknown option.

    >>> lstm = LSTM(3, 4, peephole=True)
    >>> y, (h, c) = lstm(torch.randn(5, 2, 3), lengths=[5, 3])
    >>> y.shape, h.shape, bool(y[3:, 1].any())
    (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]), False)
    """

    TORCH_OPTIONS = (*Recurrent.TORCH_OPTIONS, "proj_size")

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
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        peephole: bool = False,
        coupled: bool = False,
        layer_norm: bool = False,
        forget_bias: float = 1.0,
        clip: float | None = None,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        init: str = "memfold",
        **lacking: object,
    ) -> None:
        refuse("LSTM", lacking)
        super().__init__(
            "coupled_lstm" if coupled else "lstm",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            proj_size=proj_size,
            peephole=peephole,
            layer_norm=layer_norm,
            forget_bias=forget_bias,
            clip=clip,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            init=init,
        )
        self.peephole = peephole
        self.coupled = coupled
        self.layer_norm = layer_norm

    def forward(
        self,
        x: Tensor | PackedSequence,
        hx: tuple[Tensor, Tensor] | None = None,
        lengths: Integers | None = None,
        resets: Any = None,
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        """Fold the layers over a sequence.

        Args:
            x: ``(T, B, I)``, ``(B, T, I)`` with ``batch_first``, ``(T, I)``, or a PackedSequence.
            hx: initial h ``(L*D, B, H or P)`` and c ``(L*D, B, H)``, without B for an unbatched x; zeros when None.
            lengths: steps of each row, ``(B,)`` integers from 0 to T. What x holds past them, NaN too, changes nothing
                and has gradient 0; outputs there are 0. The reverse direction starts at each row's own end, and a row
                of length 0 keeps its initial state. Not beside a PackedSequence.
            resets: ``(T, B)`` bool, ``(B, T)`` with ``batch_first``. True at t cuts the sequence between t-1 and t, for
                both directions: the state there is set to 0, not to hx.

        Returns:
            The output, formed as x with ``D*(H or P)`` features, and h and c after each row's last step, formed as hx.

        Raises:
            ValueError: x of another rank or dtype, lengths out of range (the row is named), lengths or resets of
                another shape.
            RuntimeError: x or hx of another shape, hx of another dtype.
            TypeError: lengths not integers, resets not bool.
        """
        y, (h, c) = self._call(x, hx, lengths, resets)
        return y, (h, c)


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078).

    ::

        r, z = sigmoid(W x + b + R h + b')
        n    = tanh(W x + b + r * (R h + b'))       reset_after=False: n = tanh(W x + b + R (r * h) + b')
        h'   = (1 - z) * n + z * h

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as :class:`LSTM`.
        reset_after: r acts on the recurrent product (torch, cuDNN; the paper's versions 1 and 2), or on h before it
            (version 3).
        clip, recurrent_dropout: as :class:`LSTM`.
        zoneout: as :class:`LSTM`, of h.
        init: as :class:`LSTM`; chrono sets the bias of z, the gate that keeps h.

    Raises:
        ValueError, TypeError: as :class:`LSTM`.

    >>> y, h = GRU(3, 4, bidirectional=True)(torch.randn(5, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([5, 2, 8]), torch.Size([2, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        clip: float | None = None,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        init: str = "memfold",
        **lacking: object,
    ) -> None:
        refuse("GRU", lacking)
        super().__init__(
            "gru" if reset_after else "gru_reset_before",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            clip=clip,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            init=init,
        )
        self.reset_after = reset_after

    def forward(
        self,
        x: Tensor | PackedSequence,
        hx: Tensor | None = None,
        lengths: Integers | None = None,
        resets: Any = None,
    ) -> tuple[Any, Tensor]:
        """Fold the layers over a sequence: as :meth:`LSTM.forward`, with ``hx`` and the final state h alone."""
        y, (h,) = self._call(x, hx, lengths, resets)
        return y, h


class RNN(Recurrent):
    """The simple recurrent network (Elman 1990): h' = tanh(W x + R h + b), or max(0, ·).

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as :class:`LSTM`.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        clip, recurrent_dropout: as :class:`LSTM`.
        zoneout: as :class:`LSTM`, of h.
        init: as :class:`LSTM`, but without chrono, as there are no gates.

    Raises:
        ValueError, TypeError: as :class:`LSTM`.

    >>> y, h = RNN(3, 4, nonlinearity="relu")(torch.randn(5, 3))
    >>> y.shape, h.shape
    (torch.Size([5, 4]), torch.Size([1, 4]))
    """

    TORCH_OPTIONS = (*Recurrent.TORCH_OPTIONS, "nonlinearity")

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
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        clip: float | None = None,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        init: str = "memfold",
        **lacking: object,
    ) -> None:
        refuse("RNN", lacking)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(
            f"rnn_{nonlinearity}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            clip=clip,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            init=init,
        )
        self.nonlinearity = nonlinearity

    def forward(
        self,
        x: Tensor | PackedSequence,
        hx: Tensor | None = None,
        lengths: Integers | None = None,
        resets: Any = None,
    ) -> tuple[Any, Tensor]:
        """Fold the layers over a sequence: as :meth:`LSTM.forward`, with ``hx`` and the final state h alone."""
        y, (h,) = self._call(x, hx, lengths, resets)
        return y, h
