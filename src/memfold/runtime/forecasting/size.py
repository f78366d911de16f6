"""What fixes the shapes of the forecasting network."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LEVELS", "NetworkSize", "linear_shape", "patch_of"]

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of the quantiles
SUMMARY, STEP_CODE, DECODER = 64, 8, 128  # widths in the decoder
MOST_GRAM = 10_000_000  # numbers in the normal equations of all steps ahead


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


def patch_of(seasons: Sequence[int]) -> int:
    """Steps that enter the LSTM at once."""
    return max(1, seasons[0] // 4)


def linear_shape(size: NetworkSize, calendar: int) -> tuple[int, int]:
    """The shape of the linear model's weights: what is known of each step ahead is left out where it costs too much."""
    shared = size.context * (1 + size.past + size.known - calendar) + 1
    ahead = size.known if size.horizon * (shared + size.known) ** 2 <= MOST_GRAM else 0
    return size.horizon, shared + ahead
