"""Scores of faces: the equal error rate, rank 1, pairs; and ArcFace's margin."""

import math

import numpy as np
import pytest
import torch

from memfold.tasks.faces.network import arcface_logits
from memfold.tasks.faces.scores import equal_error, rank1, same_pairs


def test_separate_scores_have_no_error_and_a_threshold_half_way() -> None:
    found = equal_error(np.array([0.9, 0.7, 0.2, 0.1, 0.0]), np.array([True, True, False, False, False]))
    assert found.rate == 0
    assert found.threshold == pytest.approx(0.45)


def test_one_pair_too_many_is_shared_between_both_errors() -> None:
    similarities, same = np.array([0.9, 0.8, 0.5, 0.4, 0.1, 0.0]), np.array([True, False, True, False, True, False])
    found = equal_error(similarities, same)
    assert found.rate == pytest.approx(100 / 3)
    assert 0.4 < found.threshold <= 0.5


def test_at_the_threshold_both_errors_are_about_the_rate() -> None:
    rng = np.random.default_rng(0)
    same = np.arange(20000) % 2 == 0
    similarities = rng.normal(np.where(same, 1.0, -1.0), 1.0)
    found = equal_error(similarities, same)
    expected = 50 * (1 - math.erf(1 / math.sqrt(2)))  # of two normal laws a deviation away from 0: 15.87 %
    assert found.rate == pytest.approx(expected, abs=0.6)
    assert found.threshold == pytest.approx(0, abs=0.06)
    assert 100 * (similarities[same] < found.threshold).mean() == pytest.approx(found.rate, abs=0.1)
    assert 100 * (similarities[~same] >= found.threshold).mean() == pytest.approx(found.rate, abs=0.1)


def test_scores_that_are_all_the_same_say_nothing() -> None:
    assert equal_error(np.zeros(10), np.arange(10) % 2 == 0).rate == pytest.approx(50)
    assert math.isnan(equal_error(np.zeros(3), np.zeros(3, bool)).rate)
    assert math.isnan(equal_error(np.zeros(3), np.ones(3, bool)).rate)


def test_pairs_are_counted_once() -> None:
    points = np.arange(16.0).reshape(4, 4)
    values, same = same_pairs(points, ["a", "b", "a", "b"])
    assert values.tolist() == [1, 2, 3, 6, 7, 11]
    assert same.tolist() == [False, True, False, False, True, False]
    values, same = same_pairs(points[:2, :3], ["a", "b"], ["a", "c", "b"])
    assert values.tolist() == [0, 1, 2, 4, 5, 6]
    assert same.tolist() == [True, False, False, False, False, True]


def test_rank_one_leaves_strangers_out() -> None:
    similarities = np.array([[0.1, 0.9], [0.8, 0.2], [0.9, 0.1]])
    assert rank1(similarities, ["a", "b", "stranger"], ["b", "a"]) == 100
    assert rank1(similarities, ["b", "b", "stranger"], ["b", "a"]) == 50
    assert math.isnan(rank1(similarities[2:], ["stranger"], ["b", "a"]))


@pytest.mark.parametrize("margin", [0.0, 0.3, 0.5])
def test_the_margin_widens_the_true_angle_alone(margin: float) -> None:
    angles = torch.linspace(0.1, math.pi - margin - 0.1, 9, dtype=torch.float64)
    cosines = torch.stack([angles.cos(), torch.full_like(angles, 0.2)], 1)
    logits = arcface_logits(cosines, torch.zeros(9, dtype=torch.int64), scale=10.0, margin=margin)
    torch.testing.assert_close(logits[:, 0], 10 * (angles + margin).cos())
    torch.testing.assert_close(logits[:, 1], torch.full_like(angles, 2.0))


def test_the_margin_never_rewards_a_wider_angle() -> None:
    cosines = torch.linspace(1, -1, 2001, dtype=torch.float64)[:, None].requires_grad_()
    logits = arcface_logits(cosines, torch.zeros(2001, dtype=torch.int64), scale=1.0, margin=0.5)
    assert (logits.diff(dim=0) < 1e-9).all()
    logits.sum().backward()
    assert cosines.grad is not None
    assert cosines.grad.isfinite().all()
