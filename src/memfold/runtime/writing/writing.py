"""A generator of text that answers without torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from memfold.engine import fold, pack
from memfold.errors import InputError, shown
from memfold.formats.directory import TOKENS
from memfold.runtime.ngram import NGram
from memfold.runtime.pipeline import Pipeline, Session
from memfold.runtime.weights import Weights
from memfold.runtime.writing.mixture import Mixture
from memfold.runtime.writing.network import EngineReader, TokenNetwork
from memfold.runtime.writing.samples import MOST_SAMPLES, seed_of, until
from memfold.runtime.writing.sampling import Sampler
from memfold.runtime.writing.vocabulary import Characters, Subwords, Tokens, Vocabulary
from memfold.stream import Stream

__all__ = ["LENGTH", "TEMPERATURE", "WriteSettings", "Writing"]

LENGTH = 500  # tokens that are written when nothing is said
TEMPERATURE = 0.8
LOGITS = 1 << 22  # at once
READ = 256  # steps at once, at most
Array = NDArray[np.float32]


@dataclass(frozen=True)
class WriteSettings:
    """What a generator is made of beside its weights; its parameters, and what fitting found, by their names there."""

    tokens: Literal["characters", "subwords"]
    characters: str | None
    counts: list[int]
    grams: list[int]
    share: float
    embedding_size: int
    hidden_size: int
    num_layers: int
    tied: bool
    coupled: bool
    seed: int

    def __post_init__(self) -> None:
        kept = "characters" if self.characters is not None else "subwords"
        if kept != self.tokens:
            raise InputError(f"the vocabulary is of {kept}, expected {self.tokens}")
        if not self.grams or min(self.grams) < 1 or not 0 <= self.share <= 1:
            raise InputError(f"an n-gram model of {shown(self.grams)} grams, with a share of {shown(self.share)}")


class Writing(Pipeline[WriteSettings]):
    """Writes on from texts, and says how surprising they are.

    Attributes:
        vocabulary: from text to tokens and back.
        mixture: the n-gram model and its share in the answer.
        network: what gives the logits; the pipeline itself, by the engine, unless another is put there.
    """

    settings_type = WriteSettings
    vocabulary: Vocabulary

    def build(self, weights: Weights, files: Mapping[str, bytes]) -> None:
        its = self.settings
        self.vocabulary = Subwords(files[TOKENS]) if its.characters is None else Characters(its.characters)
        size = self.vocabulary.size
        if len(its.counts) != size:
            raise InputError(f"counts: {len(its.counts)}, expected {size}")
        self.embedding = weights.take("embedding.weight", (size, its.embedding_size))
        cell, gates = ("coupled_lstm", 3) if its.coupled else ("lstm", 4)
        self.layers = []
        for k in range(its.num_layers):
            inputs = its.hidden_size if k else its.embedding_size
            self.layers += weights.recurrent(f"layers.{k}", cell, inputs, its.hidden_size, gates=gates)
        self.bias = weights.take("bias", (size,))
        self.projection = weights.linear("projection", its.hidden_size, its.embedding_size) if its.tied else None
        self.output = self.embedding if its.tied else weights.take("output", (size, its.hidden_size))
        self.mixture = Mixture(NGram.taken(weights, "ngram", its.grams, size), its.share)
        self.packed = [pack(layer.cell, layer.weights) for layer in self.layers]
        self.network: TokenNetwork = self

    @cached_property
    def head(self) -> dict[str, Array]:
        """One linear layer from the last h ``(H)`` to the logits ``(V)``."""
        if self.projection is None:
            return {"weight": self.output, "bias": self.bias}
        weight, bias = self.projection["weight"], self.projection["bias"]
        return {"weight": self.output @ weight, "bias": self.output @ bias + self.bias}

    def answer(
        self,
        given: str,
        length: int = LENGTH,
        temperature: float = TEMPERATURE,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: str | None = None,
    ) -> str:
        """What follows a text, as `written` gives it in pieces."""
        return "".join(self.written(given, length, temperature, top_k, top_p, seed, stop))

    def samples(self, given: str, count: int, seed: int | None = None, **options: Any) -> list[str]:
        """Several texts that follow one, each from draws of its own; the first is what `answer` gives.

        Args:
            seed: of all of them; the model's own when None.
            options: of `written`.

        Raises:
            InputError: an option out of its range.
        """
        if not 1 <= count <= MOST_SAMPLES:
            raise InputError(f"samples must be from 1 to {MOST_SAMPLES:,}, got {count}")
        chosen = self.settings.seed if seed is None else seed
        each = (seed_of(sample, chosen) for sample in range(1, count + 1))
        return ["".join(self.written(given, seed=one, **options)) for one in each]

    def written(
        self,
        prompt: str = "",
        length: int = LENGTH,
        temperature: float = TEMPERATURE,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | Sequence[int] | None = None,
        stop: str | None = None,
    ) -> Iterator[str]:
        """Write on from a prompt, piece by piece.

        Args:
            prompt: the text so far; a line's end when empty.
            length: tokens to write.
            temperature: below 1 bolder, above 1 wilder; 0 always takes the likeliest token.
            top_k: draw from so many of the likeliest tokens only.
            top_p: draw from the likeliest tokens that make up this much of the probability.
            seed: of the draws; the model's own when None.
            stop: a string before which to end, even if fewer tokens are written.

        Raises:
            InputError: an option out of its range.
        """
        if length < 1:
            raise InputError(f"length must be at least 1, got {length}")
        sampler = Sampler(
            self.network.reader(),
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            banned=self.vocabulary.unknown,
            seed=self.settings.seed if seed is None else seed,
            mixture=self.mixture,
        )
        start = self.vocabulary.encode(prompt or self.beginning())
        return until(self.vocabulary.pieces(islice(sampler.tokens(start), length)), stop)

    def beginning(self) -> str:
        """What to write on from when nothing is given: a line's end, or else the commonest token."""
        counts = self.settings.counts
        line_end = self.vocabulary.encode("\n")
        known = counts[line_end[-1]] > 0 and line_end[-1] not in self.vocabulary.unknown
        return "\n" if known else self.vocabulary.decode(np.array([np.argmax(counts)]))

    def nats(self, rows: Tokens) -> NDArray[np.float64]:
        """How surprising all tokens of ``rows (R, T + 1)`` but the first are to the network alone, ``(R, T)``.

        Each row is read from a zero state.
        """
        count, size = len(rows), self.vocabulary.size
        steps = min(max(LOGITS // (count * size), 1), READ)
        state = None
        parts = []
        for start in range(0, rows.shape[1] - 1, steps):
            block = rows[:, start : start + steps + 1].T  # (T + 1, R)
            given, state = self.network.logits(block[:-1], state)
            logits = given.reshape(-1, size).astype(np.float64)
            logits -= logits.max(1, keepdims=True)
            picked = np.take_along_axis(logits, block[1:].reshape(-1, 1), 1)[:, 0]
            parts.append((np.log(np.exp(logits).sum(1)) - picked).reshape(-1, count))
        return np.concatenate(parts).T

    def logits(self, tokens: Tokens, state: Any = None) -> tuple[Array, Any]:
        """By the engine the logits ``(T, B, V)`` of what follows each of the tokens ``(T, B)``, and the state after."""
        states = [None] * len(self.packed) if state is None else list(state)
        y: Array = self.embedding[tokens]
        for k, packed in enumerate(self.packed):
            y, states[k] = fold(packed.cell, y, packed, states[k])
        features = y.reshape(-1, y.shape[2])
        if self.projection is not None:
            features = features @ self.projection["weight"].T + self.projection["bias"]
        return (features @ self.output.T + self.bias).reshape(*tokens.shape, -1), states

    def reader(self) -> EngineReader:
        """The same a token at a time."""
        return EngineReader(Stream(self.layers, self.head), self.embedding)

    def open(self) -> "WriteSession":
        return WriteSession(self)


class WriteSession(Session):
    """Lines that are gone on from, each by itself."""

    pipeline: Writing

    def push(self, given: str) -> list[str]:
        """A text and what follows it."""
        return ["".join(self.printed(given))]

    def printed(self, given: str) -> Iterator[str]:
        return chain([given], self.pipeline.written(given), ["\n"])
