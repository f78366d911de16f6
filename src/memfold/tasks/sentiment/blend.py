"""How the answer is made of the LSTMs' and the n-grams', and how sure it is."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from memfold.tasks.calibration import temperature_of
from memfold.tasks.classes import class_scores

__all__ = ["Blend"]

SHARES = tuple(twentieth / 20 for twentieth in range(21))
# Mean and standard deviation of a share before anything was seen. Few texts hardly move it, and where texts are few the
# n-grams know more: of 70 sentences 58 % against the LSTMs' 51, of 692 72 against 55.
USUAL, SPREAD = 0.8, 0.25
EVENNESS = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of the classes' frequencies that are taken out

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Blend:
    """The weighted geometric mean of two models' probabilities, a factor for each class, and a temperature.

    Attributes:
        share: of the n-grams, 0 to 1; the rest is the LSTMs'.
        temperature: above 0; below 1 the answer is surer than the two.
        offsets: logarithm of every class's factor; none when there are none of them.
    """

    share: float
    temperature: float = 1.0
    offsets: tuple[float, ...] = ()

    @classmethod
    def best(cls, network: Array, ngrams: Array, labels: NDArray[np.int64]) -> "Blend":
        """The one that suits texts best that neither model learned from.

        The share and the temperature are those of the least cross-entropy: the fewer texts, the nearer they stay to
        the usual share and a temperature of 1. The factors then raise the rare classes as far as that makes accuracy
        and macro F1 better together.

        Args:
            network, ngrams: log-probabilities, (S, C).
            labels: classes, (S,).
        """
        rows = np.arange(len(labels))

        def loss(blend: "Blend") -> float:
            wrong = -np.log(np.maximum(blend.probabilities(network, ngrams)[rows, labels], 1e-300)).sum()
            return float(wrong) + ((blend.share - USUAL) / SPREAD) ** 2 / 2

        def fitting(blend: "Blend") -> "Blend":
            """The same with the temperature that suits it."""
            return replace(blend, temperature=temperature_of(blend.logits(network, ngrams), labels))

        plain = min((fitting(cls(share)) for share in SHARES), key=loss)
        return fitting(plain._raising_rare_classes(network, ngrams, labels))

    def _raising_rare_classes(self, network: Array, ngrams: Array, labels: NDArray[np.int64]) -> "Blend":
        """With logits that are adjusted by a share of the logarithms of how frequent the classes are (Menon et al.
        2021, eq. 9): with all of it, a class is answered by its texts alone, however few there are like them.

        A share of one must gain two standard errors of the accuracy, lest few texts decide.
        """
        counts = np.bincount(labels, minlength=network.shape[1])
        logarithms = np.log((counts + 1) / (counts + 1).max())
        least_gain = 2 * 100 * 0.5 / len(labels) ** 0.5

        def gain(blend: "Blend", evenness: float) -> float:
            scores = class_scores(labels, blend.logits(network, ngrams).argmax(1))
            return float(scores["accuracy"] + scores["macro_f1"] - least_gain * evenness)

        plain = replace(self, temperature=1.0)
        candidates = {e: replace(plain, offsets=tuple((-e * logarithms).tolist())) for e in EVENNESS}
        return candidates[max(candidates, key=lambda e: gain(candidates[e], e))]

    def logits(self, network: Array, ngrams: Array) -> Array:
        """From both models' log-probabilities (S, C)."""
        mean = (1 - self.share) * network + self.share * ngrams
        logits: Array = (mean + np.array(self.offsets or 0.0)) / self.temperature
        return logits

    def probabilities(self, network: Array, ngrams: Array) -> Array:
        """From both models' log-probabilities (S, C)."""
        logits = self.logits(network, ngrams)
        p = np.exp(logits - logits.max(1, keepdims=True))
        result: Array = p / p.sum(1, keepdims=True)
        return result
