"""Boxes as maps and back, by properties; the losses against their formulas."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.tasks.detect.scores import overlaps
from memfold.tasks.detect.targets import gaussian_radius, peaks, targets_of
from memfold.tasks.detect.training import box_loss, heat_loss

STRIDE, CLASSES, SHAPE = 4, 3, (12, 16)


@st.composite
def boxes_apart(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes whose centres are three cells apart at least, and their classes."""
    places = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), unique=True, min_size=1, max_size=8))
    inner = st.floats(0.01, 0.99)
    rows = []
    for down, across in places:
        middle = STRIDE * np.array([3 * across + 0.5 + draw(inner), 3 * down + 0.5 + draw(inner)])
        size = np.array([draw(st.floats(2, 40)), draw(st.floats(2, 40))])
        rows.append([*(middle - size / 2), *size])
    labels = draw(st.lists(st.integers(0, CLASSES - 1), min_size=len(rows), max_size=len(rows)))
    return torch.tensor(rows, dtype=torch.float32), torch.tensor(labels)


def maps_of(batch: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Clean maps: the targets' own heat, and at every centre its target."""
    targets = targets_of(*zip(*batch, strict=True), CLASSES, SHAPE, STRIDE)
    offsets = torch.zeros(len(batch), 4, *SHAPE)
    at_centre = targets.weights == 1
    image, row, column = targets.places[at_centre].T
    offsets[image, :, row, column] = targets.boxes[at_centre]
    return targets.heat, offsets


@settings(deadline=None, max_examples=25)
@given(st.lists(boxes_apart(), min_size=1, max_size=3))
def test_the_peaks_of_clean_maps_are_the_boxes(batch: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    heat, offsets = maps_of(batch)
    for found, labels, scores, (boxes, truth) in zip(*peaks(heat, offsets, STRIDE, 20), batch, strict=True):
        certain = scores == 1
        assert certain.sum() == len(boxes)
        nearest = torch.cdist(found[certain], boxes).argmin(1)
        assert sorted(nearest.tolist()) == list(range(len(boxes)))
        torch.testing.assert_close(found[certain], boxes[nearest], atol=1e-3, rtol=1e-4)
        assert labels[certain].tolist() == truth[nearest].tolist()
        assert (scores.diff() <= 0).all()


def test_an_image_without_boxes_has_cold_maps() -> None:
    none, one = torch.zeros(0, 4), torch.tensor([[4.0, 4, 8, 8]])
    targets = targets_of([none, one], [torch.zeros(0, dtype=torch.long), torch.tensor([1])], CLASSES, SHAPE, STRIDE)
    assert targets.heat[0].max() == 0
    assert targets.heat[1].amax((1, 2)).tolist() == [0, 1, 0]
    assert (targets.places[:, 0] == 1).all()


def test_cells_outside_the_map_are_not_asked() -> None:
    corners = torch.tensor([[-4.0, -4, 8, 8], [62, 46, 4, 4]])
    targets = targets_of([corners], [torch.tensor([0, 0])], CLASSES, SHAPE, STRIDE)
    assert len(targets.places) == 8
    assert (targets.places >= 0).all()
    assert (targets.places < torch.tensor([1, *SHAPE])).all()


@given(st.floats(1, 300), st.floats(1, 300))
def test_a_box_off_by_the_radius_overlaps_by_seven_tenths(width: float, height: float) -> None:
    radius = gaussian_radius(torch.tensor([[width, height]], dtype=torch.float64)).item()
    true = np.array([[0, 0, width, height]])
    off = np.array(
        [
            [radius, radius, width, height],
            [radius, radius, width - 2 * radius, height - 2 * radius],
            [-radius, -radius, width + 2 * radius, height + 2 * radius],
        ]
    )
    found = overlaps(true, off)
    assert found.min() == pytest.approx(0.7, abs=1e-6)


def test_the_heat_loss_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 4, 5))
    heat = rng.uniform(0, 0.99, size=logits.shape)
    heat[0, 1, 2, 3] = heat[1, 0, 0, 0] = 1
    total = 0.0
    for z, y in zip(logits.flat, heat.flat, strict=True):
        p = 1 / (1 + math.exp(-z))
        total -= (1 - p) ** 2 * math.log(p) if y == 1 else (1 - y) ** 4 * p**2 * math.log(1 - p)
    assert heat_loss(torch.from_numpy(logits), torch.from_numpy(heat)).item() == pytest.approx(total / 2)


def test_the_losses_of_clean_maps_are_least() -> None:
    batch = [(torch.tensor([[8.0, 8, 12, 16], [40, 20, 8, 8]]), torch.tensor([0, 2]))]
    targets = targets_of(*zip(*batch, strict=True), CLASSES, SHAPE, STRIDE)
    offsets = torch.zeros(1, 4, *SHAPE)
    image, row, column = targets.places.T
    offsets[image, :, row, column] = targets.boxes
    assert box_loss(offsets, targets).item() == 0
    assert box_loss(offsets + 0.5, targets).item() == pytest.approx(2)
    sharp = torch.where(targets.heat == 1, 20.0, -20.0)
    assert heat_loss(sharp, targets.heat) < 1e-6 < heat_loss(-sharp, targets.heat)
    assert heat_loss(torch.full((1, 3, 4, 4), -9.0), torch.zeros(1, 3, 4, 4)).isfinite()
