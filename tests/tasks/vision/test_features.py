"""Features of images, against what they must be by their definitions."""

import numpy as np
import pytest

from memfold.tasks.vision.features import features_of


def noise(count: int, colours: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, colours, side, side)).astype(np.uint8)


@pytest.mark.parametrize("side", [8, 13, 28, 96, 160])
@pytest.mark.parametrize("colours", [1, 3])
def test_every_side_has_finite_features_of_an_image_alone(side: int, colours: int) -> None:
    pixels = noise(3, colours, side)
    whole = features_of(pixels)
    assert all(np.isfinite(group).all() for group in whole)
    for group, one in zip(whole, features_of(pixels[1:2]), strict=True):
        np.testing.assert_allclose(group[1:2], one, rtol=1e-5, atol=1e-6)


def test_colours_are_shares_of_the_image() -> None:
    colours = features_of(noise(2, 3, 32))[1]
    np.testing.assert_allclose((colours[:, :64] ** 2).sum(1), 1, rtol=1e-5)
    assert features_of(noise(2, 1, 32))[1].shape == (2, 0)


def test_edges_know_directions_and_not_how_bright_it_is() -> None:
    level = np.full((1, 1, 32, 32), 40, np.uint8)
    level[:, :, 12:20] = 160
    upright = np.ascontiguousarray(level.transpose(0, 1, 3, 2))
    edges = [features_of(pixels)[0][0] for pixels in (level, upright, (level // 4).astype(np.uint8))]
    assert np.linalg.norm(edges[0] - edges[1]) > 5 * np.linalg.norm(edges[0] - edges[2])


def test_light_is_the_mean_of_each_cell() -> None:
    pixels = noise(2, 1, 32)
    light = features_of(pixels)[2]
    means = pixels.reshape(2, 16, 2, 16, 2).mean((2, 4)) / 255
    np.testing.assert_allclose(light, means.reshape(2, -1), rtol=1e-5)


def test_edges_are_votes_of_each_place_for_two_directions() -> None:
    pixels = noise(1, 3, 8)
    values = np.sqrt(pixels[0] / 255)
    votes = np.zeros((2, 2, 9))  # of the cells of four pixels
    for row in range(8):
        for column in range(8):
            slopes = []
            for plane in values:
                across = plane[row, column + 1] - plane[row, column - 1] if 0 < column < 7 else 0.0
                down = plane[row + 1, column] - plane[row - 1, column] if 0 < row < 7 else 0.0
                slopes.append((np.hypot(across, down), across, down))
            strength, across, down = max(slopes)
            turn = np.arctan2(down, across) % np.pi / np.pi * 9
            low, beyond = int(turn), turn - int(turn)
            votes[row // 4, column // 4, low % 9] += strength * (1 - beyond) / 16
            votes[row // 4, column // 4, (low + 1) % 9] += strength * beyond / 16
    energy = np.pad((votes**2).sum(2), 1, mode="edge")
    around = np.array([[energy[r : r + 3, c : c + 3].mean() for c in range(2)] for r in range(2)])
    expected = np.sqrt(votes / np.sqrt(around + 1e-4 * energy.mean() + 1e-8)[..., None]).transpose(2, 0, 1)
    np.testing.assert_allclose(features_of(pixels)[0][0, :36], expected.reshape(-1), rtol=1e-4, atol=1e-4)


def test_a_colour_votes_for_the_eight_shades_around_it() -> None:
    pixels = noise(1, 3, 9)  # a middle row and column that belong to two quarters
    shades = np.clip(pixels[0] / 64 - 0.5, 0, 3 - 1e-4)
    low = shades.astype(int)
    expected = np.zeros((4, 4, 4, 2, 2))
    for row in range(9):
        for column in range(9):
            at, beyond = low[:, row, column], (shades - low)[:, row, column]
            share = np.outer(*[np.clip([4.5 - place, place - 3.5], 0, 1) for place in (row, column)])
            for corner in np.ndindex(2, 2, 2):
                vote = np.prod(np.where(corner, beyond, 1 - beyond))
                expected[tuple(at + corner)] += vote * share / 4.5**2
    quarters = features_of(pixels)[1][0, 64:] * 2
    np.testing.assert_allclose(quarters, np.sqrt(expected).reshape(-1), rtol=1e-4, atol=1e-4)
