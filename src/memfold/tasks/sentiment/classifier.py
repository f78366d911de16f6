"""The TextClassifier: fit bidirectional LSTMs to labelled texts, label others, score beside the baselines."""

import hashlib
import json
import time as clock
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor, nn

from memfold.data.labelled import LabelledTexts, held_out, joined, load_labelled, read_labelled
from memfold.errors import InputError
from memfold.tasks.base import Parts, Report, Task
from memfold.tasks.sentiment.baselines import (
    ALONE,
    BLENDED,
    MAJORITY,
    TFIDF,
    NgramRegression,
    RegressionSize,
    counted_by_character,
)
from memfold.tasks.sentiment.network import ClassifyProblem, Ensemble, NetworkSize, batches_by_length
from memfold.tasks.sentiment.telling import Details
from memfold.tasks.sentiment.tokens import EncodedTexts, Encoder
from memfold.tasks.sentiment.vectors import read_vectors
from memfold.training import Budget, Settings

__all__ = ["TextClassifier"]

MIN_COUNT = 2  # of a word that gets an embedding of its own; others are told by their n-grams
VALID_FOLDS = 20  # one of them is held out to validate on
PREDICT_BATCH = 128
NEIGHBOURS = 0.3  # weight of guessing neighbouring words; on 6,000 Chinese reviews guessing characters only cost time
SHARES = tuple(tenths / 10 for tenths in range(8))  # of the regression in the answer


