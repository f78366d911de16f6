"""The TextClassifier: fit bidirectional LSTMs to labelled texts, label others, score beside the baselines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.frames import beside
from memfold.data.labelled import LabelledTexts, held_out, joined, read_labelled
from memfold.data.labels import counted, numbers_of, same_label, spellings, with_counts
from memfold.data.seen import Seen
from memfold.display import say
from memfold.errors import InputError
from memfold.tasks.classes import CLASS_METRICS, class_columns, class_scores
from memfold.tasks.model import FitData, Task
from memfold.tasks.parameters import Search, fitted, learning_rate, parameter
from memfold.tasks.sentiment.ngrams import RegressionSize, counted_by_character
from memfold.tasks.sentiment.tokens import tokens

if TYPE_CHECKING:
    from torch import Tensor

    from memfold.tasks.sentiment.encoding import EncodedTexts, Encoder
    from memfold.tasks.sentiment.network import ClassifyProblem, Ensemble

__all__ = ["TextClassifier"]

TFIDF, MAJORITY = "TF-IDF + logistic regression", "most frequent class"
ALONE, BLENDED = "the LSTMs alone", "the n-grams alone"
MIN_COUNT = 2  # of a word that gets an embedding of its own; others are known by their n-grams
VALID_FOLDS = 20  # one of them is held out to validate on
PREDICT_BATCH = 128
NEIGHBOURS = 0.3  # weight of guessing neighbouring words; on 6,000 Chinese reviews guessing characters only cost time
SHARES = tuple(tenths / 10 for tenths in range(8))  # of the regression in the answer

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What the whole model and its halves make of texts.

    Attributes:
        probabilities: of every class by the whole model, (S, C).
        network, ngrams: log-probabilities by the LSTMs and by the n-grams alone, (S, C).
    """

    probabilities: Array
    network: Array
    ngrams: Array


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
    kind, column = "classifier", "label"
    needs = ("a file of texts", "texts.csv")
    then = "memfold stream {out} labels what you type"

    text: str | None = parameter(None, "column with the texts; none looks for text, sentence, review, content ...")
    label: str | None = parameter(None, "column with the labels; none looks for label, sentiment, class, target ...")
    encoding: str | None = parameter(None, "of the files: utf-8, latin-1, gb18030 ...; none looks at their bytes")
    merge_labels: bool = parameter(
        False, "whether labels that differ in case or in white space alone are one class, called as most of them are"
    )
    fold: int = parameter(
        0,
        "which tenth of the examples is held out to be scored, where they have no test part of their own",
        least=0,
        most=10**6,
    )
    embedding_size: int = parameter(
        100,
        "dimensions of the embeddings of words and n-grams; with vectors, theirs",
        least=1,
        search=Search(32, 300, log=True),
    )
    hidden_size: int = parameter(100, "units of the LSTM in each direction", least=1, search=Search(32, 256, log=True))
    dropout: float = parameter(
        0.5, "of embeddings and before the last layer", least=0, below=1, search=Search(0.2, 0.6)
    )
    members: int = parameter(4, "networks to train side by side and average", least=1, most=1000, search=(1, 2, 4))
    class_weights: Literal["balanced"] | None = parameter(
        None,
        '"balanced" gives every class the same weight in the loss, however rare; none, every example',
        search=(None, "balanced"),
    )
    vectors: str | None = parameter(
        None, "file with word vectors, a word and its numbers a line, from which the embeddings start"
    )
    max_length: int = parameter(400, "tokens of a text that are read", least=1)
    lr: float = learning_rate(2e-3)
    batch_size: int = parameter(64, "texts in a step", least=1, search=(32, 64, 128))

    classes_: list[str] = fitted()
    seen_: str = fitted()  # hashes of the texts that it was fitted to
    majority_: int = fitted()
    share_: float = fitted()
    vocabulary_: list[str] = fitted()
    width_: int = fitted()  # of the embeddings
    baseline_: RegressionSize = fitted()
    ngrams_: RegressionSize = fitted()
    network_: "Ensemble" = fitted(stored=False)

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> LabelledTexts:
        """The labelled texts in a file or a data frame.

        Raises:
            InputError: naming file and line or column of what cannot be read.
        """
        if isinstance(data, list | tuple) and data and all(isinstance(item, Path) for item in data):
            return self.read_files(data)
        return self._merged(read_labelled(data, text=self.text, label=self.label, encoding=self.encoding))

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
        return read_labelled(data, text=self.text, encoding=self.encoding, labels=False)

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

    def prepare(self, data: FitData) -> Any:
        from memfold.tasks.sentiment.encoding import Encoder
        from memfold.tasks.sentiment.vectors import read_vectors

        data.whole.require(1)
        self.classes_ = data.whole.classes
        if data.progress:
            self._say_classes(data.whole)
        self.seen_ = str(Seen.of([*data.whole.texts, *data.valid.texts]))
        vectors = read_vectors(self.vectors, data.train.texts) if self.vectors else {}
        self.vocabulary_ = Encoder.of(data.train.texts, MIN_COUNT, self.max_length, frozenset(vectors)).vocabulary
        self.width_ = len(next(iter(vectors.values()))) if vectors else self.embedding_size
        neighbours = 0.0 if counted_by_character(data.train.texts) else NEIGHBOURS
        return self._encoded(data.train), self._encoded(data.valid), neighbours, vectors

    @cached_property
    def encoder_(self) -> "Encoder":
        """From texts to what the network takes."""
        from memfold.tasks.sentiment.encoding import Encoder

        return Encoder(self.vocabulary_, self.max_length)

    def network(self) -> "Ensemble":
        from memfold.tasks.sentiment.network import Ensemble

        counts = len(self.vocabulary_), len(self.classes_)
        return Ensemble(self.members, *counts, self.width_, self.hidden_size, self.dropout)

    def problem(self, network: "Ensemble", ready: Any) -> "ClassifyProblem":
        from memfold.tasks.sentiment.network import ClassifyProblem

        train, valid, neighbours, vectors = ready
        for word, vector in vectors.items():
            network.start_word(self.encoder_.places[word], vector)
        weights = self.weights_of(train)
        return ClassifyProblem(network, train, valid, weights, self.batch_size, self.seed, neighbours)

    def finish(self, data: FitData, ready: Any) -> None:
        """Fit both linear models; choose the share of the blended one on what neither it nor the LSTMs saw."""
        from memfold.tasks.sentiment.baselines import NgramRegression

        by_character = counted_by_character(data.whole.texts)
        standard = ("characters",) if by_character else ("words",)
        kinds, strength = (standard, 10.0) if by_character else (("words", "parts"), 4.0)
        linear = NgramRegression.fit(data.train.texts, self._numbers(data.train), kinds, strength)
        self.share_ = best_share(
            self._network_log_probabilities(data.valid.texts),
            linear.log_probabilities(data.valid.texts),
            self._numbers(data.valid),
        )
        numbers = self._numbers(data.whole)
        network = self.network_
        network.ngrams = NgramRegression.fit(data.whole.texts, numbers, kinds, strength)
        network.baseline = NgramRegression.fit(data.whole.texts, numbers, standard, 10.0)
        self.ngrams_, self.baseline_ = network.ngrams.size, network.baseline.size
        self.majority_ = int(np.bincount(numbers).argmax())

    def complete(self, network: "Ensemble") -> None:
        from memfold.tasks.sentiment.baselines import NgramRegression

        network.baseline = NgramRegression(self.baseline_)
        network.ngrams = NgramRegression(self.ngrams_)

    def check_restored(self) -> None:
        count = len(self.classes_)
        Seen.parse(self.seen_)
        if not (0 <= self.majority_ < count and 0 <= self.share_ <= 1):
            raise InputError(f"majority {self.majority_} and share {self.share_}, expected below {count} and up to 1")

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
        return self._answer(texts).probabilities

    def _answer(self, texts: Sequence[str]) -> "Answers":
        network = self._network_log_probabilities(texts)
        ngrams = self.network_.ngrams.log_probabilities(texts)
        return Answers(blended(network, ngrams, self.share_), network, ngrams)

    def _network_log_probabilities(self, texts: Sequence[str]) -> Array:
        from memfold.tasks.sentiment.network import log_probabilities

        encoded = self.encoder_.encode(texts, range(len(texts)))  # numbered, as they come back ordered by length
        return log_probabilities(self.network_, encoded, len(self.classes_), PREDICT_BATCH)

    def answer(self, examples: LabelledTexts) -> "Answers":
        """The probability of every class, by the whole model and by its halves."""
        return self._answer(examples.texts)

    def table(self, examples: LabelledTexts, answers: "Answers") -> pl.DataFrame:
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

    def answers(self, inputs: Sequence[str]) -> "pl.DataFrame | Iterator[str]":
        if self.known_set(inputs) or not inputs:
            return super().answers(inputs)
        parts = self.read_each(inputs, self.inputs)
        answers: list[pl.DataFrame] = [self.predict(part) for part in parts]
        return pl.concat(answers, how="diagonal_relaxed")

    def respond(self, line: str) -> Iterator[str]:
        answer: dict[str, Any] = self.predict([line]).row(0, named=True)
        yield "" if answer["label"] is None else f"{answer['label']}\t{answer['p_' + answer['label']]:.3f}"

    # -- scores ----------------------------------------------------------------------------------------------

    def examine(self, examples: LabelledTexts) -> None:
        known, looked_up = Seen.parse(self.seen_).among(examples.texts)
        if known:
            say(
                f"{examples.name}: {known:,} of {looked_up:,} texts are among those that the model was fitted to or "
                "validated on; the scores flatter it"
            )

    def scores(self, examples: LabelledTexts, answers: "Answers | NDArray[Any]") -> dict[str, float]:
        given = answers.probabilities if isinstance(answers, Answers) else answers
        return class_scores(self._numbers(examples), given)

    def baselines(self, examples: LabelledTexts, answers: "Answers") -> dict[str, Any]:
        texts = examples.texts
        return {
            TFIDF: self.network_.baseline.log_probabilities(texts),
            MAJORITY: np.full(len(texts), self.majority_),
            ALONE: answers.network,
            BLENDED: answers.ngrams,
        }

    def details(self, examples: LabelledTexts, answers: "Answers", seconds: float) -> Sequence[Any]:
        from memfold.tasks.sentiment.influence import Details

        numbers = self._numbers(examples)
        given = self.network_, self.encoder_, self.classes_, examples.texts
        return [Details(*given, numbers, answers.probabilities.argmax(1), self.share_)]


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


def blended(network: Array, regression: Array, share: float) -> Array:
    """The probabilities of the weighted geometric mean of two models, from their log-probabilities, (S, C)."""
    mean = np.exp((1 - share) * network + share * regression)
    result: Array = mean / mean.sum(1, keepdims=True)
    return result


def best_share(network: Array, ngrams: Array, labels: NDArray[np.int64]) -> float:
    """The share of the n-grams with the least cross-entropy, from both models' log-probabilities (S, C)."""
    rows = np.arange(len(labels))
    losses = {share: -np.log(blended(network, ngrams, share)[rows, labels]).mean() for share in SHARES}
    return min(losses, key=losses.__getitem__)
