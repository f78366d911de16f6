"""Scores of identification and verification."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Compared",
    "EqualError",
    "cosines",
    "equal_error",
    "known_and_strangers",
    "rank1",
    "same_pairs",
    "unknown_accepted",
]

Array = NDArray[np.floating]
ROUNDING = 1e-9  # of rates


@dataclass(frozen=True)
class Compared:
    """Images and a gallery as points, the model's or the baseline's, and how similar they are.

    Attributes:
        points: of N images, ``(N, E)``.
        gallery: of M images, ``(M, E)``.
        measure: the similarity of every point of ``(N, E)`` to every one of ``(M, E)``, ``(N, M)``.
        known: the similarity to the nearest of the gallery, from which on somebody is taken for known.
        unseen: similarities of the images to the gallery by one who was not trained on each image's person,
            ``(N, M)``; None for ``to_gallery``.
    """

    points: NDArray[np.float32]
    gallery: NDArray[np.float32]
    measure: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
    known: float
    unseen: NDArray[np.float32] | None = None

    @cached_property
    def to_gallery(self) -> NDArray[np.float32]:
        """Similarities of the images to the gallery, ``(N, M)``."""
        return self.measure(self.points, self.gallery)

    @cached_property
    def among(self) -> NDArray[np.float32]:
        """Similarities of the images to each other, ``(N, N)``."""
        return self.measure(self.points, self.points)


def cosines(points: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the angles between points of length 1, ``(N, M)``."""
    result: NDArray[np.float32] = points @ others.T
    return result


@dataclass(frozen=True)
class EqualError:
    """Where as many pairs of one person are refused as pairs of two people are taken for one.

    Attributes:
        rate: of either error, in per cent; NaN where there are no pairs of one kind.
        threshold: of the similarity, from which on two pictures are taken for one person's.
    """

    rate: float
    threshold: float


def equal_error(similarities: Array, same: NDArray[np.bool_]) -> EqualError:
    """The equal error rate of pairs, between the two thresholds where the errors' order changes.

    Args:
        similarities: of every pair, ``(P,)``.
        same: whether both are one person, ``(P,)``.

    >>> equal_error(np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, True, False, False])).rate
    0.0
    """
    from sklearn.metrics import roc_curve

    if same.all() or not same.any():
        return EqualError(float("nan"), float("nan"))
    accepted, recognised, thresholds = roc_curve(same, similarities, drop_intermediate=False)
    excess = accepted - (1 - recognised)  # of wrong acceptances over wrong refusals; rises from -1 to 1
    place = int(np.argmax(excess > -ROUNDING))
    if excess[place] < ROUNDING:  # equal, down to the next pair
        below = thresholds[min(place + 1, len(thresholds) - 1)]
        return EqualError(100 * float(accepted[place]), float(thresholds[place] + below) / 2)
    share = -excess[place - 1] / (excess[place] - excess[place - 1])
    rate = accepted[place - 1] + share * (accepted[place] - accepted[place - 1])
    return EqualError(100 * float(rate), float(thresholds[place]))


def same_pairs(
    similarities: Array, labels: Sequence[str], others: Sequence[str] | None = None
) -> tuple[Array, NDArray[np.bool_]]:
    """All pairs of some images, once each, or of some with others: their similarities, and whether they match.

    Args:
        similarities: ``(N, N)``, or ``(N, M)`` with others.
    """
    names = np.array(labels)
    same = names[:, None] == np.array(others if others is not None else labels)[None, :]
    if others is not None:
        return similarities.ravel(), same.ravel()
    rows, columns = np.triu_indices(len(names), 1)
    return similarities[rows, columns], same[rows, columns]


def rank1(similarities: Array, labels: Sequence[str], enrolled: Sequence[str]) -> float:
    """Per cent of images whose most similar one of the gallery shows the same person.

    Images of people who are not in the gallery do not count; NaN where no other is left.

    Args:
        similarities: of N images to the M of the gallery, ``(N, M)``.
    """
    known = np.isin(labels, enrolled)
    if not known.any():
        return float("nan")
    nearest = np.array(enrolled)[similarities[known].argmax(1)]
    return 100 * float((nearest == np.array(labels)[known]).mean())


def known_and_strangers(
    similarities: Array, labels: Sequence[str], enrolled: Sequence[str], itself: bool = False
) -> tuple[Array, Array]:
    """How near each image comes to the nearest of its own person, and to the nearest of all others.

    The second is what it would come to if its person were a stranger.

    Args:
        similarities: of N images to the M of the gallery, ``(N, M)``.
        itself: whether the images are the gallery, so that each meets itself there.

    Returns:
        ``(N,)`` each; -inf where there is none.
    """
    same = np.array(labels)[:, None] == np.array(enrolled)[None, :]
    matching = same & ~np.eye(len(labels), dtype=bool) if itself else same
    nearest = [np.where(chosen, similarities, -np.inf).max(1, initial=-np.inf) for chosen in (matching, ~same)]
    return nearest[0], nearest[1]


def unknown_accepted(compared: Compared, labels: Sequence[str], enrolled: Sequence[str]) -> float:
    """Per cent of strangers who are taken for somebody known.

    Strangers are the images of people who are not in the gallery. Where there are none, every image counts as a
    stranger's, as if its person were not in the gallery.
    """
    stranger = ~np.isin(labels, enrolled)
    if stranger.any():
        return 100 * float((compared.to_gallery[stranger].max(1) >= compared.known).mean())
    similarities = compared.to_gallery if compared.unseen is None else compared.unseen
    others = known_and_strangers(similarities, labels, enrolled)[1]
    return 100 * float((others >= compared.known).mean())
