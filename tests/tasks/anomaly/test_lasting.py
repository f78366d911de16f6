import math

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis

from memfold.runtime.monitoring.features import FeatureSize
from memfold.runtime.monitoring.lasting import Lasting
from memfold.runtime.monitoring.monitor import Monitor
from memfold.runtime.monitoring.reference import SETTLED, Reference
from memfold.runtime.monitoring.runs import Gaps, Stuck
from memfold.runtime.monitoring.shape import BLOCKS, Shape
from memfold.tasks.anomaly.baselines import limit_of_distance, mahalanobis
from memfold.tasks.anomaly.plan import Facts, plan


def together(rows: int, seed: int = 0) -> np.ndarray:
    """Three variables of very different sizes that move together."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(rows, 1))
    return (common + 0.2 * rng.normal(size=(rows, 3))) * [1.0, 1e4, 1e-4] + [0.0, 5e5, 3.0]


def test_a_distance_is_the_squared_one_of_mahalanobis() -> None:
    rows = together(5000)
    reference = Reference(1, 3)
    found = [reference.add([row])[0] for row in rows]
    inverse = np.linalg.inv(np.cov(rows[:-1].T))
    exact = scipy_mahalanobis(rows[-1], rows[:-1].mean(0), inverse) ** 2 / 3
    assert found[:SETTLED] == [0.0] * SETTLED
    assert found[-1] == pytest.approx(exact, rel=0.3, abs=0.1)
    assert np.mean(found[1000:]) == pytest.approx(1.0, rel=0.2)


def test_a_distance_knows_no_units() -> None:
    rows = together(800)
    small, large = Reference(1, 3), Reference(1, 3)
    for row in rows:
        one, other = small.add([row])[0], large.add([row * 2.0**20])[0]
        assert one == pytest.approx(other, rel=1e-6)


def test_values_that_are_usual_each_are_far_out_together() -> None:
    reference = Reference(1, 3)
    for row in together(2000):
        usual = reference.add([row])[0]
    against = reference.add([np.array([1.5, 5e5 - 1.5e4, 3.0])])[0]
    assert usual < 5
    assert against > 20


def test_a_fault_of_hundreds_of_points_stays_one_and_what_stays_for_thousands_becomes_usual() -> None:
    reference = Reference(1, 3)
    for row in together(2000):
        reference.add([row])
    moved = [reference.add([row + np.array([8.0, 0.0, 0.0])])[0] for row in together(6000, seed=1)]
    assert min(moved[:200]) > 20
    assert max(moved[-200:]) < 20


def test_the_score_stays_up_while_a_fault_lasts_and_comes_down_after_it() -> None:
    rows = together(3000)
    rows[2000:2200, 1] += 4e4
    lasting, faults = Lasting(3), []
    for row in rows.tolist():
        lasting.add(row, [0.0, 0.0, 0.0])
        faults.append(lasting.fault)
    usual = np.quantile(faults[500:2000], 0.99)
    assert min(faults[2005:2200]) > usual
    assert np.mean(np.array(faults[2230:]) > usual) < 0.1


def test_a_series_that_never_moved_is_far_out_once_it_does() -> None:
    lasting = Lasting(1)
    for _ in range(200):
        lasting.add([5.0], [0.0])
        assert lasting.fault < 0.5
    for _ in range(10):
        lasting.add([6.0], [1.0])
    assert lasting.fault > 0.9


def test_a_sensor_is_stuck_when_it_was_never_still_for_so_long() -> None:
    rng = np.random.default_rng(0)
    stuck = Stuck()
    moving = [stuck.judge(value) for value in rng.normal(size=1000).round(2).tolist()]
    assert min(moving) == 1.0
    still = [stuck.judge(9.0) for _ in range(40)]
    assert still[0] == 1.0
    assert max(still[9:]) < 1e-5
    assert len(set(still[9:])) == 1  # a stretch that goes on is no news with every point


def test_a_machine_that_often_rests_is_not_stuck_while_it_does() -> None:
    stuck = Stuck()
    rng = np.random.default_rng(0)
    found = []
    for _ in range(100):
        for value, length in ((0.0, rng.integers(20, 60)), (1.0, rng.integers(5, 30))):
            found += [stuck.judge(value) for _ in range(length)]
    assert min(found[500:]) == 1.0
    assert min(stuck.judge(0.0) for _ in range(500)) < 1e-5


def test_a_missing_row_is_a_gap_where_steps_are_regular() -> None:
    gaps = Gaps()
    assert all(gaps.judge(600.0 * k) == 1.0 for k in range(1000))
    assert gaps.judge(600.0 * 1001) < 1e-5
    assert gaps.judge(600.0 * 1002) == 1.0
    assert gaps.judge(600.0 * 1010) < 1e-5  # one gap does not make the next one usual


def test_steps_that_always_differ_make_no_gap() -> None:
    gaps = Gaps()
    steps = np.random.default_rng(0).exponential(60.0, 3000)
    found = [gaps.judge(time) for time in np.cumsum(steps).tolist()]
    assert np.mean(np.array(found) < 1e-4) < 0.002


def shaped(points: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 5 * np.sin(np.arange(points) * 2 * np.pi / 96) + 0.3 * rng.normal(size=points)


def test_a_peak_that_does_not_come_is_a_shape_that_never_was() -> None:
    values = shaped(3000)
    usual, missing = Shape(8), Shape(8)
    chances = [usual.judge(value) for value in values.tolist()]
    values[2016:2064] = 0.3 * np.random.default_rng(1).normal(size=48)  # half a wave, none of whose values is unusual
    found = [missing.judge(value) for value in values.tolist()]
    assert min(chances) > 1e-4
    assert min(found[2016:2080]) < 1e-8
    assert found[:2016] == chances[:2016]


def test_only_whole_blocks_are_judged() -> None:
    shape = Shape(4)
    found = [shape.judge(value) for value in shaped(2000).tolist()]
    assert all(len(set(found[k : k + 4])) == 1 for k in range(4 * BLOCKS - 1, 1990, 4))


def test_the_plan_follows_the_length_and_the_day() -> None:
    assert plan(Facts(604, 288, 604)).values == {"block": 6, "pretrained": False}
    assert plan(Facts(10, 0, 10)).values == {"block": 1, "pretrained": True}
    assert plan(Facts(100_000, 288, 100_000)).values == {"block": 36, "pretrained": False}  # eight are a day at most
    assert plan(Facts(100_000, 0, 100_000)).values == {"block": 50, "pretrained": False}


def test_the_baseline_is_the_distance_of_scipy() -> None:
    rows = together(400)
    scores = mahalanobis(rows, 300)
    inverse = np.linalg.inv(np.cov(rows[:300].T, bias=True))
    for row in (0, 350):
        square = scipy_mahalanobis(rows[row], rows[:300].mean(0), inverse) ** 2
        assert scores[row] == pytest.approx(square / (square + 3), rel=1e-3)


def test_a_gaussian_exceeds_the_limit_as_often_as_was_said() -> None:
    scores = mahalanobis(np.random.default_rng(0).normal(size=(50_000, 4)), 50_000)
    assert np.mean(scores > limit_of_distance(4, 0.01)) == pytest.approx(0.01, rel=0.1)
    assert math.isclose(limit_of_distance(2, math.exp(-1)), 2 / 4)  # of two variables, d is exponential with mean 2


def test_the_first_distance_of_all_is_no_alarm() -> None:
    """A distance is given after sixty points; that the others were 0 must not make the first one unheard of."""
    monitor = Monitor(FeatureSize(1, False), 0, None, 5, 50, 1)
    y = 10 + np.random.default_rng(0).normal(size=90)
    judged = [monitor.step(float(time), [value]) for time, value in enumerate(y.tolist())]
    assert max(one.score for one in judged) < 0.3
