"""What fixes the shapes of the forecasting network."""

from dataclasses import dataclass

__all__ = ["NetworkSize"]


@dataclass(frozen=True)
class NetworkSize:
    """What fixes the network's shapes.

    Attributes:
        context: steps of the past that it sees, C; a multiple of ``patch``.
        horizon: steps it forecasts, K.
        patch: steps that enter the LSTM at once, P.
        lags: periods, in steps, after which a series tends to repeat itself.
        past: covariates known up to now.
        known: covariates known ahead too, calendar included.
        quantiles: levels of the forecast's quantiles, rising; the middle one is 0.5.
        linear: whether a linear map of the window adds to the forecast.
        static: features that are the same throughout a series.
    """

    context: int
    horizon: int
    patch: int
    lags: tuple[int, ...]
    past: int
    known: int
    quantiles: tuple[float, ...]
    hidden_size: int
    num_layers: int
    dropout: float
    linear: bool
    static: int = 0
