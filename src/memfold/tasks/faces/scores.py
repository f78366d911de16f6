"""Scores of identification and verification."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

__all__ = ["EqualError", "equal_error", "rank1", "same_pairs"]

Array = NDArray[np.floating]


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
    if same.all() or not same.any():
        return EqualError(float("nan"), float("nan"))
    accepted, found, thresholds = roc_curve(same, similarities, drop_intermediate=False)
    refused = 1 - found
    place = int(np.argmax(accepted >= refused))  # the first threshold low enough
    before = max(place - 1, 0)
    gap, gap_before = accepted[place] - refused[place], refused[before] - accepted[before]
    share = gap_before / (gap + gap_before) if gap + gap_before > 0 else 0.0
    rate = accepted[before] + share * (accepted[place] - accepted[before])
    high = min(float(thresholds[before]), float(np.max(similarities)))  # the first one of scikit-learn is infinite
    return EqualError(100 * float(rate), high + 0.5 * (float(thresholds[place]) - high))


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
