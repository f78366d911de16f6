"""How far texts are from the true ones, in edits."""

import re
from collections.abc import Sequence

import jiwer
import numpy as np

from memfold.runtime.texts.tokens import UNSPACED

__all__ = ["counts_characters", "error_rates", "typical"]

SAMPLE_TEXTS = 50
ALONE = re.compile(UNSPACED)  # a character that is a word


def error_rates(texts: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """The character and the word error rate: edits over the length of the true texts.

    Every character of a script without spaces, such as Chinese, is a word.

    >>> error_rates(["ab cd"], ["ab cx"]), error_rates(["早上好"], ["早上"])["wer"]
    ({'cer': 0.2, 'wer': 0.5}, 0.3333333333333333)
    """
    words, written = ([_apart(text) for text in given] for given in (texts, predicted))
    return {
        "cer": float(jiwer.cer(list(texts), list(predicted))),
        "wer": float(jiwer.wer(words, written)),
    }


def counts_characters(texts: Sequence[str]) -> bool:
    """Whether one of some texts is of a script without spaces, of which every character is a word.

    >>> counts_characters(["good"]), counts_characters(["早上好"])
    (False, True)
    """
    return any(ALONE.search(text) for text in texts)


def _apart(text: str) -> str:
    """A text with spaces around every character that is a word."""
    return ALONE.sub(lambda match: f" {match[0]} ", text)


def typical(texts: Sequence[str]) -> str:
    """The one of some texts that is least wrong for a sample of the others."""
    some: list[str] = [texts[row] for row in np.random.default_rng(0).permutation(len(texts))[:SAMPLE_TEXTS]]
    return min(some, key=lambda text: error_rates(some, [text] * len(some))["cer"])
