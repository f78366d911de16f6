"""The Translator: fit an LSTM encoder and decoder to sentence pairs, translate by beam search, score by sacrebleu."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

import memfold.tasks.translate.plan as rules
from memfold.budget import Budget
from memfold.data.frames import beside
from memfold.data.parallel import (
    ParallelText,
    is_table,
    pairs_of_table,
    pairs_of_texts,
    read_parallel,
    sentences_of_table,
)
from memfold.data.seen import Seen
from memfold.data.texts import read_lines, texts_of, whole
from memfold.display import say
from memfold.errors import InputError, shown
from memfold.formats.directory import SOURCE, TARGET
from memfold.tasks.contest import ALONE, ANSWER, Contest
from memfold.tasks.model import FitData, Task, one_source
from memfold.tasks.parameters import Search, fitted, learning_rate, parameter, planned
from memfold.tasks.planning import Plan, seconds_of
from memfold.tasks.report import Metric
from memfold.tasks.translate.answers import NEAREST, Alignment, Translations, blended, nearest
from memfold.tasks.translate.memory import NEVER, TranslationMemory, best_threshold
from memfold.tasks.translate.part import PartTranslation
from memfold.tasks.translate.search import Searched, beam_search, padded
from memfold.tasks.translate.subwords import SentencePieceProcessor, Units, learn_subwords, with_pieces_of
from memfold.words import Words, said

if TYPE_CHECKING:
    from memfold.page import Section
    from memfold.tasks.translate.batches import TranslationProblem
    from memfold.tasks.translate.network import TranslationNetwork

__all__ = ["Alignment", "Translations", "Translator"]

COPIED = "source copied"
COMPARED = 400  # sentences of the validation part on which the network and the baselines are compared
SENTENCES = 64  # searched at once


class Translator(Task):
    """Translates sentences from one language into another.

    >>> pairs = [(f"{a} {b}", f"{b} {a}") for a in ("one", "two", "ten") for b in ("cat", "dog", "fox")] * 8
    >>> model = Translator(vocabulary=40, hidden_size=32, embedding_size=32, dropout=0.1, batch_tokens=200, lr=1e-2)
    >>> model = model.fit(pairs, budget="12ep", valid=pairs[:9], progress=False)
    >>> model.predict(["ten fox", "two dog"])
    ['fox ten', 'dog two']
    """

    name: ClassVar[str] = "translate"
    metrics = (Metric("bleu", "higher"), Metric("bleu_lower_tok", "higher"), Metric("chrf", "higher"))
    budget = "30m"
    loop: ClassVar[Mapping[str, float]] = {"average": 0.995}
    halves = True
    column = "translation"
    needs = ("a file of sentences, one a line", "sentences.txt")
    then = "memfold stream {out} translates what you type"
    recalls = True

    source: str | None = parameter(
        None,
        "column of a table with the sentences; none takes the first of the two that hold sentences; of @multi30k, the "
        "language",
    )
    target: str | None = parameter(
        None, "column with the translations; none takes the other one of the two; of @multi30k, the language"
    )
    encoding: str | None = parameter(None, "of the files: utf-8, latin-1, gb18030 ...; none looks at their bytes")
    sheet: str | None = parameter(None, "of a workbook; when none, the only one that holds anything")
    source_units: Units | None = planned('"subword", or "character" for writing without spaces')
    target_units: Units | None = planned(
        "likewise of the translations; BLEU counts the characters of a target in characters"
    )
    vocabulary: int | None = planned("subwords of each language, at most", least=8, search=Search(1000, 8000, log=True))
    embedding_size: int | None = planned(
        "dimensions of a subword's embedding", least=1, search=Search(64, 512, log=True)
    )
    hidden_size: int | None = planned(
        "units of the decoder's layers; half as many in each direction of the encoder",
        least=2,
        search=(128, 256, 512),
    )
    encoder_layers: int = parameter(1, "bidirectional layers of the encoder", least=1, most=1000, search=(1, 2))
    decoder_layers: int = parameter(
        2, "layers of the decoder, at least 2; the attention comes after the first", least=2, most=1000, search=(2, 3)
    )
    dropout: float | None = planned("of the embeddings and between layers", least=0, below=1, search=Search(0.1, 0.5))
    smoothing: float = parameter(0.1, "label smoothing", least=0, below=1, search=Search(0, 0.2))
    lr: float = learning_rate(3e-3)
    batch_tokens: int | None = planned(
        "subwords of both languages in a step", least=1, search=Search(1200, 9600, log=True)
    )
    beam: int = parameter(5, "translations that the search keeps", least=1, most=10_000)
    length_penalty: float = parameter(1.4, "GNMT's alpha; greater for longer translations", least=0, most=100)

    seen_: str = fitted()  # hashes of the sentences that it was fitted to
    by_character_: bool = fitted()  # whether BLEU counts characters of the translations
    threshold_: float = fitted()  # likeness from which on the memory answers
    memory_bytes_: int = fitted()  # of the memory; 0 where none is kept
    source_subwords_: SentencePieceProcessor = fitted(stored=False)  # files of their own
    target_subwords_: SentencePieceProcessor = fitted(stored=False)
    network_: "TranslationNetwork" = fitted(stored=False)

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> ParallelText:
        """Sentence pairs from a table's ``Path`` or a data frame, from two files of parallel lines, or pairs of texts.

        Raises:
            InputError: naming file and line of what cannot be read.
        """
        if isinstance(data, ParallelText):
            return data
        if _is_frame(data):
            return pairs_of_table(data, self.source, self.target)
        items = [data] if isinstance(data, str | Path) else list(data)
        if items and all(isinstance(item, Path) for item in items):
            return read_parallel(items, self.source, self.target, self.encoding, self.sheet)
        return pairs_of_texts(items)

    def labelled(self, X: Any, y: Any) -> ParallelText:
        """Pairs of sentences and their translations: a ``str`` each, or the lines of a ``Path``."""
        sources = texts_of(X, lines=True, encoding=self.encoding)
        targets = texts_of(y, lines=True, encoding=self.encoding)
        if len(sources) != len(targets):
            raise InputError(f"{len(sources)} sentences in X and {len(targets)} translations in y")
        return pairs_of_texts(list(zip(sources, targets, strict=True)))

    def inputs(self, data: Any) -> list[str]:
        """Sentences: a ``str`` is one, a ``Path`` a file with one a line or a table, a data frame has a column of them.

        Raises:
            InputError: a file that cannot be read, or a table of which no one column holds sentences.
        """
        if _is_table(data):
            table, column = sentences_of_table(data, self.source, self.encoding, self.sheet)
            return _texts_in(table.frame[column])
        return texts_of(data, lines=True, encoding=self.encoding)

    def read_files(self, paths: Sequence[str]) -> ParallelText:
        return read_parallel(paths, self.source, self.target, self.encoding, self.sheet)

    def summary(self, examples: ParallelText) -> dict[str, str]:
        read = {"pairs": f"{len(examples.source):,}"}
        if examples.source:
            read["the first"] = f"{examples.source[0]!r} = {examples.target[0]!r}"
        return read | ({"left out": f"{examples.skipped:,} with an empty side"} if examples.skipped else {})

    def hold_out(self, examples: ParallelText) -> tuple[ParallelText, ParallelText]:
        rest, test = examples.split()
        if again := len(examples) - len(set(examples.source)):
            pairs = "1 pair repeats" if again == 1 else f"{again:,} pairs repeat"
            say(f"{pairs} the source sentence of another; those of one sentence are on one side of the split")
        return rest, test

    def split(self, examples: ParallelText) -> tuple[ParallelText, ParallelText]:
        """All but a tenth of the distinct sentences, and these, at most 1,000 with all their translations."""
        return examples.split()

    # -- training --------------------------------------------------------------------------------------------

    def plan(self, train: ParallelText, valid: ParallelText, budget: Budget, speed: float) -> Plan:
        given = {name: value for name, value in self.get_params().items() if value is not None}
        return rules.plan(rules.facts_of(train), seconds_of(budget, self.budget), speed, given)

    def prepare(self, data: FitData) -> tuple[ParallelText, ParallelText]:
        skipped = data.train.skipped + data.valid.skipped
        if skipped and data.progress:
            say(f"{skipped:,} pair{'s' * (skipped > 1)} left out: a side is empty")
        train, vocabulary = data.train, self.chosen.vocabulary
        self.by_character_ = self.chosen.target_units == "character" or rules.without_spaces(train.target)
        self.seen_ = self.also_seen(Seen.of([*data.whole.source, *data.valid.source]))
        self.source_subwords_ = learn_subwords(train.source, vocabulary, self.chosen.source_units, generated=False)
        self.target_subwords_ = learn_subwords(train.target, vocabulary, self.chosen.target_units, generated=True)
        if self.begun is not None:
            its = self.begun.model
            self.by_character_ = its.by_character_
            self.source_subwords_ = with_pieces_of(its.source_subwords_, self.source_subwords_)
            self.target_subwords_ = with_pieces_of(its.target_subwords_, self.target_subwords_)
        return train, data.valid

    def network(self) -> "TranslationNetwork":
        from memfold.tasks.translate.network import TranslationNetwork, TranslationSize

        size = TranslationSize(
            self.source_subwords_.vocab_size(),
            self.target_subwords_.vocab_size(),
            self.chosen.embedding_size,
            self.chosen.hidden_size,
            self.encoder_layers,
            self.decoder_layers,
            self.chosen.dropout,
        )
        return TranslationNetwork(size)

    def problem(self, network: "TranslationNetwork", ready: tuple[ParallelText, ParallelText]) -> "TranslationProblem":
        from memfold.tasks.translate.batches import TranslationProblem

        train, valid = (self._ids(part) for part in ready)
        return TranslationProblem(network, train, valid, self.chosen.batch_tokens, self.smoothing, self.seed)

    def finish(self, data: FitData, ready: tuple[ParallelText, ParallelText]) -> Contest:
        """Let the translations of similar sentences answer where that is better on the validation part."""
        from memfold.tasks.translate.scores import translation_scores
        from memfold.tasks.translate.update import with_earlier

        train, valid = ready
        sentences, references = valid.references()
        sentences, references = sentences[:COMPARED], references[:COMPARED]
        alone, matches = self._translated(sentences), TranslationMemory.of(with_earlier(self, train)).matches(sentences)

        def score(texts: list[str]) -> float:
            return translation_scores(texts, references, self.by_character_)["bleu"]

        self.threshold_ = best_threshold(lambda threshold: score(blended(alone, matches, threshold)))
        self.memory_bytes_ = 0
        if self.threshold_ < NEVER:
            packed = TranslationMemory.of(with_earlier(self, data.whole)).packed()
            self.memory_bytes_ = len(packed)
            self.complete(self.network_)
            self.network_.memory.numpy()[:] = packed
        # Score the answer, the network and the baselines on the validation part.
        answer = blended(alone, matches, self.threshold_)
        answers = {ANSWER: answer, ALONE: alone, NEAREST: nearest(matches), COPIED: sentences}
        share = sum(match.likeness >= self.threshold_ for match in matches) / len(matches)
        shares = {"the network": 1 - share, NEAREST: share} if self.memory_bytes_ else {}
        return Contest("bleu", "higher", {name: score(texts) for name, texts in answers.items()}, shares)

    def complete(self, network: "TranslationNetwork") -> None:
        import torch

        if self.memory_bytes_:
            network.register_buffer("memory", torch.zeros(self.memory_bytes_, dtype=torch.uint8))

    @cached_property
    def memory_(self) -> TranslationMemory | None:
        """What answers beside the network; None where nothing does."""
        return TranslationMemory.unpacked(self.network_.memory.numpy()) if self.memory_bytes_ else None

    def _ids(self, text: ParallelText) -> tuple[list[list[int]], list[list[int]]]:
        return self.source_subwords_.encode(text.source), self.target_subwords_.encode(text.target)

    def check(self) -> None:
        super().check()
        if self.hidden_size is not None and self.hidden_size % 2:
            raise InputError(f"hidden_size must be even, half for each direction; got {self.hidden_size}")

    def fitted_files(self) -> dict[str, bytes]:
        processors = {SOURCE: self.source_subwords_, TARGET: self.target_subwords_}
        return {name: processor.serialized_model_proto() for name, processor in processors.items()}

    def check_restored(self) -> None:
        Seen.parse(self.seen_)
        if self.memory_bytes_ < 0:
            raise InputError(f"a translation memory of {shown(self.memory_bytes_)} bytes")

    def restore_files(self, files: dict[str, bytes]) -> None:
        self.source_subwords_ = SentencePieceProcessor(model_proto=files[SOURCE])
        self.target_subwords_ = SentencePieceProcessor(model_proto=files[TARGET])

    # -- translating -----------------------------------------------------------------------------------------

    def predict(self, data: Any, beam: int | None = None, length_penalty: float | None = None) -> Any:
        """Translate sentences.

        Args:
            data: what `inputs` takes; of an empty sentence the translation is empty.
            beam, length_penalty: instead of those the model was made with.

        Returns:
            A list of translations; of a table's file or a data frame, all its columns and then ``translation``, in a
            frame of the kind that was given.

        Raises:
            InputError: not fitted yet, or sentences or options that cannot be worked with.
        """
        self.check_fitted()
        if not _is_table(data):
            return self.answer(self.inputs(data), beam=beam, length_penalty=length_penalty).texts
        table, column = sentences_of_table(data, self.source, self.encoding, self.sheet)
        translations = self.answer(_texts_in(table.frame[column]), beam=beam, length_penalty=length_penalty)
        answers = pl.DataFrame({"translation": translations.texts}, schema={"translation": pl.String})
        return beside(table.frame if isinstance(data, Path) else data, answers)

    def answer(
        self,
        examples: ParallelText | Sequence[str],
        train: Any = None,
        beam: int | None = None,
        length_penalty: float | None = None,
    ) -> Translations:
        """Translations of sentences; of pairs, those of every distinct source.

        Args:
            train: pairs, as `read` takes them, from which the first baseline takes the translation of the most similar
                sentence; when None, the sentences themselves are the only baseline.
            beam, length_penalty: instead of those the model was made with.
        """
        sentences = _sentences(examples)
        memory = self.memory_
        if memory is None:
            near = None if train is None else nearest(TranslationMemory.of(self.read(train)).matches(sentences))
            return Translations(self._translated(sentences, beam, length_penalty), near=near)
        matches = memory.matches(sentences)
        if isinstance(examples, ParallelText):  # which are to be scored
            alone = self._translated(sentences, beam, length_penalty)
            return Translations(blended(alone, matches, self.threshold_), alone, nearest(matches))
        open_ones = [
            "" if match.likeness >= self.threshold_ else sentence
            for sentence, match in zip(sentences, matches, strict=True)
        ]
        return Translations(blended(self._translated(open_ones, beam, length_penalty), matches, self.threshold_))

    def _translated(
        self, sentences: Sequence[str], beam: int | None = None, length_penalty: float | None = None
    ) -> list[str]:
        """What the network makes of sentences."""
        return [self.target_subwords_.decode(words) for words in self._search(sentences, beam, length_penalty)]

    def _search(
        self, sentences: Sequence[str], beam: int | None = None, length_penalty: float | None = None
    ) -> list[list[int]]:
        """The best translation of every sentence, as ids of subwords."""
        options = {"beam": beam, "length_penalty": length_penalty}
        asked = type(self)(**self.get_params() | {k: value for k, value in options.items() if value is not None})
        asked.check()
        network = self._searched()
        ids = self.source_subwords_.encode(list(sentences))
        translations: list[list[int]] = [[] for _ in ids]
        order = sorted((i for i in range(len(ids)) if ids[i]), key=lambda i: len(ids[i]))
        for start in range(0, len(order), SENTENCES):
            block = order[start : start + SENTENCES]
            source, lengths = padded([ids[i] for i in block])
            best = beam_search(network, source, lengths, asked.beam, asked.length_penalty)
            for i, hypotheses in zip(block, best, strict=True):
                translations[i] = hypotheses[0].words
        return translations

    def _searched(self) -> Searched:
        """The network, or the exported parts in its place."""
        if self._exported is not None:
            return PartTranslation(self._exported["encoder"], self._exported["decoder"], self.decoder_layers)
        from memfold.tasks.translate.network import Searching

        return Searching(self.network_)

    def align(self, data: Sequence[str]) -> list[Alignment]:
        """Translate sentences and say where the decoder looked for each subword."""
        import torch

        from memfold.tasks.translate.batches import Pairs

        alignments = []
        for sentence, words in zip(data, self._search(data), strict=True):
            ids = self.source_subwords_.encode(sentence)
            pairs = Pairs.of([ids], [words])
            with torch.no_grad():
                memory = self.network_.encode(pairs.source, pairs.source_lengths)
                _, _, attention = self.network_.decode(memory, pairs.words, self.network_.begin(memory))
            source = self.source_subwords_.id_to_piece(ids)
            target = self.target_subwords_.id_to_piece(pairs.target[0].tolist())
            alignments.append(Alignment(source, target, attention[0].numpy()))
        return alignments

    def table(self, examples: ParallelText | Sequence[str], answers: Translations) -> pl.DataFrame:
        """Columns ``source`` and ``translation``."""
        columns = {"source": _sentences(examples), "translation": answers.texts}
        return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))

    def answers(
        self, inputs: Sequence[str], beam: int | None = None, length_penalty: float | None = None
    ) -> "pl.DataFrame | Iterator[str]":
        """Translations of a file's lines, a line each; of a table, a column more; of a known set, of its test part."""
        self._require_inputs(inputs)
        if self.known_set(inputs):
            lines = _sentences(self.parts(inputs).test)
        elif is_table(path := Path(one_source(inputs))):
            table: pl.DataFrame = self.predict(path, beam, length_penalty)
            return table
        else:
            lines = read_lines(path, self.encoding)
        starts = range(0, len(lines), SENTENCES)
        blocks = (self.predict(lines[start : start + SENTENCES], beam, length_penalty) for start in starts)
        return (f"{translation}\n" for block in blocks for translation in block)

    def respond(self, line: str) -> Iterator[str]:
        yield from self.predict([line])

    # -- scores ----------------------------------------------------------------------------------------------

    def examine(self, examples: ParallelText) -> None:
        sentences = _sentences(examples)
        known, looked_up = Seen.parse(self.seen_).among(sentences)
        if known:
            say(
                f"{known:,} of {looked_up:,} sentences are among those that the model was fitted to or validated on; "
                "the scores flatter it"
            )

    def scores(self, examples: ParallelText, answers: Translations) -> dict[str, float]:
        """BLEU and chrF. Several translations of one sentence are all references of it."""
        from memfold.tasks.translate.scores import translation_scores

        return translation_scores(answers.texts, examples.references()[1], self.by_character_)

    def baselines(self, examples: ParallelText, answers: Translations) -> dict[str, Translations]:
        beside = {NEAREST: answers.near, ALONE: answers.alone, COPIED: _sentences(examples)}
        return {name: Translations(texts) for name, texts in beside.items() if texts is not None}

    def sections(self, examples: ParallelText, answers: Translations, words: Words) -> "Sequence[Section]":
        from memfold.tasks.translate.report import attention_section

        return attention_section(self, _sentences(examples), words) if "network_" in vars(self) else ()

    def details(self, examples: ParallelText, answers: Translations, seconds: float) -> Sequence[Any]:
        from memfold.tasks.translate.scores import sample_table

        signed = [
            said("signature", metric=metric, signature=signature)
            for metric, signature in self.signatures(examples, answers).items()
        ]
        sentences, references = examples.references()
        return [sample_table(sentences, answers.texts, references), *signed]

    def signatures(self, examples: ParallelText, answers: Translations) -> dict[str, str]:
        from memfold.tasks.translate.scores import score_signatures

        return score_signatures(examples.references()[1], self.by_character_)


def _is_frame(data: Any) -> bool:
    return hasattr(data, "columns") and not isinstance(data, str | Path)


def _is_table(data: Any) -> bool:
    """Whether sentences stand in a column of a file or of a data frame."""
    return _is_frame(data) or (isinstance(data, Path) and is_table(data))


def _texts_in(column: pl.Series) -> list[str]:
    return [whole(text or "", f"row {row}") for row, text in enumerate(column.cast(pl.String).to_list(), 1)]


def _sentences(examples: ParallelText | Sequence[str]) -> list[str]:
    """The sentences to translate; of pairs, every distinct source."""
    return examples.references()[0] if isinstance(examples, ParallelText) else list(examples)
