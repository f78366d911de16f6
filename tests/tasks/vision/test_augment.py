"""Changes of images: each does what it is named for, and no other."""

import math

import pytest
import torch

from memfold.tasks.vision.augment import Augmentation, augmented


def spot(count: int, size: int = 33, row: int = 16, column: int = 16) -> torch.Tensor:
    """Images of one bright spot, wide enough to be found again."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.exp(-((y - row) ** 2 + (x - column) ** 2) / 8.0).expand(count, 1, size, size).contiguous()


def places(images: torch.Tensor) -> torch.Tensor:
    """The mean place of each image's light, row and column from the middle, (B, 2)."""
    middle = (images.shape[-1] - 1) / 2
    along = torch.arange(images.shape[-1]) - middle
    total = images.sum((1, 2, 3))
    down, across = images.sum((1, 3)) @ along / total, images.sum((1, 2)) @ along / total
    return torch.stack([down, across], 1)


def test_nothing_asked_for_changes_nothing() -> None:
    images = torch.randn(5, 3, 12, 12)
    torch.testing.assert_close(augmented(images, Augmentation()), images, atol=1e-5, rtol=1e-5)


def test_a_shift_goes_as_far_as_said_in_all_directions() -> None:
    torch.manual_seed(0)
    moved = places(augmented(spot(400), Augmentation(shift=0.2)))
    assert 0.9 * 0.2 * 33 < moved.abs().max() < 1.02 * 0.2 * 33
    assert (moved.abs().max(0).values > 6).all()
    assert moved.mean(0).abs().max() < 0.6


def test_a_turn_keeps_the_distance_from_the_middle() -> None:
    torch.manual_seed(1)
    turned = places(augmented(spot(200, row=16, column=24), Augmentation(rotate=90)))
    torch.testing.assert_close(turned.norm(dim=1), torch.full((200,), 8.0), atol=0.2, rtol=0)
    angles = torch.atan2(turned[:, 0], turned[:, 1]).abs()
    assert math.radians(80) < angles.max() < math.radians(92)


def test_a_scale_changes_distances_by_its_exponential() -> None:
    torch.manual_seed(2)
    scaled = places(augmented(spot(300, row=16, column=22), Augmentation(scale=0.5)))
    assert scaled[:, 0].abs().max() < 0.1
    distances = scaled[:, 1] / 6
    assert math.exp(-0.5) * 0.95 < distances.min() < math.exp(-0.5) * 1.1
    assert math.exp(0.5) * 0.9 < distances.max() < math.exp(0.5) * 1.05


def test_a_flip_exchanges_left_and_right_for_half_of_the_images() -> None:
    torch.manual_seed(3)
    images = torch.randn(200, 1, 8, 8)
    flipped = augmented(images, Augmentation(flip=True))
    same = (flipped - images).flatten(1).abs().amax(1) < 1e-4
    mirrored = (flipped - images.flip(-1)).flatten(1).abs().amax(1) < 1e-4
    assert (same ^ mirrored).all()
    assert 70 < same.sum() < 130


def test_a_cutout_hides_a_rectangle_of_half_of_the_images() -> None:
    torch.manual_seed(4)
    hidden = augmented(torch.ones(400, 1, 20, 20), Augmentation(cutout=0.5)) == 0
    count = hidden.flatten(1).sum(1)
    assert 140 < (count > 0).sum() < 220
    assert count.max() <= 121
    for own in hidden[count > 0, 0][:20]:
        rows, columns = own.any(1).sum(), own.any(0).sum()
        assert own.sum() == rows * columns


@pytest.mark.parametrize("by", [Augmentation(elastic=0.05), Augmentation(light=0.3), Augmentation(stretch=0.2)])
def test_every_image_is_changed_in_its_own_way(by: Augmentation) -> None:
    torch.manual_seed(5)
    images = spot(4, row=10, column=20)
    one = augmented(images, by)
    assert all((own - images[0]).abs().max() > 1e-2 for own in one)
    assert all((own - one[0]).abs().max() > 1e-2 for own in one[1:])
    torch.manual_seed(5)
    assert augmented(images, by).equal(one)
