import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from memfold.tasks.calibration import expected_calibration_error, temperature_of
from memfold.tasks.classes import class_scores


def answers(count: int, seed: int = 0, classes: int = 3) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits, and classes that were drawn by their softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(count, classes))
    truth = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    return logits, truth


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    p: NDArray[np.float64] = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def loss(log_p: NDArray[np.float64], truth: NDArray[np.int64], temperature: float) -> float:
    return float(-np.log(softmax(log_p / temperature))[np.arange(len(truth)), truth].mean())


def test_probabilities_that_come_true_have_no_error_and_sure_ones_have_one() -> None:
    logits, truth = answers(50_000)
    assert expected_calibration_error(softmax(logits), truth) < 0.01
    assert expected_calibration_error(softmax(3 * logits), truth) > 0.05
    wrong = np.eye(2)[[0, 0]]
    assert expected_calibration_error(wrong, np.array([1, 1])) == 1


@given(st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), min_size=1, max_size=60))
def test_the_error_is_the_mean_gap_over_fifteen_bins(rows: list[tuple[float, bool]]) -> None:
    confidence = np.array([row[0] for row in rows])
    right = np.array([row[1] for row in rows])
    expected = 0.0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    p = np.stack([confidence, 1 - confidence], 1)
    truth = np.where(right, p.argmax(1), 1 - p.argmax(1))
    assert expected_calibration_error(p, truth) == pytest.approx(expected, abs=1e-9)


def test_a_temperature_undoes_what_made_answers_too_sure() -> None:
    logits, truth = answers(20_000)
    assert temperature_of(logits, truth) == pytest.approx(1, rel=0.05)
    assert temperature_of(3 * logits, truth) == pytest.approx(3, rel=0.05)
    found = temperature_of(0.4 * logits, truth)
    nearby = [loss(0.4 * logits, truth, found * factor) for factor in (0.97, 1, 1.03)]
    assert min(nearby) == nearby[1]


def test_few_examples_hardly_move_the_temperature() -> None:
    sure = np.array([[0.0, -8.0]] * 3)
    assert 0.4 < temperature_of(sure, np.array([0, 0, 0])) < 1
    assert 1 < temperature_of(np.array([[0.0, -0.1]] * 3), np.array([1, 1, 1])) < 1.2
    assert np.isfinite(temperature_of(np.array([[0.0, -np.inf]]), np.array([1])))


def test_labels_alone_have_no_calibration_error() -> None:
    logits, truth = answers(40)
    with_probabilities, alone = class_scores(truth, softmax(logits)), class_scores(truth, logits.argmax(1))
    assert with_probabilities.keys() - alone.keys() == {"ece"}
    assert 0 < with_probabilities["ece"] < 100
    assert alone["accuracy"] == with_probabilities["accuracy"]
