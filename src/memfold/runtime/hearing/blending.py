"""How the network's answer and the baseline's are made into one, with probabilities that can be believed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blend", "blended"]

Array = NDArray[np.float64]
SHARES = tuple(share / 10 for share in range(10, -1, -1))  # of the network; of equal ones the greatest is taken
SPREAD = 0.5  # standard deviation of the logarithm of a temperature, before anything was seen
TEMPERATURES = np.exp(np.linspace(-3, 3, 121))


@dataclass(frozen=True)
class Blend:
    """Weights of two log-probabilities, and what their sum is divided by.

    Attributes:
        share: of the network, 0 to 1; the rest is the baseline's.
        temperature: above 1 the probabilities move towards equal ones.
    """

    share: float = 1.0
    temperature: float = 1.0

    @classmethod
    def of(cls, network: Array, baseline: Array, truth: NDArray[np.int64]) -> "Blend":
        """The one with the least cross-entropy on recordings that neither was fitted to.

        Beside it counts how far the temperature is from 1, so that a few recordings do not decide.

        Args:
            network, baseline: log-probabilities, (S, K).
            truth: commands by number, (S,).
        """
        losses = {}
        for share in SHARES:
            for temperature in TEMPERATURES.tolist():
                log_p = blended(network, baseline, cls(share, temperature))
                far = 0.5 * (np.log(temperature) / SPREAD) ** 2
                losses[cls(share, temperature)] = far - float(log_p[np.arange(len(truth)), truth].sum())
        return min(losses, key=lambda blend: losses[blend])


def blended(network: Array, baseline: Array, blend: Blend) -> Array:
    """The log-probabilities that a blend makes of two, all (S, K)."""
    mixed = (blend.share * network + (1 - blend.share) * baseline) / blend.temperature
    shifted = mixed - mixed.max(1, keepdims=True)
    log_p: Array = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return log_p
