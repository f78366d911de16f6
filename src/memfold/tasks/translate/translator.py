"""The Translator: fit an LSTM encoder and decoder to sentence pairs, translate by beam search, score by sacrebleu."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sentencepiece import SentencePieceProcessor
from torch import nn

from memfold.data.parallel import ParallelText, load_multi30k, load_tatoeba, read_parallel
from memfold.data.texts import read_lines
from memfold.display import say
from memfold.errors import InputError
from memfold.formats.directory import SOURCE, TARGET
from memfold.tasks.base import Parts, Report, Task, one_source
from memfold.tasks.translate.batches import Pairs, TranslationProblem, pad
from memfold.tasks.translate.network import NetworkSize, TranslationNetwork
from memfold.tasks.translate.scores import nearest_translations, sample_table, translation_scores
from memfold.tasks.translate.search import beam_search
from memfold.tasks.translate.subwords import Units, learn_subwords
from memfold.training import Budget, Settings

__all__ = ["Alignment", "Translator"]

SENTENCES = 64  # searched at once


@dataclass(frozen=True)
class Alignment:
    """Where the decoder looked.

    Attributes:
        source: subwords of the sentence, S.
        target: subwords of its translation and the end, T.
        attention: (T, S), each row adds up to 1.
    """

    source: list[str]
    target: list[str]
    attention: NDArray[np.float32]


class Translator(Task):
    """Translates sentences from one language into another.

    Args:
        source, target: columns of a table by the names in its first line, its first two when None; of @multi30k, the
            languages.
        source_units, target_units: "subword", or "character" for writing without spaces. BLEU counts the characters of
            a target in characters.
        vocabulary: subwords of each language, at most.
        embedding_size: of a subword.
        hidden_size: units of the decoder's layers; half as many in each direction of the encoder.
        encoder_layers: bidirectional ones.
        decoder_layers: at least 2; the attention stands above the first.
        dropout: of the embeddings and between layers.
        smoothing: of the labels.
        lr: peak learning rate.
        batch_tokens: subwords of both languages in a step.
        patience: stop after so many of the 20 validations without a better one; None uses the whole budget.
        beam: translations followed by the search.
        length_penalty: GNMT's alpha; greater for longer translations.
        seed: of the initial weights, the batches and dropout.

    >>> pairs = [(f"{a} {b}", f"{b} {a}") for a in ("one", "two", "ten") for b in ("cat", "dog", "fox")] * 8
    >>> model = Translator(vocabulary=40, hidden_size=32, embedding_size=32, dropout=0.1, batch_tokens=200, lr=1e-2)
    >>> model = model.fit(pairs, budget="12ep", valid=pairs[:9], progress=False)
    >>> model.predict(["ten fox", "two dog"])
    ['fox ten', 'dog two']
    """

    name: ClassVar[str] = "translate"
    network_: TranslationNetwork

    def __init__(
        self,
        source: str | None = None,
        target: str | None = None,
        source_units: Units = "subword",
        target_units: Units = "subword",
        vocabulary: int = 4000,
        embedding_size: int = 256,
        hidden_size: int = 256,
        encoder_layers: int = 1,
        decoder_layers: int = 2,
        dropout: float = 0.3,
        smoothing: float = 0.1,
        lr: float = 3e-3,
        batch_tokens: int = 2400,
        patience: int | None = None,
        beam: int = 5,
        length_penalty: float = 1.4,
        seed: int = 0,
    ) -> None:
        self.source = source
        self.target = target
        self.source_units = source_units
        self.target_units = target_units
        self.vocabulary = vocabulary
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.encoder_layers = encoder_layers
        self.decoder_layers = decoder_layers
        self.dropout = dropout
        self.smoothing = smoothing
        self.lr = lr
        self.batch_tokens = batch_tokens
        self.patience = patience
        self.beam = beam
        self.length_penalty = length_penalty
        self.seed = seed

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> ParallelText:
        """Sentence pairs from a table's path, from two paths, or from pairs of texts.

        Raises:
            InputError: naming file and line of what cannot be read.
        """
        if isinstance(data, ParallelText):
            return data
        if isinstance(data, str | Path):
            return read_parallel([data], self.source, self.target)
        items = list(data)
        if all(isinstance(item, str | Path) for item in items):
            return read_parallel(items, self.source, self.target)
        text = ParallelText.of(items)
        if not len(text):
            raise InputError(f"{len(items)} pairs given, none in which both sides hold text")
        return text

    def parts(self, data: Sequence[str]) -> Parts:
        """The parts of a person's files or of a known data set (``@name``)."""
        if known := self.known_set(data):
            if known.name == "multi30k":
                train, valid, test = load_multi30k(self.source or "en", self.target or "de")
                return Parts(train, test, valid, {"train": train})
            train, test = load_tatoeba().split()
            return Parts(train, test, scoring={"train": train})
        train, test = self.read_files(data).split()
        return Parts(train, test, scoring={"train": train})

    def read_files(self, paths: Sequence[str]) -> ParallelText:
        return read_parallel(paths, self.source, self.target)

    # -- fitting ---------------------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        budget: str = "30m",
        valid: Any = None,
        *,
        out: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
    ) -> Self:
        """Fit the model to sentence pairs.

        Args:
            data: what `read` takes.
            budget: minutes of training such as ``30m``, or epochs such as ``20ep``.
            valid: pairs to validate on; a tenth of the data, at most 1,000 sentences, when None.
            out: folder in which to keep a checkpoint.
            resume: go on from the checkpoint there.
            progress: show it on standard error.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget)
        self._check()
        train = self.read(data)
        train, held_out = train.split() if valid is None else (train, self.read(valid))
        skipped = train.skipped + held_out.skipped
        if skipped and progress:
            say(f"{skipped:,} pair{'s' * (skipped > 1)} left out: a side is empty")
        self.source_subwords_ = learn_subwords(train.source, self.vocabulary, self.source_units, generated=False)
        self.target_subwords_ = learn_subwords(train.target, self.vocabulary, self.target_units, generated=True)
        self.size_ = NetworkSize(
            self.source_subwords_.vocab_size(),
            self.target_subwords_.vocab_size(),
            self.embedding_size,
            self.hidden_size,
            self.encoder_layers,
            self.decoder_layers,
            self.dropout,
        )
        torch.manual_seed(self.seed)
        network = TranslationNetwork(self.size_)
        problem = TranslationProblem(
            network, self._ids(train), self._ids(held_out), self.batch_tokens, self.smoothing, self.seed
        )
        settings = Settings(limit, lr=self.lr, patience=self.patience, average=0.995)
        identity = {"budget": budget, "data": _hash(train, held_out)}
        self._train(problem, settings, identity, None if out is None else Path(out), resume, progress)
        return self

    def _check(self) -> None:
        least = {"vocabulary": 8, "embedding_size": 1, "hidden_size": 2, "encoder_layers": 1, "decoder_layers": 2}
        self._check_least({**least, "batch_tokens": 1, "beam": 1})
        if self.hidden_size % 2:
            raise InputError(f"hidden_size must be even, half for each direction; got {self.hidden_size}")

    def _ids(self, text: ParallelText) -> tuple[list[list[int]], list[list[int]]]:
        return self.source_subwords_.encode(text.source), self.target_subwords_.encode(text.target)

    # -- translating -----------------------------------------------------------------------------------------

    def predict(self, data: Sequence[str], beam: int | None = None, length_penalty: float | None = None) -> list[str]:
        """Translate sentences.

        Args:
            data: a sentence each; of an empty one the translation is empty.
            beam, length_penalty: instead of those the model was made with.
        """
        if isinstance(data, str):
            raise InputError("predict takes a list of sentences, not one text")
        found = self._search(data, beam or self.beam, self.length_penalty if length_penalty is None else length_penalty)
        return [self.target_subwords_.decode(words) for words in found]

    def _search(self, sentences: Sequence[str], beam: int, alpha: float) -> list[list[int]]:
        self._check_fitted()
        self.network_.eval()
        ids = self.source_subwords_.encode(list(sentences))
        found: list[list[int]] = [[] for _ in ids]
        order = sorted((i for i in range(len(ids)) if ids[i]), key=lambda i: len(ids[i]))
        for start in range(0, len(order), SENTENCES):
            block = order[start : start + SENTENCES]
            source, lengths = pad([ids[i] for i in block])
            for i, hypotheses in zip(block, beam_search(self.network_, source, lengths, beam, alpha), strict=True):
                found[i] = hypotheses[0].words
        return found

    @torch.no_grad()
    def align(self, data: Sequence[str]) -> list[Alignment]:
        """Translate sentences and tell where the decoder looked for each subword."""
        alignments = []
        for sentence, words in zip(data, self._search(data, self.beam, self.length_penalty), strict=True):
            ids = self.source_subwords_.encode(sentence)
            pairs = Pairs.of([ids], [words])
            memory = self.network_.encode(pairs.source, pairs.source_lengths)
            _, _, attention = self.network_.decode(memory, pairs.words, self.network_.begin(memory))
            source = self.source_subwords_.id_to_piece(ids)
            target = self.target_subwords_.id_to_piece(pairs.target[0].tolist())
            alignments.append(Alignment(source, target, attention[0].numpy()))
        return alignments

    def answers(
        self, inputs: Sequence[str], beam: int | None = None, length_penalty: float | None = None
    ) -> Iterator[str]:
        """Translations of a file's lines, a line each; of a known data set, of its test part's sentences."""
        name = one_source(inputs)
        lines = self.parts(inputs).test.references()[0] if self.known_set(inputs) else read_lines(name)
        for start in range(0, len(lines), SENTENCES):
            for translation in self.predict(lines[start : start + SENTENCES], beam, length_penalty):
                yield translation + "\n"

    def respond(self, line: str) -> Iterator[str]:
        yield from self.predict([line])

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        return f"memfold stream {out} translates what you type"

    # -- scores ----------------------------------------------------------------------------------------------

    def evaluate(self, data: Any, name: str = "", train: ParallelText | None = None) -> Report:
        """Score the translations beside those of the baselines.

        Args:
            data: what `read` takes. Several translations of one sentence are all references of it.
            name: what to call the data in the report.
            train: what the model was fitted to, of which the first baseline gives the translation of the most similar
                sentence; when None, the sentences themselves are the only baseline.
        """
        begun = time.monotonic()
        sentences, references = self.read(data).references()
        others = {} if train is None else {"nearest sentence": nearest_translations(train, sentences)}
        others["source copied"] = sentences
        characters = self.target_units == "character"
        translations = self.predict(sentences)
        metrics, signatures = translation_scores(translations, references, characters)
        baselines = {other: translation_scores(texts, references, characters)[0] for other, texts in others.items()}
        signed = [f"{metric}: {signature}" for metric, signature in signatures.items()]
        shown = (sample_table(sentences, translations, references), *signed)
        seconds = time.monotonic() - begun
        return Report(self.name, name, metrics, baselines, self.parameter_count, self.seed, seconds, shown, signatures)

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    def fitted_types(cls) -> dict[str, Any]:
        return {"size": NetworkSize}

    def fitted_state(self) -> dict[str, Any]:
        return {"size": asdict(self.size_)}

    def restore_fitted(self, state: dict[str, Any]) -> nn.Module:
        self.size_ = NetworkSize(**state["size"])
        return TranslationNetwork(self.size_)

    def fitted_files(self) -> dict[str, bytes]:
        processors = {SOURCE: self.source_subwords_, TARGET: self.target_subwords_}
        return {name: processor.serialized_model_proto() for name, processor in processors.items()}

    def restore_files(self, files: dict[str, bytes]) -> None:
        self.source_subwords_ = SentencePieceProcessor(model_proto=files[SOURCE])
        self.target_subwords_ = SentencePieceProcessor(model_proto=files[TARGET])


def _hash(*texts: ParallelText) -> str:
    content = "\n".join(line for text in texts for line in (*text.source, *text.target))
    return hashlib.sha256(content.encode()).hexdigest()
