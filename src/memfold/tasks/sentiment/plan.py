"""What a classifier of texts chooses by looking at them: how large, how many networks, how they are validated."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memfold.runtime.texts.ngrams import counted_by_character
from memfold.runtime.texts.tokens import tokens
from memfold.tasks.planning import Plan

__all__ = ["Facts", "plan"]

SAMPLE_TEXTS = 2000  # whose lengths are looked at
TOKEN_SECONDS = 1.1e-5  # of training a network of 100 units on a token, at speed 1; of 64 units it takes half
LARGE, SMALL = 100, 64  # units, and dimensions of the embeddings
ENOUGH = 10  # epochs that a network should have; by this estimate two on mr, which had 79.7 % in a minute, have 14
MOST_MEMBERS = 6
FEW = 2500  # texts; a twentieth of fewer is too little to choose on: one text of 125 is a percent
FOLDS = 5
LONGEST, LEAST_LENGTH = 400, 100  # tokens
LEAST_EPOCHS = 5
STEPS, EPOCHS = 600, 30  # at most, whichever is more, so that the learning rate falls while few texts still teach
# Of long texts fewer, as each teaches more: on 4,720 Chinese reviews of 110 characters four networks validated best
# after 5 epochs of 12; five of 8, in the same time, lowered the cross-entropy of others from 0.298 to 0.283.
TOKENS, LEAST_OF_LONG = 700, 8


@dataclass(frozen=True)
class Facts:
    """What is looked at.

    Attributes:
        texts: to train on.
        lengths: tokens of some of them, in order of size.
        classes: distinct labels.
        rarest: texts of the rarest class.
        by_character: whether most tokens are characters of an unspaced script.
    """

    texts: int
    lengths: tuple[int, ...]
    classes: int
    rarest: int
    by_character: bool

    @classmethod
    def of(cls, texts: Sequence[str], labels: Sequence[str]) -> "Facts":
        """Of texts and their labels."""
        counts = Counter(labels)
        some = texts[:: max(len(texts) // SAMPLE_TEXTS, 1)]
        lengths = tuple(sorted(len(tokens(text)) for text in some))
        return cls(len(texts), lengths, len(counts), min(counts.values()), counted_by_character(texts))

    def tokens_within(self, most: int) -> float:
        """The mean number of tokens, where ``most`` of each text are read."""
        return max(float(np.minimum(self.lengths, most).mean()), 1.0)

    def __str__(self) -> str:
        unit = "characters" if self.by_character else "words"
        rarest = "1 text" if self.rarest == 1 else f"{self.rarest:,} texts"
        usual = self.lengths[len(self.lengths) // 2]
        return f"{self.texts:,} texts, half of them over {usual} {unit}, {self.classes} classes, the rarest of {rarest}"


def plan(facts: Facts, seconds: float, speed: float, given: dict[str, Any], batch_size: int) -> Plan:
    """Parameters for texts, a budget and a machine.

    Args:
        given: the parameters that may be chosen; those that somebody has set are not None, and the others follow them.
        batch_size: texts in a step.
    """
    set_by_hand = {name: value for name, value in given.items() if value is not None}
    seconds_of_text = TOKEN_SECONDS * facts.texts / speed

    def epochs_of(members: int, units: int, length: int) -> float:
        cost = seconds_of_text * facts.tokens_within(length) * members * (units / LARGE) ** 1.5
        return float(seconds / max(cost, 1e-9))

    # Read all of nearly every text, and the beginning of each where that leaves too few epochs.
    length = min(max(int(np.quantile(facts.lengths, 0.98)), LEAST_LENGTH), LONGEST)
    if (fits := epochs_of(1, SMALL, length)) < LEAST_EPOCHS:
        length = min(length, max(int(length * fits / LEAST_EPOCHS), LEAST_LENGTH))
    length = set_by_hand.get("max_length", length)
    # A smaller network where the texts are few, or where a large one would have too few epochs.
    units = SMALL if facts.texts < FEW or epochs_of(1, LARGE, length) < ENOUGH else LARGE
    values = {"max_length": length, "embedding_size": units, "hidden_size": units, **set_by_hand}
    units = values["hidden_size"]
    # As many networks as have enough epochs each; few texts are validated on by those that leave them out.
    few = facts.texts < FEW and facts.rarest > 1
    members = min(max(int(epochs_of(1, units, length) / ENOUGH), 1), FOLDS if few else MOST_MEMBERS)
    members = values.setdefault("members", max(members, values.get("folds", 1)))
    values.setdefault("folds", min(FOLDS, members) if few else 1)
    epochs = min(max(int(TOKENS / facts.tokens_within(length)), LEAST_OF_LONG), EPOCHS)
    values.setdefault("epochs", max(epochs, STEPS // -(-facts.texts // batch_size)))
    return Plan(values, str(facts), min(epochs_of(members, units, length), values["epochs"]))
