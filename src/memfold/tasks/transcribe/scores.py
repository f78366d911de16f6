"""How far texts are from the true ones, in edits."""

from collections.abc import Sequence

import jiwer
import numpy as np

__all__ = ["error_rates", "typical"]

SAMPLE_TEXTS = 50


def error_rates(texts: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """The character and the word error rate: edits over the length of the true texts.

    >>> error_rates(["ab cd"], ["ab cx"])
    {'cer': 0.2, 'wer': 0.5}
    """
    return {
        "cer": float(jiwer.cer(list(texts), list(predicted))),
        "wer": float(jiwer.wer(list(texts), list(predicted))),
    }


def typical(texts: Sequence[str]) -> str:
    """The one of some texts that is least wrong for a sample of the others."""
    some: list[str] = [texts[row] for row in np.random.default_rng(0).permutation(len(texts))[:SAMPLE_TEXTS]]
    return min(some, key=lambda text: error_rates(some, [text] * len(some))["cer"])
