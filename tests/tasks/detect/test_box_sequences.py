"""Boxes as sequences of cells and back, by properties; the matching against scipy's, the loss against its formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from memfold.tasks.detect.network import CELL, LENGTH, DetectorNetwork, DetectorSize, grid_of
from memfold.tasks.detect.scores import overlaps
from memfold.tasks.detect.sequence import (
    BOX_WEIGHT,
    CellTargets,
    cells_of,
    matched,
    sequence_loss,
    stitched,
    suppressed,
)

CLASSES, SIZE, COUNT = 3, 16, (4, 5)  # classes, pixels of a cell, rows and columns of them
Batch = list[tuple[torch.Tensor, torch.Tensor]]


@st.composite
def pictures_of_boxes(draw: st.DrawFn) -> Batch:
    """Boxes of some pictures that hardly overlap, and their classes."""
    batch = []
    for _ in range(draw(st.integers(1, 3))):
        places = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 7)), unique=True, max_size=12))
        sizes = [(draw(st.floats(2, 9)), draw(st.floats(2, 9))) for _ in places]
        rows = [[8 * x + 4 - w / 2, 8 * y + 4 - h / 2, w, h] for (x, y), (w, h) in zip(places, sizes, strict=True)]
        labels = draw(st.lists(st.integers(0, CLASSES - 1), min_size=len(rows), max_size=len(rows)))
        batch.append((torch.tensor(rows).reshape(-1, 4), torch.tensor(labels, dtype=torch.long)))
    return batch


def targets_in(batch: Batch, length: int = 4) -> CellTargets:
    return cells_of(*zip(*batch, strict=True), COUNT, SIZE, length)


def perfect(targets: CellTargets, cells: int, length: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """What a network that knows everything predicts: the true boxes in their order, then none."""
    logits, offsets = torch.zeros(cells, length, CLASSES + 1), torch.zeros(cells, length, 4)
    kinds = torch.full((cells, length), CLASSES)
    row, place = targets.there.nonzero(as_tuple=True)
    kinds[targets.cells[row], place] = targets.labels[row, place]
    offsets[targets.cells[row], place] = targets.boxes[row, place]
    return logits.scatter(2, kinds[..., None], 30.0), offsets


@settings(deadline=None, max_examples=25)
@given(pictures_of_boxes())
def test_what_a_perfect_network_predicts_is_the_boxes(batch: Batch) -> None:
    targets = targets_in(batch)
    logits, offsets = perfect(targets, len(batch) * COUNT[0] * COUNT[1])
    assert sequence_loss(logits, offsets, targets) < 1e-6
    for found, labels, scores, (boxes, truth) in zip(*stitched(logits, offsets, COUNT, SIZE, 40), batch, strict=True):
        certain = scores > 0.5
        assert certain.sum() == len(boxes)
        assert (scores.diff() <= 0).all()
        if len(boxes):
            nearest = torch.cdist(found[certain], boxes).argmin(1)
            assert sorted(nearest.tolist()) == list(range(len(boxes)))
            torch.testing.assert_close(found[certain], boxes[nearest], atol=1e-3, rtol=1e-4)
            assert labels[certain].tolist() == truth[nearest].tolist()


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 5), st.integers(0, 2**31 - 1))
def test_the_matching_is_scipys(length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, length + 1, size=6)
    there = np.arange(counts.max()) < counts[:, None]
    boxes = rng.normal(0, 0.4, (6, counts.max(), 4)).astype(np.float32)
    offsets = rng.normal(0, 0.4, (6, length, 4)).astype(np.float32)
    targets = CellTargets(
        torch.arange(6), *(torch.from_numpy(own) for own in (boxes, np.zeros(there.shape, np.int64), there))
    )
    answers = matched(torch.from_numpy(offsets), targets).numpy()
    for cell, count in enumerate(counts):
        one, two = offsets[cell][:, None].astype(float), boxes[cell][None, :count].astype(float)
        away = np.abs(one - two)
        outside = (away[..., :2] > np.exp(two[..., 2:]) / 2).any(2)
        cost = 1e8 * outside + 1e4 * np.arange(length)[:, None] + away.sum(2)
        steps, places = linear_sum_assignment(cost)
        assert cost[answers[cell, :count], range(count)].sum() == pytest.approx(cost[steps, places].sum(), abs=1e-5)
        assert len(set(answers[cell, :count])) == count


def test_a_step_that_is_near_is_better_than_an_early_one_and_an_early_one_than_the_nearest() -> None:
    box = torch.zeros(1, 1, 4)
    targets = CellTargets(torch.tensor([0]), box, torch.tensor([[1]]), torch.tensor([[True]]))
    far, close, exact = torch.tensor([[0.6, 0, 0, 0], [0.4, 0, 0, 0], [0, 0, 0, 0.0]])
    assert matched(torch.stack([far, close, exact])[None], targets).tolist() == [[1]]
    assert matched(torch.stack([far, far, exact])[None], targets).tolist() == [[2]]
    assert matched(torch.stack([far, far, far])[None], targets).tolist() == [[0]]


def test_the_loss_is_its_formula() -> None:
    batch = [(torch.tensor([[2.0, 2, 8, 8], [3, 5, 9, 10], [60, 30, 16, 20]]), torch.tensor([0, 2, 1]))]
    targets, cells = targets_in(batch), COUNT[0] * COUNT[1]
    rng = np.random.default_rng(0)
    logits, offsets = (torch.from_numpy(rng.normal(size=(cells, 4, n))) for n in (CLASSES + 1, 4))
    p, total = torch.log_softmax(logits, 2).numpy(), 0.0
    steps = matched(offsets[targets.cells], targets)
    kinds = np.full((cells, 4), CLASSES)
    for row, place in targets.there.nonzero().tolist():
        cell, step = int(targets.cells[row]), int(steps[row, place])
        kinds[cell, step] = targets.labels[row, place]
        total += BOX_WEIGHT * np.abs(offsets[cell, step].numpy() - targets.boxes[row, place].numpy()).sum()
    total -= sum(p[cell, step, kinds[cell, step]] for cell in range(cells) for step in range(4))
    assert sequence_loss(logits, offsets, targets).item() == pytest.approx(total / 3)


def test_a_picture_without_boxes_teaches_that_there_is_none() -> None:
    nothing = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    targets, cells = targets_in([nothing, nothing]), 2 * COUNT[0] * COUNT[1]
    logits, offsets = perfect(targets, cells)
    assert sequence_loss(logits, offsets, targets) < 1e-6
    assert sequence_loss(logits.roll(1, 2), offsets, targets) > 10


def test_a_full_cell_leaves_boxes_out_and_one_outside_goes_to_the_nearest_cell() -> None:
    crowd = torch.tensor([[1.0, 1, 2, 2], [2, 2, 2, 2], [3, 3, 2, 2], [-6, 60, 8, 12]])
    targets = targets_in([(crowd, torch.tensor([0, 1, 2, 0]))], length=2)
    assert targets.cells.tolist() == [0, 15]
    assert targets.there.tolist() == [[True, True], [True, False]]
    assert targets.labels[0].tolist() == [0, 1]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31 - 1))
def test_boxes_are_suppressed_one_after_another(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.uniform(0, 6, (2, 20, 2)), rng.uniform(3, 9, (2, 20, 2))], 2).astype(np.float32)
    labels = rng.integers(0, 2, (2, 20))
    out = suppressed(torch.from_numpy(boxes), torch.from_numpy(labels)).numpy()
    for picture in range(2):
        matrix, kept = overlaps(boxes[picture], boxes[picture]), []
        for row in range(20):
            if all(matrix[row, k] < 0.5 for k in kept if labels[picture, k] == labels[picture, row]):
                kept.append(row)
        assert np.flatnonzero(~out[picture]).tolist() == kept


def test_every_cell_of_every_picture_has_its_sequence() -> None:
    torch.manual_seed(0)
    network = DetectorNetwork(DetectorSize(CLASSES, 8, 1, 8, "sequence")).eval()
    pixels = torch.rand(2, 3, 48, 80)
    cells = grid_of(48, 80)
    assert cells == (-(-48 // CELL), -(-80 // CELL))
    with torch.no_grad():
        logits, offsets = network(pixels)
        second = network(pixels[1:])
    assert logits.shape == (2 * cells[0] * cells[1], LENGTH, CLASSES + 1)
    assert offsets.shape == (*logits.shape[:2], 4)
    torch.testing.assert_close(logits[cells[0] * cells[1] :], second[0], atol=1e-4, rtol=1e-4)
    assert logits.softmax(2)[..., :CLASSES].sum(2).max() < 0.5  # few of them have a box
