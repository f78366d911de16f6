"""The ImageClassifier: fit a Sequencer to labelled images, predict the class of others, score beside the baseline."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.images import Images
from memfold.data.labels import numbers_of
from memfold.tasks.classes import CLASS_METRICS, class_columns, class_scores
from memfold.tasks.model import FitData
from memfold.tasks.parameters import fitted, learning_rate, parameter
from memfold.tasks.report import Report
from memfold.tasks.vision.task import ImageTask

if TYPE_CHECKING:
    from memfold.tasks.classify.network import ClassifyNetwork, ClassifyProblem
    from memfold.tasks.vision.augment import Augmentation

__all__ = ["ImageClassifier"]

PCA = "PCA + nearest neighbours"
AXES, NEAREST = 50, 5
VALID_FOLDS = 20  # one of them is held out to validate on


class ImageClassifier(ImageTask):
    """Predicts the class of an image.

    Convolutions take small patches of it; bidirectional LSTMs along rows and columns (Sequencer2D, Tatsunami & Taki
    2022) mix them; the mean over all places gives the answer.
    """

    name: ClassVar[str] = "classify"
    metrics = CLASS_METRICS
    loop: ClassVar[Mapping[str, float]] = {"weight_decay": 0.02, "average": 0.998}
    kind, column = "classifier", "label"
    needs = ("images", "picture.jpg")
    pages = True

    flip: bool = parameter(
        False,
        "whether to mirror images in training: right for most photographs, wrong for digits",
        search=(False, True),
    )
    batch_size: int = parameter(128, "images in a step", least=1)
    lr: float = learning_rate(3e-3)

    classes_: list[str] = fitted()
    baseline_: dict[str, int] = fitted()
    network_: "ClassifyNetwork" = fitted(stored=False)

    # -- reading ---------------------------------------------------------------------------------------------

    def hold_out(self, examples: Images) -> tuple[Images, Images]:
        examples.require(3)  # one of each to train on, to validate on and to test on
        return examples.split(self.fold)

    def split(self, examples: Images) -> tuple[Images, Images]:
        if examples.held:  # as its own folder names them
            return examples.parted(examples.held)
        examples.require(2)
        return examples.split(0, VALID_FOLDS)

    # -- training --------------------------------------------------------------------------------------------

    def prepare(self, data: FitData) -> Any:
        data.whole.require(1)
        self.classes_ = data.whole.classes
        data = self.trained_on(data)
        return [self.tensors(part, self._numbers(part)) for part in (data.train, data.valid)]

    def network(self) -> "ClassifyNetwork":
        from memfold.tasks.classify.network import ClassifyNetwork

        return ClassifyNetwork(self.backbone(), len(self.classes_), self.dropout)

    def problem(self, network: "ClassifyNetwork", ready: Any) -> "ClassifyProblem":
        from memfold.tasks.classify.network import ClassifyProblem

        train, valid = ready
        network.backbone.normaliser.fit(train[0])
        return ClassifyProblem(network, train, valid, self.augmentation, self.batch_size, self.seed)

    def finish(self, data: FitData, ready: Any) -> None:
        from memfold.tasks.vision.neighbours import PrincipalNeighbours

        data = self.as_bytes(data)
        self.remember(data)
        whole = data.whole
        baseline = PrincipalNeighbours.fit(whole.pixels, self._numbers(whole), AXES, NEAREST)
        self.network_.baseline = baseline
        self.baseline_ = baseline.shape()

    def complete(self, network: "ClassifyNetwork") -> None:
        from memfold.tasks.vision.neighbours import PrincipalNeighbours

        network.baseline = PrincipalNeighbours(**self.baseline_)

    @property
    def augmentation(self) -> "Augmentation":
        """How far training images are moved, turned, scaled and bent."""
        from memfold.tasks.vision.augment import Augmentation

        far = self.augment
        return Augmentation(
            shift=0.08 * far, rotate=12 * far, scale=0.12 * far, stretch=0.1 * far, elastic=0.04 * far, flip=self.flip
        )

    def _numbers(self, images: Images) -> NDArray[np.int64]:
        return numbers_of(images.labels, self.classes_, images.name)

    # -- answering -------------------------------------------------------------------------------------------

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probability of every class for images ``(N, C, S, S)``, ``(N, K)``."""
        import torch

        from memfold.tasks.classify.network import probabilities_of

        probabilities: NDArray[np.float32] = probabilities_of(self.network_, torch.from_numpy(pixels)).numpy()
        return probabilities

    def answer(self, examples: Images) -> NDArray[np.float32]:
        """The probability of every class, ``(N, K)``."""
        return self.probabilities(examples.pixels)

    def table(self, examples: Images, answers: NDArray[np.float32]) -> pl.DataFrame:
        """Columns ``file``, ``label`` and, for every class, ``p_`` and its name: the probability.

        Files that cannot be read are left out, and named on standard error.
        """
        return pl.DataFrame({"file": examples.files, **class_columns(self.classes_, answers)})

    # -- scores ----------------------------------------------------------------------------------------------

    def scores(self, examples: Images, answers: NDArray[Any]) -> dict[str, float]:
        return class_scores(self._numbers(examples), answers)

    def baselines(self, examples: Images, answers: NDArray[Any]) -> dict[str, Any]:
        return {PCA: self.network_.baseline.answers(examples.pixels)}

    def details(self, examples: Images, answers: NDArray[np.float32], seconds: float) -> Sequence[Any]:
        from memfold.tasks.classify.report import Answers, taken_most
        from memfold.tasks.vision.network import inference_speed

        judged = Answers(examples, self.classes_, self._numbers(examples), answers)
        return [*taken_most(judged), inference_speed(len(answers), seconds)]

    def write_page(self, path: Path, report: Report, examples: Images, answers: NDArray[np.float32]) -> None:
        from memfold.tasks.classify.report import Answers, write_report  # which loads what draws

        judged = Answers(examples, self.classes_, self._numbers(examples), answers)
        write_report(path, report, judged, f"{self.parameter_count:,} parameters; {self!r}")
