"""The answer of a generator: the network's probabilities mixed with those of an n-gram model, kept with the network.

``p = (1 - share) · network + share · n-gram``, so that it is never far from the better of the two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.ngram import NGram

__all__ = ["Mixture", "best_share"]

SHARES = np.linspace(0, 1, 101)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """How much an n-gram model has in the answer.

    Attributes:
        share: of the n-gram model, from 0 to 1.
    """

    ngram: NGram
    share: float

    def nats(self, network: Floats, ngram: Floats) -> Floats:
        """The nats of tokens by the mixture, from those by its parts."""
        with np.errstate(divide="ignore"):  # of a share of 0 or 1
            mixed: Floats = -np.logaddexp(np.log1p(-self.share) - network, np.log(self.share) - ngram)
        return mixed

    def log_probabilities(self, logits: NDArray[np.float32], tokens: NDArray[np.int64]) -> Floats:
        """Of what follows some tokens ``(N,)``, ``(V,)``.

        Args:
            logits: of the network, ``(V,)``.
        """
        shifted = logits.astype(np.float64) - logits.max()
        return -self.nats(np.log(np.exp(shifted).sum()) - shifted, -np.log(self.ngram.following(tokens)))


def best_share(network: Floats, ngram: Floats) -> float:
    """The share of an n-gram model with the fewest nats, from those of the same tokens by both."""
    mixed = [-np.log((1 - share) * np.exp(-network) + share * np.exp(-ngram)).mean() for share in SHARES]
    return float(SHARES[np.argmin(mixed)])
