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
from memfold.tasks.contest import ALONE, ANSWER, Contest
from memfold.tasks.faces.scores import (
    Compared,
    EqualError,
    cosines,
    equal_error,
    known_and_strangers,
    rank1,
    same_pairs,
    unknown_accepted,
)
from memfold.tasks.model import FitData
from memfold.tasks.parameters import Search, fitted, parameter
from memfold.tasks.report import Metric
from memfold.tasks.vision.task import STRIDES, ImageTask, through
from memfold.words import Words, said

if TYPE_CHECKING:
    from memfold.page import Section
    from memfold.tasks.faces.network import FaceNetwork, FaceProblem
    from memfold.tasks.vision.augment import Augmentation

__all__ = ["FaceRecognizer"]

EIGENFACES = "eigenfaces"
AXES = 100
# Chosen by how many are identified, not by how strangers look to one member alone: that gave 0.7 on 32 people of ORL,
# with an equal error rate among them and 8 strangers of 5.0 %, where the members together without eigenfaces had 1.3 %.
EIGEN_SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
VALID_FOLDS = 5  # one of them is held out to validate on, and to set the threshold


class FaceRecognizer(ImageTask):
    """Predicts who is on an image, and whether two show the same person.

    A Sequencer (Tatsunami & Taki 2022) turns a face into a point on a sphere. It is trained by ArcFace (Deng et al.
    2019) to bring a person's images together. Who is on an image, the nearest image of a gallery says; people join the
    gallery without any training.

    Several networks are trained side by side, each without a share of the people: how near these come as strangers
    sets two thresholds. At one, two images show the same person: as many pairs of one person are refused as pairs of
    two people are accepted. At the other, the person on an image is known: as many of the known are refused as
    strangers are accepted. Eigenfaces have a share in the similarity where that helps on the validation part. In the
    gallery are all images of a fit.
    """

    name: ClassVar[str] = "faces"
    metrics = (Metric("rank1", "higher"), Metric("eer", "lower"), Metric("unknown_accepted", "lower"))
    loop: ClassVar[Mapping[str, float]] = {"weight_decay": 0.05, "average": 0.995}
    halves = True
    kind, column = "classifier", "person"
    needs = ("pictures", "face.jpg")
    shows = "person"

    stem_stride: int = parameter(8, "pixels from one place to the next: 1, 2, 4 or 8", least=1, search=STRIDES)
    dropout: float = parameter(0.3, "dropout of the features", least=0, below=1, search=Search(0, 0.5))
    embedding_size: int = parameter(128, "dimensions of the embedding", least=1, search=Search(32, 256, log=True))
    scale: float = parameter(16.0, "ArcFace's factor of the cosines", above=0, search=Search(8, 64, log=True))
    margin: float = parameter(0.3, "ArcFace's margin, in radians", least=0, below=1.5, search=Search(0.1, 0.5))
    batch_size: int = parameter(40, "images in a step", least=1)
    members: int = parameter(
        3,
        "networks to train side by side, each without that share of the people; 1 trains one on all, which knows no "
        "strangers",
        least=1,
        most=100,
        search=(1, 3, 5),
    )

    people_: list[str] = fitted()
    enrolled_: list[str] = fitted()
    threshold_: float = fitted()  # of two images of the same person
    known_threshold_: float = fitted()  # of the nearest in the gallery
    eigen_share_: float = fitted()  # of eigenfaces in the similarity
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
        if self.begun is None:
            data.whole.require(1, self.shows)
        self.people_ = self.grown("people_", data.whole.classes)
        data = self.trained_on(data)
        return [self.tensors(part, self._numbers(part)) for part in (data.train, data.valid)]

    def network(self) -> "FaceNetwork":
        from memfold.tasks.faces.network import FaceNetwork

        people = len(self.people_)
        members = min(self.members, people) if people > 2 else 1  # each must see two people at least
        return FaceNetwork(self.backbone(), people, self.embedding_size, self.dropout, members)

    def problem(self, network: "FaceNetwork", ready: Any) -> "FaceProblem":
        from memfold.tasks.faces.network import FaceProblem

        train, valid = ready
        network.fit_normalisers(train[0])
        return FaceProblem(
            network, train, valid, self.augmentation, self.batch_size, self.seed, self.scale, self.margin
        )

    def finish(self, data: FitData, ready: Any) -> Contest:
        import torch

        from memfold.tasks.vision.neighbours import PrincipalNeighbours

        data = self.as_bytes(data)
        self.remember(data)
        train, valid = data.train, data.valid
        given = data.whole is data.train  # what to validate on, beside the whole
        whole = joined([train, valid]) if given else data.whole
        # Strangers are the images of each person to the member that left it out; with a single member there are none,
        # and images that it was not trained on stand for them.
        images, gallery = (whole, whole) if len(self.network_.members) > 1 else (valid, train)
        self.network_.baseline = PrincipalNeighbours.fit(train.pixels, self._numbers(train), AXES, nearest=1)
        self.eigen_share_ = self._best_share(train, valid)
        contest = self._contest(train, valid)
        # To answer, all images are in the gallery.
        baseline = PrincipalNeighbours.fit(whole.pixels, self._numbers(whole), AXES, nearest=1)
        self.enrolled_ = list(whole.labels)
        self.axes_ = len(baseline.axes)
        self.network_.baseline = baseline
        self.network_.gallery = torch.from_numpy(self.embeddings(whole.pixels))
        self._find_thresholds(images, gallery)
        return contest

    def _best_share(self, train: Images, valid: Images) -> float:
        """The share of eigenfaces with which the most of the validation part are identified; of equals the least."""
        identified = {}
        for share in EIGEN_SHARES:
            self.eigen_share_ = share
            points = [self.embeddings(part.pixels) for part in (valid, train)]
            identified[share] = rank1(cosines(*points), valid.labels, train.labels)
        return max(EIGEN_SHARES, key=lambda share: (identified[share], -share))

    def _contest(self, train: Images, valid: Images) -> Contest:
        """Who of the validation part is identified by the training part."""
        from memfold.tasks.vision.neighbours import nearness

        chosen, points = self.eigen_share_, {}
        for name, share in ((ANSWER, chosen), (ALONE, 0.0)):
            self.eigen_share_ = share
            points[name] = [self.embeddings(part.pixels) for part in (valid, train)]
        self.eigen_share_ = chosen
        scores = {name: rank1(cosines(*both), valid.labels, train.labels) for name, both in points.items()}
        faces = self.network_.baseline
        near = nearness(faces.project(valid.pixels), faces.points.numpy())
        scores[EIGENFACES] = rank1(near, valid.labels, train.labels)
        return Contest("rank1", "higher", scores, {ALONE: 1 - chosen, EIGENFACES: chosen} if chosen else {})

    def _known_and_strangers(
        self, images: Images, gallery: Images
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """How near images come to their own person, and to the others; and all similarities, ``(N, M)``."""
        itself = images is gallery
        compared = self._compare(images, self.embeddings(gallery.pixels))
        similarities = self._unseen(images, compared, gallery.labels)
        known, strangers = known_and_strangers(similarities, images.labels, gallery.labels, itself=itself)
        return known[np.isfinite(known)], strangers, similarities

    def _find_thresholds(self, images: Images, gallery: Images) -> None:
        known, strangers, similarities = self._known_and_strangers(images, gallery)
        others = None if images is gallery else gallery.labels
        self.threshold_ = equal_error(*same_pairs(similarities, images.labels, others)).threshold
        self.known_threshold_ = _equal(known, strangers).threshold
        accepted = 100 * float((strangers >= self.known_threshold_).mean())
        refused = 100 * float((known < self.known_threshold_).mean())
        by = "people held out" if images is gallery else "people it was trained on, which are too few to hold some out"
        say(f"strangers, by {by}: {accepted:.1f} % taken for somebody known, {refused:.1f} % of the known refused")

    def complete(self, network: "FaceNetwork") -> None:
        import torch

        from memfold.tasks.vision.neighbours import PrincipalNeighbours

        count = len(self.enrolled_)
        pixels = self.colours_ * self.size**2
        width = len(network.members) * self.embedding_size + (self.axes_ if self.eigen_share_ else 0)
        network.gallery = torch.zeros(count, width)
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

    def with_images(self, images: Images) -> Self:
        """Add labelled images to the gallery; the network stays as it is."""
        return self._enrol(images)

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
        """Points of length 1 of images ``(N, C, S, S)``, ``(N, M * E + A)``; their products are similarities, -1 to 1.

        The members' embeddings come first; where eigenfaces have a share, the A axes follow.
        """
        if self._exported is not None:
            return through(self._exported["model"], "embedding", pixels)
        import torch

        from memfold.tasks.faces.network import embeddings_of

        points: NDArray[np.float32] = embeddings_of(self.network_, torch.from_numpy(pixels), self.eigen_share_).numpy()
        return points

    def answer(self, examples: Images) -> Compared:
        """The images beside the gallery, as embeddings."""
        compared = self._compare(examples, self._gallery)
        if examples.labels and set(examples.labels) <= set(self.people_):
            return replace(compared, unseen=self._unseen(examples, compared, self.enrolled_))
        return compared

    @property
    def _gallery(self) -> NDArray[np.float32]:
        """The embeddings of the gallery; of a loaded model without making its network."""
        if self._stored is not None:
            return self._stored.arrays["gallery"]
        gallery: NDArray[np.float32] = self.network_.gallery.numpy()
        return gallery

    def _compare(self, examples: Images, gallery: NDArray[np.float32]) -> Compared:
        return Compared(self.embeddings(examples.pixels), gallery, cosines, getattr(self, "known_threshold_", np.nan))

    def _unseen(self, examples: Images, compared: Compared, enrolled: Sequence[str]) -> NDArray[np.float32]:
        """Similarities of images to a gallery by the member that left each image's person out, ``(N, M)``."""
        count, width = len(self.network_.members), self.embedding_size
        if count == 1:
            return compared.to_gallery
        rest = slice(count * width, None)  # along the axes of eigenfaces, which know no people
        result = compared.points[:, rest] @ compared.gallery[:, rest].T
        folds = self._numbers(examples) % count
        for member in range(count):
            rows, part = folds == member, slice(member * width, (member + 1) * width)
            result[rows] += count * compared.points[rows, part] @ compared.gallery[:, part].T
        return result

    def table(self, examples: Images, answers: Compared) -> pl.DataFrame:
        """Columns ``file``, ``person``, the one of the most similar image, ``similarity``, -1 to 1, and ``known``.

        Known is who comes up to the threshold; of a stranger ``person`` is only who is most alike. Files that cannot be
        read are left out, and named on standard error.
        """
        best = answers.to_gallery.max(1)
        people = [self.enrolled_[place] for place in answers.to_gallery.argmax(1)]
        known = (best >= self.known_threshold_).tolist()
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

    def sections(self, examples: Images, answers: Compared, words: Words) -> "Sequence[Section]":
        from memfold.tasks.faces.report import nearest_section

        return nearest_section(self, examples, answers, words)

    def scores(self, examples: Images, answers: Compared) -> dict[str, float]:
        """In per cent: who is identified by the gallery, the equal error rate of all pairs of the images, and the
        strangers who are taken for somebody known, see `unknown_accepted`.

        People who are not in the gallery do not count for the first.
        """
        return {
            "rank1": rank1(answers.to_gallery, examples.labels, self.enrolled_),
            "eer": equal_error(*same_pairs(answers.among, examples.labels)).rate,
            "unknown_accepted": unknown_accepted(answers, examples.labels, self.enrolled_),
        }

    def baselines(self, examples: Images, answers: Compared) -> dict[str, Compared]:
        from memfold.tasks.vision.neighbours import nearness

        faces = self.network_.baseline
        gallery = faces.points.numpy()
        genuine, others = known_and_strangers(nearness(gallery, gallery), self.enrolled_, self.enrolled_, itself=True)
        known = _equal(genuine[np.isfinite(genuine)], others).threshold
        beside = {EIGENFACES: Compared(faces.project(examples.pixels), gallery, nearness, known)}
        if self.eigen_share_:
            width = len(self.network_.members) * self.embedding_size
            points, gallery = _of_length_1(answers.points[:, :width]), _of_length_1(answers.gallery[:, :width])
            beside[ALONE] = Compared(points, gallery, cosines, self.known_threshold_)
        return beside

    def details(self, examples: Images, answers: Compared, seconds: float) -> Sequence[str]:
        from memfold.tasks.vision.network import inference_speed

        similar, same = same_pairs(answers.among, examples.labels)
        refused, accepted = (similar[same] < self.threshold_), (similar[~same] >= self.threshold_)
        genuine = known_and_strangers(answers.to_gallery, examples.labels, self.enrolled_)[0]
        genuine = genuine[np.isfinite(genuine)]
        lines = [
            said(
                "faces known",
                threshold=self.known_threshold_,
                refused=(genuine < self.known_threshold_).sum(),
                count=len(genuine),
            ),
            said(
                "faces verified",
                threshold=self.threshold_,
                refused=refused.sum(),
                same=len(refused),
                accepted=accepted.sum(),
                others=len(accepted),
            ),
            said("faces gallery", pictures=len(self.enrolled_), people=len(set(self.enrolled_))),
            inference_speed(len(examples.files), seconds),
        ]
        if strangers := sorted(set(examples.labels) - set(self.enrolled_)):
            several = len(strangers) > 1
            lines.append(
                said("faces strangers", count=len(strangers)) if several else said("faces stranger", name=strangers[0])
            )
        return lines


def _of_length_1(points: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = points / np.linalg.norm(points, axis=1, keepdims=True).clip(1e-6)
    return scaled


def _equal(known: NDArray[np.float32], strangers: NDArray[np.float32]) -> EqualError:
    """Where as many known people are refused as strangers are accepted, by how near they come to the gallery."""
    nearest = np.concatenate([known, strangers])
    return equal_error(nearest, np.arange(len(nearest)) < len(known))


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
