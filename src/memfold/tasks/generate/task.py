"""The TextGenerator: fit a language model to text, write on from a prompt, score beside an n-gram model."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from rich.table import Table
from rich.text import Text

import memfold.tasks.generate.plan as rules
from memfold.budget import Budget
from memfold.data.datasets import names_set
from memfold.data.frames import beside
from memfold.data.labelled import read_labelled
from memfold.data.prose import without_blocks, without_end
from memfold.data.seen import Seen
from memfold.data.texts import texts_of
from memfold.display import say
from memfold.errors import InputError
from memfold.formats.directory import TOKENS
from memfold.runtime.ngram import NGram
from memfold.runtime.recipe import Run
from memfold.runtime.writing.mixture import Mixture, best_share
from memfold.runtime.writing.network import PartNetwork
from memfold.runtime.writing.pieces import with_pieces
from memfold.runtime.writing.samples import unescaped
from memfold.runtime.writing.vocabulary import Characters, Subwords, Tokens, Vocabulary
from memfold.runtime.writing.writing import Writing
from memfold.tasks.contest import ALONE, ANSWER, Contest
from memfold.tasks.generate.nats import LEAST_TOKENS, TextNats, windows_of
from memfold.tasks.model import FitData, Task
from memfold.tasks.parameters import Search, fitted, learning_rate, parameter, planned
from memfold.tasks.planning import Plan, seconds_of
from memfold.tasks.report import Metric
from memfold.words import Words, said

if TYPE_CHECKING:
    from memfold.page import Section
    from memfold.tasks.generate.network import LanguageModel
    from memfold.tasks.generate.windows import TextProblem

__all__ = ["TextGenerator", "TextNats"]

WINDOW = 256  # of the protocol that reads windows from a zero state
SAMPLE_TOKENS = 300  # tokens that are shown after a fit
LONG_LINE = 16  # characters of a line that is looked for in what the model was fitted to
SUBWORD = 3  # characters of one, about
SIDE_BY_SIDE = 256  # windows that are scored at once


class TextGenerator(Task):
    """Writes text as it has read it, by the character or by subwords, in any language.

    >>> model = TextGenerator(hidden_size=32, batch_size=4, window=8).fit("abcd" * 200, budget="8ep", progress=False)
    >>> "".join(model.generate("ab", length=6, temperature=0))
    'cdabcd'
    """

    name: ClassVar[str] = "generate"
    halves = True
    runtime = "writer"
    metrics = (
        Metric("nats_carried", "lower"),
        Metric("nats_window256", "lower"),
        Metric("bits_carried", "lower"),
        Metric("perplexity", "lower"),
    )
    column = "nats"
    then = "memfold predict {out} --set prompt='Once upon a time' writes on"

    tokens: Literal["characters", "subwords"] = parameter(
        "characters", '"characters", or "subwords" of sentencepiece', search=("characters", "subwords")
    )
    vocabulary_size: int = parameter(2000, "how many subwords", least=1, search=Search(500, 8000, log=True))
    embedding_size: int | None = planned("features of a token", least=1, search=Search(16, 512, log=True))
    hidden_size: int | None = planned("units of each LSTM layer", least=1, search=Search(128, 1024, log=True))
    num_layers: int = parameter(1, "layers", least=1, most=1000, search=(1, 2, 3))
    dropout: float | None = planned(
        "on embeddings, between layers and before the head, one mask a window (Gal & Ghahramani 2016)",
        least=0,
        below=1,
        search=Search(0, 0.5),
    )
    weight_drop: float = parameter(
        0.0,
        "dropout of hidden-to-hidden weights (Merity, Keskar & Socher 2018)",
        least=0,
        below=1,
        search=Search(0, 0.5),
    )
    tied: bool | None = planned("whether embedding and head share one matrix (Press & Wolf 2017)", search=(False, True))
    coupled: bool = parameter(
        True,
        "whether f = 1 - i (Greff et al. 2017), so that three gates are computed instead of four",
        search=(False, True),
    )
    window: int | None = planned(
        "tokens that a gradient goes back", least=1, most=100_000, search=Search(32, 256, log=True)
    )
    batch_size: int | None = planned("places in the text that are read side by side", least=1, search=(16, 32, 64))
    lr: float = learning_rate(4e-3)
    encoding: str | None = parameter(None, "of the files: utf-8, latin-1, gb18030 ...; none looks at their bytes")

    seen_: str = fitted()  # hashes of the longer lines that it was fitted to
    characters_: str | None = fitted()  # None for subwords
    counts_: list[int] = fitted()  # of every token in the training part
    grams_: list[int] = fitted()  # of the n-gram model, how many of each length
    share_: float = fitted()  # of the n-gram model in the answer
    subwords_: bytes = fitted(stored=False)  # sentencepiece's model, a file of its own
    network_: "LanguageModel" = fitted(stored=False)

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> str:
        """One text, of one or several that follow one another; lines end in ``\\n`` alone.

        Args:
            data: a ``str`` is a text; a ``Path`` names its file, or a folder whose text files are read in order.

        Raises:
            InputError: a file that cannot be read; names it and the line.
        """
        text = "\n".join(texts_of(data, encoding=self.encoding))
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def inputs(self, data: Any) -> list[str]:
        """The texts one by one, as `read` takes them; of a data frame, those of its column of texts."""
        if hasattr(data, "columns"):
            return read_labelled(data, labels=False).texts
        return texts_of(data, encoding=self.encoding)

    def predict(self, data: Any) -> Any:
        """How surprising texts are.

        Args:
            data: what `inputs` takes.

        Returns:
            As `table` describes it; of a data frame, all its columns and then ``nats``, in a frame of its kind.

        Raises:
            InputError: not fitted yet, or data that cannot be worked with.
        """
        answers = super().predict(data)
        return beside(data, answers.drop("text")) if hasattr(data, "columns") else answers

    def read_files(self, paths: Sequence[str]) -> str:
        return self.read([Path(path) for path in paths])

    def summary(self, examples: str) -> dict[str, str]:
        return {"text": f"{len(examples):,} characters, {len(set(examples)):,} different ones"}

    def hold_out(self, examples: str) -> tuple[str, str]:
        """All but the last tenth, and that."""
        return without_end(examples)

    def split(self, examples: str) -> tuple[str, str]:
        """All but ten blocks from all over the text, and these: a twentieth of it at most."""
        return without_blocks(examples)

    # -- training --------------------------------------------------------------------------------------------

    def plan(self, train: str, valid: str, budget: Budget, speed: float) -> Plan:
        characters = Characters.of(train).size
        facts = rules.TextFacts(len(train), len(train), characters)
        if self.tokens == "subwords":
            facts = rules.TextFacts(len(train), len(train) // SUBWORD, self.vocabulary_size)
        given = {name: value for name, value in self.get_params().items() if value is not None}
        return rules.plan(facts, seconds_of(budget, self.budget), speed, given)

    def prepare(self, data: FitData) -> tuple[Tokens, Tokens]:
        if self.tokens == "characters":
            self.characters_ = "".join(sorted(self.grown("characters_", Characters.of(data.train).characters)))
        else:
            self.characters_ = None
            self.subwords_ = Subwords.of(data.train, self.vocabulary_size).model
            if self.begun is not None:
                self.subwords_ = with_pieces(self.begun.model.subwords_, self.subwords_)
        train = self.vocabulary_.encode(data.train)
        valid = self.vocabulary_.encode(data.valid)
        if len(valid) < LEAST_TOKENS:
            raise InputError(f"the text has {len(data.whole)} characters: too few to train and to validate on")
        self.seen_ = self.also_seen(Seen.of([*_lines(data.whole), *_lines(data.valid)]))
        self.counts_ = np.bincount(train, minlength=self.vocabulary_.size).tolist()
        return train, valid

    @cached_property
    def vocabulary_(self) -> Vocabulary:
        """From text to tokens and back."""
        return Subwords(self.subwords_) if self.characters_ is None else Characters(self.characters_)

    def network(self) -> "LanguageModel":
        from memfold.tasks.generate.network import LanguageModel, ModelSize

        chosen = self.chosen
        size = ModelSize(
            self.vocabulary_.size,
            chosen.embedding_size,
            chosen.hidden_size,
            self.num_layers,
            chosen.dropout,
            self.weight_drop,
            chosen.tied,
            self.coupled,
        )
        return LanguageModel(size)

    def problem(self, network: "LanguageModel", ready: tuple[Tokens, Tokens]) -> "TextProblem":
        import torch

        from memfold.tasks.generate.windows import TextProblem

        train, valid = (torch.from_numpy(part) for part in ready)
        return TextProblem(network, train, valid, self.chosen.batch_size, self.chosen.window, self.seed, self.tokens)

    def finish(self, data: FitData, ready: tuple[Tokens, Tokens]) -> Contest:
        """Mix the network with an n-gram model in the share that is best on the validation part.

        The share is that of the n-gram model of what the network was trained on; the one that is kept counts the
        validation part too.
        """
        import torch

        from memfold.tasks.generate.stored import StoredNGram
        from memfold.tasks.generate.windows import nats_carried

        train, valid = ready
        column = nats_carried(self.network_.eval(), torch.from_numpy(valid)[:, None])
        ngram = NGram.fitted(train, self.vocabulary_.size)
        kept = NGram.of(self.vocabulary_.encode(data.whole), self.vocabulary_.size, ngram.order)
        if self.begun is not None and not self.begun.rehearses:
            from memfold.tasks.generate.update import better

            ngram, kept = better(self, ngram, kept, valid)
        by_network, by_ngram = column[:, 0].double().numpy(), ngram.nats(valid[None])[0]
        self.share_ = best_share(by_network, by_ngram)
        self.grams_ = kept.sizes
        self.network_.ngram = StoredNGram.of(kept)
        # Score all three on the validation part, as `scores` does.
        name = f"{ngram.order}-gram"
        per_character = len(valid) / max(len(data.valid), 1)
        mixed = Mixture(ngram, self.share_).nats(by_network, by_ngram)
        each = {ANSWER: mixed, ALONE: by_network, name: by_ngram}
        scores = {name: float(nats.mean()) * per_character for name, nats in each.items()}
        shares = {"the network": 1 - self.share_, name: self.share_}
        return Contest("nats_carried", "lower", scores, shares, {name: float(by_ngram.mean())})

    def complete(self, network: "LanguageModel") -> None:
        from memfold.tasks.generate.stored import StoredNGram

        network.ngram = StoredNGram(self.grams_, self.vocabulary_.size)

    @property
    def mixture_(self) -> Mixture:
        """The n-gram model and its share in the answer."""
        return self.writing.mixture

    def fitted_files(self) -> dict[str, bytes]:
        return {TOKENS: self.subwords_} if self.characters_ is None else {}

    def restore_files(self, files: dict[str, bytes]) -> None:
        if TOKENS in files:
            self.subwords_ = files[TOKENS]

    def check_restored(self) -> None:
        Seen.parse(self.seen_)

    # -- writing ---------------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: str = "",
        length: int = 500,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
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
            InputError: not fitted, or an option out of its range.
        """
        return self.writing.written(prompt, length, temperature, top_k, top_p, seed, stop)

    def samples(self, prompt: str = "", samples: int = 3, seed: int | None = None, **options: Any) -> pl.DataFrame:
        """Write on from a prompt several times, each with draws of its own.

        Args:
            samples: how many.
            seed: of all of them; the model's own when None. The first one is what `generate` writes with it.
            options: of `generate`.

        Returns:
            Columns ``prompt``, ``sample``, numbered from 1, and ``text``, what follows the prompt.

        Raises:
            InputError: not fitted, or an option out of its range.
        """
        texts = self.writing.samples(prompt, samples, seed, **options)
        numbers = list(range(1, len(texts) + 1))
        return pl.DataFrame({"prompt": [prompt] * len(texts), "sample": numbers, "text": texts})

    def put_parts(self, pipeline: Any, parts: Mapping[str, Run]) -> None:
        pipeline.network = PartNetwork(parts["model"], self.num_layers, self.chosen.hidden_size)

    @property
    def writing(self) -> Writing:
        """The model as it writes without torch."""
        pipeline: Any = self.pipeline
        writing: Writing = pipeline
        return writing

    def answers(
        self,
        inputs: Sequence[str],
        prompt: str = "",
        length: int = 500,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: str | None = None,
        samples: int | None = None,
    ) -> pl.DataFrame | Iterator[str]:
        """What follows the files' text and the prompt, both of which come first.

        Args:
            stop: as of `generate`, with ``\\n`` for a line's end.
            samples: how many texts to write, as a table that numbers them; None writes one, as text.
        """
        if inputs and names_set(inputs[0]):
            raise InputError(f"{inputs[0]}: a generator goes on from files and --set prompt=TEXT, not from a data set")
        given = (self.read_files(inputs) if inputs else "") + prompt
        drawn: dict[str, Any] = {"length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p}
        drawn |= {"seed": seed, "stop": unescaped(stop)}
        if samples is not None:
            return self.samples(given, samples, **drawn)
        return chain([given], self.generate(given, **drawn), ["\n"])

    def respond(self, line: str) -> Iterator[str]:
        return chain([line], self.generate(line))

    # -- scores ----------------------------------------------------------------------------------------------

    def answer(self, examples: str | Sequence[str]) -> TextNats:
        """How surprising a text is, or each of several: to the model, and to each of its parts alone."""
        encoded = [self.vocabulary_.encode(text) for text in _each(examples)]
        tokens = np.array([len(text) for text in encoded], np.int64)
        names = [ANSWER, f"{self.mixture_.ngram.order}-gram", ALONE]
        carried, apart = (np.full((len(names), len(encoded)), math.nan) for _ in range(2))
        for place, text in enumerate(encoded):
            if len(text) >= LEAST_TOKENS:
                carried[:, place] = self._means(text[None])
                apart[:, place] = self._means(windows_of(text, min(WINDOW, len(text) - 1)))
        nats = {
            name: TextNats(tokens, *means) for name, means in zip(names, zip(carried, apart, strict=True), strict=True)
        }
        answer = nats.pop(ANSWER)
        return replace(answer, parts=nats)

    def _means(self, rows: Tokens) -> tuple[float, float, float]:
        """The mean nats of all tokens of ``rows (R, T + 1)`` but the first: by the mixture, the n-gram model and the
        network."""
        blocks = np.split(rows, range(SIDE_BY_SIDE, len(rows), SIDE_BY_SIDE))
        by_network, by_ngram = np.concatenate([self.writing.nats(b) for b in blocks]), self.mixture_.ngram.nats(rows)
        mixed = self.mixture_.nats(by_network, by_ngram)
        return float(mixed.mean()), float(by_ngram.mean()), float(by_network.mean())

    def table(self, examples: str | Sequence[str], answers: TextNats) -> pl.DataFrame:
        """Columns ``text`` and ``nats``: per character, read from a zero state; none of a single token's."""
        texts = _each(examples)
        characters = np.array([len(text) for text in texts])
        nats = answers.carried * answers.tokens / np.maximum(characters, 1)
        return pl.DataFrame({"text": pl.Series(texts, dtype=pl.String), "nats": pl.Series(nats).fill_nan(None)})

    def examine(self, examples: str | Sequence[str]) -> None:
        lines = [line for text in _each(examples) for line in _lines(text)]
        known, looked_up = Seen.parse(self.seen_).among(lines)
        if known:
            say(
                f"{known:,} of {looked_up:,} lines of {LONG_LINE} characters or more are among those that the model "
                "was fitted to or validated on; the scores flatter it"
            )

    def scores(self, examples: str | Sequence[str], answers: TextNats) -> dict[str, float]:
        """Nats per character, read through with carried state, the same in bits, and in windows; perplexity by token.

        Raises:
            InputError: no text has two tokens.
        """
        return answers.scores(sum(len(text) for text in _each(examples)))

    def baselines(self, examples: str | Sequence[str], answers: TextNats) -> dict[str, TextNats]:
        """The n-gram model in the answer, and the network without it."""
        return dict(answers.parts)

    def sections(self, examples: str | Sequence[str], answers: TextNats, words: Words) -> "Sequence[Section]":
        from memfold.tasks.generate.report import surprise_section

        return surprise_section(self, _each(examples), words) if "network_" in vars(self) else ()

    def details(self, examples: str | Sequence[str], answers: TextNats, seconds: float) -> Sequence[Any]:
        sample = Table.grid()
        sample.title, sample.title_justify = said("sample"), "left"
        sample.add_row(Text("".join(self.generate(length=SAMPLE_TOKENS))))
        return [sample]


def _lines(text: str) -> list[str]:
    """The lines that are long enough not to stand in two texts by chance."""
    return [line for line in text.split("\n") if len(line.strip()) >= LONG_LINE]


def _each(examples: str | Sequence[str]) -> Sequence[str]:
    """Texts, also where there is one alone."""
    return [examples] if isinstance(examples, str) else examples
