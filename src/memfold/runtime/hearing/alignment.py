"""When each character and each word of a text was heard: the likeliest of the paths that spell it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.hearing.search import BLANK, Alphabet, least_steps
from memfold.runtime.texts.tokens import unspaced

__all__ = ["Word", "aligned", "words_in_time"]

MOST_CELLS = 50_000_000  # steps by states, of which each takes a byte


@dataclass(frozen=True)
class Word:
    """A word, or a character of a script without spaces.

    Attributes:
        places: of its characters in the text.
        begin, end: the first step at which one of them stands, and the step after the last one.
    """

    text: str
    places: range
    begin: int
    end: int


def aligned(y: NDArray[np.floating], labels: Sequence[int]) -> list[range]:
    """The steps at which each label stands on the likeliest path that spells them, by Viterbi's algorithm over the
    states of CTC: a blank before, between and after the labels (Graves et al. 2006, sec. 4.1).

    Args:
        y: log-probabilities, ``(S, 1 + V)``.

    Returns:
        A range of steps a label, in order; nothing where no path of S steps spells them, or one would take too long.

    >>> y = np.log([[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8]])
    >>> aligned(y, [1, 2])
    [range(0, 1), range(2, 4)]
    """
    steps, states = len(y), 2 * len(labels) + 1
    if not labels or steps < least_steps(labels) or steps * states > MOST_CELLS:
        return []
    path = np.full(states, BLANK)
    path[1::2] = labels
    # A label may follow the one before it at once where they differ.
    skips = np.zeros(states, bool)
    skips[3::2] = path[3::2] != path[1:-2:2]
    score = np.full(states, -np.inf)
    score[:2] = y[0, path[:2]]
    back = np.zeros((steps, states), np.int8)  # how many states a step came from
    for step in range(1, steps):
        before = np.full((3, states), -np.inf)
        before[0], before[1, 1:], before[2, 2:] = score, score[:-1], score[:-2]
        before[2, ~skips] = -np.inf
        back[step] = before.argmax(0)
        score = before.max(0) + y[step, path]
    state = states - 1 if score[-1] >= score[-2] else states - 2
    at = np.empty(steps, np.int64)
    for step in range(steps - 1, -1, -1):
        at[step] = state
        state -= int(back[step, state])
    stand = [np.flatnonzero(at == 2 * place + 1) for place in range(len(labels))]
    return [range(int(its[0]), int(its[-1]) + 1) for its in stand]


def words_in_time(text: str, alphabet: Alphabet, y: NDArray[np.floating]) -> list[Word]:
    """The words of a text with their steps, as `aligned` finds them; of what the alphabet has not, nothing.

    Args:
        y: log-probabilities of the recording, ``(S, 1 + V)``.
    """
    known = [place for place, character in enumerate(text) if alphabet.encode(character)]
    spans = dict(zip(known, aligned(y, [alphabet.encode(text[place])[0] for place in known]), strict=False))
    words = []
    for places in _parted(text):
        steps = [spans[place] for place in places if place in spans]
        if steps:
            words.append(Word(text[places.start : places.stop], places, steps[0].start, steps[-1].stop))
    return words


def _parted(text: str) -> Iterator[range]:
    """The places of each word of a text."""
    begin = 0
    for place, character in enumerate(f"{text} "):
        alone = unspaced(character)
        if character.isspace() or alone:
            if begin < place:
                yield range(begin, place)
            begin = place + 1
        if alone:
            yield range(place, place + 1)
