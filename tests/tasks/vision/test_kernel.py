"""The plain classifier: its closed formula against fits that leave an image out, and what it knows of mirror images."""

import numpy as np
import pytest

from memfold.tasks.vision.kernel import RIDGES, KernelMachine, _ridge
from memfold.tasks.vision.mirrored import left_to_right, quarter_turned, unchanged_by, upside_down
from tasks.vision.shapes import SHAPES, drawn


def shapes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(SHAPES)
    return np.stack([drawn(SHAPES[label], rng)[None] for label in labels]), labels


@pytest.mark.parametrize("landmarks", [12, 5])
def test_scores_of_images_left_out_are_those_of_a_fit_without_them(landmarks: int) -> None:
    rng = np.random.default_rng(0)
    points, truth, rows = rng.normal(size=(12, 3)), rng.normal(size=(12, 2)), np.arange(landmarks)
    kernel = np.exp(-((points[:, None] - points[rows]) ** 2).sum(2) / 2)
    _, left_out = _ridge(kernel, rows, truth)
    inner = kernel[rows]

    def without(row: int, ridge: float) -> np.ndarray:
        kept = np.delete(np.arange(12), row)
        system = kernel[kept].T @ kernel[kept] + ridge * inner
        return kernel[row] @ np.linalg.solve(system, kernel[kept].T @ truth[kept])

    expected = [np.stack([without(row, ridge) for row in range(12)]) for ridge in RIDGES]
    best = min(expected, key=lambda scores: np.square(scores - truth).sum())
    np.testing.assert_allclose(left_out, best, atol=1e-4)


def test_it_learns_shapes_and_a_copy_answers_alike() -> None:
    machine, choice = KernelMachine.fit(*shapes(90), len(SHAPES))
    pixels, labels = shapes(60, seed=1)
    answers = machine.log_probabilities(pixels)
    assert (answers.argmax(1) == labels).mean() > 0.8
    np.testing.assert_allclose(np.exp(answers).sum(1), 1)
    again = KernelMachine(**machine.shape())
    again.load_state_dict(machine.state_dict())
    np.testing.assert_array_equal(again.log_probabilities(pixels), answers)
    assert KernelMachine.fit(*shapes(90), len(SHAPES), choice)[1] == choice
    assert not list(machine.parameters())


def test_images_that_are_all_the_same_leave_the_shares_of_the_classes() -> None:
    machine, _ = KernelMachine.fit(np.full((8, 1, 8, 8), 7, np.uint8), np.array([0] * 6 + [1] * 2), 2)
    answers = np.exp(machine.log_probabilities(np.full((1, 1, 8, 8), 7, np.uint8)))[0]
    assert answers[0] > answers[1]


def test_a_bar_is_one_upside_down_but_not_on_its_side() -> None:
    pixels, labels = shapes(120)
    changes = [left_to_right, upside_down, quarter_turned]
    assert unchanged_by(changes, pixels, labels, len(SHAPES)) == [True, True, False]
