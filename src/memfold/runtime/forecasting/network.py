"""The forecasting network without torch, as `memfold.tasks.forecast.network` trains it."""

import numpy as np
from numpy.typing import NDArray

from memfold.engine import fold, pack
from memfold.runtime.forecasting.size import DECODER, STEP_CODE, SUMMARY, NetworkSize
from memfold.runtime.forecasting.windows import Windows, level_and_scale, standardised
from memfold.runtime.weights import Weights

__all__ = ["EnsembleForecasts", "lag_index"]

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


class EnsembleForecasts:
    """The mean of several networks.

    Args:
        weights: those of an ensemble, under ``members``.
    """

    def __init__(self, weights: Weights, size: NetworkSize, members: int) -> None:
        self.members = [_Member(weights, f"members.{k}", size) for k in range(members)]

    def __call__(self, windows: Windows) -> Array:
        """The quantiles of the horizon after each window, (B, K, Q), in the units of the series."""
        level, scale = level_and_scale(windows.y, windows.seen)
        z = np.where(windows.seen, standardised(windows.y, level, scale), 0.0).astype(np.float32)  # (B, C)
        with np.errstate(over="ignore", invalid="ignore"):  # of a network that diverged, which then has no share
            mean = np.mean([member.quantiles(z, windows) for member in self.members], 0)
        ordered = np.sort(mean.astype(np.float64), -1)  # rearranged where they cross (Chernozhukov et al. 2010)
        result: Array = ordered * scale[..., None] + level[..., None]
        return result


class _Member:
    """One network."""

    def __init__(self, weights: Weights, prefix: str, size: NetworkSize) -> None:
        self.size = size
        lags, quantiles, hidden = len(size.lags), len(size.quantiles), size.hidden_size
        inputs = size.patch * (2 + size.past + size.known)
        layers = weights.recurrent(f"{prefix}.lstm", "lstm", inputs, hidden, gates=4, layers=size.num_layers)
        self.packed = [pack(layer.cell, layer.weights) for layer in layers]
        self.summary = weights.linear(f"{prefix}.summary", hidden + size.static, SUMMARY)
        self.step_code = weights.take(f"{prefix}.step_code", (size.horizon, STEP_CODE))
        decoded = SUMMARY + STEP_CODE + 3 * lags + size.known
        self.decoder = weights.linear(f"{prefix}.decoder.0", decoded, DECODER)
        self.out = weights.linear(f"{prefix}.decoder.3", DECODER, lags + quantiles)
        self.linear = None
        if size.linear:
            self.linear = weights.linear(f"{prefix}.linear", size.context, size.horizon, bias=False)
        self.lag_index = lag_index(size)

    def quantiles(self, z: Floats, windows: Windows) -> Floats:
        """In units of the windows' scales, (B, K, Q), from values in these units, (B, C)."""
        size, batch = self.size, len(z)
        # Read the window patch by patch; keep the last state.
        seen = windows.seen[..., None].astype(np.float32)
        read = np.concatenate([z[..., None], seen, windows.past, windows.known[:, : size.context]], -1)
        x = read.reshape(batch, size.context // size.patch, -1).swapaxes(0, 1)  # (C/P, B, P*F)
        for packed in self.packed:
            x, (hidden, _) = fold(packed.cell, x, packed)
        summary = np.maximum(_linear(np.concatenate([hidden, windows.static], -1), self.summary), 0)  # (B, S)
        # For every step ahead, the values whole periods before it, and their neighbours.
        lagged = z[:, self.lag_index]  # (B, K, L)
        before = np.concatenate([lagged[:, :1], lagged[:, :-1]], 1)
        after = np.concatenate([lagged[:, 1:], lagged[:, -1:]], 1)
        shape = (batch, size.horizon)
        features = [
            np.broadcast_to(summary[:, None], (*shape, SUMMARY)),
            np.broadcast_to(self.step_code, (*shape, STEP_CODE)),
            lagged,
            before,
            after,
            windows.known[:, size.context :],
        ]
        # A mix of the seasonal naive forecasts, corrected for every quantile.
        decoded = np.maximum(_linear(np.concatenate(features, -1).reshape(batch * size.horizon, -1), self.decoder), 0)
        out = _linear(decoded, self.out).reshape(*shape, -1)
        mixture, correction = out[..., : len(size.lags)], out[..., len(size.lags) :]
        shares = np.exp(mixture - mixture.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        forecast: Floats = (shares * lagged).sum(-1, keepdims=True) + correction
        return forecast if self.linear is None else forecast + (z @ self.linear["weight"].T)[..., None]


def lag_index(size: NetworkSize) -> NDArray[np.int64]:
    """Where in the window the value stands that is whole periods before each step ahead, (K, L)."""
    ahead = np.arange(size.horizon)[:, None]
    lags = np.array(size.lags)[None, :]
    result: NDArray[np.int64] = size.context + ahead - lags * (ahead // lags + 1)
    return result


def _linear(x: Floats, layer: dict[str, Floats]) -> Floats:
    result: Floats = x @ layer["weight"].T + layer["bias"]
    return result
