"""The FaceRecognizer: fit an embedding to images of people, enrol others, predict who is on an image."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.folds import held_out_rows
from memfold.data.images import Images, joined
from memfold.data.labels import listed, numbers_of
from memfold.data.picture_copies import kept_together
from memfold.display import say
from memfold.errors import InputError
from memfold.tasks.faces.scores import Compared, cosines, equal_error, rank1, same_pairs
from memfold.tasks.model import FitData
from memfold.tasks.parameters import Search, fitted, parameter
from memfold.tasks.report import Metric
from memfold.tasks.vision.task import STRIDES, ImageTask

if TYPE_CHECKING:
    from memfold.tasks.faces.network import FaceNetwork, FaceProblem
    from memfold.tasks.vision.augment import Augmentation

__all__ = ["FaceRecognizer"]

EIGENFACES = "eigenfaces"
AXES = 100
VALID_FOLDS = 5  # one of them is held out to validate on, and to set the threshold


class FaceRecognizer(ImageTask):
    """Predicts who is on an image, and whether two show the same person.

    A Sequencer (Tatsunami & Taki 2022) turns a face into a point on a sphere. It is trained by ArcFace (Deng et al.
    2019) to bring a person's images together. Who is on an image, the nearest image of a gallery says; people join the
    gallery without any training.

    From the held-out images and the others come a threshold, at which as many pairs of one person are refused as pairs
    of two people are accepted. In the gallery are all images of a fit.
    """

    name: ClassVar[str] = "faces"
    metrics = (Metric("rank1", "higher"), Metric("eer", "lower"))
    loop: ClassVar[Mapping[str, float]] = {"weight_decay": 0.05, "average": 0.995}
    kind, column = "classifier", "person"
    needs = ("pictures", "face.jpg")
    shows = "person"

    stem_stride: int = parameter(8, "pixels from one place to the next: 1, 2, 4 or 8", least=1, search=STRIDES)
    dropout: float = parameter(0.3, "dropout of the features", least=0, below=1, search=Search(0, 0.5))
    embedding_size: int = parameter(128, "dimensions of the embedding", least=1, search=Search(32, 256, log=True))
    scale: float = parameter(16.0, "ArcFace's factor of the cosines", above=0, search=Search(8, 64, log=True))
    margin: float = parameter(0.3, "ArcFace's margin, in radians", least=0, below=1.5, search=Search(0.1, 0.5))
    batch_size: int = parameter(40, "images in a step", least=1)

    people_: list[str] = fitted()
    enrolled_: list[str] = fitted()
    threshold_: float = fitted()
    axes_: int = fitted()
    network_: "FaceNetwork" = fitted(stored=False)

    # -- reading ---------------------------------------------------------------------------------------------

    def hold_out(self, examples: Images) -> tuple[Images, Images]:
        return examples.parted(_spared(examples, self.fold, 10, least=3))

    def split(self, examples: Images) -> tuple[Images, Images]:
        if examples.held:  # as its own folder names them
            return examples.parted(examples.held)
        return examples.parted(_spared(examples, 0, VALID_FOLDS, least=2))

    def check_parts(self, parts: Mapping[str, Images]) -> None:
        """Name the people who are to validate on but not to train on, and what is on both sides of a split.

        People to score may be strangers, who count for verification only.

        Raises:
            InputError: who is to validate on is not trained on.
        """
        test = parts["test"]
        known = [label in set(parts["train"].labels) for label in test.labels]
        super().check_parts({**parts, "test": test.take(row for row, is_known in enumerate(known) if is_known)})
        people = {label for label, is_known in zip(test.labels, known, strict=True) if is_known}
        everybody = len(test.classes)
        who = "all" if len(people) == everybody else f"{len(people):,} of {everybody:,}" if people else "none"
        say(f"{test.name}: {who} of the people to score are trained on; expect more errors among strangers")

    # -- training --------------------------------------------------------------------------------------------

    def prepare(self, data: FitData) -> Any:
        data.whole.require(1, self.shows)
        self.people_ = data.whole.classes
        data = self.trained_on(data)
        return [self.tensors(part, self._numbers(part)) for part in (data.train, data.valid)]

    def network(self) -> "FaceNetwork":
        from memfold.tasks.faces.network import FaceNetwork

        return FaceNetwork(self.backbone(), len(self.people_), self.embedding_size, self.dropout)

    def problem(self, network: "FaceNetwork", ready: Any) -> "FaceProblem":
        from memfold.tasks.faces.network import FaceProblem

        train, valid = ready
        network.backbone.normaliser.fit(train[0])
        return FaceProblem(
            network, train, valid, self.augmentation, self.batch_size, self.seed, self.scale, self.margin
        )

    def finish(self, data: FitData, ready: Any) -> None:
        import torch

        from memfold.tasks.vision.neighbours import PrincipalNeighbours

        data = self.as_bytes(data)
        self.remember(data)
        to_train = self.embeddings(data.valid.pixels) @ self.embeddings(data.train.pixels).T
        self.threshold_ = equal_error(*same_pairs(to_train, data.valid.labels, data.train.labels)).threshold
        given = data.whole is data.train  # what to validate on, beside the whole
        whole = joined([data.train, data.valid]) if given else data.whole
        baseline = PrincipalNeighbours.fit(whole.pixels, self._numbers(whole), AXES, nearest=1)
        self.enrolled_ = list(whole.labels)
        self.axes_ = len(baseline.axes)
        self.network_.gallery = torch.from_numpy(self.embeddings(whole.pixels))
        self.network_.baseline = baseline

    def complete(self, network: "FaceNetwork") -> None:
        import torch

        from memfold.tasks.vision.neighbours import PrincipalNeighbours

        count = len(self.enrolled_)
        pixels = self.colours_ * self.size**2
        network.gallery = torch.zeros(count, self.embedding_size)
        network.baseline = PrincipalNeighbours(count, pixels, self.axes_, nearest=1)

    @property
    def augmentation(self) -> "Augmentation":
        """How far training images are moved, turned, scaled, bent, lit and hidden."""
        from memfold.tasks.vision.augment import Augmentation

        far = self.augment
        return Augmentation(
            shift=0.06 * far,
            rotate=10 * far,
            scale=0.12 * far,
            stretch=0.08 * far,
            elastic=0.03 * far,
            light=0.25 * far,
            cutout=min(0.4 * far, 0.9),
            flip=far > 0,
        )

    def _numbers(self, images: Images) -> NDArray[np.int64]:
        return numbers_of(images.labels, self.people_, images.name, "person")

    # -- the gallery -----------------------------------------------------------------------------------------

    def enrol(self, name: str, images: Sequence[str | Path]) -> Self:
        """Add images of a person, new or known, to the gallery; the network stays as it is.

        Args:
            images: files, or folders of which every image is taken.

        Raises:
            InputError: there is no image that can be read.
        """
        readable = self.inputs(images)
        return self._enrol(replace(readable, labels=[name] * len(readable.files)))

    def _enrol(self, images: Images) -> Self:
        import torch

        network = self.network_
        network.gallery = torch.cat([network.gallery, torch.from_numpy(self.embeddings(images.pixels))])
        known = list(dict.fromkeys([*self.people_, *self.enrolled_, *images.labels]))
        network.baseline = network.baseline.grown(images.pixels, numbers_of(images.labels, known, images.name))
        self.enrolled_ = [*self.enrolled_, *images.labels]
        return self

    # -- answering -------------------------------------------------------------------------------------------

    def embeddings(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Points of length 1 of images ``(N, C, S, S)``, ``(N, E)``; their products are similarities, -1 to 1."""
        import torch

        from memfold.tasks.faces.network import embeddings_of

        points: NDArray[np.float32] = embeddings_of(self.network_, torch.from_numpy(pixels)).numpy()
        return points

    def answer(self, examples: Images) -> Compared:
        """The images beside the gallery, as embeddings."""
        return Compared(self.embeddings(examples.pixels), self.network_.gallery.numpy(), cosines)

    def table(self, examples: Images, answers: Compared) -> pl.DataFrame:
        """Columns ``file``, ``person``, the one of the most similar image, ``similarity``, -1 to 1, and ``known``.

        Known is who comes up to the threshold. Files that cannot be read are left out, and named on standard error.
        """
        best = answers.to_gallery.max(1)
        people = [self.enrolled_[place] for place in answers.to_gallery.argmax(1)]
        known = (best >= self.threshold_).tolist()
        return pl.DataFrame({"file": examples.files, "person": people, "similarity": best, "known": known})

    def identify(self, data: Any) -> pl.DataFrame:
        """Predict who of the gallery is on images; the same as ``predict``."""
        return self.predict(data)

    def verify(self, one: str | Path, other: str | Path) -> pl.DataFrame:
        """Predict whether two images show the same person, who need not be in the gallery.

        Returns:
            One row: ``file``, ``other``, ``similarity`` and ``same``: whether that comes up to the threshold.

        Raises:
            InputError: naming an image that cannot be read.
        """
        self.check_fitted()
        a, b = (self.embeddings(self.inputs(path).pixels)[0] for path in (one, other))
        similarity = float(a @ b)
        same = similarity >= self.threshold_
        return pl.DataFrame({"file": [str(one)], "other": [str(other)], "similarity": [similarity], "same": [same]})

    def answers(self, inputs: Sequence[str], gallery: str | None = None, verify: bool = False) -> Any:
        """What ``memfold predict`` writes.

        Args:
            gallery: folder with a folder for each person, who are added to the gallery for this call.
            verify: compare two pictures instead.
        """
        if verify:
            if len(inputs) != 2:
                raise InputError(f"verify compares two pictures, got {len(inputs)}")
            return self.verify(*inputs)
        self._require_inputs(inputs)
        if gallery is not None:
            self._enrol(self.read(gallery))
        return super().answers(inputs)

    # -- scores ----------------------------------------------------------------------------------------------

    def scores(self, examples: Images, answers: Compared) -> dict[str, float]:
        """In per cent: who is identified by the gallery, and the equal error rate of all pairs of the images.

        People who are not in the gallery count for the pairs only.
        """
        return {
            "rank1": rank1(answers.to_gallery, examples.labels, self.enrolled_),
            "eer": equal_error(*same_pairs(answers.among, examples.labels)).rate,
        }

    def baselines(self, examples: Images, answers: Compared) -> dict[str, Compared]:
        from memfold.tasks.vision.neighbours import nearness

        faces = self.network_.baseline
        return {EIGENFACES: Compared(faces.project(examples.pixels), faces.points.numpy(), nearness)}

    def details(self, examples: Images, answers: Compared, seconds: float) -> Sequence[str]:
        from memfold.tasks.vision.network import inference_speed

        similar, same = same_pairs(answers.among, examples.labels)
        refused, accepted = (similar[same] < self.threshold_), (similar[~same] >= self.threshold_)
        lines = [
            f"verification at the threshold {self.threshold_:.3f}: {refused.sum()} of {len(refused)} pairs of one "
            f"person refused, {accepted.sum()} of {len(accepted)} pairs of two accepted",
            f"gallery: {len(self.enrolled_)} pictures of {len(set(self.enrolled_))} people",
            inference_speed(len(examples.files), seconds),
        ]
        if strangers := sorted(set(examples.labels) - set(self.enrolled_)):
            count = f"{len(strangers)} people are" if len(strangers) > 1 else f"{strangers[0]!r} is"
            lines.append(f"{count} not in the gallery and left out of rank1")
        return lines


def _spared(images: Images, fold: int, folds: int, least: int) -> set[int]:
    """Images to hold out, of people who have ``least`` in all.

    Raises:
        InputError: fewer than two people have.
    """
    counts = Counter(images.labels)
    few = [label for label, count in counts.items() if count < least]
    if len(counts) - len(few) < 2:
        raise InputError(
            f"{images.name}: two people at least need {least} pictures each, so that one can be held out; "
            f"{len(few)} of {len(counts)} have fewer: {listed(few)}"
        )
    if few:
        people = f"{len(few)} people have" if len(few) > 1 else f"{few[0]!r} has"
        named = f": {listed(few)}" if len(few) > 1 else ""
        say(f"{images.name}: {people} fewer than {least} pictures, of which none is held out{named}")
    held = {row for row in held_out_rows(images.labels, fold, folds) if counts[images.labels[row]] >= least}
    return kept_together(held, images.prints, images.labels)
