"""A translation memory: the translation of the most similar sentence that was trained on."""

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from memfold.data.parallel import ParallelText
from memfold.errors import InputError

__all__ = ["NEVER", "Match", "TranslationMemory", "best_threshold"]

THRESHOLDS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.01)  # of likeness that are tried
NEVER = 2.0  # above every likeness
AT_ONCE = 100  # sentences that are looked up
MOST_PAIRS = 100_000  # that are kept; some 5 MB as they are stored
MOST_BYTES = 100_000_000  # of a stored memory, unpacked


@dataclass(frozen=True)
class Match:
    """What a memory has for a sentence.

    Attributes:
        likeness: of its most similar source to the sentence, from 0 to 1.
    """

    translation: str
    likeness: float


@dataclass(frozen=True)
class TranslationMemory:
    """Sentences with their translations, looked up by likeness.

    Likeness is the cosine of TF-IDF over words' pieces of 2 to 4 characters, which serves languages without spaces too.
    """

    source: list[str]
    target: list[str]

    @classmethod
    def of(cls, text: ParallelText) -> Self:
        """That of some pairs; of very many, of some that are evenly spread over them."""
        step = -(-len(text) // MOST_PAIRS)
        return cls(text.source[::step], text.target[::step])

    @cached_property
    def _looked_up(self) -> tuple[Any, Any]:
        """The vectorizer, and the sources as its vectors."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32)
        return vectorizer, vectorizer.fit_transform(self.source)

    def matches(self, sentences: Sequence[str]) -> list[Match]:
        """The best one for each sentence."""
        vectorizer, known = self._looked_up
        found: list[Match] = []
        for start in range(0, len(sentences), AT_ONCE):
            likeness = vectorizer.transform(sentences[start : start + AT_ONCE]) @ known.T
            best = np.asarray(likeness.argmax(axis=1)).ravel()
            found += [Match(self.target[i], float(likeness[row, i])) for row, i in enumerate(best.tolist())]
        return found

    def packed(self) -> NDArray[np.uint8]:
        """All of it, for `unpacked`."""
        text = json.dumps([self.source, self.target], ensure_ascii=False)
        return np.frombuffer(zlib.compress(text.encode("utf-8", "surrogatepass"), 9), np.uint8)

    @classmethod
    def unpacked(cls, packed: NDArray[np.uint8]) -> Self:
        """The memory that gave these bytes.

        Raises:
            InputError: they are of something else.
        """
        try:
            text = zlib.decompressobj().decompress(packed.tobytes(), MOST_BYTES)
            source, target = json.loads(text.decode("utf-8", "surrogatepass"))
        except (zlib.error, ValueError, TypeError, RecursionError) as error:
            raise InputError(f"the translation memory cannot be read ({error})") from None
        sides = [side for side in (source, target) if isinstance(side, list) and all(isinstance(s, str) for s in side)]
        if len(sides) != 2 or len(source) != len(target) or not source:
            raise InputError("the translation memory has no pairs of sentences")
        return cls(source, target)


def best_threshold(score: Callable[[float], float]) -> float:
    """From which likeness on a memory is to answer, by the score that a threshold gives: the higher, the better.

    Returns:
        `NEVER` where no threshold is better than none.
    """
    return max((NEVER, *THRESHOLDS), key=score)
