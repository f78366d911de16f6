"""Which n-grams the linear models count, and how many there are of each kind."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memfold.errors import InputError, shown
from memfold.runtime.texts.tokens import tokens, unspaced

__all__ = ["KINDS", "RegressionSize", "counted_by_character", "grams_of"]

SAMPLE_TEXTS = 1000  # texts that decide whether words or characters are counted

KINDS: dict[str, dict[str, Any]] = {
    "words": {"token_pattern": r"(?u)\b\w+\b", "ngram_range": (1, 2)},
    "parts": {"analyzer": "char_wb", "ngram_range": (2, 5), "sublinear_tf": True},  # of words
    "characters": {"analyzer": "char", "ngram_range": (1, 3)},
    "runs": {"analyzer": "char", "ngram_range": (1, 3), "sublinear_tf": True},  # of characters
}


def grams_of(text: str, kind: str) -> Iterator[tuple[str, int, int]]:
    """The n-grams of a kind that scikit-learn counts in a text in lower case, each with where it begins and ends."""
    options = KINDS[kind]
    shortest, longest = options["ngram_range"]
    if "token_pattern" in options:
        words = list(re.finditer(options["token_pattern"], text))
        for count in range(shortest, longest + 1):
            for begin in range(len(words) - count + 1):
                row = words[begin : begin + count]
                yield " ".join(word[0] for word in row), row[0].start(), row[-1].end()
        return
    # Runs of white space are one space; places are those of the text before.
    letters, places = [], []
    for match in re.finditer(r"\s\s+|.", text, re.DOTALL):
        letters.append(match[0] if len(match[0]) == 1 else " ")
        places.append(match.start())
    spaced = "".join(letters)
    places.append(len(text))
    if options["analyzer"] == "char":
        for size in range(shortest, min(longest, len(spaced)) + 1):
            for begin in range(len(spaced) - size + 1):
                yield spaced[begin : begin + size], places[begin], places[begin + size]
        return
    for word in re.finditer(r"\S+", spaced):  # with a space before and after each
        padded = f" {word[0]} "
        for size in range(shortest, longest + 1):
            for begin in range(max(len(padded) - size, 0) + 1):
                left = max(word.start() + begin - 1, word.start())
                right = min(word.start() + begin - 1 + size, word.end())
                yield padded[begin : begin + size], places[left], places[right]
            if len(padded) <= size:
                break  # a short word is counted once


def counted_by_character(texts: Sequence[str]) -> bool:
    """Whether most of the texts' tokens are no words: characters of an unspaced script, or signs."""
    sample = [token for text in texts[:SAMPLE_TEXTS] for token in tokens(text)]
    return sum(token[0].isalnum() and not unspaced(token) for token in sample) < len(sample) / 2


@dataclass(frozen=True)
class RegressionSize:
    """What fixes the shapes.

    Attributes:
        kinds: of n-grams, from `KINDS`.
        terms: n-grams of each kind.
        letters: bytes of all their names.
        scores: one for two classes.
    """

    kinds: tuple[str, ...]
    terms: tuple[int, ...]
    letters: int
    scores: int

    def as_json(self) -> dict[str, Any]:
        """Plain values for a configuration file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RegressionSize":
        """The sizes that `as_json` gave.

        Raises:
            InputError: they do not fit each other.
        """
        for kind in values["kinds"]:
            if kind not in KINDS:
                raise InputError(f"no kind of n-grams {shown(kind)}; there is {', '.join(KINDS)}")
        if len(values["kinds"]) != len(values["terms"]) or min(values["terms"], default=0) < 0:
            raise InputError(f"n-grams of {len(values['kinds'])} kinds, but counts {shown(values['terms'])}")
        return cls(tuple(values["kinds"]), tuple(values["terms"]), values["letters"], values["scores"])
