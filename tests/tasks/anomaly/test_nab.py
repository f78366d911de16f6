import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.tasks.anomaly.nab import PROFILES, Profile, Scored, best_threshold, nab_score, probation
from memfold.tasks.anomaly.scores import best_f1, vus_pr

STANDARD = PROFILES["nab_standard"]


def sigmoid(x: float) -> float:
    return 2 / (1 + math.exp(5 * x)) - 1


def by_hand(one: Scored, profile: Profile, threshold: float) -> float:
    """The sum of one series, point by point in the words of the benchmark's paper."""
    total, best = 0.0, dict.fromkeys(one.windows, -profile.false_negative)
    for row, score in enumerate(one.scores):
        if row < one.skipped or score < threshold:
            continue
        inside = [w for w in one.windows if w[0] <= row <= w[1]]
        before = [w for w in one.windows if w[1] < row]
        if inside:
            first, last = inside[0]
            worth = sigmoid(-(last - row + 1) / (last - first + 1)) / sigmoid(-1.0)
            best[inside[0]] = max(best[inside[0]], worth)
        elif before:
            first, last = before[-1]
            position = (row - last) / (last - first)
            total += profile.false_positive * (-1.0 if position >= 3 else sigmoid(position))
        else:
            total -= profile.false_positive
    return total + sum(best.values())


@st.composite
def series(draw: st.DrawFn) -> Scored:
    rows = draw(st.integers(20, 60))
    scores = draw(st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.9]), min_size=rows, max_size=rows))
    first = draw(st.integers(5, rows - 4))
    last = draw(st.integers(first + 1, min(first + 8, rows - 1)))
    windows = [(first, last)]
    if last + 6 < rows:
        windows.append((last + 3, last + 5))
    return Scored(np.array(scores), windows, draw(st.integers(0, 5)))


@settings(deadline=None, max_examples=60)
@given(st.lists(series(), min_size=1, max_size=3), st.sampled_from(sorted(PROFILES)))
def test_the_score_is_that_of_the_definition_and_the_threshold_the_best_one(several: list[Scored], name: str) -> None:
    profile = PROFILES[name]
    windows = sum(len(one.windows) for one in several)
    worst = -profile.false_negative * windows
    outcomes = {}
    for threshold in (0.0, 0.2, 0.5, 0.9, 1.0):
        raw = sum(by_hand(one, profile, threshold) for one in several)
        outcomes[threshold] = 100 * (raw - worst) / (windows - worst)
        assert nab_score(several, profile, threshold) == pytest.approx(outcomes[threshold])
    assert best_threshold(several, profile)[1] == pytest.approx(max(outcomes.values()))


def test_no_detection_scores_0_and_the_earliest_ones_100() -> None:
    scores = np.zeros(100)
    one = Scored(scores, [(40, 49), (80, 89)], 15)
    assert nab_score([one], STANDARD, 0.5) == 0
    scores[[40, 80]] = 1
    assert nab_score([one], STANDARD, 0.5) == pytest.approx(100)
    scores[[20, 41, 85]] = 1  # one false alarm; later ones in the same windows count nothing
    assert nab_score([one], STANDARD, 0.5) == pytest.approx(100 - 100 * 0.11 / 4)


def test_alarms_during_probation_cost_nothing() -> None:
    assert (probation(1000), probation(4032), probation(22_695)) == (150, 604, 750)
    scores = np.zeros(100)
    scores[:15] = 1
    assert nab_score([Scored(scores, [(40, 49)], 15)], STANDARD, 0.5) == 0


def test_without_labels_there_is_no_score() -> None:
    assert math.isnan(nab_score([Scored(np.zeros(10), [], 1)], STANDARD, 0.5))
    assert math.isnan(best_f1(np.zeros(10), np.zeros(10, bool)))
    assert math.isnan(vus_pr(np.zeros(10), np.zeros(10, bool)))


def test_f1_is_the_best_over_thresholds() -> None:
    label = np.array([0, 0, 1, 1, 0], bool)
    assert best_f1(np.array([0.1, 0.2, 0.9, 0.8, 0.3]), label) == 1
    assert best_f1(np.array([0.9, 0.2, 0.9, 0.8, 0.3]), label) == pytest.approx(2 * 2 / (3 + 2))
    assert best_f1(np.full(5, 0.5), label) == pytest.approx(2 * 2 / (5 + 2))


def test_vus_rewards_what_is_found_and_near() -> None:
    label = np.zeros(400, bool)
    label[200:220] = True
    perfect = vus_pr(label.astype(float), label)
    near, far = np.zeros(400), np.zeros(400)
    near[190:210], far[20:40] = 1, 1
    noise = np.random.default_rng(0).random(400)
    assert perfect == pytest.approx(1)
    assert perfect > vus_pr(near, label) > vus_pr(noise, label) > vus_pr(far, label)
    assert vus_pr(label.astype(float), label, buffer=0) == 1


def test_vus_is_that_of_its_authors_program() -> None:
    """The numbers are those of RangeAUC_volume_opt in the package vus, version 0.0.6."""
    rng = np.random.default_rng(0)
    cases = ((0.5, 9, 0.768979049238448), (0.0, 1, 0.2741645208727906), (0.5, 1, 0.6950187591586882))
    for shift, digits, expected in cases:
        label = np.zeros(800, bool)
        for start in (100, 170, 600):  # the first two are close enough to meet
            label[start : start + 25] = True
        score = np.round(rng.random(800) + shift * label, digits)
        assert vus_pr(score, label) == pytest.approx(expected, abs=1e-12)