class TextClassifier(Task):
    """Tells the class of a text: its sentiment, its topic, whatever the examples are labelled with.

    Several bidirectional LSTMs with attention answer together, blended with a linear model of n-grams in the share that
    suits the validation part best.

    Args:
        text: column with the texts; None looks for text, sentence, review, content ...
        label: column with the labels; None looks for label, sentiment, class, target ...
        encoding: of the files: utf-8, latin-1, gb18030 ...
        fold: which tenth of the examples is held out to be scored, where they have no test part of their own.
        embedding_size: of words and n-grams; that of the vectors where there are some.
        hidden_size: units of the LSTM in each direction.
        dropout: of embeddings and before the last layer.
        members: networks to train side by side and average.
        class_weights: "balanced" gives every class the same weight in the loss, however rare; None, every example.
        vectors: file with word vectors, a word and its numbers a line, from which the embeddings start.
        max_length: tokens of a text that are read.
        lr: peak learning rate.
        batch_size: texts in a step.
        patience: stop after so many of the 20 validations without a better one; None uses the whole budget.
        seed: of the initial weights, the order of the texts and dropout.

    >>> table = pl.DataFrame({"text": ["a good day", "a bad day"] * 40, "label": ["good", "bad"] * 40})
    >>> model = TextClassifier(embedding_size=16, hidden_size=8, members=1, lr=1e-2)
    >>> model = model.fit(table, budget="10ep", progress=False)
    >>> model.predict(["good!", "bad!"])["label"].to_list()
    ['good', 'bad']
    """

    name: ClassVar[str] = "sentiment"
    network_: Ensemble

    def __init__(
        self,
        text: str | None = None,
        label: str | None = None,
        encoding: str = "utf-8",
        fold: int = 0,
        embedding_size: int = 100,
        hidden_size: int = 100,
        dropout: float = 0.5,
        members: int = 4,
        class_weights: Literal["balanced"] | None = None,
        vectors: str | None = None,
        max_length: int = 400,
        lr: float = 2e-3,
        batch_size: int = 64,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.text = text
        self.label = label
        self.encoding = encoding
        self.fold = fold
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.members = members
        self.class_weights = class_weights
        self.vectors = vectors
        self.max_length = max_length
        self.lr = lr
        self.batch_size = batch_size
        self.patience = patience
        self.seed = seed

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> LabelledTexts:
        """The labelled texts in a file or a data frame.

        Raises:
            InputError: naming file and line or column of what cannot be read.
        """
        return read_labelled(data, text=self.text, label=self.label, encoding=self.encoding)

    def read_files(self, paths: Sequence[str]) -> LabelledTexts:
        return joined([self.read(path) for path in paths])

    def parts(self, data: Sequence[str]) -> Parts:
        if known := self.known_set(data):
            train, test, valid = load_labelled(known.name, self.fold)
            return Parts(train, test, valid)
        return Parts(*held_out(self.read_files(data), self.fold))

    # -- fitting ---------------------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        budget: str = "3m",
        valid: Any = None,
        *,
        out: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
    ) -> Self:
        """Fit the model to labelled texts.

        Args:
            data: a path, a data frame, or what `read_files` gave.
            budget: minutes of training such as ``3m``, or epochs such as ``20ep``.
            valid: labelled texts to validate on; a twentieth of the data when None.
            out: folder in which to keep a checkpoint.
            resume: go on from the checkpoint there.
            progress: show it on standard error.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget)
        self._check()
        examples = self.read(data)
        examples.require(2)
        train, tuning = held_out(examples, 0, VALID_FOLDS) if valid is None else (examples, self.read(valid))
        self.classes_ = examples.classes
        vectors = read_vectors(self.vectors, train.texts) if self.vectors else {}
        self.encoder_ = Encoder.of(train.texts, MIN_COUNT, self.max_length, frozenset(vectors))
        width = len(next(iter(vectors.values()))) if vectors else self.embedding_size
        self.size_ = NetworkSize(
            len(self.encoder_.vocabulary), len(self.classes_), width, self.hidden_size, self.dropout
        )
        torch.manual_seed(self.seed)
        network = Ensemble(self.size_, self.members)
        for word, vector in vectors.items():
            network.start_word(self.encoder_.places[word], vector)
        learnt, validated = self._encoded(train), self._encoded(tuning)
        neighbours = 0.0 if counted_by_character(train.texts) else NEIGHBOURS
        weights = self._weights(learnt)
        problem = ClassifyProblem(network, learnt, validated, weights, self.batch_size, self.seed, neighbours)
        settings = Settings(limit, lr=self.lr, patience=self.patience)
        identity = {"budget": budget, "data": _hash(train, tuning), "vectors": _hash_vectors(vectors)}
        self._train(problem, settings, identity, None if out is None else Path(out), resume, progress)
        self._fit_ngrams(train, tuning, examples)
        self.majority_ = int(np.bincount(self._numbers(examples)).argmax())
        return self

    def _fit_ngrams(self, train: LabelledTexts, tuning: LabelledTexts, examples: LabelledTexts) -> None:
        """Fit both linear models; find the share of the blended one on what neither it nor the LSTMs learnt from."""
        by_character = counted_by_character(examples.texts)
        standard = ("characters",) if by_character else ("words",)
        kinds, strength = (standard, 10.0) if by_character else (("words", "parts"), 4.0)
        linear = NgramRegression.fit(train.texts, self._numbers(train), kinds, strength)
        labels = np.array(self._numbers(tuning))
        self.share_ = best_share(
            self._network_log_probabilities(tuning.texts), linear.log_probabilities(tuning.texts), labels
        )
        network, numbers = self.network_, self._numbers(examples)
        network.ngrams = NgramRegression.fit(examples.texts, numbers, kinds, strength)
        network.baseline = NgramRegression.fit(examples.texts, numbers, standard, 10.0)

    def _check(self) -> None:
        ones = ("embedding_size", "hidden_size", "members", "max_length", "batch_size")
        self._check_least(dict.fromkeys(ones, 1))
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be from 0 to below 1, got {self.dropout}")

    def _numbers(self, examples: LabelledTexts) -> list[int]:
        """The classes by number.

        Raises:
            InputError: a label that the model does not know.
        """
        places = {label: place for place, label in enumerate(self.classes_)}
        for label in examples.classes:
            if label not in places:
                known = ", ".join(self.classes_)
                raise InputError(f"{examples.name}: the label {label!r} was not learnt; the model knows {known}")
        return [places[label] for label in examples.labels or ()]

    def _encoded(self, examples: LabelledTexts) -> EncodedTexts:
        return self.encoder_.encode(examples.texts, self._numbers(examples))

    def _weights(self, texts: EncodedTexts) -> Tensor:
        if self.class_weights is None:
            return torch.ones(len(self.classes_))
        counts = torch.bincount(texts.labels, minlength=len(self.classes_))
        return len(texts.rows) / (len(self.classes_) * counts.clamp(min=1))

    # -- labelling -------------------------------------------------------------------------------------------

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """The probability of every class for every text, (S, C).

        Raises:
            InputError: not fitted yet.
        """
        self._check_fitted()
        return self._blended(self._network_log_probabilities(texts), texts)

    def _blended(self, network: NDArray[np.float64], texts: Sequence[str]) -> NDArray[np.float64]:
        return blended(network, self.network_.ngrams.log_probabilities(texts), self.share_)

    @torch.no_grad()
    def _network_log_probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        self.network_.eval()
        encoded = self.encoder_.encode(texts, range(len(texts)))  # numbered, as they come back ordered by length
        result = np.empty((len(texts), len(self.classes_)))
        for batch in batches_by_length(encoded, PREDICT_BATCH):
            result[batch.labels.numpy()] = self.network_(batch).double().numpy()
        return result

    def predict(self, data: Any) -> pl.DataFrame:
        """Label texts.

        Args:
            data: a list of texts, a path, or a data frame; no label is needed.

        Returns:
            Columns ``text``, ``label`` and, for every class, ``p_`` and its name: the probability. A text without
            anything to read has no label.

        Raises:
            InputError: data that cannot be worked with.
        """
        texts = read_labelled(data, text=self.text, encoding=self.encoding, labels=False).texts
        probabilities = self.probabilities(texts)
        told = pl.Series([bool(row.numel()) for row in self.encoder_.encode(texts).rows], dtype=pl.Boolean)
        result = pl.DataFrame({"text": texts, "label": [self.classes_[i] for i in probabilities.argmax(1)]})
        columns = {f"p_{label}": probabilities[:, place] for place, label in enumerate(self.classes_)}
        result = result.with_columns(**columns)
        return result.with_columns(pl.when(told).then(pl.col(c)).alias(c) for c in result.columns[1:])

    def answers(self, inputs: Sequence[str]) -> pl.DataFrame:
        if not inputs:
            raise InputError("predict needs a file of texts: memfold predict MODEL texts.csv")
        if self.known_set(inputs):
            return self.predict(self.parts(inputs).test)
        return pl.concat([self.predict(path) for path in inputs])

    def respond(self, line: str) -> Iterator[str]:
        answer = self.predict([line]).row(0, named=True)
        yield "" if answer["label"] is None else f"{answer['label']}\t{answer['p_' + answer['label']]:.3f}"

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        return f"memfold stream {out} labels what you type"

    # -- scores ----------------------------------------------------------------------------------------------

    def evaluate(self, data: Any, name: str = "") -> Report:
        """Score the model beside the baselines.

        Args:
            data: labelled texts that it was not fitted to.
            name: what to call them in the report.
        """
        begun = clock.monotonic()
        examples = self.read(data)
        truth = np.array(self._numbers(examples))
        alone = self._network_log_probabilities(examples.texts)
        answers = self._blended(alone, examples.texts).argmax(1)
        baselines = {
            TFIDF: _scores(truth, self.network_.baseline.log_probabilities(examples.texts).argmax(1)),
            MAJORITY: _scores(truth, np.full_like(truth, self.majority_)),
            ALONE: _scores(truth, alone.argmax(1)),
            BLENDED: _scores(truth, self.network_.ngrams.log_probabilities(examples.texts).argmax(1)),
        }
        report = Report(self.name, name, _scores(truth, answers), baselines, self.parameter_count, self.seed)
        report.shown = [Details(self.network_, self.encoder_, self.classes_, examples.texts, truth, answers)]
        report.seconds = clock.monotonic() - begun
        return report

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    def fitted_types(cls) -> dict[str, Any]:
        return {
            "classes": list[str],
            "majority": int,
            "share": float,
            "vocabulary": list[str],
            "max_length": int,
            "size": NetworkSize,
            "baseline": RegressionSize,
            "ngrams": RegressionSize,
        }

    def fitted_state(self) -> dict[str, Any]:
        return {
            "classes": self.classes_,
            "majority": self.majority_,
            "share": self.share_,
            "vocabulary": self.encoder_.vocabulary,
            "max_length": self.encoder_.max_length,
            "size": self.size_.as_json(),
            "baseline": self.network_.baseline.size.as_json(),
            "ngrams": self.network_.ngrams.size.as_json(),
        }

    def restore_fitted(self, state: dict[str, Any]) -> nn.Module:
        self.classes_, self.majority_, self.share_ = state["classes"], state["majority"], state["share"]
        self.encoder_ = Encoder(state["vocabulary"], state["max_length"])
        self.size_ = NetworkSize(**state["size"])
        count = len(self.classes_)
        self._check_agree(
            ("classes", count, self.size_.classes), ("words", len(self.encoder_.vocabulary), self.size_.words)
        )
        if not (0 <= self.majority_ < count and 0 <= self.share_ <= 1):
            raise InputError(f"majority {self.majority_} and share {self.share_}, expected below {count} and up to 1")
        network = Ensemble(self.size_, self.members)
        network.baseline = NgramRegression(RegressionSize.from_json(state["baseline"]))
        network.ngrams = NgramRegression(RegressionSize.from_json(state["ngrams"]))
        return network


def blended(network: NDArray[np.float64], regression: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The probabilities of the weighted geometric mean of two models, from their log-probabilities, (S, C)."""
    mean = np.exp((1 - share) * network + share * regression)
    result: NDArray[np.float64] = mean / mean.sum(1, keepdims=True)
    return result


def best_share(network: NDArray[np.float64], ngrams: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The share of the n-grams with the least cross-entropy, from both models' log-probabilities (S, C)."""
    rows = np.arange(len(labels))
    losses = {share: -np.log(blended(network, ngrams, share)[rows, labels]).mean() for share in SHARES}
    return min(losses, key=losses.__getitem__)


def _scores(truth: NDArray[np.int64], answers: NDArray[np.int64]) -> dict[str, float]:
    """In per cent."""
    f1 = f1_score(truth, answers, average="macro", zero_division=0)
    return {"accuracy": 100 * float(accuracy_score(truth, answers)), "macro_f1": 100 * float(f1)}


def _hash(*parts: LabelledTexts) -> str:
    rows = [[part.texts, part.labels] for part in parts]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _hash_vectors(vectors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for word, vector in sorted(vectors.items()):
        digest.update(word.encode() + vector.numpy().tobytes())
    return digest.hexdigest()
