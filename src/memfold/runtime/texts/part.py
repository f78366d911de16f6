"""A classifier of texts whose networks, n-gram model and blend an exported part computes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.recipe import Run
from memfold.runtime.texts.blend import TextAnswers
from memfold.runtime.texts.encoding import BLANK, TokenEncoder, TokenKinds
from memfold.runtime.texts.linear import LinearModel

__all__ = ["PartLabelling", "part_inputs"]

ROWS = 128  # texts at once


@dataclass(frozen=True)
class PartLabelling:
    """What a part gives for texts.

    Attributes:
        run: takes what `part_inputs` gives; returns ``probabilities``, and the log-probabilities of ``network`` and
            ``ngrams``, (B, C) each.
        encoder: from texts to tokens.
        ngrams: whose n-grams are counted.
        classes: C.
    """

    run: Run
    encoder: TokenEncoder
    ngrams: LinearModel
    classes: int

    def answers(self, texts: Sequence[str]) -> TextAnswers:
        """The probability of every class for every text, by the whole model and by its halves."""
        kinds = self.encoder.kinds(texts)
        probabilities, network, ngrams = np.zeros((3, len(texts), self.classes))
        order = np.argsort([len(row) for row in kinds.rows], kind="stable")
        for places in np.split(order, range(ROWS, len(order), ROWS)) if len(order) else ():
            counts = [self.ngrams.counted(texts[place]) for place in places]
            outputs = self.run(**part_inputs(kinds, [kinds.rows[place] for place in places], counts))
            for result, name in ((probabilities, "probabilities"), (network, "network"), (ngrams, "ngrams")):
                result[places] = outputs[name]
        return TextAnswers(probabilities, network, ngrams)


def part_inputs(
    kinds: TokenKinds,
    rows: Sequence[NDArray[np.int64]],
    counts: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> dict[str, NDArray[Any]]:
    """What the part of a classifier takes, for B texts.

    Args:
        rows: the kinds of each text's tokens.
        counts: of each text, which n-grams of the linear model it has, and how often.

    Returns:
        ``words`` of every kind of token, (K,), the first kind `BLANK`; ``grams``, the buckets of all kinds' n-grams,
        and ``gram_kinds``, which kind each is of, (N,); ``kinds``, which kind of token stands where, (B, T), and the
        ``lengths`` (B,); ``columns``, which n-grams of the linear model are there, ``counts``, how often, and
        ``texts``, in which text, (M,).
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    there, places = np.unique(np.concatenate([[BLANK], *rows]).astype(np.int64), return_inverse=True)
    sizes = kinds.gram_starts[there + 1] - kinds.gram_starts[there]
    shift = np.repeat(kinds.gram_starts[there] - (np.cumsum(sizes) - sizes), sizes)
    padded = np.zeros((len(rows), max(int(lengths.max()), 1)), np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = places[1:]
    return {
        "words": kinds.words[there],
        "grams": kinds.grams[np.arange(len(shift)) + shift],
        "gram_kinds": np.repeat(np.arange(len(there)), sizes),
        "kinds": padded,
        "lengths": lengths,
        "columns": np.concatenate([columns for columns, _ in counts]),
        "counts": np.concatenate([often for _, often in counts]).astype(np.float32),
        "texts": np.repeat(np.arange(len(rows)), [len(columns) for columns, _ in counts]),
    }
