"""Pictures augmented at random: their boxes stay around the same things."""

import numpy as np
import pytest
import torch
from PIL import Image

from memfold.data.boxes import BoxedImages
from memfold.tasks.detect import pictures
from memfold.tasks.detect.choices import Flips
from memfold.tasks.detect.pictures import Picture, augmented_picture, canvas_of, pictures_of

COLOURS = torch.tensor([[k >> bit & 1 for bit in range(3)] for k in range(1, 7)])


def painted(rng: np.random.Generator, first: int = 0) -> Picture:
    """Three boxes, each of the colour of its class, on black."""
    width, height = 90, 60
    pixels = torch.zeros(3, height, width, dtype=torch.uint8)
    rows = []
    for k, left in enumerate((4, 34, 64)):
        w, h = rng.integers(12, 24, 2).tolist()
        top = int(rng.integers(1, height - h))
        pixels[:, top : top + h, left : left + w] = 250 * COLOURS[first + k][:, None, None]
        rows.append([left, top, w, h])
    return Picture(pixels, torch.tensor(rows, dtype=torch.float32), torch.arange(first, first + 3), 1.0)


def two(rng: np.random.Generator) -> tuple[Picture, Picture]:
    return painted(rng), painted(rng, first=3)


@pytest.mark.parametrize("flips", ["none", "horizontal", "all"])
def test_boxes_move_with_their_things(flips: Flips, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a colour is on the canvas, its box is, up to a blended pixel at each side."""
    monkeypatch.setattr(pictures, "TINT", 0.0)  # the colours fade alike where they are blended
    seen = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        pixels, boxes, labels = augmented_picture(two(rng), (64, 96), flips, rng)
        assert pixels.shape == (3, 64, 96)
        assert pixels.dtype == torch.float32
        for box, label in zip(boxes, labels.tolist(), strict=True):
            painted_so = (pixels > 0.5) == COLOURS[label].bool()[:, None, None]
            down, across = torch.nonzero(painted_so.all(0), as_tuple=True)
            hull = torch.stack([across.min(), down.min(), across.max() + 1, down.max() + 1])
            true = torch.cat([box[:2], box[:2] + box[2:]])
            assert (hull - true).abs().max() < 2, (seed, label)
            seen.add(label)
    assert seen == set(range(6))


@pytest.mark.parametrize(("flips", "mirrored", "upright"), [("none", 0, 1), ("horizontal", 1, 1), ("all", 1, 0)])
def test_only_what_is_allowed_is_exchanged(flips: Flips, mirrored: int, upright: int) -> None:
    """Red is left of green, and both wider apart than high, unless it may be otherwise."""
    left_of, beside, seen = [], [], 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        _, boxes, labels = augmented_picture(two(rng), (64, 96), flips, rng)
        if sorted(labels.tolist()) != [0, 1, 2]:
            continue
        middles = (boxes[:, :2] + boxes[:, 2:] / 2)[labels.argsort()]
        across, down = (middles[2] - middles[0]).tolist()
        left_of.append(across > 0)
        beside.append(abs(across) > abs(down))
        seen += 1
    assert seen > 8
    assert all(left_of) == (not mirrored)
    assert all(beside) == bool(upright)


def test_images_are_read_at_the_working_size(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("images")
    whole = painted(np.random.default_rng(0))
    array = whole.pixels.permute(1, 2, 0).numpy()
    Image.fromarray(array).resize((360, 240), Image.Resampling.NEAREST).save(folder / "a.png")
    Image.fromarray(array[..., 0]).save(folder / "grey.png")
    boxes = [4 * whole.boxes.numpy(), whole.boxes.numpy()[:1]]
    images = BoxedImages(
        "made", [folder / "a.png", folder / "grey.png"], [(360, 240), (90, 60)], boxes, [["r", "g", "b"], ["g"]]
    )
    big, grey = pictures_of(images.at(90), ["r", "g", "b"])
    assert big.pixels.shape == grey.pixels.shape == (3, 60, 90)
    assert big.scale == 4
    torch.testing.assert_close(big.boxes, whole.boxes)
    assert grey.labels.tolist() == [1]
    assert (big.pixels.int() - whole.pixels.int()).abs().float().mean() < 1
    assert canvas_of([big, grey], 16) == (64, 96)
