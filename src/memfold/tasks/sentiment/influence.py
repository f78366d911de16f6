"""Which words decided a text's class: every word is blanked in turn, and the loss of the class's log-odds measured."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text
from torch import Tensor

from memfold.runtime.texts.blend import Blend
from memfold.runtime.texts.tokens import tokens, unspaced
from memfold.tasks.confusion import confusion_table, mistake_table
from memfold.tasks.sentiment.encoding import BLANK, Encoder
from memfold.tasks.sentiment.network import Ensemble, batches_by_length
from memfold.words import said

__all__ = ["Details", "blended", "influential_words", "log_odds", "units", "weights_of"]

TEXTS, TOKENS = 300, 10_000  # at most, that are looked into
LEAST_OCCURRENCES = 3  # occurrences of a word that is listed
LISTED = 8  # words a class


def units(row: Sequence[str]) -> list[range]:
    """The places that are blanked together: a word; two neighbours of an unspaced script; no punctuation."""
    alone = [unspaced(token) for token in row]
    result = []
    for place, token in enumerate(row):
        if alone[place] and place + 1 < len(row) and alone[place + 1]:
            result.append(range(place, place + 2))
        elif token[0].isalnum() and not alone[place]:
            result.append(range(place, place + 1))
    return result


@torch.no_grad()
def weights_of(
    network: Ensemble, encoder: Encoder, texts: Sequence[str], blend: Blend
) -> Iterator[list[tuple[str, Tensor]]]:
    """For every text its units, each with the log-odds that every class loses when the unit is blanked, (C,).

    This is occlusion (Zeiler & Fergus 2014, sec. 4.2; Li, Monroe & Jurafsky 2016). The LSTMs read a blank there, and
    the linear model loses what the unit's n-grams add to its logits.
    """
    network.eval()
    encoded = encoder.encode(texts)
    for text, kinds in zip(texts, encoded.rows, strict=True):
        row = tokens(text)[: len(kinds)]
        spans = units(row)
        variants = kinds.repeat(len(spans) + 1, 1)  # the last one as it is
        for variant, span in zip(variants, spans, strict=False):
            variant[span.start : span.stop] = BLANK
        numbered = replace(encoded, rows=list(variants), labels=torch.arange(len(variants)))
        added, rest = (torch.from_numpy(part) for part in network.ngrams.linear.contributions(text))
        lost = [added[span.start : span.stop].sum(0) for span in spans]
        linear = added.sum(0) + rest - torch.stack([*lost, torch.zeros_like(rest)])  # (V, C)
        by_network = torch.cat([network(batch) for batch in batches_by_length(numbered, 128)])
        odds = log_odds(blended(by_network, linear.to(by_network.dtype).log_softmax(-1), blend))
        yield [("".join(row[i] for i in span), odds[-1] - odds[k]) for k, span in enumerate(spans)]


def blended(network: Tensor, ngrams: Tensor, blend: Blend) -> Tensor:
    """The log-probabilities of the answer, from both models', (..., C), with a gradient."""
    mean = (1 - blend.share) * network + blend.share * ngrams
    offsets = torch.tensor(blend.offsets or (0.0,), dtype=mean.dtype)
    return ((mean + offsets) / blend.temperature).log_softmax(-1)


def log_odds(log_p: Tensor) -> Tensor:
    """Of every class against all others, from the log-probabilities (..., C)."""
    itself = torch.eye(log_p.shape[-1], dtype=torch.bool)
    return log_p - log_p[..., None, :].masked_fill(itself, -torch.inf).logsumexp(-1)


def influential_words(
    network: Ensemble, encoder: Encoder, texts: Sequence[str], classes: int, blend: Blend
) -> list[list[tuple[str, float, int]]]:
    """For every class the words whose blanking costs it most, on average over some of the texts.

    Returns:
        Word, mean loss of log-odds, and occurrences; the first one costs most.
    """
    usual = sum(len(tokens(text)) for text in texts[:TEXTS]) / max(len(texts[:TEXTS]), 1)
    count = min(TEXTS, len(texts), max(int(TOKENS / max(usual, 1.0)), 1))
    chosen = np.linspace(0, len(texts) - 1, count).astype(int)
    costs: dict[str, list[Tensor]] = defaultdict(list)
    for row in weights_of(network, encoder, [texts[i] for i in chosen], blend):
        for unit, cost in row:
            costs[unit].append(cost)
    means = [
        (unit, torch.stack(losses).mean(0), len(losses))
        for unit, losses in costs.items()
        if len(losses) >= LEAST_OCCURRENCES
    ]
    ranked = [sorted(means, key=lambda entry: -float(entry[1][place]))[:LISTED] for place in range(classes)]
    return [
        [(unit, float(cost[place]), count) for unit, cost, count in entries if cost[place] > 0]
        for place, entries in enumerate(ranked)
    ]


@dataclass(frozen=True)
class Details:
    """What a terminal shows below the scores; the words are sought when it is shown, not before."""

    network: Ensemble
    encoder: Encoder
    classes: Sequence[str]
    texts: Sequence[str]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    blend: Blend

    @cached_property
    def tables(self) -> Sequence[Table]:
        """Confusions, mistakes and words; sought once, though a page and a terminal show them."""
        shown: list[Table] = [confusion_table("confusion", self.truth, self.probabilities.argmax(1), self.classes)]
        mistakes = mistake_table("text", self.texts, self.truth, self.probabilities, self.classes)
        if mistakes is not None:
            shown.append(mistakes)
        table = Table("class", "word", "log-odds", title=said("influential"), title_justify="left")
        by_class = influential_words(self.network, self.encoder, self.texts, len(self.classes), self.blend)
        for label, words in zip(self.classes, by_class, strict=True):
            for row, (word, cost, _) in enumerate(words):
                table.add_row(Text(label if row == 0 else ""), Text(word), f"{cost:.2f}")
            table.add_section()
        return [*shown, table]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.tables
