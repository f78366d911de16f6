"""Where a translator looked while it wrote."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from memfold.drawing import Choice, Heat
from memfold.page import Section
from memfold.words import Words

if TYPE_CHECKING:
    from memfold.tasks.translate.task import Translator

__all__ = ["attention_section"]

SHOWN_SENTENCES = 5


def attention_section(model: "Translator", sentences: Sequence[str], words: Words) -> list[Section]:
    """The attention over the first sentences that are different."""
    first = list(dict.fromkeys(sentence for sentence in sentences if sentence.strip()))[:SHOWN_SENTENCES]
    tables = {}
    for sentence, alignment in zip(first, model.align(first), strict=True):
        source, target = (
            [piece.replace("▁", " ") for piece in pieces] for pieces in (alignment.source, alignment.target)
        )
        attention = np.asarray(alignment.attention, np.float64)
        tables[sentence] = Heat(target, source, attention, corner=words("looked corner"))
    return [(words("looked"), words("attention text"), Choice(tables, words("choose sentence")))] if tables else []
