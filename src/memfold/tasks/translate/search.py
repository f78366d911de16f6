"""Beam search over many sentences at once, a word a step."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from memfold.tasks.translate.network import DecoderState, Memory
from memfold.tasks.translate.subwords import BEGIN, END, UNKNOWN

__all__ = ["LIMIT", "NEVER_WRITTEN", "Hypothesis", "Searched", "beam_search", "length_penalty"]

LIMIT = (2, 10)  # a translation has at most so many times the subwords of its sentence and so many more, with the end
NEVER_WRITTEN = [UNKNOWN, BEGIN]


class Searched(Protocol):
    """An encoder and a decoder, whoever computes them."""

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """Read the source, (B, S) subwords of which each row has ``lengths``."""

    def begin(self, memory: Memory) -> DecoderState:
        """The decoder's state before the first word."""

    def step(self, memory: Memory, words: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState, Tensor]:
        """Go on with a word each, (B, 1): log-probabilities (B, V) of the next ones, the state after the words, and
        where the attention was, (B, S)."""


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


@torch.no_grad()
def beam_search(network: Searched, source: Tensor, lengths: Tensor, beam: int, alpha: float) -> list[list[Hypothesis]]:
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
    sentence = torch.arange(len(lengths))  # of those that are still searched
    limit = LIMIT[0] * lengths + LIMIT[1]  # the end is put there if nothing else does
    memory = network.encode(source, lengths).rows(sentence.repeat_interleave(K))
    state = network.begin(memory)
    words = torch.full((len(lengths), K, 1), BEGIN)
    totals = torch.full((len(lengths), K), -torch.inf)
    totals[:, 0] = 0  # the others would only repeat it
    while len(sentence):
        log_p, state, _ = network.step(memory, words[:, :, -1].reshape(-1, 1), state)
        V = log_p.shape[1]
        step = log_p.view(-1, K, V)
        step[:, :, NEVER_WRITTEN] = -torch.inf
        length = words.shape[2]  # with the word that comes, without the begin
        last = length >= limit
        step[last] = step[last].where(torch.arange(V) == END, -torch.inf)
        best, index = (totals[:, :, None] + step).flatten(1).topk(min(2 * K, K * V))  # at most K of these are ends
        parent, word = index // V, index % V
        ends = word == END
        for row, rank in ((ends & best.isfinite())[:, :K]).nonzero().tolist():
            total = best[row, rank].item()
            text = words[row, parent[row, rank], 1:].tolist()
            finished[sentence[row]].append(Hypothesis(total / length_penalty(length, alpha), total, text))
        order = ends.long().argsort(dim=1, stable=True)[:, :K]  # the best that do not end, in their order
        parent, word, totals = (t.gather(1, order) for t in (parent, word, best.masked_fill(ends, -torch.inf)))
        words = torch.cat([words.gather(1, parent[:, :, None].expand(-1, -1, length)), word[:, :, None]], dim=2)
        reach = (totals.amax(1) / length_penalty(limit, alpha)).tolist()  # the best score that one can still come to
        goes_on = [_goes_on(finished[s], K, best) for s, best in zip(sentence.tolist(), reach, strict=True)]
        kept = (torch.tensor(goes_on) & ~last).nonzero().flatten()
        state = state.rows((kept[:, None] * K + parent[kept]).flatten())
        if len(kept) < len(sentence):
            memory = memory.rows((kept[:, None] * K + torch.arange(K)).flatten())
        words, totals, limit, sentence = words[kept], totals[kept], limit[kept], sentence[kept]
    return [sorted(hypotheses, reverse=True)[:K] for hypotheses in finished]


def _goes_on(finished: Sequence[Hypothesis], beam: int, reach: float) -> bool:
    """Whether a sentence's search may still find something better than what is finished."""
    return len(finished) < beam and (not finished or reach > max(finished).score)
