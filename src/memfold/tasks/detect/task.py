"""The ObjectDetector: fit a Sequencer to images with boxes, find boxes in others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from memfold.budget import Budget
from memfold.data.box_files import boxed, read_boxes, read_splits, unboxed
from memfold.data.boxes import BoxedImages, joined
from memfold.data.folders import KEPT_APART, say_parts
from memfold.data.labels import counted
from memfold.data.picture_copies import remembered, say_copies, say_trained_on
from memfold.data.pictures import path_of, pictures_at, several
from memfold.data.seen import Seen
from memfold.data.tones import Tones, words_of
from memfold.display import say
from memfold.errors import InputError
from memfold.tasks.contest import ALONE, ANSWER, Contest
from memfold.tasks.detect.baselines import COMMON_BOX, MEAN_BOX, FixedBoxes, common_boxes, mean_boxes
from memfold.tasks.detect.blend import best_share, blended
from memfold.tasks.detect.choices import MULTIPLE, Flips, Head, Layout
from memfold.tasks.detect.exported import boxes_by
from memfold.tasks.detect.plan import facts_of, flips_of, plan, share_held_out
from memfold.tasks.detect.scores import Boxes, Precision, best_thresholds, judged, precision_of
from memfold.tasks.model import FitData, Task
from memfold.tasks.parameters import Search, fitted, parameter, planned
from memfold.tasks.planning import Plan, seconds_of
from memfold.tasks.report import Metric, Parts, Report
from memfold.words import Words, said

if TYPE_CHECKING:
    from memfold.tasks.detect.network import DetectorNetwork
    from memfold.tasks.detect.training import DetectionProblem

__all__ = ["ObjectDetector"]

LARGEST_READ = 8192  # pixels of a side


@dataclass(frozen=True)
class Answers:
    """What the whole model and its network alone find in each image, the highest scores first.

    Exported parts give the former alone.
    """

    boxes: Sequence[Boxes]
    network: Sequence[Boxes] | None = None


class ObjectDetector(Task):
    """Finds the things of some classes in images: a box around each, its class and a score.

    A Sequencer's maps at three resolutions are added up. What finds the boxes from there, the ``head``, is either maps
    of the probability that a thing's centre is there and of its box (Zhou, Wang & Krähenbühl 2019), or an LSTM that
    writes the boxes of every cell of a grid one by one (Stewart, Andriluka & Ng 2016). The commonest boxes of the
    training images join its answer where that is better on the images that are validated on.
    """

    name: ClassVar[str] = "detect"
    metrics = (Metric("map50", "higher"), Metric("map", "higher"))
    loop: ClassVar[Mapping[str, float]] = {"average": 0.995}
    needs = ("images", "image.jpg")
    halves = True

    images: str | None = parameter(None, "the folder of the images, where they are not beside their boxes")
    boxes: Layout = parameter(
        "auto",
        "what COCO's four numbers are: left, top, width, height (``xywh``) or left, top, right, bottom (``xyxy``); "
        "``auto`` looks at them, and asks where both fit",
    )
    size: int | None = planned(
        "pixels of the longer side that images are brought to", least=32, most=8192, search=(160, 240, 320)
    )
    flips: Flips | None = planned(
        "what an image may be in training: mirrored left to right, or where there is neither up nor down (seen "
        "through a microscope, from above) also upside down and on its side",
        search=("none", "horizontal", "all"),
    )
    head: Head = parameter(
        "centres", "what predicts the boxes, ``centres`` or ``sequence``", search=("centres", "sequence")
    )
    channels: int = parameter(
        32,
        "channels at the finest resolution; two and three times as many at the coarser ones",
        least=1,
        search=Search(16, 64, log=True),
    )
    blocks: int = parameter(
        2, "blocks at each of the coarser resolutions; the finest has one", least=1, most=1000, search=(1, 2, 4)
    )
    hidden_size: int = parameter(32, "units of each direction of an LSTM", least=1, search=Search(16, 64, log=True))
    batch_size: int = parameter(8, "images in a step", least=1)

    classes_: list[str] = fitted()
    layout_: str = fitted()  # of COCO's numbers in what it was fitted to
    tones_: Tones = fitted()
    seen_: str = fitted()  # hashes of the images that it was fitted to
    read_size_: int = fitted()  # pixels of the longer side that images are read at
    thresholds_: list[float] = fitted()
    baseline_: FixedBoxes = fitted()
    common_: FixedBoxes = fitted()
    share_: float = fitted()  # of the network in the answer
    network_: "DetectorNetwork" = fitted(stored=False)

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> BoxedImages:
        """Images with boxes, or what a path holds; those that cannot be read are left out, and named.

        Of a folder that holds the parts of a split, a fitted model reads what is to be scored; to fit, the others are
        read, and that to validate on is kept in mind.

        Raises:
            InputError: naming the file that does not fit.
        """
        images = self._read(data)
        images.require()
        return images

    def _read(self, data: Any) -> BoxedImages:
        """As `read`, where there may be no boxes."""
        if isinstance(data, BoxedImages):
            return self._at_size(data)
        parts = self._split_at(path_of(data))
        if not parts:
            return self._at_size(read_boxes(data, self.images, self.boxes, self._layout))
        if self.__sklearn_is_fitted__():
            part = next(part for part in ("test", "valid", "train") if part in parts)
            say_parts(str(data), {"test": len(parts[part])}, f"of the part {part}, images")
            return self._at_size(parts[part])
        apart = KEPT_APART if parts.pop("test", None) else ""
        if "train" not in parts:
            raise InputError(f"{data}: a split without a part to train on")
        say_parts(str(data), {part: len(images) for part, images in parts.items()}, "images", apart)
        read = {part: self._at_size(images) for part, images in parts.items()}
        whole = joined(list(read.values()))
        return replace(whole, held=frozenset(range(len(read["train"]), len(whole))))

    def labelled(self, X: Any, y: Any) -> BoxedImages:
        """Images, as files or arrays, and of each a list of its boxes: label, x, y, width and height in pixels."""
        items = list(X) if isinstance(X, np.ndarray) else several(X)
        boxes = list(y)
        if len(items) != len(boxes):
            raise InputError(f"{len(items)} images in X, but boxes of {len(boxes)} in y")
        return self._with_boxes(boxed(items, boxes, self.boxes))

    def _with_boxes(self, images: BoxedImages) -> BoxedImages:
        at_size = self._at_size(images)
        at_size.require()
        return at_size

    def _at_size(self, images: BoxedImages) -> BoxedImages:
        """Images with their pixels, for a fitted model in bytes and at its size as it was trained."""
        if not self.__sklearn_is_fitted__():
            return images.at(self.size or images.native_side())
        return self._as_trained(images.at(self.read_size_))

    def _as_trained(self, images: BoxedImages) -> BoxedImages:
        return images.toned(self.tones_).shrunk(self.chosen.size)

    def inputs(self, data: Any) -> BoxedImages:
        """Images without boxes: one or several arrays, images of Pillow, files, or folders with all their images."""
        images = data if isinstance(data, BoxedImages) else unboxed(pictures_at(data))
        return self._at_size(images)

    def read_files(self, paths: Sequence[str]) -> BoxedImages:
        return self._with_boxes(joined(self.read_each(paths, self._read)))

    def own_parts(self, data: Sequence[str]) -> Parts:
        parts = self._split_at(Path(data[0])) if len(data) == 1 else {}
        if len(parts) < 2 or "train" not in parts:
            return super().own_parts(data)
        say_parts(data[0], {part: len(images) for part, images in parts.items()}, "images")
        if "test" not in parts:
            say(f"{data[0]}: there is no part to score; that to validate on is scored instead")
            parts["test"] = parts.pop("valid")
        read = {part: self._with_boxes(images) for part, images in parts.items()}  # what fails is said before the work
        seen = joined([images for part, images in read.items() if part != "test"])
        for part, images in read.items():
            images.numbers(read["train"].classes if part == "valid" else seen.classes)
        self._say_copies(read["test"], seen, "images to score")
        return Parts(read["train"], read["test"], read.get("valid"))

    def _split_at(self, path: Path) -> dict[str, BoxedImages]:
        return read_splits(path, self.images, self.boxes, self._layout)

    @property
    def _layout(self) -> str:
        """Of COCO's numbers in what a model was fitted to; nothing before."""
        return getattr(self, "layout_", "")

    @staticmethod
    def _say_copies(part: BoxedImages, trained_on: BoxedImages, what: str) -> None:
        files, others = (list(map(str, images.paths)) for images in (part, trained_on))
        say_copies(files, part.prints, others, trained_on.prints, what)

    def examine(self, examples: BoxedImages) -> None:
        say_trained_on(examples.name, examples.prints, self.seen_)

    def summary(self, examples: BoxedImages) -> dict[str, str]:
        boxes = [label for labels in examples.labels for label in labels]
        sides = [f"{width} by {height}" for width, height in dict.fromkeys(examples.sizes)]
        sizes = sides[0] if len(sides) == 1 else f"{len(sides):,} sizes, such as {sides[0]}"
        empty = sum(not labels for labels in examples.labels)
        return {
            "images": f"{len(examples.paths):,} of {sizes} pixels, {empty:,} without a box",
            "boxes": f"{len(boxes):,} in {counted(boxes)}" if boxes else "none",
        }

    def hold_out(self, examples: BoxedImages) -> tuple[BoxedImages, BoxedImages]:
        return examples.split()

    def split(self, examples: BoxedImages) -> tuple[BoxedImages, BoxedImages]:
        return examples.parted(examples.held) if examples.held else examples.split(share_held_out(len(examples)))

    # -- training --------------------------------------------------------------------------------------------

    def plan(self, train: BoxedImages, valid: BoxedImages, budget: Budget, speed: float) -> Plan:
        flips = self.flips or flips_of(train.toned(train.tones()))
        return plan(facts_of(train, flips), seconds_of(budget, self.budget), speed, self.size)

    def prepare(self, data: FitData) -> Any:
        from memfold.tasks.detect.pictures import pictures_of

        self._say_copies(data.valid, data.train, "images to validate on")
        self.layout_, self.tones_ = data.train.layout, data.train.tones()
        if self.tones_:
            say(f"images of more than 8 bits, scaled here and in predicting: {words_of(self.tones_)}")
        train = data.train.without_difficult()
        if left := sum(map(len, data.train.labels)) - sum(map(len, train.labels)):
            say(f"{left} {'box' if left == 1 else 'boxes'} marked as difficult: not trained on")
        self.classes_ = self.grown("classes_", train.classes)
        self.read_size_ = max(train.pixels[0].shape)
        self._find_fixed_boxes(train)
        return [pictures_of(self._as_trained(part), self.classes_) for part in (train, data.valid)]

    def _find_fixed_boxes(self, train: BoxedImages) -> None:
        """What to beat; of classes that an update has no box of, what the earlier model has."""
        present = [number for number, label in enumerate(self.classes_) if label in set(train.classes)]
        boxes = [fixed(train, train.classes) for fixed in (mean_boxes, common_boxes)]
        if self.begun is not None:
            from memfold.tasks.detect.update import carried

            its = self.begun.model
            self.read_size_, self.layout_ = its.read_size_, its.layout_
            self.tones_ = {**self.tones_, **its.tones_}
            numbers = [self.classes_.index(label) for label in train.classes]
            boxes = [replace(fixed, labels=[numbers[label] for label in fixed.labels]) for fixed in boxes]
            boxes = [carried(*pair, present) for pair in zip(boxes, (its.baseline_, its.common_), strict=True)]
        self.baseline_, self.common_ = boxes

    def network(self) -> "DetectorNetwork":
        from memfold.tasks.detect.network import DetectorNetwork, DetectorSize

        size = DetectorSize(len(self.classes_), self.channels, self.blocks, self.hidden_size, self.head)
        return DetectorNetwork(size)

    def problem(self, network: "DetectorNetwork", ready: Any) -> "DetectionProblem":
        from memfold.tasks.detect.pictures import canvas_of
        from memfold.tasks.detect.training import DetectionProblem

        train, valid = ready
        network.normalise_by([picture.pixels for picture in train])
        canvas = canvas_of(train, MULTIPLE)
        return DetectionProblem(network, train, valid, canvas, self.chosen.flips, self.batch_size, self.seed)

    def finish(self, data: FitData, ready: Any) -> Contest:
        from memfold.tasks.detect.training import find_boxes, true_boxes

        whole, held_out = (self._as_trained(part) for part in (data.whole, data.valid))
        self.seen_ = self.also_seen(Seen.parse(remembered([*whole.prints, *held_out.prints])))
        _, valid = ready
        truth, alone, count = (
            [true_boxes(picture) for picture in valid],
            find_boxes(self.network_, valid),
            len(self.classes_),
        )
        common = [self.common_.of(size) for size in held_out.sizes]
        self.share_ = best_share(truth, alone, common, count)
        answer = [blended(*pair, self.share_) for pair in zip(alone, common, strict=True)]
        self.thresholds_ = best_thresholds(*judged(truth, answer), count).tolist()
        self._keep_thresholds({label for labels in held_out.labels for label in labels})
        mean = [self.baseline_.of(size) for size in held_out.sizes]
        answers = {ANSWER: answer, ALONE: alone, COMMON_BOX: common, MEAN_BOX: mean}
        scores = {name: precision_of(truth, boxes, count).map50 for name, boxes in answers.items()}
        shares = {"network": self.share_, COMMON_BOX: round(1 - self.share_, 3)}
        on_curve = {name: 1 - scores[name] for name in (COMMON_BOX, MEAN_BOX)}
        return Contest("map50", "higher", scores, shares, on_curve)

    def _keep_thresholds(self, there: set[str]) -> None:
        """In an update the earlier model's, of classes that are not among what is validated on."""
        if self.begun is not None:
            for number, threshold in enumerate(self.begun.model.thresholds_):
                if self.classes_[number] not in there:
                    self.thresholds_[number] = threshold

    # -- answering -------------------------------------------------------------------------------------------

    def answer(self, examples: BoxedImages) -> Answers:
        """All boxes of every image, the highest scores first."""
        if self._exported is not None:
            return Answers(boxes_by(self._exported["model"], examples))
        from memfold.tasks.detect.pictures import pictures_of
        from memfold.tasks.detect.training import find_boxes

        alone = find_boxes(self.network_, pictures_of(examples, self.classes_))
        common = [self.common_.of(size) for size in examples.sizes]
        return Answers([blended(*pair, self.share_) for pair in zip(alone, common, strict=True)], alone)

    def table(self, examples: BoxedImages, answers: Answers, threshold: float | None = None) -> pl.DataFrame:
        """A row a thing: columns ``image``, ``label``, ``score``, ``x``, ``y``, ``width`` and ``height``.

        x and y are of the upper left corner, all in pixels; an image's things stand in the order of their scores.

        Args:
            threshold: the lowest score of a thing; None takes that of each class which was best in validation.
        """
        sure = self._sure(answers.boxes, threshold)
        counts = [len(image.labels) for image in sure]
        boxes = np.concatenate([image.boxes for image in sure])
        return pl.DataFrame(
            {
                "image": np.repeat([str(path) for path in examples.paths], counts).tolist(),
                "label": [self.classes_[label] for image in sure for label in image.labels],
                "score": np.concatenate([image.scores for image in sure]),
                **{name: boxes[:, k] for k, name in enumerate(("x", "y", "width", "height"))},
            },
            schema_overrides={"image": pl.String, "label": pl.String},
        )

    def _sure(self, answers: Sequence[Boxes], threshold: float | None = None) -> list[Boxes]:
        """The boxes from a threshold on; None takes that of each class."""
        least = np.array(self.thresholds_ if threshold is None else [threshold] * len(self.classes_))
        return [boxes.at_least(least) for boxes in answers]

    def predict(self, data: Any, threshold: float | None = None) -> pl.DataFrame:
        """Find the things in images, as `table` describes them.

        Args:
            data: one or several images, as arrays or of Pillow, image files, or folders with all their images.
            threshold: the lowest score of a thing; None takes that of each class which was best in validation.

        Raises:
            InputError: there is no image that can be read, or a threshold that is not from 0 to 1.
        """
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"threshold must be from 0 to 1, got {threshold}")
        images = self.inputs(data)
        return self.table(images, self.answer(images), threshold)

    def answers(self, inputs: Sequence[str], threshold: float | None = None) -> pl.DataFrame:
        self._require_inputs(inputs)
        return self.predict(self.parts(inputs).test if self.known_set(inputs) else inputs, threshold)

    # -- scores ----------------------------------------------------------------------------------------------

    def scores(self, examples: BoxedImages, answers: Answers | Sequence[Boxes]) -> dict[str, float]:
        boxes = answers.boxes if isinstance(answers, Answers) else answers
        precision = self._precision(examples, boxes)
        return {"map50": precision.map50, "map": precision.map}

    def baselines(self, examples: BoxedImages, answers: Answers) -> dict[str, Sequence[Boxes]]:
        fixed = {MEAN_BOX: self.baseline_, COMMON_BOX: self.common_}
        beside: dict[str, Sequence[Boxes]] = {}
        for name, boxes in fixed.items():
            beside[name] = [boxes.of(size) for size in examples.sizes]
        return beside if answers.network is None else {**beside, ALONE: answers.network}

    def details(self, examples: BoxedImages, answers: Answers, seconds: float) -> Sequence[Any]:
        from memfold.tasks.detect.report import class_table

        precision = self._precision(examples, answers.boxes)
        truth, sure = judged(self._truth(examples), self._sure(answers.boxes))
        table = class_table(precision, truth, sure, self.classes_, self.thresholds_)
        return [table, said("images a second", speed=len(examples) / seconds)]

    def write_page(self, path: Path, report: Report, examples: BoxedImages, answers: Answers, words: Words) -> None:
        """Write the boxes that were found, missed and wrong in some images, and the precision at every recall."""
        from memfold.tasks.detect.page import write_report  # which loads what draws

        precision = self._precision(examples, answers.boxes)
        truth, sure = judged(self._truth(examples), self._sure(answers.boxes))
        write_report(path, self, report, precision, examples, truth, sure, words)

    def _truth(self, examples: BoxedImages) -> list[Boxes]:
        numbers = examples.numbers(self.classes_)
        rows = zip(examples.boxes, numbers, examples.ignored(), strict=True)
        return [Boxes(boxes, labels, np.ones(len(labels), np.float32), ignored) for boxes, labels, ignored in rows]

    def _precision(self, examples: BoxedImages, answers: Sequence[Boxes]) -> Precision:
        return precision_of(self._truth(examples), answers, len(self.classes_))

    # -- models on disk --------------------------------------------------------------------------------------

    def check_restored(self) -> None:
        if self.chosen.size is None:
            raise InputError("neither parameters nor plan have the size of the images")
        count = len(self.classes_)
        self.check_agree(("thresholds", len(self.thresholds_), count))
        for name, fixed in ((MEAN_BOX, self.baseline_), (COMMON_BOX, self.common_)):
            self.check_agree(
                (f"labels of the {name}", len(fixed.labels), len(fixed.boxes)),
                (f"scores of the {name}", len(fixed.scores), len(fixed.boxes)),
                *((f"sides of the {name}", len(box), 4) for box in fixed.boxes),
            )
            if not all(0 <= label < count for label in fixed.labels):
                raise InputError(f"the {name} has labels {sorted(set(fixed.labels))}, expected 0 to {count - 1}")
        if not 0 <= self.share_ <= 1:
            raise InputError(f"the network's share is {self.share_}, expected 0 to 1")
        if not 1 <= self.read_size_ <= LARGEST_READ:
            raise InputError(f"images are read at 1 to {LARGEST_READ} pixels, got {self.read_size_}")
        if self.layout_ not in ("", "xywh", "xyxy"):
            raise InputError(f"the layout of boxes is {self.layout_!r}, expected xywh or xyxy")
        for kind, tones in self.tones_.items():
            if len(tones) != 2 or not tones[0] < tones[1]:
                raise InputError(f"tones of {kind} are black and white, got {tones}")
