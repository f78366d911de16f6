"""Units of a text model that follow something a person can name: found on one half of a text, scored on the other."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from memfold.explain.trace import Array

__all__ = ["Follower", "find_units", "probe_scores", "text_features"]

OPENING, CLOSING = "“«「『", "”»」』"
LEAST_STEPS = 5  # steps of either kind that a probe needs on both halves


@dataclass(frozen=True)
class Follower:
    """A unit that follows a feature.

    Attributes:
        feature: its name.
        kind: of the score, ``auc`` of a feature that is there or not, else ``correlation``.
        state: the value of the cell that follows, ``c`` or ``h``.
        sign: -1 of a unit that falls where the feature rises.
        found: the score on the half on which the unit was chosen.
        score: that on the half on which it was not: what to believe. 0.5 and 0 are chance.
    """

    feature: str
    kind: str
    unit: int
    sign: int
    found: float
    score: float
    state: str = "h"

    @property
    def apart(self) -> float:
        """How far from chance the unit was on the half on which it was chosen."""
        return abs(self.found - (0.5 if self.kind == "auc" else 0.0))


def text_features(pieces: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """What may be followed in a text: a value for each of its pieces, characters, subwords or words.

    Returns:
        ``quotes`` (1 within them), ``line position`` (characters since the line began), ``indentation`` (spaces that
        the line began with), ``word boundary`` (1 where the piece ends a word). A piece counts with its last character.
    """
    rows: dict[str, list[float]] = {name: [] for name in ("quotes", "line position", "indentation", "word boundary")}
    quoted, column, indentation = False, 0, 0
    for place, piece in enumerate(pieces):
        for character in piece:
            if character == "\n":
                quoted = False if column == 0 else quoted
                column = 0
                indentation = 0
                continue
            if character in " \t" and column == indentation:
                indentation += 1
            column += 1
            quoted = not quoted if character == '"' else quoted or character in OPENING
            quoted = quoted and character not in CLOSING
        rows["quotes"].append(float(quoted))
        rows["line position"].append(float(column))
        rows["indentation"].append(float(indentation))
        following = pieces[place + 1] if place + 1 < len(pieces) else " "
        rows["word boundary"].append(float(_in_word(piece[-1:]) and not _in_word(following[:1])))
    return {name: np.array(values) for name, values in rows.items()}


def _in_word(character: str) -> bool:
    return bool(character) and unicodedata.category(character)[0] in "LMN"


def probe_scores(values: Array, feature: NDArray[np.float64]) -> tuple[str, Array]:
    """How well each unit follows a feature: the kind of score, and the scores (H,).

    The area under the ROC curve of a feature of 0 and 1 (by ranks, Mann & Whitney 1947), else Pearson's correlation;
    NaN where there is nothing to follow.

    Args:
        values: (T, H).
        feature: (T,).
    """
    if set(np.unique(feature)) <= {0.0, 1.0}:
        there = feature == 1
        count, other = int(there.sum()), int((~there).sum())
        if min(count, other) < LEAST_STEPS:
            return "auc", np.full(values.shape[1], np.nan)
        ranks = _ranks(values)
        return "auc", (ranks[there].sum(0) - count * (count + 1) / 2) / (count * other)
    centred = values - values.mean(0)
    target = feature - feature.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Array = (centred * target[:, None]).sum(0) / np.sqrt((centred**2).sum(0) * (target**2).sum())
    return "correlation", result


def _ranks(values: Array) -> Array:
    """Of each column, from 1; equal values share the mean of theirs."""
    ranks = np.empty(values.shape)
    for unit, column in enumerate(values.T):
        _, place, counts = np.unique(column, return_inverse=True, return_counts=True)
        ranks[:, unit] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def find_units(values: Array | Mapping[str, Array], features: Mapping[str, NDArray[np.float64]]) -> list[Follower]:
    """For every feature the unit that follows it best; features that do not occur in both halves are left out.

    Args:
        values: of the units at every step, (T, H); or by the name of the state, ``c`` and ``h``, of which the better
            is taken.
        features: by name, (T,).
    """
    if isinstance(values, Mapping):
        best: dict[str, Follower] = {}
        for state, its in values.items():
            for follower in find_units(its, features):
                if follower.feature not in best or follower.apart > best[follower.feature].apart:
                    best[follower.feature] = replace(follower, state=state)
        return list(best.values())
    half = len(values) // 2
    followers = []
    for name, feature in features.items():
        kind, first = probe_scores(values[:half], feature[:half])
        other, second = probe_scores(values[half:], feature[half:])
        chance = 0.5 if kind == "auc" else 0.0
        if kind != other or np.isnan(first).all() or np.isnan(second).all():
            continue
        unit = int(np.nanargmax(np.abs(first - chance)))
        sign = 1 if first[unit] >= chance else -1
        at_first, later = (float(chance + sign * (half_score[unit] - chance)) for half_score in (first, second))
        followers.append(Follower(name, kind, unit, sign, at_first, later))
    return followers
