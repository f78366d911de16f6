"""The score of the Numenta Anomaly Benchmark (Lavin & Ahmad 2015, sec. II; its sweep over thresholds).

A detection inside a labelled window earns up to one, the more the earlier, and only the best one of a window counts;
one outside costs up to the weight of a false positive, less where it follows a window closely; a window without any
costs the weight of a false negative. One threshold for all series is chosen that gives the best sum. 0 is what no
detection at all would get, 100 the earliest detection of every window and nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PROFILES", "Profile", "Scored", "best_threshold", "nab_score", "probation"]


@dataclass(frozen=True)
class Profile:
    """What a false positive and a missed window cost; a detection in time earns 1."""

    false_positive: float
    false_negative: float


PROFILES = {
    "nab_standard": Profile(0.11, 1.0),
    "nab_low_fp": Profile(0.22, 1.0),
    "nab_low_fn": Profile(0.11, 2.0),
}


@dataclass(frozen=True)
class Scored:
    """A series' anomaly scores and where its anomalies are.

    Attributes:
        scores: (N,), higher is more anomalous.
        windows: first and last row of every labelled window, in order.
        skipped: rows at the start that are not scored.
    """

    scores: NDArray[np.float64]
    windows: Sequence[tuple[int, int]]
    skipped: int


def probation(rows: int) -> int:
    """The rows at a series' start that the benchmark does not score: 15 %, at most 750."""
    return min(math.floor(0.15 * rows), 750)


def nab_score(series: Sequence[Scored], profile: Profile, threshold: float) -> float:
    """The score at a threshold: detections are the points whose score is at least as high; NaN without windows."""
    raw = sum(_sweep(one, profile, threshold) for one in series)
    windows = sum(len(one.windows) for one in series)
    worst = -profile.false_negative * windows
    return 100 * (raw - worst) / (windows - worst) if windows else math.nan


def best_threshold(series: Sequence[Scored], profile: Profile) -> tuple[float, float]:
    """The threshold that gives the best score over all series, and that score."""
    points: list[tuple[float, int, float]] = []  # score, window or -1, worth
    windows = 0
    for one in series:
        inside = np.full(len(one.scores), -1)
        for number, (first, last) in enumerate(one.windows, start=windows):
            inside[first : last + 1] = number
        windows += len(one.windows)
        kept = slice(one.skipped, None)
        worths = _worth(one, profile)[kept]
        points += zip(one.scores[kept].tolist(), inside[kept].tolist(), worths.tolist(), strict=True)
    points.sort(key=lambda point: -point[0])
    gained = [-profile.false_negative] * windows
    total = best = -profile.false_negative * windows
    threshold = math.inf
    for place, (score, window, worth) in enumerate(points):
        if window < 0:
            total += worth
        elif worth > gained[window]:
            total += worth - gained[window]
            gained[window] = worth
        if total > best and (place + 1 == len(points) or points[place + 1][0] != score):
            best, threshold = total, score
    return threshold, nab_score(series, profile, threshold)


def _sweep(one: Scored, profile: Profile, threshold: float) -> float:
    worth = _worth(one, profile)
    alarms = one.scores >= threshold
    alarms[: one.skipped] = False
    inside = np.zeros(len(alarms), bool)
    total = 0.0
    for first, last in one.windows:
        here = slice(first, last + 1)
        inside[here] = True
        total += float(worth[here][alarms[here]].max()) if alarms[here].any() else -profile.false_negative
    return total + float(worth[alarms & ~inside].sum())


def _worth(one: Scored, profile: Profile) -> NDArray[np.float64]:
    """What a detection at every point counts."""
    rows = np.arange(len(one.scores))
    worth = np.full(len(rows), -profile.false_positive)
    for first, last in one.windows:
        width = last - first + 1
        inside = rows[first : last + 1]
        worth[inside] = _sigmoid((inside - last - 1) / width) / _sigmoid(np.array(-1.0))
        after = rows[last + 1 :]
        away = (after - last) / max(width - 1, 1)
        worth[after] = profile.false_positive * np.where(away >= 3, -1.0, _sigmoid(away))
    return worth


def _sigmoid(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 well before a window's end, 0 there, -1 well behind it."""
    return 2 / (1 + np.exp(5 * np.clip(position, -100, 100))) - 1
