"""A classifier of texts for other programs: the networks, the n-gram model and their blend, from tokens and counts."""

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.runtime.recipe import Part, Recipe
from memfold.runtime.texts.blend import Blend
from memfold.runtime.texts.encoding import LONGEST, SHORTEST
from memfold.runtime.texts.ngrams import KINDS
from memfold.runtime.texts.part import part_inputs
from memfold.runtime.texts.tokens import PATTERN, UNSPACED
from memfold.tasks.sentiment.baselines import NgramRegression
from memfold.tasks.sentiment.network import Ensemble

if TYPE_CHECKING:
    from memfold.tasks.sentiment.task import TextClassifier

__all__ = ["recipe"]


class Labelled(nn.Module):
    """Probabilities of the classes, and the log-probabilities of both halves."""

    sublinear: Tensor
    kind_of: Tensor
    offsets: Tensor

    def __init__(self, networks: Ensemble, linear: NgramRegression, blend: Blend) -> None:
        super().__init__()
        self.networks, self.linear, self.blend = networks, linear, blend
        size = linear.size
        terms = torch.tensor(size.terms)
        sublinear = torch.tensor([bool(KINDS[kind].get("sublinear_tf")) for kind in size.kinds])
        self.register_buffer("sublinear", sublinear.repeat_interleave(terms))
        self.register_buffer("kind_of", torch.arange(len(size.kinds)).repeat_interleave(terms))
        self.register_buffer("offsets", torch.tensor(blend.offsets or (0.0,)))

    def forward(
        self,
        words: Tensor,
        grams: Tensor,
        gram_kinds: Tensor,
        kinds: Tensor,
        lengths: Tensor,
        columns: Tensor,
        counts: Tensor,
        texts: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, C)`` each, from what `part_inputs` describes."""
        network = self.by_networks(words, grams, gram_kinds, kinds, lengths)
        ngrams = self.by_ngrams(columns, counts, texts, lengths.shape[0])
        share = self.blend.share
        logits = ((1 - share) * network + share * ngrams + self.offsets) / self.blend.temperature
        return logits.softmax(-1), network, ngrams

    def by_networks(self, words: Tensor, grams: Tensor, gram_kinds: Tensor, kinds: Tensor, lengths: Tensor) -> Tensor:
        """The log-probabilities of the ensemble, ``(B, C)``."""
        each = torch.ones_like(gram_kinds, dtype=torch.float32)
        many = torch.zeros_like(words, dtype=torch.float32).index_add(0, gram_kinds, each)  # n-grams of each kind, (K,)
        answers = []
        for network in self.networks.networks:
            embedded = network.words(words)  # (K, E)
            grams_sum = torch.zeros_like(embedded).index_add(0, gram_kinds, network.grams.weight[grams])
            x = F.embedding(kinds, embedded + grams_sum / many.clamp(min=1)[:, None])  # (B, T, E)
            h = network.lstm(x, lengths=lengths)[0]
            answers.append(network.classify(h, lengths).log_softmax(-1))
        return torch.stack(answers).mean(0).log_softmax(-1)

    def by_ngrams(self, columns: Tensor, counts: Tensor, texts: Tensor, batch: int) -> Tensor:
        """The log-probabilities of the logistic regression on TF-IDF, ``(B, C)``."""
        often = torch.where(self.sublinear[columns], 1 + counts.log(), counts)
        values = often * self.linear.idf[columns]
        # The n-grams of each kind in a text are a row of length 1.
        many = len(self.linear.size.kinds)
        row = texts * many + self.kind_of[columns]
        squares = values.new_zeros(batch * many).index_add(0, row, values.square())
        values = values / squares[row].sqrt()
        added = self.linear.weight.T[columns] * values[:, None]  # (M, scores)
        scores = self.linear.bias + added.new_zeros(batch, added.shape[1]).index_add(0, texts, added)
        if self.linear.size.scores == 1:
            scores = torch.cat([torch.zeros_like(scores), scores], 1)
        return scores.log_softmax(-1)


def recipe(task: "TextClassifier") -> Recipe:
    """All that answers; cutting texts into tokens and counting their n-grams are left to the caller.

    Of every token an n-gram is hashed once. The column of an n-gram that the linear model counts is its place among
    the terms of all kinds, one kind after another.
    """
    labelling, network = task.labelling, task.network_

    def given(*texts: str) -> dict[str, Any]:
        kinds = labelling.encoder.kinds(texts)
        counts = [labelling.ngrams.counted(text) for text in texts]
        return {name: torch.from_numpy(part) for name, part in part_inputs(kinds, kinds.rows, counts).items()}

    some = [word for word in task.vocabulary_ if not word.isspace()][:12] or ["a"]
    text = " ".join(some)
    free = {
        "words": {0: "token_kinds"},
        "grams": {0: "grams"},
        "gram_kinds": {0: "grams"},
        "kinds": {0: "batch", 1: "time"},
        "lengths": {0: "batch"},
        "columns": {0: "ngrams"},
        "counts": {0: "ngrams"},
        "texts": {0: "ngrams"},
    }
    module = Labelled(network, network.ngrams, task.blend_)
    others = [given(f"{text} {text} zq", some[0], "", f"{some[-1]}!"), given(some[0], f"{text}."), given("")]
    outputs = ("probabilities", "network", "ngrams")
    part = Part("model", module, given(text, "zq " + text, some[0]), free, outputs, others=others)
    size, places = task.ngrams_, labelling.ngrams.places
    around = {
        "tokens": {
            "normal": "NFKC",
            "case": "lower",
            "pattern": PATTERN,
            "most": labelling.encoder.max_length,
            "words": ["", *task.vocabulary_],  # the first one for all that are not among them
        },
        "grams_of_tokens": {
            "marks": "<>",
            "sizes": list(range(SHORTEST, LONGEST + 1)),
            "hash": "crc32",
            "buckets": task.buckets_,
            "with_neighbours": UNSPACED,
        },
        "ngrams": {kind: _counted(kind, list(terms)) for kind, terms in zip(size.kinds, places, strict=True)},
        "classes": task.classes_,
    }
    return Recipe(task.name, [part], around, no_steps="it reads texts in both directions")


def _counted(kind: str, terms: list[str]) -> dict[str, Any]:
    """Which n-grams are counted of a kind, by scikit-learn's name of the unit; runs of white space are one space."""
    options = KINDS[kind]
    shortest, longest = options["ngram_range"]
    sizes = {"sizes": list(range(shortest, longest + 1)), "case": "lower", "terms": terms}
    if "token_pattern" in options:
        return {"unit": "word", "pattern": options["token_pattern"], "between": " ", **sizes}
    return {"unit": options["analyzer"], "between": "", **sizes}
