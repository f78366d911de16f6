"""Scores of anomaly detection against labelled windows: the benchmark's, VUS-PR, and the best F1."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memfold.tasks.anomaly.nab import PROFILES, Scored, best_threshold

__all__ = ["best_f1", "scores", "vus_pr"]

BUFFER = 100  # points, the longest by which VUS widens a window
THRESHOLDS = 250


def scores(series: Sequence[Scored], news: Sequence[Scored]) -> dict[str, float]:
    """``nab_standard``, ``nab_low_fp``, ``nab_low_fn``, ``vus_pr`` and ``f1``.

    Args:
        series: scored point by point.
        news: the same for the benchmark, in which a burst of alarms counts once for each of its points.
    """
    result = {name: best_threshold(news, profile)[1] for name, profile in PROFILES.items()}
    labelled = [one for one in series if one.windows]
    volumes = [vus_pr(one.scores[one.skipped :], _labels(one)[one.skipped :]) for one in labelled]
    result["vus_pr"] = float(np.nanmean(volumes)) if volumes else math.nan
    every = np.concatenate([one.scores[one.skipped :] for one in series])
    result["f1"] = best_f1(every, np.concatenate([_labels(one)[one.skipped :] for one in series]))
    return result


def best_f1(score: NDArray[np.float64], label: NDArray[np.bool_]) -> float:
    """The best F1 over all thresholds, point by point; NaN without a label."""
    if not label.any():
        return math.nan
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(label[order])
    last_of_its_score = np.append(np.diff(score[order]) != 0, True)
    f1 = 2 * hits / (np.arange(1, len(score) + 1) + label.sum())
    return float(f1[last_of_its_score].max())


def vus_pr(score: NDArray[np.float64], label: NDArray[np.bool_], buffer: int = BUFFER) -> float:
    """The volume under the surface of range-based precision and recall, as its authors' program computes it.

    Windows are widened at both ends by a falling ramp of up to ``buffer`` points together; precision counts the ramp,
    and recall is multiplied with the share of windows that were found at all (Paparrizos et al. 2022, sec. 3).

    Returns:
        0 to 1; NaN without a label.
    """
    if not label.any():
        return math.nan
    edges = np.flatnonzero(np.diff(np.concatenate([[0], label.astype(np.int8), [0]])))
    windows = edges.reshape(-1, 2)
    order = np.argsort(-score, kind="stable")
    levels = score[order][np.linspace(0, len(score) - 1, THRESHOLDS).astype(int)]
    counts = np.searchsorted(-score[order], -levels, side="right")  # points at least as high as each level
    hits = np.cumsum(label[order])[counts - 1]
    areas = []
    for width in range(buffer + 1):
        true = np.cumsum(_widened(label, windows, width)[order])[counts - 1]
        peaks = np.array([score[first:after].max() for first, after in _merged(windows, width // 2)])
        existence = (peaks >= levels[:, None]).mean(1)
        recall = np.minimum(true / (label.sum() + (true - hits) / 2), 1) * existence
        areas.append(float(np.sum(np.diff(recall, prepend=0) * true / counts)))
    return float(np.mean(areas))


def _widened(label: NDArray[np.bool_], windows: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    """1 in a window, and a ramp that falls to 0 over half the width before and after it."""
    soft = label.astype(float)
    away = np.arange(1, width // 2 + 1)
    ramp = np.sqrt(1 - away / max(width, 1))
    for first, after in windows:
        for places in (first - away, after - 1 + away):
            inside = (places >= 0) & (places < len(soft))
            np.add.at(soft, places[inside], ramp[inside])
    return soft.clip(max=1.0)


def _merged(windows: NDArray[np.int64], reach: int) -> list[list[int]]:
    """The windows with what is in reach before and after them, those that then meet made one."""
    merged: list[list[int]] = []
    for first, after in windows.tolist():
        if merged and first - reach <= merged[-1][1] - 1:
            merged[-1][1] = after + reach
        else:
            merged.append([max(first - reach, 0), after + reach])
    return merged


def _labels(one: Scored) -> NDArray[np.bool_]:
    label = np.zeros(len(one.scores), bool)
    for first, last in one.windows:
        label[first : last + 1] = True
    return label
