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
