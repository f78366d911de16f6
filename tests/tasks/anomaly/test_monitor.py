import math

import numpy as np
import pytest
import torch
from scipy.special import gammaincc

from memfold.data.readings import DAY
from memfold.runtime.monitoring.features import Features, FeatureSize, Scale
from memfold.runtime.monitoring.monitor import Monitor
from memfold.runtime.monitoring.news import News
from memfold.runtime.monitoring.tail import KEPT_NUMBERS, Tail, joint
from memfold.tasks.anomaly.baselines import windowed_gaussian
from memfold.tasks.anomaly.learning import Learner
from memfold.tasks.anomaly.network import Predictor


def predictor(features: int, variables: int = 1) -> Predictor:
    torch.manual_seed(0)
    return Predictor(features, variables, 8)


def test_a_scale_comes_to_the_level_and_deviation_and_an_outlier_moves_it_little() -> None:
    scale = Scale()
    for value in np.random.default_rng(0).normal(50, 2, 3000).tolist():
        scale.add(value)
    assert scale.level == pytest.approx(50, abs=0.3)
    assert scale.unit == pytest.approx(2 * math.sqrt(2 / math.pi), rel=0.1)
    level = scale.level
    scale.add(1e9)
    assert scale.level - level < 0.01 * scale.unit * 6
    assert scale.outwards(scale.inwards(57.3)) == pytest.approx(57.3)


def test_a_flat_series_has_a_unit() -> None:
    scale = Scale()
    for _ in range(50):
        scale.add(0.0)
    assert scale.unit > 0
    assert math.isfinite(scale.inwards(1.0))


def test_features_hold_yesterday_and_the_calendar() -> None:
    features = Features(FeatureSize(1, True), 4)
    for k in range(4):
        row = features.next(k * DAY / 4)
        assert row[1:3] == [0.0, 0.0]  # no yesterday yet
        features.add([float(k * k)])
    row = features.next(DAY)
    assert row[1] == features.scales[0].inwards(0.0)
    assert row[2] == 1.0
    assert row[3:5] == pytest.approx([0.0, 1.0])
    assert len(row) == FeatureSize(1, True).count


def test_a_tail_is_calibrated_on_both_sides() -> None:
    tail = Tail()
    found = []
    for number in np.random.default_rng(0).laplace(3, 2, 40_000).tolist():
        found.append(tail.probability(number))
        tail.add(number)
    late = np.array(found[20_000:])
    for level in (0.5, 0.1, 0.01, 0.001):
        assert np.mean(late < level) == pytest.approx(level, rel=0.3)
    assert tail.probability(100.0) < 1e-15
    assert tail.probability(-100.0) < 1e-15
    assert len(tail.sorted) == len(tail.order) == KEPT_NUMBERS
    assert tail.sorted == sorted(tail.order)


def test_a_joint_probability_of_independent_ones_is_calibrated() -> None:
    rows = np.random.default_rng(0).random((20_000, 5)).tolist()
    for count in (2, 5):
        found = np.array([joint(row[:count], count) for row in rows])
        for level in (0.5, 0.1, 0.01):
            assert np.mean(found < level) == pytest.approx(level, rel=0.15)


@pytest.mark.parametrize("independent", [1, 1.5, 2.5, 3])
def test_a_joint_probability_is_the_tail_of_a_gamma_distribution(independent: float) -> None:
    chances = [0.3, 0.01, 0.7, 0.2]
    x = -math.log(math.prod(chances)) * independent / 4
    assert joint(chances, independent) == pytest.approx(float(gammaincc(independent, x)), rel=1e-12)


def test_what_never_changed_is_unusual_once_it_does() -> None:
    tail = Tail()
    for _ in range(100):
        tail.add(7.0)
    assert tail.probability(7.0) == 1
    assert tail.probability(7.1) < 1e-100


def test_a_monitor_never_looks_ahead() -> None:
    size = FeatureSize(1, False)
    values = np.sin(np.arange(300) * 0.2)
    changed = values.copy()
    changed[200:] += 5
    judged = []
    for series in (values, changed):
        monitor = Monitor(size, 0, predictor(size.count).stream(), 5, 50, 10)
        judged.append([monitor.step(float(k), [v]) for k, v in enumerate(series.tolist())])
    assert judged[0][:200] == judged[1][:200]
    assert judged[0][200] != judged[1][200]


def test_only_what_is_higher_than_the_last_points_is_news() -> None:
    scores = [0.1, 0.5, 0.4, 0.5, 0.6, 0.2, 0.2, 0.2, 0.3]
    assert list(map(News(3), scores)) == [0.1, 0.5, 0.0, 0.0, 0.6, 0.0, 0.0, 0.0, 0.3]


def test_the_variable_that_strays_is_named() -> None:
    size = FeatureSize(2, False)
    monitor = Monitor(size, 0, predictor(size.count, 2).stream(), 5, 50, 10)
    rng = np.random.default_rng(0)
    for k, pair in enumerate(rng.normal(0, 1, (400, 2)).tolist()):
        monitor.step(float(k), pair)
    judgement = monitor.step(400.0, [0.0, 40.0])
    assert judgement.variable == 1
    assert judgement.probability < 1e-4
    assert judgement.low[1] < judgement.expected[1] < judgement.high[1] < 40


def test_a_learner_learns_and_the_monitor_goes_on_with_its_state() -> None:
    size = FeatureSize(1, False)
    values = np.sign(np.sin(np.arange(3000) * 0.5)).tolist()
    own = predictor(size.count)
    learning = Monitor(size, 0, own.stream(), 5, 50, 10, Learner(own, 16, 32, 8, 1e-2, 0))
    still = Monitor(size, 0, predictor(size.count).stream(), 5, 50, 10)
    errors = []
    for monitor in (learning, still):
        away = [abs(monitor.step(float(k), [v]).expected[0] - v) for k, v in enumerate(values)]
        errors.append(np.mean(away[-500:]))
    assert errors[0] < 0.5 * errors[1]


def test_a_learner_may_take_one_window_at_a_time() -> None:
    size = FeatureSize(1, False)
    learner = Learner(predictor(size.count), 2, 4, 1, 1e-2, 0)
    renewed = [learner(Features(size, 0).next(0.0), [float(k % 3)]) for k in range(12)]
    assert [stream is not None for stream in renewed] == [False] * 7 + [True, False, True, False, True]


def test_the_gaussian_is_that_of_a_plain_loop() -> None:
    values = np.random.default_rng(0).normal(5, 2, (9000, 1))
    scores = windowed_gaussian(values)
    for row in (1, 2, 700, 6400, 6401, 6499, 6500, 8999):
        moved = max(row - 6400, 0) // 100 * 100
        window = values[moved : min(row, 6400) + moved, 0]
        away = abs(values[row, 0] - window.mean()) / (window.std() or 1e-6)
        assert scores[row] == pytest.approx(0.5 * math.erfc(-away / math.sqrt(2)), abs=1e-9)
