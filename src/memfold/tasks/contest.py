"""Who was best on the validation part: the model, the network in it alone, or a baseline."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.recipe import ALONE

__all__ = ["ALONE", "ANSWER", "Contest", "cross_entropy"]

ANSWER = "memfold"


@dataclass(frozen=True)
class Contest:
    """Scores on the validation part, which neither the network nor the baselines were fitted to.

    The network's best weights and the shares were chosen there, so that the answer looks a little better than it is.

    Attributes:
        metric: of the scores.
        better: which way is better.
        scores: by name: ``memfold``, what the model answers; ``the network alone``; the baselines by their names.
        shares: of each part in the answer, the network's too; none where nothing is blended.
        on_curve: the baselines, by what the training itself was validated by, of those that have it; lower is better.
            What is not finite is left out.
    """

    metric: str
    better: Literal["higher", "lower"]
    scores: Mapping[str, float]
    shares: Mapping[str, float] = field(default_factory=dict)
    on_curve: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        finite = {name: float(value) for name, value in self.on_curve.items() if math.isfinite(value)}
        object.__setattr__(self, "on_curve", finite)

    @property
    def winner(self) -> str:
        """The name with the best score; of equal ones the first."""
        best = max if self.better == "higher" else min
        return best(self.scores, key=self.scores.__getitem__)

    @property
    def rival(self) -> str:
        """The best of all but the whole answer; "" where it stands alone."""
        best = max if self.better == "higher" else min
        return best((name for name in self.scores if name != ANSWER), key=self.scores.__getitem__, default="")

    def __str__(self) -> str:
        ordered = sorted(self.scores.items(), key=lambda pair: pair[1], reverse=self.better == "higher")
        text = ", ".join(f"{name} {score:.4g}" for name, score in ordered)
        verdict = "won" if self.winner == ANSWER else f"lost to {self.winner}"
        parts = ", ".join(f"{share:.2g} {name}" for name, share in self.shares.items())
        return f"memfold {verdict} on the validation part, {self.metric}: {text}" + (
            f"; the answer is made of {parts}" if parts else ""
        )


def cross_entropy(log_p: NDArray[Any], truth: NDArray[np.int64], smoothing: float = 0.0) -> float:
    """The mean cross-entropy of log-probabilities (S, K), as a training is validated by it.

    Args:
        truth: by number, (S,).
        smoothing: of the labels: the share that is spread over all classes.

    >>> round(cross_entropy(np.log([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1])), 4)
    0.4904
    """
    right = log_p[np.arange(len(truth)), truth]
    return -float(((1 - smoothing) * right + smoothing * log_p.mean(1)).mean())
