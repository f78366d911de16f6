"""The ImageClassifier: fit a Sequencer to labelled images, tell the class of others, score beside the baseline."""

import time as clock
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from rich.text import Text
from sklearn.metrics import accuracy_score, f1_score
from torch import nn

from memfold.data.images import Images, load_mnist
from memfold.errors import InputError
from memfold.files import check_file
from memfold.tasks.base import Parts, Report
from memfold.tasks.classify.network import ClassifyNetwork, ClassifyProblem, probabilities_of
from memfold.tasks.classify.report import Answers, write_report
from memfold.tasks.vision.augment import Augmentation
from memfold.tasks.vision.neighbours import PrincipalNeighbours
from memfold.tasks.vision.network import BackboneSize
from memfold.tasks.vision.task import ImageTask
from memfold.training import Budget, Settings

__all__ = ["ImageClassifier"]

PCA = "PCA + nearest neighbours"
AXES, NEAREST = 50, 5
VALID_FOLDS = 20  # one of them is held out to validate on


class ImageClassifier(ImageTask):
    """Tells the class of an image.

    Convolutions take small patches of it; bidirectional LSTMs along rows and columns (Sequencer2D, Tatsunami & Taki
    2022) mix them; the mean over all places gives the answer.

    Args:
        size: side in pixels of the square that every image is brought to, with its proportions kept.
        augment: how far images are moved, turned, scaled and bent in training; 0 leaves them as they are.
        flip: whether left and right mean the same, as for most photographs, but not for digits.
        channels: features of a place.
        blocks: of LSTMs along rows and columns.
        hidden_size: units of each LSTM in each direction.
        stem_stride: pixels from one place to the next: 1, 2, 4 or 8.
        dropout: before the last layer.
        fold: which tenth of an own data set is held out.
        lr: peak learning rate.
        batch_size: images in a step.
        patience: stop after so many of the 20 validations without a better one; None uses the whole budget.
        seed: of the initial weights, the order and changes of the images, and dropout.
    """

    name: ClassVar[str] = "classify"
    network_: ClassifyNetwork

    def __init__(
        self,
        size: int = 64,
        augment: float = 1.0,
        flip: bool = False,
        channels: int = 64,
        blocks: int = 2,
        hidden_size: int = 32,
        stem_stride: int = 4,
        dropout: float = 0.1,
        fold: int = 0,
        lr: float = 3e-3,
        batch_size: int = 128,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.size = size
        self.augment = augment
        self.flip = flip
        self.channels = channels
        self.blocks = blocks
        self.hidden_size = hidden_size
        self.stem_stride = stem_stride
        self.dropout = dropout
        self.fold = fold
        self.lr = lr
        self.batch_size = batch_size
        self.patience = patience
        self.seed = seed

    # -- reading ---------------------------------------------------------------------------------------------

    def parts(self, data: Sequence[str]) -> Parts:
        self._check()
        if self.known_set(data):
            return Parts(*load_mnist(self.size))
        images = self.read_files(data)
        images.require(3)  # one of each to learn from, to validate on and to test on
        return Parts(*images.split(self.fold))

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
        """Fit the model to labelled images.

        Args:
            data: a folder, an idx file, or what `read_files` gave.
            budget: minutes of training such as ``3m``, or epochs such as ``20ep``.
            valid: labelled images to validate on; a twentieth of the data when None.
            out: folder in which to keep a checkpoint.
            resume: go on from the checkpoint there.
            progress: show it on standard error.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget)
        self._check()
        vars(self).pop("size_", None)  # a second fit reads anew
        images = self.read(data)
        images.require(2)
        self.classes_ = images.classes
        self.size_ = self._backbone_for(images)
        train, tuning = images.split(0, VALID_FOLDS) if valid is None else (images, self.read(valid))
        torch.manual_seed(self.seed)
        network = ClassifyNetwork(self.size_, len(self.classes_), self.dropout)
        learnt, validated = (
            (torch.from_numpy(part.pixels), torch.from_numpy(self._numbers(part))) for part in (train, tuning)
        )
        network.backbone.normaliser.fit(learnt[0])
        problem = ClassifyProblem(network, learnt, validated, self.augmentation, self.batch_size, self.seed)
        settings = Settings(limit, lr=self.lr, weight_decay=0.02, patience=self.patience, average=0.998)
        identity = {"budget": budget, "data": [train.digest, tuning.digest]}
        self._train(problem, settings, identity, None if out is None else Path(out), resume, progress)
        network.baseline = PrincipalNeighbours.fit(images.pixels, self._numbers(images), AXES, NEAREST)
        return self

    @property
    def augmentation(self) -> Augmentation:
        """How far training images are changed."""
        far = self.augment
        return Augmentation(
            shift=0.08 * far, rotate=12 * far, scale=0.12 * far, stretch=0.1 * far, elastic=0.04 * far, flip=self.flip
        )

    def _numbers(self, images: Images) -> NDArray[np.int64]:
        """The classes by number.

        Raises:
            InputError: a class that the model does not know.
        """
        places = {label: place for place, label in enumerate(self.classes_)}
        for label in images.classes:
            if label not in places:
                known = ", ".join(self.classes_)
                raise InputError(f"{images.name}: the class {label!r} was not learnt; the model knows {known}")
        return np.array([places[label] for label in images.labels])

    # -- telling ---------------------------------------------------------------------------------------------

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probability of every class for images ``(N, C, S, S)``, ``(N, K)``."""
        self._check_fitted()
        found: NDArray[np.float32] = probabilities_of(self.network_, torch.from_numpy(pixels)).numpy()
        return found

    def predict(self, data: Sequence[str | Path]) -> pl.DataFrame:
        """Tell the classes of images.

        Args:
            data: files, or folders of which every image is taken.

        Returns:
            Columns ``file``, ``label`` and, for every class, ``p_`` and its name: the probability. Files that cannot be
            read are left out, and named on standard error.

        Raises:
            InputError: there is no image that can be read.
        """
        return self._table(*self.read_unlabelled(data))

    def _table(self, files: Sequence[str], pixels: NDArray[np.uint8]) -> pl.DataFrame:
        found = self.probabilities(pixels)
        labels = [self.classes_[place] for place in found.argmax(1)]
        columns = {f"p_{label}": found[:, place] for place, label in enumerate(self.classes_)}
        return pl.DataFrame({"file": files, "label": labels, **columns})

    def answers(self, inputs: Sequence[str]) -> pl.DataFrame:
        if not inputs:
            raise InputError("predict needs images: memfold predict MODEL picture.jpg")
        if self.known_set(inputs):
            test = self.parts(inputs).test
            return self._table(test.files, test.pixels)
        return self.predict(inputs)

    # -- scores ----------------------------------------------------------------------------------------------

    def evaluate(self, data: Any, name: str = "", *, report: str | Path | None = None) -> Report:
        """Score the model beside the baseline.

        Args:
            data: labelled images that it was not fitted to.
            name: what to call them in the report.
            report: page to write, with the confusion matrix and the worst mistakes as pictures.
        """
        begun = clock.monotonic()
        self._check_fitted()
        if report is not None:
            check_file(Path(report))
        images = self.read(data)
        truth = self._numbers(images)
        started = clock.perf_counter()
        probabilities = self.probabilities(images.pixels)
        rate = len(truth) / (clock.perf_counter() - started)
        told = Answers(images, self.classes_, truth, probabilities)
        baselines = {PCA: _scores(truth, self.network_.baseline.answers(images.pixels))}
        result = Report(self.name, name, _scores(truth, told.answers), baselines, self.parameter_count, self.seed)
        taken = ", ".join(f"{label} for {other} ({count})" for count, label, other in told.confused())
        told_most = [Text(f"most often taken: {taken}")] if taken else []
        result.shown = [*told_most, f"inference: {rate:,.0f} images a second on {torch.get_num_threads()} threads"]
        if report is not None:
            write_report(Path(report), result, told, f"{self.parameter_count:,} parameters; {self!r}")
        result.seconds = clock.monotonic() - begun
        return result

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    def fitted_types(cls) -> dict[str, Any]:
        return {"classes": list[str], "backbone": BackboneSize, "baseline": dict[str, int]}

    def fitted_state(self) -> dict[str, Any]:
        return {
            "classes": self.classes_,
            "backbone": self.size_.as_json(),
            "baseline": self.network_.baseline.shape(),
        }

    def restore_fitted(self, state: dict[str, Any]) -> nn.Module:
        self.classes_, self.size_ = state["classes"], BackboneSize(**state["backbone"])
        self._check_agree(("size", self.size_.size, self.size))
        network = ClassifyNetwork(self.size_, len(self.classes_), self.dropout)
        network.baseline = PrincipalNeighbours(**state["baseline"])
        return network


def _scores(truth: NDArray[np.int64], answers: NDArray[np.int64]) -> dict[str, float]:
    """In per cent; the mean of F1 goes over the classes that are among either."""
    return {
        "accuracy": 100 * float(accuracy_score(truth, answers)),
        "macro_f1": 100 * float(f1_score(truth, answers, average="macro")),
    }
