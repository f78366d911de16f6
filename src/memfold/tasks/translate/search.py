"""Beam search over many sentences at once, a word a step."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from memfold.tasks.translate.subwords import BEGIN, END, UNKNOWN

__all__ = ["LIMIT", "NEVER_WRITTEN", "Hypothesis", "Searched", "beam_search", "length_penalty", "padded"]

LIMIT = (2, 10)  # a translation has at most so many times the subwords of its sentence and so many more, with the end
NEVER_WRITTEN = [UNKNOWN, BEGIN]
Integers = NDArray[np.int64]
BLOCK = 64  # numbers


class Rows(Protocol):
    """What an encoder or a decoder keeps of every row of a batch."""

    def rows(self, index: Integers) -> Self:
        """That of some rows."""


class Searched(Protocol):
    """An encoder and a decoder, whoever computes them."""

    def encode(self, source: Integers, lengths: Integers) -> Any:
        """Read the source, (B, S) subwords of which each row has ``lengths``; gives `Rows`."""

    def begin(self, memory: Any) -> Any:
        """The decoder's state before the first word; `Rows`."""

    def step(self, memory: Any, words: Integers, state: Any) -> tuple[NDArray[np.float32], Any]:
        """Go on with a word each, (B, 1): log-probabilities (B, V) of the next ones, and the state after the words."""


def padded(rows: Sequence[Sequence[int]]) -> tuple[Integers, Integers]:
    """Rows of unequal length as (B, S), and their lengths (B,)."""
    lengths = np.array([len(row) for row in rows])
    result = np.zeros((len(rows), lengths.max()), np.int64)
    for row, ids in enumerate(rows):
        result[row, : len(ids)] = ids
    return result, lengths


@dataclass(frozen=True, order=True)
class Hypothesis:
    """A finished translation.

    Attributes:
        score: the log-probability over `length_penalty`; the higher, the better.
        log_probability: of the words and the end.
        words: subwords, without the end.
    """

    score: float
    log_probability: float
    words: list[int] = field(compare=False)


def length_penalty(length: Any, alpha: float) -> Any:
    """What a log-probability is divided by, so that long translations are not at a loss (Wu et al. 2016, eq. 14)."""
    return ((5 + length) / 6) ** alpha


def beam_search(
    network: Searched, source: Integers, lengths: Integers, beam: int, alpha: float
) -> list[list[Hypothesis]]:
    """Search the best translations.

    At each step the ``beam`` best unfinished translations of a sentence go on. Its search is over when as many are
    finished, or when none that goes on can overtake the best finished one, and then it leaves the batch.

    Args:
        source: (B, S).
        lengths: (B,), each at least 1.
        beam: K, translations to follow; 1 is the greedy choice.
        alpha: of the length penalty; 0 for none.

    Returns:
        For each sentence its finished translations, at most ``beam``, the best first.
    """
    K = beam
    finished: list[list[Hypothesis]] = [[] for _ in lengths]
    sentence = np.arange(len(lengths))  # of those that are still searched
    limit = LIMIT[0] * lengths + LIMIT[1]  # the end is put there if nothing else does
    memory = network.encode(source, lengths).rows(sentence.repeat(K))
    state = network.begin(memory)
    words = np.full((len(lengths), K, 1), BEGIN)
    totals = np.full((len(lengths), K), -np.inf, np.float32)
    totals[:, 0] = 0  # the others would only repeat it
    while len(sentence):
        log_p, state = network.step(memory, words[:, :, -1].reshape(-1, 1), state)
        V = log_p.shape[1]
        step = log_p.reshape(-1, K, V)
        step[:, :, NEVER_WRITTEN] = -np.inf
        length = words.shape[2]  # with the word that comes, without the begin
        last = length >= limit
        step[last] = np.where(np.arange(V) == END, step[last], -np.inf)
        best, index = _largest((totals[:, :, None] + step).reshape(len(sentence), -1), min(2 * K, K * V))
        parent, word = index // V, index % V
        ends = word == END  # of at most K of them
        for row, rank in np.argwhere((ends & np.isfinite(best))[:, :K]).tolist():
            total = float(best[row, rank])
            text = words[row, parent[row, rank], 1:].tolist()
            finished[sentence[row]].append(Hypothesis(total / length_penalty(length, alpha), total, text))
        order = ends.argsort(1, kind="stable")[:, :K]  # the best that do not end, in their order
        best[ends] = -np.inf
        parent, word, totals = (np.take_along_axis(values, order, 1) for values in (parent, word, best))
        words = np.concatenate([np.take_along_axis(words, parent[:, :, None], 1), word[:, :, None]], 2)
        reach = (totals.max(1) / length_penalty(limit, alpha)).tolist()  # the best score that one can still come to
        goes_on = [_goes_on(finished[s], K, best) for s, best in zip(sentence.tolist(), reach, strict=True)]
        kept = np.flatnonzero(np.array(goes_on) & ~last)
        state = state.rows((kept[:, None] * K + parent[kept]).ravel())
        if len(kept) < len(sentence):
            memory = memory.rows((kept[:, None] * K + np.arange(K)).ravel())
        words, totals, limit, sentence = words[kept], totals[kept], limit[kept], sentence[kept]
    return [sorted(hypotheses, reverse=True)[:K] for hypotheses in finished]


def _largest(rows: NDArray[np.float32], count: int) -> tuple[NDArray[np.float32], Integers]:
    """The largest numbers of each row and their places, the largest first and of equals the first.

    They are looked for in the blocks with the largest maxima, as many as numbers are wanted: the maxima of blocks take
    a tenth of the time of an ordering of all numbers.
    """
    whole = rows.shape[1] // BLOCK * BLOCK
    places = np.arange(whole, rows.shape[1])[None].repeat(len(rows), 0)
    if whole:
        tops = rows[:, :whole].reshape(len(rows), -1, BLOCK).max(2)
        blocks = _partition(tops, min(count, tops.shape[1]))
        places = np.concatenate([(blocks[:, :, None] * BLOCK + np.arange(BLOCK)).reshape(len(rows), -1), places], 1)
    some = _partition(np.take_along_axis(rows, places, 1), count)
    places = np.sort(np.take_along_axis(places, some, 1), 1)
    values = np.take_along_axis(rows, places, 1)
    order = np.argsort(-values, 1, kind="stable")
    return np.take_along_axis(values, order, 1), np.take_along_axis(places, order, 1)


def _partition(rows: NDArray[np.float32], count: int) -> Integers:
    return np.argpartition(rows, -count, 1)[:, -count:]


def _goes_on(finished: Sequence[Hypothesis], beam: int, reach: float) -> bool:
    """Whether a sentence's search may still find something better than what is finished."""
    return len(finished) < beam and (not finished or reach > max(finished).score)
