"""The forecasting network: one LSTM for all series, over windows that are scaled one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from memfold.nn import LSTM
from memfold.nn.dropout import Dropout
from memfold.runtime.forecasting.network import lag_index
from memfold.runtime.forecasting.size import DECODER, STEP_CODE, SUMMARY, NetworkSize
from memfold.runtime.forecasting.windows import Windows

__all__ = ["Ensemble", "ForecastNetwork", "Window", "quantile_loss", "standardised"]


@dataclass(frozen=True)
class Window:
    """A batch of windows.

    Attributes:
        y: values up to the origin, float64, (B, C); anything where ``seen`` is False.
        seen: whether the series had begun, (B, C).
        past: covariates known up to the origin, (B, C, F_past).
        known: covariates known ahead, (B, C + K, F_known).
        static: what is the same throughout a series, (B, F_static).
        target: values after the origin, float64, (B, K), NaN after a series' end; None when they are to be forecast.
    """

    y: Tensor
    seen: Tensor
    past: Tensor
    known: Tensor
    static: Tensor
    target: Tensor | None = None

    @classmethod
    def of(cls, windows: Windows) -> Self:
        """The same as tensors."""
        arrays = (windows.y, windows.seen, windows.past, windows.known, windows.static)
        y, seen, past, known, static = map(torch.from_numpy, arrays)
        target = None if windows.target is None else torch.from_numpy(windows.target)
        return cls(y, seen, past, known, static, target)


class Ensemble(nn.Module):
    """Networks that learn side by side from the same batches, each from its own first weights.

    What the answer is blended with beside them (`memfold.runtime.forecasting.blend`) is kept here after the training.
    """

    spread: Tensor  # (K, Q)
    stretch: Tensor  # (Q,)
    linear_weights: Tensor  # (K, X + F), or (K, 0) without a linear model

    def __init__(self, size: NetworkSize, members: int) -> None:
        super().__init__()
        self.size = size
        self.members = nn.ModuleList(ForecastNetwork(size) for _ in range(members))
        self.keep(torch.zeros(size.horizon, len(size.quantiles)), torch.ones(len(size.quantiles)))

    def keep(self, spread: Tensor, stretch: Tensor, linear_weights: Tensor | None = None) -> None:
        """Keep the arrays of a blend with the weights."""
        none = torch.zeros(self.size.horizon, 0, dtype=torch.float64)
        self.register_buffer("spread", spread.double())
        self.register_buffer("stretch", stretch.double())
        self.register_buffer("linear_weights", none if linear_weights is None else linear_weights.double())

    def forward(self, window: Window) -> tuple[Tensor, Tensor, Tensor]:
        """Forecast a batch of windows.

        Returns:
            Every member's quantiles in units of the window's scale, (M, B, K, Q); the level and the scale, float64,
            (B, 1) each.
        """
        # Bring every window to its own scale; all members read the same.
        level, scale = level_and_scale(window.y, window.seen)
        z = torch.where(window.seen, standardised(window.y, level, scale), 0.0).float()  # (B, C)
        return torch.stack([member(z, window) for member in self.members]), level, scale

    def quantiles(self, window: Window) -> Tensor:
        """The quantiles of the members' mean in the units of the series, float64, (B, K, Q)."""
        quantiles, level, scale = self(window)
        ordered = quantiles.mean(0).double().sort(-1).values  # rearranged where they cross (Chernozhukov et al. 2010)
        result: Tensor = ordered * scale[..., None] + level[..., None]
        return result


