"""The ImageClassifier: fit a Sequencer to labelled images, predict the class of others, score beside the baseline."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.budget import Budget
from memfold.data.images import Images
from memfold.data.labels import numbers_of
from memfold.tasks.classes import CLASS_METRICS, class_columns, class_scores, with_none
from memfold.tasks.classify.blend import Answers, Blend, best_blend
from memfold.tasks.classify.plan import Facts, folds_of, plan
from memfold.tasks.contest import ALONE, ANSWER, Contest, cross_entropy
from memfold.tasks.model import FitData
from memfold.tasks.parameters import fitted, learning_rate, planned
from memfold.tasks.planning import Plan, seconds_of
from memfold.tasks.report import Report
from memfold.tasks.vision.task import STRIDES, ImageTask, through
from memfold.words import Words

if TYPE_CHECKING:
    from memfold.tasks.classify.network import ClassifyNetwork, ClassifyProblem
    from memfold.tasks.vision.augment import Augmentation

__all__ = ["ImageClassifier"]

PCA = "PCA + nearest neighbours"
KERNEL = "kernel ridge on edges and colours"
AXES, NEAREST = 50, 5


class ImageClassifier(ImageTask):
    """Predicts the class of an image.

    Convolutions take small patches of it; bidirectional LSTMs along rows and columns (Sequencer2D, Tatsunami & Taki
    2022) mix them; the mean over all places gives the network's answer. It is blended with that of a plain
    classifier of edges and colours, by what either knows of the images that are validated on.
    """

    name: ClassVar[str] = "classify"
    metrics = CLASS_METRICS
    loop: ClassVar[Mapping[str, float]] = {"weight_decay": 0.02, "average": 0.998}
    halves = True
    kind, column = "classifier", "label"
    needs = ("images", "picture.jpg")

    size: int | None = planned(  # type: ignore[assignment]
        "side in pixels of the square that every image is brought to, with its proportions kept",
        least=8,
        most=8192,
        search=(32, 64, 96),
    )
    stem_stride: int | None = planned(  # type: ignore[assignment]
        "pixels from one place to the next: 1, 2, 4 or 8", least=1, search=STRIDES
    )
    flip: bool | None = planned(
        "whether to mirror images in training: right for most photographs, wrong for digits",
        search=(False, True),
    )
    batch_size: int | None = planned("images in a step", least=1)
    lr: float = learning_rate(3e-3)

    classes_: list[str] = fitted()
    baseline_: dict[str, int] = fitted()
    kernel_: dict[str, int] = fitted()
    blend_: Blend = fitted()
    network_: "ClassifyNetwork" = fitted(stored=False)

    # -- reading ---------------------------------------------------------------------------------------------

    def hold_out(self, examples: Images) -> tuple[Images, Images]:
        examples.require(3)  # one of each to train on, to validate on and to test on
        return examples.split(self.fold)

    def split(self, examples: Images) -> tuple[Images, Images]:
        if examples.held:  # as its own folder names them
            return examples.parted(examples.held)
        examples.require(2)
        return examples.split(0, folds_of(len(examples)))

    # -- training --------------------------------------------------------------------------------------------

    def plan(self, train: Images, valid: Images, budget: Budget, speed: float) -> Plan:
        from memfold.tasks.vision.mirrored import SIDE, left_to_right, unchanged_by

        side, counts = train.pixels.shape[2], Counter(train.labels)
        mirrored = self.flip
        if mirrored is None:
            small = train.toned(train.tones()).at(min(side, SIDE)).pixels
            numbers = numbers_of(train.labels, train.classes, train.name)
            (mirrored,) = unchanged_by([left_to_right], small, numbers, len(counts))
        facts = Facts(side, len(train), len(counts), min(counts.values()), max(counts.values()), mirrored)
        return plan(facts, seconds_of(budget, self.budget), speed, self.size, self.stem_stride)

    def prepare(self, data: FitData) -> Any:
        if self.begun is None:
            data.whole.require(1)
        self.classes_ = self.grown("classes_", data.whole.classes)
        data = self.trained_on(data)
        return [self.tensors(part, self._numbers(part)) for part in (data.train, data.valid)]

    def network(self) -> "ClassifyNetwork":
        from memfold.tasks.classify.network import ClassifyNetwork

        return ClassifyNetwork(self.backbone(), len(self.classes_), self.dropout)

    def problem(self, network: "ClassifyNetwork", ready: Any) -> "ClassifyProblem":
        from memfold.tasks.classify.network import ClassifyProblem

        network.backbone.normaliser.fit(ready[0][0])
        return ClassifyProblem(network, ready[0], ready[1], self.augmentation, self.chosen.batch_size, self.seed)

    def finish(self, data: FitData, ready: Any) -> Contest:
        from memfold.tasks.classify.network import SMOOTHING
        from memfold.tasks.vision.kernel import KernelMachine
        from memfold.tasks.vision.neighbours import PrincipalNeighbours

        data = self.as_bytes(data)
        self.remember(data)
        (train, numbers), (valid, truth) = ((part.pixels, self._numbers(part)) for part in (data.train, data.valid))
        # Compare on the validation part what was fitted to the training part.
        kernel, choice = KernelMachine.fit(train, numbers, len(self.classes_))
        carried = False
        if self.begun is not None and not self.begun.rehearses:
            from memfold.tasks.classify.update import better

            kernel, carried = better(self.begun.model, kernel, valid, truth, len(self.classes_))
        alone, plain = self._network_log_probabilities(valid), kernel.log_probabilities(valid)
        self.blend_ = best_blend(alone, plain, truth)
        neighbours = PrincipalNeighbours.fit(train, numbers, AXES, NEAREST)
        answers = {ANSWER: self.blend_.of(alone, plain), ALONE: alone, KERNEL: plain, PCA: neighbours.answers(valid)}
        # Keep those that are fitted to the whole.
        whole = data.whole.pixels, self._numbers(data.whole)
        if self.begun is not None and not self.begun.rehearses:
            from memfold.tasks.classify.update import neighbours as beside

            self.network_.baseline = beside(self.begun.model, *whole)
        else:
            self.network_.baseline = PrincipalNeighbours.fit(*whole, AXES, NEAREST)
        self.network_.kernel = kernel if carried else KernelMachine.fit(*whole, len(self.classes_), choice)[0]
        self.baseline_, self.kernel_ = self.network_.baseline.shape(), self.network_.kernel.shape()
        scores = {name: class_scores(truth, answer)["accuracy"] for name, answer in answers.items()}
        share = self.blend_.share
        shares = {"network": share, KERNEL: round(1 - share, 3)}
        return Contest("accuracy", "higher", scores, shares, {KERNEL: cross_entropy(plain, truth, SMOOTHING)})

    def complete(self, network: "ClassifyNetwork") -> None:
        from memfold.tasks.vision.kernel import KernelMachine
        from memfold.tasks.vision.neighbours import PrincipalNeighbours

        network.baseline = PrincipalNeighbours(**self.baseline_)
        network.kernel = KernelMachine(**self.kernel_)

    @property
    def augmentation(self) -> "Augmentation":
        """How far training images are moved, turned, scaled and bent."""
        from memfold.tasks.vision.augment import Augmentation

        far = self.augment
        return Augmentation(
            shift=0.08 * far,
            rotate=12 * far,
            scale=0.12 * far,
            stretch=0.1 * far,
            elastic=0.04 * far,
            flip=self.chosen.flip,
        )

    def _numbers(self, images: Images) -> NDArray[np.int64]:
        return numbers_of(images.labels, self.classes_, images.name)

    # -- answering -------------------------------------------------------------------------------------------

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probability of every class for images ``(N, C, S, S)``, ``(N, K)``."""
        return self._answers(pixels).probabilities

    def _answers(self, pixels: NDArray[np.uint8]) -> Answers:
        if self._exported is not None:
            return Answers(through(self._exported["model"], "probabilities", pixels))
        alone = self._network_log_probabilities(pixels)
        plain = self.network_.kernel.log_probabilities(pixels) if self.blend_.share < 1 else None
        whole = np.exp(self.blend_.of(alone, plain))
        return Answers(whole.astype(np.float32), np.exp(alone).astype(np.float32))

    def _network_log_probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        import torch

        from memfold.tasks.classify.network import log_probabilities_of

        result: NDArray[np.float64] = log_probabilities_of(self.network_, torch.from_numpy(pixels)).double().numpy()
        return result

    def answer(self, examples: Images) -> Answers:
        """The probability of every class, by the whole model and by its network alone."""
        return self._answers(examples.pixels)

    def answers(self, inputs: Sequence[str], *, none: float | None = None) -> "pl.DataFrame | Iterator[str]":
        """What ``memfold predict`` writes.

        Args:
            none: a probability; where no class has it, the label is "none of these".
        """
        table = super().answers(inputs)
        return with_none(table, self.classes_, none) if isinstance(table, pl.DataFrame) else table

    def table(self, examples: Images, answers: Answers) -> pl.DataFrame:
        """Columns ``file``, ``label`` and, for every class, ``p_`` and its name: the probability.

        Files that cannot be read are left out, and named on standard error.
        """
        return pl.DataFrame({"file": examples.files, **class_columns(self.classes_, answers.probabilities)})

    # -- scores ----------------------------------------------------------------------------------------------

    def scores(self, examples: Images, answers: Answers | NDArray[Any]) -> dict[str, float]:
        given = answers.probabilities if isinstance(answers, Answers) else answers
        return class_scores(self._numbers(examples), given)

    def baselines(self, examples: Images, answers: Answers) -> dict[str, Any]:
        network = self.network_
        beside = {
            PCA: network.baseline.answers(examples.pixels),
            KERNEL: np.exp(network.kernel.log_probabilities(examples.pixels)),
        }
        return beside if answers.network is None else {**beside, ALONE: answers.network}

    def details(self, examples: Images, answers: Answers, seconds: float) -> Sequence[Any]:
        from memfold.tasks.classify.report import Judged, taken_most
        from memfold.tasks.vision.network import inference_speed

        judged = Judged(examples, self.classes_, self._numbers(examples), answers.probabilities)
        return [*taken_most(judged), inference_speed(len(examples), seconds)]

    def write_page(self, path: Path, report: Report, examples: Images, answers: Answers, words: Words) -> None:
        from memfold.tasks.classify.report import Judged, write_report  # which loads what draws
        from memfold.tasks.page import learning_curve

        judged = Judged(examples, self.classes_, self._numbers(examples), answers.probabilities)
        curve = learning_curve(vars(self).get("training_"), self.contest_, words)
        write_report(path, report, judged, curve, self._footer(words), words)
