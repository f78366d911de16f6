"""A classifier of texts that answers without torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.engine import Packed, fold, pack
from memfold.errors import InputError
from memfold.runtime.pipeline import Pipeline, Session
from memfold.runtime.texts.blend import Blend, TextAnswers
from memfold.runtime.texts.encoding import TokenEncoder, TokenKinds
from memfold.runtime.texts.linear import LinearModel
from memfold.runtime.texts.ngrams import RegressionSize
from memfold.runtime.texts.part import PartLabelling
from memfold.runtime.texts.tokens import tokens
from memfold.runtime.weights import Weights

__all__ = ["LabelSettings", "Labelling"]

ROWS = 128  # texts at once
Array = NDArray[np.float64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class LabelSettings:
    """What a classifier is made of beside its weights; its parameters, and what fitting found, by their names there."""

    classes: list[str]
    blend: Blend
    vocabulary: list[str]
    buckets: int
    width: int
    hidden_size: int
    members: int
    max_length: int
    ngrams: RegressionSize
    baseline: RegressionSize

    def __post_init__(self) -> None:
        count, blend = len(self.classes), self.blend
        if not 0 <= blend.share <= 1:
            raise InputError(f"share {blend.share}, expected 0 to 1")
        if not 0 < blend.temperature < math.inf:
            raise InputError(f"temperature {blend.temperature}, expected above 0")
        if blend.offsets and len(blend.offsets) != count:
            raise InputError(f"{len(blend.offsets)} offsets of classes, expected {count}")
        if min(self.buckets, self.max_length, self.members) < 1:
            raise InputError("buckets, max_length and members must be one at least")
        for size in (self.ngrams, self.baseline):
            if size.scores != (1 if count == 2 else count):
                raise InputError(f"a linear model of {size.scores} scores for {count} classes")


class Labelling(Pipeline[LabelSettings]):
    """Gives texts their class: several bidirectional LSTMs, blended with a linear model of n-grams.

    Attributes:
        part: what computes all of these in place of the engine; the engine does when None.
    """

    part: PartLabelling | None = None

    settings_type = LabelSettings

    def build(self, weights: Weights, files: Mapping[str, bytes]) -> None:
        its = self.settings
        self.encoder = TokenEncoder(its.vocabulary, its.max_length, its.buckets)
        self.networks = [_Network(weights, f"members.{k}", its) for k in range(its.members)]
        self.ngrams = LinearModel.taken(weights, "ngrams", its.ngrams)
        self.baseline = LinearModel.taken(weights, "baseline", its.baseline)

    def answers(self, texts: Sequence[str]) -> TextAnswers:
        """The probability of every class for every text, by the whole model and by its halves."""
        if self.part is not None:
            return self.part.answers(texts)
        network, ngrams = self.network_log_probabilities(texts), self.ngrams.log_probabilities(texts)
        return TextAnswers(self.settings.blend.probabilities(network, ngrams), network, ngrams)

    def network_log_probabilities(self, texts: Sequence[str]) -> Array:
        """Of every class for every text by the LSTMs alone: of the geometric mean of the members, (S, C)."""
        kinds = self.encoder.kinds(texts)
        result = np.zeros((len(texts), len(self.settings.classes)))
        order = np.argsort([len(row) for row in kinds.rows], kind="stable")
        for places in np.split(order, range(ROWS, len(order), ROWS)) if len(order) else ():
            rows = [kinds.rows[place] for place in places]
            for network in self.networks:
                result[places] += network.log_probabilities(kinds, rows) / len(self.networks)
        return _log_softmax(result)

    def answer(self, given: str | Sequence[str]) -> list[dict[str, Any]]:
        """Of every text its label, and the probability of each class; no label where there is nothing to read."""
        texts = [given] if isinstance(given, str) else list(given)
        classes = self.settings.classes
        result = []
        for text, p in zip(texts, self.answers(texts).probabilities, strict=True):
            label = classes[int(p.argmax())] if tokens(text) else None
            result.append({"label": label, "p": dict(zip(classes, p.tolist(), strict=True))})
        return result

    def smallest(self) -> str:
        return "a"

    def open(self) -> "LabelSession":
        return LabelSession(self)


class LabelSession(Session):
    """Lines of text, each by itself."""

    pipeline: Labelling

    def push(self, given: str) -> list[dict[str, Any]]:
        """A text's label and probabilities, as `Labelling.answer` gives them."""
        return self.pipeline.answer(given)

    def line(self, answer: dict[str, Any]) -> str:
        label = answer["label"]
        return "" if label is None else f"{label}\t{answer['p'][label]:.3f}"


