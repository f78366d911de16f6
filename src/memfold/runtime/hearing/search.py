"""From log-probabilities to text: the likeliest labels, or a prefix beam search with an n-gram model of characters.

The search takes a step at a time and holds a few prefixes of the text, each with the probability of all paths that end
in it (Graves & Jaitly 2014, algorithm 1; Hannun et al. 2014, algorithm 1). So it works the same on a whole recording
and on one that is still coming in.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.ngram import NGram

__all__ = [
    "BLANK",
    "Alphabet",
    "CharacterModel",
    "PrefixBeam",
    "SearchWeights",
    "Segment",
    "Transcript",
    "greedy",
    "least_steps",
    "log_softmax",
]

BLANK = 0  # the output that stands for no character (Graves et al. 2006)
Prefix = tuple[int, ...]
NEVER = -math.inf
UNLIKELY = math.log(1e-4)  # labels below are not followed
LINE_END = 0  # the character model's own token, before and after a text; no text has a blank
LONGEST_GRAM = 8


class Alphabet:
    """The characters that a model writes; label k is the k-th, from 1.

    >>> Alphabet("ab").encode("abc"), Alphabet("ab").decode([2, 1])
    ([1, 2], 'ba')
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._labels = {character: label for label, character in enumerate(characters, start=1)}

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """All characters of some texts."""
        return cls("".join(sorted(set("".join(texts)))))

    def as_json(self) -> str:
        """For ``config.json``."""
        return self.characters

    @classmethod
    def from_json(cls, characters: str) -> Self:
        """What `as_json` gave."""
        return cls(characters)

    @staticmethod
    def json_types() -> type[str]:
        """The type of what `as_json` gives."""
        return str

    def encode(self, text: str) -> list[int]:
        """The labels of a text, without its characters that are not in the alphabet."""
        return [self._labels[character] for character in text if character in self._labels]

    def decode(self, labels: Iterable[int]) -> str:
        """The text of some labels."""
        return "".join(self.characters[label - 1] for label in labels)


def greedy(y: NDArray[np.float32]) -> list[int]:
    """The labels of the likeliest path, from log-probabilities ``(S, 1 + V)``: repetitions merged, blanks left out."""
    path = y.argmax(1)
    begins = np.append(True, path[1:] != path[:-1])[: len(path)]
    return [int(label) for label in path[begins & (path != BLANK)]]


def least_steps(labels: Sequence[int]) -> int:
    """What CTC needs: a step a label, and a blank between two equal ones."""
    return len(labels) + sum(a == b for a, b in pairwise(labels))


def log_softmax(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-probabilities from a step's outputs ``1 + V``."""
    shifted = np.asarray(y - y.max(), np.float32)
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)


class CharacterModel:
    """How likely a character is after those before it, from texts: an interpolated n-gram model.

    Args:
        texts: labels of each.
        characters: V.
    """

    def __init__(self, texts: Sequence[Sequence[int]], characters: int) -> None:
        stream = np.array([LINE_END, *(token for text in texts for token in (*text, LINE_END))])
        self.grams = NGram.fitted(stream, 1 + characters, LONGEST_GRAM)
        self._found: dict[Prefix, list[float]] = {}

    def after(self, prefix: Prefix) -> list[float]:
        """Log-probabilities of the text's end and of every label after a prefix, ``1 + V``."""
        reach = self.grams.order - 1
        context = (LINE_END, *prefix)[-reach:] if reach else ()
        if context not in self._found:
            tokens = np.arange(self.grams.vocabulary)[:, None]
            rows = np.hstack(
                [np.tile(np.array((LINE_END, *context)[-1 - reach :], np.int64), (len(tokens), 1)), tokens]
            )
            self._found[context] = (-self.grams.nats(rows)[:, -1]).tolist()
        return self._found[context]


@dataclass(frozen=True)
class SearchWeights:
    """How the search weighs what it does not hear.

    Attributes:
        beam: prefixes that are followed.
        language: weight of the character model's log-probability.
        bonus: added for every character.
    """

    beam: int = 16
    language: float = 0.5
    bonus: float = 0.5


