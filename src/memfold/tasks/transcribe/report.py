"""Where a recogniser goes wrong: the worst recordings, and the characters that are taken for others."""

from collections import Counter
from collections.abc import Sequence

import jiwer
from rich.table import Table
from rich.text import Text

from memfold.words import said

__all__ = ["confusions", "mistake_tables"]

WORST = 5
COMMONEST = 10
NOTHING = ""


def confusions(texts: Sequence[str], predicted: Sequence[str]) -> Counter[tuple[str, str]]:
    """How often a character was written as another; "" stands for one that was left out or put in.

    >>> confusions(["abc"], ["adc"])[("b", "d")]
    1
    """
    counts: Counter[tuple[str, str]] = Counter()
    for text, prediction, chunks in zip(
        texts, predicted, jiwer.process_characters(list(texts), list(predicted)).alignments, strict=True
    ):
        for chunk in chunks:
            said = text[chunk.ref_start_idx : chunk.ref_end_idx]
            written = prediction[chunk.hyp_start_idx : chunk.hyp_end_idx]
            if chunk.type == "substitute":
                counts.update(zip(said, written, strict=True))
            elif chunk.type == "delete":
                counts.update((character, NOTHING) for character in said)
            elif chunk.type == "insert":
                counts.update((NOTHING, character) for character in written)
    return counts


def mistake_tables(texts: Sequence[str], predicted: Sequence[str], names: Sequence[str]) -> tuple[Table, Table]:
    """The recordings with the highest character error rates, and the commonest confusions."""
    rates = [float(jiwer.cer(text, prediction)) for text, prediction in zip(texts, predicted, strict=True)]
    worst = Table("CER", "said", "written", "recording", title=said("worst recordings"), title_justify="left")
    for i in sorted(range(len(texts)), key=lambda i: -rates[i])[:WORST]:
        worst.add_row(f"{rates[i]:.2f}", Text(texts[i]), Text(predicted[i]), Text(names[i]))
    common = Table("said", "written", "times", title=said("characters taken"), title_justify="left")
    for (character, other), count in confusions(texts, predicted).most_common(COMMONEST):
        common.add_row(_shown(character), _shown(other), str(count))
    return worst, common


def _shown(character: str) -> str | Text:
    if character == NOTHING:
        return said("nothing written")
    return said("space") if character == " " else Text(character)