class ForecastNetwork(nn.Module):
    """Quantiles of the next K values from the last C.

    The window comes centred on its mean and divided by its mean absolute deviation. An LSTM reads it patch by patch.
    One small network, the same for every step ahead, then takes what the LSTM remembers and what is the same throughout
    the series, the step's own code, the values one period before it with their neighbours, and the covariates ahead; it
    mixes those periods (a softmax) and adds a correction for every quantile. Beside all that a linear map of the window
    may add to every step ahead, an autoregression that the network need not imitate (Lai et al. 2018, sec. 3.6). At the
    start the forecast is the plain mean of the seasonal naive ones.
    """

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.size = size
        # One LSTM reads the window, a patch of values and covariates a step.
        self.lstm = LSTM(
            size.patch * (2 + size.past + size.known),
            size.hidden_size,
            size.num_layers,
            batch_first=True,
            dropout=size.dropout if size.num_layers > 1 else 0.0,
        )
        # One small network makes every step ahead from the same summary and the step's own code.
        self.summary = nn.Linear(size.hidden_size + size.static, SUMMARY)
        self.step_code = nn.Parameter(0.1 * torch.randn(size.horizon, STEP_CODE))
        out = nn.Linear(DECODER, len(size.lags) + len(size.quantiles))
        self.decoder = nn.Sequential(
            nn.Linear(SUMMARY + STEP_CODE + 3 * len(size.lags) + size.known, DECODER),
            nn.ReLU(),
            Dropout(size.dropout),
            out,
        )
        # At the start it adds nothing and mixes all periods alike.
        nn.init.zeros_(out.weight)
        nn.init.zeros_(out.bias)
        # Beside it, a linear autoregression over the whole window.
        self.linear = nn.Linear(size.context, size.horizon, bias=False) if size.linear else None
        if self.linear is not None:
            nn.init.zeros_(self.linear.weight)
        self.lag_index: Tensor
        self.register_buffer("lag_index", torch.from_numpy(lag_index(size)), persistent=False)

    def forward(self, z: Tensor, window: Window) -> Tensor:
        """Forecast a batch of windows.

        Args:
            z: the values up to the origin in units of the window's scale, 0 where the series had not begun, (B, C).

        Returns:
            The quantiles in those units, (B, K, Q).
        """
        size, batch = self.size, z.shape[0]
        # Read the window patch by patch; keep the last state.
        past = [z[..., None], window.seen[..., None].float(), window.past, window.known[:, : size.context]]
        patches = torch.cat(past, -1).reshape(batch, size.context // size.patch, -1)  # (B, C/P, P*F)
        _, (hidden, _) = self.lstm(patches)
        summary = torch.relu(self.summary(torch.cat([hidden[-1], window.static], -1)))  # (B, S)
        # For every step ahead, the values whole periods before it, and their neighbours.
        lagged = z[:, self.lag_index]  # (B, K, L)
        before = torch.cat([lagged[:, :1], lagged[:, :-1]], 1)
        after = torch.cat([lagged[:, 1:], lagged[:, -1:]], 1)
        features = [
            summary[:, None].expand(-1, size.horizon, -1),  # (B, K, S)
            self.step_code.expand(batch, -1, -1),  # (B, K, STEP_CODE)
            lagged,
            before,
            after,
            window.known[:, size.context :],
        ]
        # A mix of the seasonal naive forecasts, corrected for every quantile.
        out = self.decoder(torch.cat(features, -1))  # (B, K, L + Q)
        mixture, correction = out.split([len(size.lags), len(size.quantiles)], -1)
        naive = (mixture.softmax(-1) * lagged).sum(-1, keepdim=True)  # (B, K, 1)
        forecast: Tensor = naive + correction
        return forecast if self.linear is None else forecast + self.linear(z)[..., None]


def level_and_scale(y: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the mean absolute deviation of what was seen of each window, (B, 1) each.

    The scale is at least a thousandth of the mean absolute value. It is 0 where all is 0, and so is the forecast then.
    """
    count = seen.sum(1, keepdim=True).clamp(min=1)
    y = torch.where(seen, y, 0.0)
    level = y.sum(1, keepdim=True) / count
    deviation = torch.where(seen, (y - level).abs(), 0.0).sum(1, keepdim=True) / count
    floor = 1e-3 * y.abs().sum(1, keepdim=True) / count
    return level, torch.maximum(deviation, floor)


def standardised(y: Tensor, level: Tensor, scale: Tensor) -> Tensor:
    """``y`` in units of the window's scale; a scale of 0 divides as 1."""
    return (y - level) / torch.where(scale > 0, scale, 1.0)


def quantile_loss(quantiles: Tensor, target: Tensor, levels: Sequence[float]) -> Tensor:
    """Twice the pinball loss, averaged: an estimate of the CRPS (Gneiting & Raftery 2007, sec. 6).

    Args:
        quantiles: (..., B, K, Q).
        target: (B, K); what is NaN does not count.
        levels: Q of them.
    """
    tau = torch.tensor(levels, dtype=quantiles.dtype)  # (Q,)
    error = target[..., None] - quantiles  # (..., B, K, Q)
    return 2 * torch.maximum(tau * error, (tau - 1) * error).nanmean()
