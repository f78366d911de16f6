"""The FaceRecognizer: fit an embedding to pictures of people, enrol others, tell who is on a picture."""

import time as clock
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

from memfold.data.folds import held_out_rows
from memfold.data.images import Images, joined, load_orl
from memfold.display import say
from memfold.errors import InputError
from memfold.tasks.base import Parts, Report
from memfold.tasks.faces.network import FaceNetwork, FaceProblem, embeddings_of
from memfold.tasks.faces.scores import equal_error, rank1, same_pairs
from memfold.tasks.vision.augment import Augmentation
from memfold.tasks.vision.neighbours import PrincipalNeighbours
from memfold.tasks.vision.network import BackboneSize
from memfold.tasks.vision.task import ImageTask
from memfold.training import Budget, Settings

__all__ = ["FaceRecognizer"]

EIGENFACES = "eigenfaces"
AXES = 100
VALID_FOLDS = 5  # one of them is held out to validate on, and to set the threshold


class FaceRecognizer(ImageTask):
    """Tells who is on a picture, and whether two show the same person.

    A Sequencer (Tatsunami & Taki 2022) turns a face into a point on a sphere. It learns by ArcFace (Deng et al. 2019)
    to bring a person's pictures together. Who is on a picture, the nearest picture of a gallery tells; people join the
    gallery without any training.

    Args:
        size: side in pixels of the square that every picture is brought to, with its proportions kept.
        augment: how far pictures are moved, turned, bent, lit and hidden in training; 0 leaves them as they are.
        channels: features of a place.
        blocks: of LSTMs along rows and columns.
        hidden_size: units of each LSTM in each direction.
        stem_stride: pixels from one place to the next: 1, 2, 4 or 8.
        embedding_size: coordinates of the point.
        dropout: of the features.
        scale, margin: of ArcFace; the margin in radians.
        fold: which tenth of an own data set is held out.
        lr: peak learning rate.
        batch_size: pictures in a step.
        patience: stop after so many of the 20 validations without a better one; None uses the whole budget.
        seed: of the initial weights, the order and changes of the pictures, and dropout.
    """

    name: ClassVar[str] = "faces"
    network_: FaceNetwork

    def __init__(
        self,
        size: int = 64,
        augment: float = 1.0,
        channels: int = 64,
        blocks: int = 2,
        hidden_size: int = 32,
        stem_stride: int = 8,
        embedding_size: int = 128,
        dropout: float = 0.3,
        scale: float = 16.0,
        margin: float = 0.3,
        fold: int = 0,
        lr: float = 2e-3,
        batch_size: int = 40,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.size = size
        self.augment = augment
        self.channels = channels
        self.blocks = blocks
        self.hidden_size = hidden_size
        self.stem_stride = stem_stride
        self.embedding_size = embedding_size
        self.dropout = dropout
        self.scale = scale
        self.margin = margin
        self.fold = fold
        self.lr = lr
        self.batch_size = batch_size
        self.patience = patience
        self.seed = seed

    # -- reading ---------------------------------------------------------------------------------------------

    def parts(self, data: Sequence[str]) -> Parts:
        self._check()
        if self.known_set(data):
            return Parts(*load_orl(self.size))
        images = self.read_files(data)
        return Parts(*images.parted(_spared(images, self.fold, 10, least=3)))

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
        """Fit the embedding to pictures of people, set the threshold, and enrol them.

        The threshold is where as many pairs of one person are refused as pairs of two people are accepted, of the
        held-out pictures with the others. In the gallery are all of them.

        Args:
            data: a folder, or what `read_files` gave.
            budget: minutes of training such as ``5m``, or epochs such as ``200ep``.
            valid: pictures of the same people to validate on; a fifth of each person's when None.
            out: folder in which to keep a checkpoint.
            resume: go on from the checkpoint there.
            progress: show it on standard error.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget)
        self._check()
        for name in ("size_", "enrolled_"):  # a second fit begins anew
            vars(self).pop(name, None)
        images = self.read(data)
        if valid is None:
            train, tuning = images.parted(_spared(images, 0, VALID_FOLDS, least=2))
        else:
            train, tuning = images, self.read(valid)
        self.people_ = images.classes
        self.size_ = self._backbone_for(images)
        torch.manual_seed(self.seed)
        network = FaceNetwork(self.size_, len(self.people_), self.embedding_size, self.dropout)
        learnt, validated = (
            (torch.from_numpy(part.pixels), torch.from_numpy(self._numbers(part))) for part in (train, tuning)
        )
        network.backbone.normaliser.fit(learnt[0])
        problem = FaceProblem(
            network, learnt, validated, self.augmentation, self.batch_size, self.seed, self.scale, self.margin
        )
        settings = Settings(limit, lr=self.lr, weight_decay=0.05, patience=self.patience, average=0.995)
        identity = {"budget": budget, "data": [train.digest, tuning.digest]}
        self._train(problem, settings, identity, None if out is None else Path(out), resume, progress)
        pairs = same_pairs(self._embedded(tuning) @ self._embedded(train).T, tuning.labels, train.labels)
        self.threshold_ = equal_error(*pairs).threshold
        whole = images if valid is None else joined([train, tuning])
        network.gallery, self.enrolled_ = torch.from_numpy(self._embedded(whole)), list(whole.labels)
        network.baseline = PrincipalNeighbours.fit(whole.pixels, self._numbers(whole), AXES, nearest=1)
        return self

    def _check(self) -> None:
        super()._check()
        self._check_least({"embedding_size": 1})
        if not (self.scale > 0 and 0 <= self.margin < 1.5):
            raise InputError(f"scale must be above 0 and margin from 0 to 1.5, got {self.scale} and {self.margin}")

    @property
    def augmentation(self) -> Augmentation:
        """How far training images are changed."""
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
        """The people learnt from by number.

        Raises:
            InputError: another person.
        """
        places = {label: place for place, label in enumerate(self.people_)}
        for label in images.classes:
            if label not in places:
                raise InputError(f"{images.name}: {label!r} is not among the {len(places)} people to learn from")
        return np.array([places[label] for label in images.labels])

    def _embedded(self, images: Images) -> NDArray[np.float32]:
        return self.embeddings(images.pixels)

    def embeddings(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Points of length 1 of pictures ``(N, C, S, S)``, ``(N, E)``; their products are similarities, -1 to 1."""
        self._check_fitted()
        found: NDArray[np.float32] = embeddings_of(self.network_, torch.from_numpy(pixels)).numpy()
        return found

    # -- the gallery -----------------------------------------------------------------------------------------

    def enrol(self, name: str, images: Sequence[str | Path]) -> Self:
        """Add pictures of a person, new or known, to the gallery; the network stays as it is.

        Args:
            images: files, or folders of which every picture is taken.

        Raises:
            InputError: there is no picture that can be read.
        """
        files, pixels = self.read_unlabelled(images)
        return self._enrol(Images(name, pixels, [name] * len(files), files))

    def _enrol(self, images: Images) -> Self:
        network = self.network_
        network.gallery = torch.cat([network.gallery, torch.from_numpy(self._embedded(images))])
        known = list(dict.fromkeys([*self.people_, *self.enrolled_, *images.labels]))
        numbers = np.array([known.index(label) for label in images.labels])
        network.baseline = network.baseline.grown(images.pixels, numbers)
        self.enrolled_ = [*self.enrolled_, *images.labels]
        return self

    # -- telling ---------------------------------------------------------------------------------------------

    def identify(self, data: Sequence[str | Path]) -> pl.DataFrame:
        """Tell who of the gallery is on pictures.

        Args:
            data: files, or folders of which every picture is taken.

        Returns:
            Columns ``file``, ``person``, the one of the most similar picture, ``similarity``, -1 to 1, and ``known``:
            whether that comes up to the threshold.

        Raises:
            InputError: there is no picture that can be read.
        """
        return self._identified(*self.read_unlabelled(data))

    def _identified(self, files: Sequence[str], pixels: NDArray[np.uint8]) -> pl.DataFrame:
        similarities = self.embeddings(pixels) @ self.network_.gallery.numpy().T
        best = similarities.max(1)
        people = [self.enrolled_[place] for place in similarities.argmax(1)]
        return pl.DataFrame(
            {"file": files, "person": people, "similarity": best, "known": (best >= self.threshold_).tolist()}
        )

    def verify(self, one: str | Path, other: str | Path) -> pl.DataFrame:
        """Tell whether two pictures show the same person, who need not be in the gallery.

        Returns:
            One row: ``file``, ``other``, ``similarity`` and ``same``: whether that comes up to the threshold.

        Raises:
            InputError: naming a picture that cannot be read.
        """
        a, b = (self.embeddings(self.read_unlabelled([path])[1])[0] for path in (one, other))
        similarity = float(a @ b)
        return pl.DataFrame(
            {
                "file": [str(one)],
                "other": [str(other)],
                "similarity": [similarity],
                "same": [similarity >= self.threshold_],
            }
        )

    def answers(self, inputs: Sequence[str], gallery: str | None = None, verify: bool = False) -> pl.DataFrame:
        """What ``memfold predict`` writes.

        Args:
            gallery: folder with a folder for each person, who are added to the gallery for this call.
            verify: compare two pictures instead.
        """
        if verify:
            if len(inputs) != 2:
                raise InputError(f"verify compares two pictures, got {len(inputs)}")
            return self.verify(*inputs)
        if not inputs:
            raise InputError("predict needs pictures: memfold predict MODEL face.jpg")
        if gallery is not None:
            self._enrol(self.read(gallery))
        if self.known_set(inputs):
            test = self.parts(inputs).test
            return self._identified(test.files, test.pixels)
        return self.identify(inputs)

    # -- scores ----------------------------------------------------------------------------------------------

    def evaluate(self, data: Any, name: str = "") -> Report:
        """Score identification against the gallery and verification of all pairs, beside the baseline.

        Args:
            data: pictures that are neither learnt from nor in the gallery. People who are not in the gallery count for
                verification only.
            name: what to call them in the report.
        """
        begun = clock.monotonic()
        self._check_fitted()
        images = self.read(data)
        started = clock.perf_counter()
        points = self._embedded(images)
        rate = len(points) / (clock.perf_counter() - started)
        gallery, baseline = self.network_.gallery.numpy(), self.network_.baseline
        eigen = baseline.project(images.pixels)
        metrics, pairs = self._scores(images, points @ gallery.T, points @ points.T)
        beside, _ = self._scores(images, -_distances(eigen, baseline.points.numpy()), -_distances(eigen, eigen))
        report = Report(self.name, name, metrics, {EIGENFACES: beside}, self.parameter_count, self.seed)
        similar, same = pairs
        refused, accepted = (similar[same] < self.threshold_), (similar[~same] >= self.threshold_)
        report.shown = [
            f"verification at the threshold {self.threshold_:.3f}: {refused.sum()} of {len(refused)} pairs of one "
            f"person refused, {accepted.sum()} of {len(accepted)} pairs of two accepted",
            f"gallery: {len(gallery)} pictures of {len(set(self.enrolled_))} people",
            f"inference: {rate:,.0f} images a second on {torch.get_num_threads()} threads",
        ]
        if strangers := sorted(set(images.labels) - set(self.enrolled_)):
            count = f"{len(strangers)} people are" if len(strangers) > 1 else f"{strangers[0]!r} is"
            report.shown = [*report.shown, f"{count} not in the gallery and left out of rank1"]
        report.seconds = clock.monotonic() - begun
        return report

    def _scores(
        self, images: Images, to_gallery: NDArray[np.float32], among: NDArray[np.float32]
    ) -> tuple[dict[str, float], tuple[Any, Any]]:
        """Both metrics in per cent, and the pairs of pictures."""
        pairs = same_pairs(among, images.labels)
        return {
            "rank1": rank1(to_gallery, images.labels, self.enrolled_),
            "eer": equal_error(*pairs).rate,
        }, pairs

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    def fitted_types(cls) -> dict[str, Any]:
        return {
            "people": list[str],
            "enrolled": list[str],
            "threshold": float,
            "backbone": BackboneSize,
            "baseline": dict[str, int],
        }

    def fitted_state(self) -> dict[str, Any]:
        return {
            "people": self.people_,
            "enrolled": self.enrolled_,
            "threshold": self.threshold_,
            "backbone": self.size_.as_json(),
            "baseline": self.network_.baseline.shape(),
        }

    def restore_fitted(self, state: dict[str, Any]) -> nn.Module:
        self.people_, self.enrolled_ = state["people"], state["enrolled"]
        self.threshold_, self.size_ = state["threshold"], BackboneSize(**state["backbone"])
        self._check_agree(("size", self.size_.size, self.size))
        sizes = len(self.people_), self.embedding_size, self.dropout, len(self.enrolled_)
        network = FaceNetwork(self.size_, *sizes)
        network.baseline = PrincipalNeighbours(**state["baseline"])
        return network


def _spared(images: Images, fold: int, folds: int, least: int) -> set[int]:
    """Pictures to hold out, of people who have ``least`` in all.

    Raises:
        InputError: fewer than two people have.
    """
    counts = Counter(images.labels)
    few = [label for label, count in counts.items() if count < least]
    if len(counts) - len(few) < 2:
        raise InputError(
            f"{images.name}: two people at least need {least} pictures each, so that one can be held out; "
            f"{len(few)} of {len(counts)} have fewer"
        )
    if few:
        people = f"{len(few)} people have" if len(few) > 1 else f"{few[0]!r} has"
        say(f"{images.name}: {people} fewer than {least} pictures, of which none is held out")
    return {row for row in held_out_rows(images.labels, fold, folds) if counts[images.labels[row]] >= least}


def _distances(points: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Euclidean, ``(N, M)``."""
    result: NDArray[np.float32] = torch.cdist(torch.from_numpy(points), torch.from_numpy(others)).numpy()
    return result
