"""The ObjectDetector: fit a Sequencer to images with boxes, find boxes in others."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import numpy as np
import polars as pl
import torch
from torch import nn

from memfold.data.boxes import BoxedImages, joined, load_bccd, read_boxes, read_splits, unboxed
from memfold.data.images import image_files
from memfold.errors import InputError
from memfold.files import check_file
from memfold.tasks.base import Parts, Report, Task
from memfold.tasks.detect.baselines import MEAN_BOX, MeanBoxes
from memfold.tasks.detect.network import MULTIPLE, DetectorNetwork, Head, NetworkSize
from memfold.tasks.detect.pictures import Flips, Picture, canvas_of, read_pictures
from memfold.tasks.detect.report import class_table
from memfold.tasks.detect.scores import Boxes, Precision, best_thresholds, precision_of
from memfold.tasks.detect.training import DetectionProblem, find_boxes, true_boxes
from memfold.training import Budget, Settings

__all__ = ["ObjectDetector"]


class ObjectDetector(Task):
    """Finds the things of some classes in images: a box around each, its class and a score.

    A Sequencer's maps at three resolutions are added up. What tells the boxes from there, the ``head``, is either maps
    of the probability that a thing's centre is there and of its box (Zhou, Wang & Krähenbühl 2019), or an LSTM that
    writes the boxes of every cell of a grid one by one (Stewart, Andriluka & Ng 2016).

    Args:
        images: the folder of the images, where they are not beside their boxes.
        size: pixels of the longer side that images are brought to.
        flips: what an image may be in training: mirrored left to right, or where there is neither up nor down (seen
            through a microscope, from above) also upside down and on its side.
        head: what tells the boxes, ``centres`` or ``sequence``.
        channels: at the finest resolution; twice and three times as many at the coarser ones.
        blocks: of the coarser resolutions; the finest has one.
        hidden_size: units of each direction of an LSTM.
        lr: peak learning rate.
        batch_size: images in a step.
        patience: stop after so many of the 20 validations without a better one; None uses the whole budget.
        seed: of the initial weights, and of the order and changes of the images.
    """

    name: ClassVar[str] = "detect"
    network_: DetectorNetwork

    def __init__(
        self,
        images: str | None = None,
        size: int = 240,
        flips: Flips = "horizontal",
        head: Head = "centres",
        channels: int = 32,
        blocks: int = 2,
        hidden_size: int = 32,
        lr: float = 2e-3,
        batch_size: int = 8,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.images = images
        self.size = size
        self.flips = flips
        self.head = head
        self.channels = channels
        self.blocks = blocks
        self.hidden_size = hidden_size
        self.lr = lr
        self.batch_size = batch_size
        self.patience = patience
        self.seed = seed

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> BoxedImages:
        """Images with boxes: those given, or what a path holds.

        Raises:
            InputError: naming the file that does not fit.
        """
        return data if isinstance(data, BoxedImages) else read_boxes(data, self.images)

    def read_files(self, paths: Sequence[str]) -> BoxedImages:
        return joined([self.read(path) for path in paths])

    def parts(self, data: Sequence[str]) -> Parts:
        if self.known_set(data):
            train, test, valid = load_bccd()
            return Parts(train, test, valid)
        splits = read_splits(data[0], self.images) if len(data) == 1 else {}
        if "train" not in splits or len(splits) == 1:
            return Parts(*self.read_files(data).split())
        if "test" not in splits:
            splits["test"] = splits.pop("val")
        splits["test"].numbers(splits["train"].classes)  # a class that is not learnt is said before the work
        return Parts(splits["train"], splits["test"], splits.get("val"))

    def _pictures(self, images: BoxedImages) -> list[Picture]:
        return read_pictures(images, self.classes_, self.size)

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
        """Fit the model to images with boxes, and set its thresholds.

        Args:
            data: a path, or what `read_files` gave.
            budget: minutes of training such as ``3m``, or epochs such as ``20ep``.
            valid: images to validate on; a tenth of the data when None.
            out: folder in which to keep a checkpoint.
            resume: go on from the checkpoint there.
            progress: show it on standard error.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget)
        self._check()
        images = self.read(data)
        train, tuning = images.split() if valid is None else (images, self.read(valid))
        for part in (train, tuning):
            part.require()
        self.classes_ = train.classes
        learnt, validated = self._pictures(train), self._pictures(tuning)
        self.baseline_ = MeanBoxes.fit(train, self.classes_)
        torch.manual_seed(self.seed)
        network = DetectorNetwork(self._size())
        network.normalise_by([picture.pixels for picture in learnt])
        canvas = canvas_of(learnt, MULTIPLE)
        problem = DetectionProblem(network, learnt, validated, canvas, self.flips, self.batch_size, self.seed)
        settings = Settings(limit, lr=self.lr, patience=self.patience, average=0.995)
        identity = {"budget": budget, "data": _hash([*learnt, *validated])}
        self._train(problem, settings, identity, None if out is None else Path(out), resume, progress)
        found = find_boxes(network, validated)
        self.thresholds_ = best_thresholds(problem.truth, found, len(self.classes_))
        return self

    def _check(self) -> None:
        ones = ("channels", "blocks", "hidden_size", "batch_size")
        self._check_least({**dict.fromkeys(ones, 1), "size": 2 * MULTIPLE})
        if self.flips not in get_args(Flips):
            raise InputError(f"flips must be none, horizontal or all, got {self.flips!r}")
        if self.head not in get_args(Head):
            raise InputError(f"head must be centres or sequence, got {self.head!r}")

    def _size(self) -> NetworkSize:
        return NetworkSize(len(self.classes_), self.channels, self.blocks, self.hidden_size, self.head)

    # -- finding ---------------------------------------------------------------------------------------------

    def predict(self, data: Sequence[str | Path], threshold: float | None = None) -> pl.DataFrame:
        """Find the things in images.

        Args:
            data: image files, or folders of which every image is taken.
            threshold: the lowest score that is told; None takes that of each class which was best in validation.

        Returns:
            A row a thing: columns ``image``, ``label``, ``score``, and ``x``, ``y`` (of the upper left corner),
            ``width`` and ``height`` in pixels; an image's in the order of their scores.

        Raises:
            InputError: naming a file that cannot be read, or a threshold that is not from 0 to 1.
        """
        self._check_fitted()
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"threshold must be from 0 to 1, got {threshold}")
        least = self.thresholds_ if threshold is None else np.full(len(self.classes_), threshold)
        paths = [path for own in data for path in image_files(Path(own))]
        found = [boxes.at_least(least) for boxes in find_boxes(self.network_, self._pictures(unboxed(paths)))]
        counts = [len(own.labels) for own in found]
        boxes = np.concatenate([own.boxes for own in found])
        return pl.DataFrame(
            {
                "image": [str(path) for path, count in zip(paths, counts, strict=True) for _ in range(count)],
                "label": [self.classes_[label] for own in found for label in own.labels],
                "score": np.concatenate([own.scores for own in found]),
                **{name: boxes[:, k] for k, name in enumerate(("x", "y", "width", "height"))},
            },
            schema_overrides={"image": pl.String, "label": pl.String},
        )

    def answers(self, inputs: Sequence[str], threshold: float | None = None) -> pl.DataFrame:
        if not inputs:
            raise InputError("predict needs images: memfold predict MODEL image.jpg")
        if self.known_set(inputs):
            return self.predict(self.parts(inputs).test.paths, threshold)
        return self.predict(inputs, threshold)

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        return f"memfold predict {out} image.jpg tells what is where"

    # -- scores ----------------------------------------------------------------------------------------------

    def evaluate(self, data: Any, name: str = "", *, report: str | Path | None = None) -> Report:
        """Score the model beside the baseline.

        Args:
            data: a path, or what `read_files` gave, with boxes that the model was not fitted to.
            name: what to call it in the report.
            report: HTML file to write for a person to look at: the boxes that were found, missed and wrong in some
                images, and the precision at every recall.

        Raises:
            InputError: a class that was not learnt, or a report that cannot be written.
        """
        begun = time.monotonic()
        self._check_fitted()
        if report is not None:
            check_file(Path(report))
        images = self.read(data)
        images.require()
        pictures = self._pictures(images)
        truth = [true_boxes(picture) for picture in pictures]
        before = time.monotonic()
        found = find_boxes(self.network_, pictures)
        speed = len(pictures) / (time.monotonic() - before)
        precision = self._precision(truth, found)
        baseline = self._precision(truth, [self.baseline_.of(size) for size in images.sizes])
        told = [own.at_least(self.thresholds_) for own in found]
        outcome = Report(
            self.name,
            name,
            {"map50": precision.map50, "map": precision.map},
            {MEAN_BOX: {"map50": baseline.map50, "map": baseline.map}},
            self.parameter_count,
            self.seed,
            shown=[
                class_table(precision, truth, told, self.classes_, self.thresholds_),
                f"{speed:.3g} images a second, reading apart",
            ],
        )
        if report is not None:
            from memfold.tasks.detect.page import write_report  # which loads what draws

            write_report(Path(report), self, outcome, precision, images, truth, told)
        outcome.seconds = time.monotonic() - begun
        return outcome

    def _precision(self, truth: Sequence[Boxes], found: Sequence[Boxes]) -> Precision:
        return precision_of(truth, found, len(self.classes_))

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    def fitted_types(cls) -> dict[str, Any]:
        return {"classes": list[str], "thresholds": list[float], "baseline": MeanBoxes}

    def fitted_state(self) -> dict[str, Any]:
        return {
            "classes": self.classes_,
            "thresholds": self.thresholds_.tolist(),
            "baseline": self.baseline_.as_json(),
        }

    def restore_fitted(self, state: dict[str, Any]) -> nn.Module:
        self.classes_, self.thresholds_ = state["classes"], np.array(state["thresholds"])
        self.baseline_ = MeanBoxes(**state["baseline"])
        boxes, labels, count = self.baseline_.boxes, self.baseline_.labels, len(self.classes_)
        self._check_agree(
            ("thresholds", len(self.thresholds_), count),
            ("labels of the mean boxes", len(labels), len(boxes)),
            ("scores of the mean boxes", len(self.baseline_.scores), len(boxes)),
            *(("sides of a mean box", len(box), 4) for box in boxes),
        )
        if not all(0 <= label < count for label in labels):
            raise InputError(f"the mean boxes have labels {sorted(set(labels))}, expected 0 to {count - 1}")
        return DetectorNetwork(self._size())


def _hash(pictures: Sequence[Picture]) -> str:
    digest = hashlib.sha256()
    for picture in pictures:
        for tensor in (picture.pixels, picture.boxes, picture.labels):
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
