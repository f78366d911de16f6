"""The TextClassifier: fit bidirectional LSTMs to labelled texts, label others, score beside the baselines."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.budget import Budget
from memfold.data.frames import beside
from memfold.data.labelled import LabelledTexts, held_out, joined, read_labelled
from memfold.data.labels import counted, numbers_of, same_label, spellings, with_counts
from memfold.data.seen import Seen
from memfold.display import say
from memfold.errors import InputError
from memfold.runtime.recipe import Run
from memfold.runtime.texts.blend import Blend, TextAnswers
from memfold.runtime.texts.labelling import Labelling
from memfold.runtime.texts.ngrams import RegressionSize, counted_by_character
from memfold.runtime.texts.part import PartLabelling
from memfold.runtime.texts.tokens import tokens
from memfold.tasks.classes import CLASS_METRICS, class_columns, class_scores, with_none
from memfold.tasks.contest import ALONE, ANSWER, Contest, cross_entropy
from memfold.tasks.model import FitData, Task
from memfold.tasks.parameters import Search, fitted, learning_rate, parameter, parameters_of, planned
from memfold.tasks.planning import Plan, seconds_of
from memfold.tasks.sentiment.blend import best_blend
from memfold.tasks.sentiment.plan import Facts, plan
from memfold.words import Words

if TYPE_CHECKING:
    from torch import Tensor

    from memfold.page import Section
    from memfold.tasks.sentiment.baselines import LinearModels
    from memfold.tasks.sentiment.encoding import EncodedTexts, Encoder
    from memfold.tasks.sentiment.folds import Folds
    from memfold.tasks.sentiment.network import ClassifyProblem, Ensemble

__all__ = ["TextClassifier"]

TFIDF, MAJORITY, NGRAMS = "TF-IDF + logistic regression", "most frequent class", "the n-grams alone"
MIN_COUNT = 2  # of a word that gets an embedding of its own; others are known by their n-grams
VALID_FOLDS = 20  # one of them is held out to validate on
NEIGHBOURS = 0.3  # weight of guessing neighbouring words; on 6,000 Chinese reviews guessing characters only cost time

Array = NDArray[np.float64]


class TextClassifier(Task):
    """Predicts the class of a text: its sentiment, its topic, whatever the examples are labelled with.

    Several bidirectional LSTMs with attention answer together, blended with a linear model of n-grams in the share that
    suits the validation part best.

    >>> table = pl.DataFrame({"text": ["a good day", "a bad day"] * 40, "label": ["good", "bad"] * 40})
    >>> model = TextClassifier(embedding_size=16, hidden_size=8, members=1, lr=1e-2)
    >>> model = model.fit(table, budget="10ep", progress=False)
    >>> model.predict(["good!", "bad!"])["label"].to_list()
    ['good', 'bad']
    """

    name: ClassVar[str] = "sentiment"
    metrics = CLASS_METRICS
    runtime = "text_classifier"
    kind, column = "classifier", "label"
    needs = ("a file of texts", "texts.csv")
    then = "memfold stream {out} labels what you type"

    text: str | None = parameter(None, "column with the texts; none looks for text, sentence, review, content ...")
    label: str | None = parameter(None, "column with the labels; none looks for label, sentiment, class, target ...")
    encoding: str | None = parameter(None, "of the files: utf-8, latin-1, gb18030 ...; none looks at their bytes")
    sheet: str | None = parameter(None, "of a workbook; when none, the only one that holds anything")
    merge_labels: bool = parameter(
        False, "whether labels that differ in case or in white space alone are one class, called as most of them are"
    )
    fold: int = parameter(
        0,
        "which tenth of the examples is held out to be scored, where they have no test part of their own",
        least=0,
        most=10**6,
    )
    embedding_size: int | None = planned(
        "dimensions of the embeddings of words and n-grams; with vectors, theirs",
        least=1,
        search=Search(32, 300, log=True),
    )
    hidden_size: int | None = planned("units of the LSTM in each direction", least=1, search=Search(32, 256, log=True))
    dropout: float = parameter(
        0.5, "of embeddings and before the last layer", least=0, below=1, search=Search(0.2, 0.6)
    )
    members: int | None = planned("networks to train side by side and average", least=1, most=1000, search=(1, 2, 4))
    folds: int | None = planned(
        "parts of the training texts, each of which some members leave out to be validated on it; 1 leaves out none",
        least=1,
        most=20,
    )
    epochs: int | None = planned("passes over the training texts, at most, of a budget that is a time", least=1)
    class_weights: Literal["balanced"] | None = parameter(
        None,
        '"balanced" gives every class the same weight in the loss, however rare; none, every example',
        search=(None, "balanced"),
    )
    vectors: str | None = parameter(
        None, "file with word vectors, a word and its numbers a line, or JSON of them, from which the embeddings start"
    )
    max_length: int | None = planned("tokens of a text that are read", least=1)
    lr: float = learning_rate(2e-3)
    batch_size: int = parameter(64, "texts in a step", least=1, search=(32, 64, 128))

    classes_: list[str] = fitted()
    seen_: str = fitted()  # hashes of the texts that it was fitted to
    majority_: int = fitted()
    blend_: Blend = fitted()
    vocabulary_: list[str] = fitted()
    buckets_: int = fitted()  # of n-grams
    width_: int = fitted()  # of the embeddings
    baseline_: RegressionSize = fitted()
    ngrams_: RegressionSize = fitted()
    network_: "Ensemble" = fitted(stored=False)

    def check(self) -> None:
        super().check()
        if self.folds is not None and self.members is not None and self.folds > self.members:
            raise InputError(f"folds={self.folds} with members={self.members}: every fold needs a member of its own")

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> LabelledTexts:
        """The labelled texts in a file or a data frame.

        Raises:
            InputError: naming file and line or column of what cannot be read.
        """
        if isinstance(data, list | tuple) and data and all(isinstance(item, Path) for item in data):
            return self.read_files(data)
        return self._merged(
            read_labelled(data, text=self.text, label=self.label, encoding=self.encoding, sheet=self.sheet)
        )

    def labelled(self, X: Any, y: Any) -> LabelledTexts:
        texts = self.inputs(X).texts
        labels = [str(label) for label in y]
        if len(texts) != len(labels):
            raise InputError(f"{len(texts)} texts in X and {len(labels)} labels in y")
        return self._merged(LabelledTexts("the texts", texts, labels))

    def inputs(self, data: Any) -> LabelledTexts:
        """Texts without labels: a ``str`` is a text, a ``Path`` a file, and either several; or a data frame's."""
        if isinstance(data, str):
            data = [data]
        if isinstance(data, list | tuple) and data and all(isinstance(item, Path) for item in data):
            return joined(self.read_each(data, self.inputs))
        return read_labelled(data, text=self.text, encoding=self.encoding, sheet=self.sheet, labels=False)

    def read_files(self, paths: Sequence[Any]) -> LabelledTexts:
        return self._merged(joined(self.read_each(paths)))

    def _merged(self, examples: LabelledTexts) -> LabelledTexts:
        return examples.merged() if self.merge_labels else examples

    def summary(self, examples: LabelledTexts) -> dict[str, str]:
        characters = sum(map(len, examples.texts)) / max(1, len(examples.texts))
        read = {"texts": f"{len(examples.texts):,} of {characters:,.0f} characters on average"}
        if examples.labels:
            read["labels"] = counted(examples.labels)
        if alike := spellings(examples.labels or ()):
            read["alike but for case"] = "; ".join(with_counts(group, "row") for group in alike)
        return read

    def hold_out(self, examples: LabelledTexts) -> tuple[LabelledTexts, LabelledTexts]:
        rest, test = held_out(examples, self.fold)
        _say_repeated(examples, rest, test)
        return rest, test

    def split(self, examples: LabelledTexts) -> tuple[LabelledTexts, LabelledTexts]:
        return held_out(examples, 0, VALID_FOLDS)

    def _say_classes(self, examples: LabelledTexts) -> None:
        """What is odd about the classes: labels that differ in case alone, and numbers."""
        for group in spellings(examples.labels or ()):
            say(
                f"{examples.name}: classes that differ in case or white space alone: {with_counts(group, 'row')}; "
                "--set merge_labels=true makes them one"
            )
        if all(_is_number(label) for label in self.classes_):
            say(f"{examples.name}: each number is a class, and their order does not count: {', '.join(self.classes_)}")

    # -- training --------------------------------------------------------------------------------------------

    def plan(self, train: LabelledTexts, valid: LabelledTexts, budget: Budget, speed: float) -> Plan:
        facts = Facts.of(train.texts, train.labels or ())
        given = {p.name: getattr(self, p.name) for p in parameters_of(type(self)) if p.planned}
        return plan(facts, seconds_of(budget, self.budget), speed, given, self.batch_size)

    def _train(self, data: FitData, limit: Budget, out: Path | None, resume: bool) -> Any:
        if limit.epochs is None:
            limit = Budget(limit.seconds, self.chosen.epochs)
        return super()._train(data, limit, out, resume)

    def prepare(self, data: FitData) -> Any:
        from memfold.tasks.sentiment.encoding import Encoder
        from memfold.tasks.sentiment.vectors import read_vectors

        if self.begun is None:
            data.whole.require(1)
        self.classes_ = self.grown("classes_", self._new_classes(data.whole.classes))
        if data.progress:
            self._say_classes(data.whole)
        self.seen_ = self.also_seen(Seen.of([*data.whole.texts, *data.valid.texts]))
        vectors = read_vectors(self.vectors, data.train.texts) if self.vectors and self.begun is None else {}
        encoder = Encoder.of(data.train.texts, MIN_COUNT, self.chosen.max_length, frozenset(vectors))
        self.vocabulary_ = self.grown("vocabulary_", encoder.vocabulary)
        self.buckets_ = encoder.buckets
        self.width_ = len(next(iter(vectors.values()))) if vectors else self.chosen.embedding_size
        if self.begun is not None:
            self.buckets_, self.width_ = self.begun.model.buckets_, self.begun.model.width_
        neighbours = 0.0 if counted_by_character(data.train.texts) else NEIGHBOURS
        # After an update every member has learned from the old texts: it leaves none of them out.
        folds = self._folds(data.train) if self.chosen.folds > 1 and self.begun is None else None
        return self._encoded(data.train), self._encoded(data.valid), neighbours, vectors, folds

    def _new_classes(self, classes: list[str]) -> list[str]:
        """Those of an update that are no other spelling of the earlier model's, where spellings are one class."""
        if self.begun is None or not self.merge_labels:
            return classes
        known = {same_label(label) for label in self.begun.model.classes_}
        return [label for label in classes if same_label(label) not in known]

    def _folds(self, examples: LabelledTexts) -> "Folds | None":
        """Which texts some members leave out: none of a class that would be left out whole; None for no text."""
        import torch

        from memfold.tasks.sentiment.folds import Folds

        count = self.chosen.folds
        numbers = self._numbers(examples)
        of = np.full(len(numbers), -1)
        for fold, rows in enumerate(examples.fold_rows(count)):
            of[rows] = fold
        for number in range(len(self.classes_)):
            folds = of[numbers == number]
            if len(np.unique(folds)) < 2:
                of[numbers == number] = -1
        return Folds(torch.from_numpy(of), count) if of.max() >= 0 else None

    @cached_property
    def encoder_(self) -> "Encoder":
        """From texts to what the network takes."""
        from memfold.tasks.sentiment.encoding import Encoder

        return Encoder(self.vocabulary_, self.chosen.max_length, self.buckets_)

    def network(self) -> "Ensemble":
        from memfold.tasks.sentiment.network import Ensemble

        counts = len(self.vocabulary_), len(self.classes_)
        sizes = self.width_, self.chosen.hidden_size, self.dropout, self.buckets_
        return Ensemble(self.chosen.members, *counts, *sizes)

    def problem(self, network: "Ensemble", ready: Any) -> "ClassifyProblem":
        from memfold.tasks.sentiment.network import ClassifyProblem

        train, valid, neighbours, vectors, folds = ready
        for word, vector in vectors.items():
            network.start_word(self.encoder_.places[word], vector)
        weights = self.weights_of(train)
        return ClassifyProblem(network, train, valid, weights, self.batch_size, self.seed, neighbours, folds)

    def finish(self, data: FitData, ready: Any) -> Contest:
        """Fit both linear models, and choose their share on what neither they nor the LSTMs learned from."""
        from memfold.tasks.sentiment.baselines import LinearModels
        from memfold.tasks.sentiment.network import log_probabilities

        train, valid, *_, folds = ready
        by_character = counted_by_character(data.whole.texts)
        given = data.train.texts, train.labels.numpy(), by_character
        labels = valid.labels.numpy()
        network = log_probabilities(self.network_, valid, len(self.classes_))
        models, carried = self._linear_models(data, by_character)
        linear = models.log_probabilities(data.valid.texts)
        if folds is not None:  # the training texts too, each as it is answered by what left it out
            rows = folds.covered
            labels = np.concatenate([labels, train.labels.numpy()[rows]])
            left_out = log_probabilities(self.network_, train, len(self.classes_), folds)
            network = np.concatenate([network, left_out[rows]])
            parts = [folds.rows(fold) for fold in range(folds.count)]
            linear = np.concatenate([linear, LinearModels.left_out(*given, parts)], 1)
        ngrams, standard = linear
        self.blend_ = best_blend(network, ngrams, labels)
        # What answers later is fitted to all texts.
        numbers = self._numbers(data.whole)
        if not carried:
            models = LinearModels.fit(data.whole.texts, numbers, by_character)
        self.network_.ngrams, self.network_.baseline = models.ngrams, models.standard
        self.ngrams_, self.baseline_ = models.ngrams.size, models.standard.size
        self.majority_ = int(np.bincount(numbers).argmax())
        answers = {
            ANSWER: self.blend_.probabilities(network, ngrams),
            ALONE: network,
            NGRAMS: ngrams,
            TFIDF: standard,
            MAJORITY: np.full(len(labels), np.bincount(train.labels.numpy()).argmax()),
        }
        scores = {name: class_scores(labels, answer)["accuracy"] for name, answer in answers.items()}
        shares = {ALONE: 1 - self.blend_.share, NGRAMS: self.blend_.share}
        on_curve = {name: cross_entropy(log_p, labels) for name, log_p in ((NGRAMS, ngrams), (TFIDF, standard))}
        return Contest("accuracy", "higher", scores, shares, on_curve)

    def _linear_models(self, data: FitData, by_character: bool) -> "tuple[LinearModels, bool]":
        """Both linear models of the training texts, or in an update without the old texts the earlier ones where those
        say more of the validation part; and whether they are the earlier ones."""
        from memfold.tasks.sentiment.baselines import LinearModels

        numbers = self._numbers(data.train)
        fresh = None
        if self.begun is None or len(np.unique(numbers)) == len(self.classes_):
            fresh = LinearModels.fit(data.train.texts, numbers, by_character)
        if fresh is not None and (self.begun is None or self.begun.rehearses):
            return fresh, False
        from memfold.tasks.sentiment.update import better

        models = better(self, fresh, data.valid.texts, self._numbers(data.valid))
        return models, models is not fresh

    def complete(self, network: "Ensemble") -> None:
        from memfold.tasks.sentiment.baselines import NgramRegression

        network.baseline = NgramRegression(self.baseline_)
        network.ngrams = NgramRegression(self.ngrams_)

    def check_restored(self) -> None:
        Seen.parse(self.seen_)
        if not 0 <= self.majority_ < len(self.classes_):
            raise InputError(f"majority {self.majority_}, expected below {len(self.classes_)}")

    def _numbers(self, examples: LabelledTexts) -> NDArray[np.int64]:
        labels: Sequence[str] = examples.labels or ()
        if self.merge_labels:
            classes = {same_label(label): label for label in self.classes_}
            labels = [classes.get(same_label(label), label) for label in labels]
        return numbers_of(labels, self.classes_, examples.name, "label")

    def _encoded(self, examples: LabelledTexts) -> "EncodedTexts":
        return self.encoder_.encode(examples.texts, self._numbers(examples).tolist())

    def weights_of(self, texts: "EncodedTexts") -> "Tensor":
        """Of every class's examples in the loss, (C,)."""
        import torch

        if self.class_weights is None:
            return torch.ones(len(self.classes_))
        counts = torch.bincount(texts.labels, minlength=len(self.classes_))
        return len(texts.rows) / (len(self.classes_) * counts.clamp(min=1))

    # -- answering -------------------------------------------------------------------------------------------

    def probabilities(self, texts: Sequence[str]) -> Array:
        """The probability of every class for every text, (S, C).

        Raises:
            InputError: not fitted yet.
        """
        return self.labelling.answers(texts).probabilities

    def put_parts(self, pipeline: Any, parts: Mapping[str, Run]) -> None:
        pipeline.part = PartLabelling(parts["model"], pipeline.encoder, pipeline.ngrams, len(self.classes_))

    @property
    def labelling(self) -> Labelling:
        """The model as it answers without torch."""
        pipeline: Any = self.pipeline
        labelling: Labelling = pipeline
        return labelling

    def answer(self, examples: LabelledTexts) -> TextAnswers:
        """The probability of every class, by the whole model and by its halves."""
        return self.labelling.answers(examples.texts)

    def table(self, examples: LabelledTexts, answers: TextAnswers) -> pl.DataFrame:
        """Columns ``text``, ``label`` and, for every class, ``p_`` and its name: the probability.

        A text without anything to read has no label.
        """
        readable = pl.Series([bool(tokens(text)) for text in examples.texts], dtype=pl.Boolean)
        result = pl.DataFrame({"text": examples.texts, **class_columns(self.classes_, answers.probabilities)})
        return result.with_columns(pl.when(readable).then(pl.col(c)).alias(c) for c in result.columns[1:])

    def predict(self, data: Any) -> Any:
        """Label texts.

        Args:
            data: what `inputs` takes.

        Returns:
            As `table` describes it. Of a table's file or a data frame, all its columns first, in place of ``text``;
            a frame is of the kind that was given.

        Raises:
            InputError: not fitted yet, or data that cannot be worked with.
        """
        self.check_fitted()
        inputs = self.inputs(data)
        answers = self.table(inputs, self.answer(inputs))
        if inputs.given is None:
            return answers
        is_frame = not isinstance(data, str | Path | list | tuple | LabelledTexts)
        return beside(data if is_frame else inputs.given, answers.drop("text"))

    def answers(self, inputs: Sequence[str], *, none: float | None = None) -> "pl.DataFrame | Iterator[str]":
        """What ``memfold predict`` writes.

        Args:
            none: a probability; where no class has it, the label is "none of these".
        """
        if self.known_set(inputs) or not inputs:
            table = super().answers(inputs)
            return with_none(table, self.classes_, none) if isinstance(table, pl.DataFrame) else table
        parts = self.read_each(inputs, self.inputs)
        answers: list[pl.DataFrame] = [self.predict(part) for part in parts]
        return with_none(pl.concat(answers, how="diagonal_relaxed"), self.classes_, none)

    def respond(self, line: str) -> Iterator[str]:
        for piece in self.labelling.open().printed(line):
            yield piece.removesuffix("\n")

    # -- scores ----------------------------------------------------------------------------------------------

    def examine(self, examples: LabelledTexts) -> None:
        known, looked_up = Seen.parse(self.seen_).among(examples.texts)
        if known:
            say(
                f"{examples.name}: {known:,} of {looked_up:,} texts are among those that the model was fitted to or "
                "validated on; the scores flatter it"
            )

    def scores(self, examples: LabelledTexts, answers: TextAnswers | NDArray[Any]) -> dict[str, float]:
        given = answers.probabilities if isinstance(answers, TextAnswers) else answers
        return class_scores(self._numbers(examples), given)

    def baselines(self, examples: LabelledTexts, answers: TextAnswers) -> dict[str, Any]:
        texts = examples.texts
        return {
            TFIDF: np.exp(self.labelling.baseline.log_probabilities(texts)),
            MAJORITY: np.full(len(texts), self.majority_),
            ALONE: np.exp(answers.network),
            NGRAMS: np.exp(answers.ngrams),
        }

    def sections(self, examples: LabelledTexts, answers: TextAnswers, words: Words) -> "Sequence[Section]":
        if "network_" not in vars(self):  # there is no torch
            return ()
        from memfold.tasks.sentiment.halves import mistaken_texts

        return mistaken_texts(self, examples, self._numbers(examples).tolist(), answers, words)

    def details(self, examples: LabelledTexts, answers: TextAnswers, seconds: float) -> Sequence[Any]:
        from memfold.tasks.sentiment.influence import Details

        numbers = self._numbers(examples)
        given = self.network_, self.encoder_, self.classes_, examples.texts
        return [Details(*given, numbers, answers.probabilities, self.blend_)]


def _say_repeated(examples: LabelledTexts, rest: LabelledTexts, test: LabelledTexts) -> None:
    again, unlike = examples.repeated()
    if not again:
        return
    rows = "1 row repeats" if again == 1 else f"{again:,} rows repeat"
    both, _ = Seen.of(rest.texts).among(test.texts)
    sides = (
        f"too few are different: {both:,} of {len(test.texts):,} that are scored are also trained on"
        if both
        else "equal texts are on one side of the split"
    )
    texts = "1 text has" if unlike == 1 else f"{unlike:,} texts have"
    labels = f"; {texts} different labels" if unlike else ""
    say(f"{examples.name}: {rows} the text of another; {sides}{labels}")


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True
