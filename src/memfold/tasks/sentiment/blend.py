"""Which blend of the LSTMs and the n-grams suits texts best."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.texts.blend import Blend
from memfold.tasks.calibration import temperature_of
from memfold.tasks.classes import class_scores

__all__ = ["best_blend"]

SHARES = tuple(twentieth / 20 for twentieth in range(21))
# Mean and standard deviation of a share before anything was seen. Few texts hardly move it, and where texts are few the
# n-grams know more: of 70 sentences 58 % against the LSTMs' 51, of 692 72 against 55.
USUAL, SPREAD = 0.8, 0.25
EVENNESS = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of the classes' frequencies that are taken out

Array = NDArray[np.float64]


def best_blend(network: Array, ngrams: Array, labels: NDArray[np.int64]) -> Blend:
    """The one that suits texts best that neither model learned from.

    The share and the temperature are those of the least cross-entropy: the fewer texts, the nearer they stay to the
    usual share and a temperature of 1. The factors then raise the rare classes as far as that makes accuracy and macro
    F1 better together.

    Args:
        network, ngrams: log-probabilities, (S, C).
        labels: classes, (S,).
    """
    rows = np.arange(len(labels))

    def loss(blend: Blend) -> float:
        wrong = -np.log(np.maximum(blend.probabilities(network, ngrams)[rows, labels], 1e-300)).sum()
        return float(wrong) + ((blend.share - USUAL) / SPREAD) ** 2 / 2

    def fitting(blend: Blend) -> Blend:
        """The same with the temperature that suits it."""
        return replace(blend, temperature=temperature_of(blend.logits(network, ngrams), labels))

    plain = min((fitting(Blend(share)) for share in SHARES), key=loss)
    return fitting(_raising_rare_classes(plain, network, ngrams, labels))


def _raising_rare_classes(blend: Blend, network: Array, ngrams: Array, labels: NDArray[np.int64]) -> Blend:
    """With logits that are adjusted by a share of the logarithms of how frequent the classes are (Menon et al. 2021,
    eq. 9): with all of it, a class is answered by its texts alone, however few there are like them.

    A share of one must gain two standard errors of the accuracy, lest few texts decide.
    """
    counts = np.bincount(labels, minlength=network.shape[1])
    logarithms = np.log((counts + 1) / (counts + 1).max())
    least_gain = 2 * 100 * 0.5 / len(labels) ** 0.5

    def gain(candidate: Blend, evenness: float) -> float:
        scores = class_scores(labels, candidate.logits(network, ngrams).argmax(1))
        return float(scores["accuracy"] + scores["macro_f1"] - least_gain * evenness)

    plain = replace(blend, temperature=1.0)
    candidates = {e: replace(plain, offsets=tuple((-e * logarithms).tolist())) for e in EVENNESS}
    return candidates[max(candidates, key=lambda e: gain(candidates[e], e))]