class PrefixBeam:
    """The likeliest texts so far.

    Args:
        model: of characters; none when None.
    """

    def __init__(self, weights: SearchWeights, model: CharacterModel | None) -> None:
        self.weights, self.model = weights, model
        self.ending: dict[Prefix, tuple[float, float]] = {(): (0.0, NEVER)}  # log-probability, after a blank or not
        self.extra: dict[Prefix, float] = {(): 0.0}  # what the weights add

    def step(self, y: Sequence[float]) -> None:
        """Take the log-probabilities ``1 + V`` of one more step."""
        labels = [label for label, value in enumerate(y) if label != BLANK and value > UNLIKELY]
        blank = y[BLANK]
        grown = dict[Prefix, tuple[float, float]]()
        extra: dict[Prefix, float] = {}
        for prefix, (after_blank, after_label) in self.ending.items():
            total = _sum(after_blank, after_label)
            last = prefix[-1] if prefix else BLANK
            stay = after_label + y[last] if prefix else NEVER
            old = grown.get(prefix, (NEVER, NEVER))
            grown[prefix] = _sum(old[0], total + blank), _sum(old[1], stay)
            extra[prefix] = self.extra[prefix]
            for label in labels:
                longer = (*prefix, label)
                come = (after_blank if label == last else total) + y[label]
                if come == NEVER:
                    continue
                old = grown.get(longer, (NEVER, NEVER))
                grown[longer] = old[0], _sum(old[1], come)
                if longer not in extra:
                    extra[longer] = extra[prefix] + self._added(prefix, label)
        best = sorted(grown, key=lambda prefix: _sum(*grown[prefix]) + extra[prefix], reverse=True)[: self.weights.beam]
        self.ending = {prefix: grown[prefix] for prefix in best}
        self.extra = {prefix: extra[prefix] for prefix in best}

    def _added(self, prefix: Prefix, label: int) -> float:
        if self.model is None:
            return self.weights.bonus
        return self.weights.bonus + self.weights.language * self.model.after(prefix)[label]

    def best(self, ended: bool = False) -> Prefix:
        """The best text so far, or when it is known to have ended."""

        def score(prefix: Prefix) -> float:
            value = _sum(*self.ending[prefix]) + self.extra[prefix]
            if ended and self.model is not None:
                value += self.weights.language * self.model.after(prefix)[LINE_END]
            return value

        return max(self.ending, key=score)


def _sum(a: float, b: float) -> float:
    """The logarithm of the sum of two probabilities given by theirs."""
    low, high = (a, b) if a < b else (b, a)
    return high if low == NEVER else high + math.log1p(math.exp(low - high))


@dataclass(frozen=True)
class Segment:
    """What was said between two pauses.

    Attributes:
        first, last: the steps of its first and last character.
    """

    first: int
    last: int
    text: str


class Transcript:
    """The text of a recording, taken step by step, cut where nobody speaks for a while.

    Args:
        pause: so many steps without a character end a segment.
    """

    moves: ClassVar[tuple[str, ...]] = ("steps", "first", "last", "prefixes")

    def __init__(self, alphabet: Alphabet, weights: SearchWeights, model: CharacterModel | None, pause: int) -> None:
        self.alphabet, self.weights, self.model, self.pause = alphabet, weights, model, pause
        self.steps = 0
        self.done: list[Segment] = []
        self._begin()

    @property
    def prefixes(self) -> list[Any]:
        """What the search follows: of each prefix its labels, its log-probabilities and what the weights add."""
        beam = self.beam
        return [[list(prefix), *beam.ending[prefix], beam.extra[prefix]] for prefix in beam.ending]

    @prefixes.setter
    def prefixes(self, rows: list[Any]) -> None:
        ending = {tuple(map(int, labels)): (float(blank), float(label)) for labels, blank, label, _ in rows}
        if not ending or any(not 1 <= k <= len(self.alphabet.characters) for prefix in ending for k in prefix):
            raise ValueError("prefixes of other characters")
        self.beam.ending = ending
        self.beam.extra = {tuple(map(int, labels)): float(extra) for labels, _, _, extra in rows}

    def _begin(self) -> None:
        self.beam = PrefixBeam(self.weights, self.model)
        self.first = self.last = -1

    def step(self, y: NDArray[np.float32]) -> Segment | None:
        """Take one more step ``1 + V``; the segment that it ends, if it does."""
        values = y.tolist()
        self.beam.step(values)
        if values[BLANK] < max(values):
            self.last = self.steps
            if self.first < 0:
                self.first = self.steps
        self.steps += 1
        return self.finish() if self.first >= 0 and self.steps - 1 - self.last >= self.pause else None

    def partial(self) -> str:
        """The best text of the segment that has not ended."""
        return self.alphabet.decode(self.beam.best())

    def finish(self) -> Segment | None:
        """End the segment, if there is one."""
        heard = self.first >= 0  # a character that is likelier than none; without one, the bonus may write some
        text = self.alphabet.decode(self.beam.best(ended=True)).strip() if heard else ""
        segment = Segment(max(self.first, 0), max(self.last, 0), text) if text else None
        self._begin()
        if segment is not None:
            self.done.append(segment)
        return segment

    def whole(self, y: NDArray[np.float32]) -> str:
        """The text of a whole recording ``(S, 1 + V)``."""
        for row in y:
            self.step(row)
        self.finish()
        return " ".join(segment.text for segment in self.done)
