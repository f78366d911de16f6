"""In what units a translator reads and writes, and how large it is to be, from the pairs and the budget."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from memfold.data.parallel import ParallelText
from memfold.tasks.planning import Plan

__all__ = ["PairFacts", "facts_of", "plan", "without_spaces"]

SECONDS_PER_WEIGHT = 4e-11  # and word that is read or written, forwards and backwards, at speed 1
SECONDS_PER_UPDATE = 2.5e-9  # and weight, of the optimiser and the average
PER_WORD = 1.4  # subwords, of vocabularies as they are chosen here
SIZES = (384, 256, 192, 128)
BATCHES = (2400, 1200, 600)
EPOCHS = 6  # at least, before a larger network is worth its time; a guess
STEPS = 1500
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
LOOKED_AT = 1000  # sentences


@dataclass(frozen=True)
class PairFacts:
    """What sentence pairs are like.

    Attributes:
        source_length, target_length: characters of a sentence of a side without spaces, else words; on average.
        source_unspaced, target_unspaced: whether it is written without spaces between words.
        characters: different ones of the target.
    """

    pairs: int
    source_length: float
    target_length: float
    source_unspaced: bool
    target_unspaced: bool
    characters: int

    def __str__(self) -> str:
        sides = [
            f"{length:.3g} {'characters' if unspaced else 'words'}"
            for length, unspaced in (
                (self.source_length, self.source_unspaced),
                (self.target_length, self.target_unspaced),
            )
        ]
        return f"{self.pairs:,} pairs of {sides[0]} and {sides[1]}"


def without_spaces(sentences: Sequence[str]) -> bool:
    """Whether most letters of some sentences are of a script without spaces between words, such as Chinese or Thai."""
    letters = [c for sentence in islice(sentences, LOOKED_AT) for c in sentence if c.isalpha()]
    unspaced = sum(unicodedata.name(c, "").startswith(UNSPACED) for c in letters)
    return 2 * unspaced > len(letters)


def facts_of(text: ParallelText) -> PairFacts:
    """The facts about sentence pairs."""
    source, target = without_spaces(text.source), without_spaces(text.target)
    lengths = _length(text.source, source), _length(text.target, target)
    return PairFacts(len(text), *lengths, source, target, len(set().union(*text.target)))


def _length(sentences: Sequence[str], unspaced: bool) -> float:
    return sum(len(sentence) if unspaced else len(sentence.split()) for sentence in sentences) / len(sentences)


def plan(facts: PairFacts, seconds: float, speed: float, given: Mapping[str, Any]) -> Plan:
    """What to leave to the data and the machine.

    Args:
        seconds: of the training.
        given: what somebody has set, which the rest follows.
    """
    units = {True: "character", False: "subword"}
    chosen: dict[str, Any] = {
        "source_units": units[facts.source_unspaced],
        "target_units": units[facts.target_unspaced],
        # Zipf's law: so many that each is seen some dozens of times. 4,000 for 29,000 captions, 1,300 for a tenth.
        "vocabulary": _rounded(7 * (facts.pairs * facts.target_length) ** 0.5),
        **given,
    }
    if facts.target_unspaced and "vocabulary" not in given:
        chosen["vocabulary"] = max(chosen["vocabulary"], 1000)
    source, target = (
        length * (1 if chosen[side] == "character" else PER_WORD) + 1
        for side, length in (("source_units", facts.source_length), ("target_units", facts.target_length))
    )
    written = min(facts.characters, 8000) if chosen["target_units"] == "character" else chosen["vocabulary"]

    def epochs(size: int, batch: int) -> float:
        hidden, embedding = chosen.get("hidden_size", size), chosen.get("embedding_size", size)
        read = 2 * hidden * (embedding + hidden // 2) + hidden * embedding
        write = (
            4 * hidden * (embedding + hidden) + 4 * hidden * 3 * hidden + 3 * hidden * embedding + embedding * written
        )
        weights = read + write + embedding * chosen["vocabulary"]
        pair = (source * read + target * write) * SECONDS_PER_WEIGHT
        steps = facts.pairs * (source + target) / batch
        return float(seconds * speed / (facts.pairs * pair + steps * weights * SECONDS_PER_UPDATE))

    # As large as can go over the pairs some times; a few thousand are learned by heart by anything larger.
    most = next((size for fewer, size in ((5000, 128), (12_000, 192), (100_000, 256)) if facts.pairs < fewer), SIZES[0])
    sizes = (size for size in SIZES if size <= most and epochs(size, BATCHES[0]) >= EPOCHS)
    size = next(sizes, SIZES[-1])
    chosen.setdefault("hidden_size", size)
    chosen.setdefault("embedding_size", size)
    # Smaller steps where few large ones fit.
    words = facts.pairs * (source + target)
    batches = (batch for batch in BATCHES if epochs(size, batch) * words / batch >= STEPS and 8 * batch <= words)
    chosen.setdefault("batch_tokens", next(batches, BATCHES[-1]))
    # The more often it goes over them, the more must be done against learning them by heart.
    count = epochs(size, chosen["batch_tokens"])
    rates = ((4, 0.1), (10, 0.2), (25, 0.3))
    chosen.setdefault("dropout", next((rate for fewest, rate in rates if count < fewest), 0.4))
    return Plan(chosen, str(facts), count)


def _rounded(size: float) -> int:
    return min(max(round(size / 100) * 100, 200), 8000)
