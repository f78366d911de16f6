"""Two answers made into one, with probabilities that can be believed."""

import numpy as np
import pytest

from memfold.runtime.hearing.blending import Blend, blended


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return np.asarray(scores - np.log(np.exp(scores).sum(1, keepdims=True)))


def answers(strength: float, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    scores = rng.normal(0, 1, (len(truth), 4))
    scores[np.arange(len(truth)), truth] += strength
    return log_softmax(scores)


def loss(log_p: np.ndarray, truth: np.ndarray) -> float:
    return -float(log_p[np.arange(len(truth)), truth].mean())


def test_a_blend_of_two_that_know_different_things_is_better_than_either() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 2000)
    one, two = answers(2.0, truth, rng), answers(1.5, truth, rng)
    blend = Blend.of(one[:1000], two[:1000], truth[:1000])
    assert 0.4 <= blend.share < 1
    rest = loss(blended(one[1000:], two[1000:], blend), truth[1000:])
    assert rest < min(loss(one[1000:], truth[1000:]), loss(two[1000:], truth[1000:])) - 0.1


def test_chance_has_no_share_and_overconfidence_is_taken_back() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 4, 1000)
    good, chance = answers(2.0, truth, rng), answers(0.0, truth, rng)
    usual = Blend.of(good, chance, truth)
    assert usual.share > 0.8
    sure = log_softmax(5 * good)
    blend = Blend.of(sure, chance, truth)
    assert blend.temperature == pytest.approx(5 * usual.temperature, rel=0.2)
    assert loss(blended(sure, chance, blend), truth) < loss(sure, truth)


def test_ten_recordings_hardly_move_the_temperature() -> None:
    rng = np.random.default_rng(2)
    truth = np.zeros(10, int)
    right = answers(8.0, truth, rng)
    assert 0.3 < Blend.of(right, right, truth).temperature < 1


def test_probabilities_of_a_blend_sum_to_one() -> None:
    log_p = blended(np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]]), Blend(0.5, 0.7))
    np.testing.assert_allclose(np.exp(log_p).sum(1), 1)