class _Network:
    """One bidirectional LSTM with attention, as `memfold.tasks.sentiment.network.TextNetwork` trains it."""

    def __init__(self, weights: Weights, prefix: str, its: LabelSettings) -> None:
        words, hidden, classes = len(its.vocabulary) + 1, its.hidden_size, len(its.classes)
        self.words = weights.take(f"{prefix}.words.weight", (words, its.width))
        self.grams = weights.take(f"{prefix}.grams.weight", (its.buckets, its.width))
        (layer,) = weights.recurrent(f"{prefix}.lstm", "lstm", its.width, hidden, gates=4, both=True)
        self.packed: Packed = pack(layer.cell, layer.weights)
        names = [name for name in layer.weights if not name.endswith("_reverse")]
        self.layers = [  # forwards, backwards
            (layer.cell, {name: layer.weights[name + suffix] for name in names}) for suffix in ("", "_reverse")
        ]
        self.attention = weights.linear(f"{prefix}.attention", 2 * hidden, 1)
        self.out = weights.linear(f"{prefix}.out", 4 * hidden, classes)
        # What is of use in training alone.
        weights.linear(f"{prefix}.next_word", hidden, its.width)
        weights.linear(f"{prefix}.last_word", hidden, its.width)
        weights.take(f"{prefix}.frequency", (words,))

    def log_probabilities(self, kinds: TokenKinds, rows: Sequence[NDArray[np.int64]]) -> Array:
        """Of every class for texts, (S, C); a text's bits do not depend on the others."""
        lengths = np.array([len(row) for row in rows])
        there, places = np.unique(np.concatenate(rows), return_inverse=True)
        x = np.zeros((len(rows), max(int(lengths.max()), 1), self.words.shape[1]), np.float32)  # (B, T, E)
        x[np.arange(x.shape[1]) < lengths[:, None]] = self.embedded(kinds, there)[places]
        x = x.swapaxes(0, 1)
        h = fold(self.packed.cell, x, self.packed, lengths=lengths)[0]  # (T, B, 2H)
        logits = [self._logits(h[:length, place]) for place, length in enumerate(lengths)]
        return _log_softmax(np.stack(logits).astype(np.float64))

    def embedded(self, kinds: TokenKinds, there: NDArray[np.int64]) -> Floats:
        """The embeddings of some kinds of tokens, (K, E): of the word, and the mean of the n-grams'."""
        result: Floats = self.words[kinds.words[there]].copy()
        counts = kinds.gram_starts[there + 1] - kinds.gram_starts[there]
        some, counts = there[counts > 0], counts[counts > 0]
        if len(some):
            ends = np.cumsum(counts)
            shift = np.repeat(kinds.gram_starts[some] - (ends - counts), counts)
            grams = self.grams[kinds.grams[np.arange(len(shift)) + shift]]
            result[np.isin(there, some)] += np.add.reduceat(grams, ends - counts) / counts[:, None].astype(np.float32)
        return result

    def _logits(self, h: Floats) -> Floats:
        """The classes' logits ``(C,)`` by what the LSTM makes of a text's tokens, ``(T, 2H)``."""
        hidden = h.shape[1]
        if not len(h):
            pooled = np.concatenate([np.zeros(hidden, np.float32), np.full(hidden, -1.0, np.float32)])
        else:
            scores = (h * self.attention["weight"][0]).sum(1) + self.attention["bias"]
            shares = np.exp(scores - scores.max())
            pooled = np.concatenate([(shares / shares.sum()) @ h, h.max(0)])
        logits: Floats = self.out["weight"] @ pooled + self.out["bias"]
        return logits


def _log_softmax(x: Array) -> Array:
    shifted = x - x.max(1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result
