"""Average precision and matching, against a plain reckoning and against faster-coco-eval's own overlaps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval import mask

from memfold.data.boxes import BoxedImages
from memfold.tasks.detect.baselines import mean_boxes
from memfold.tasks.detect.scores import Boxes, best_thresholds, judged, overlaps, precision_of, right


def some_boxes(rng: np.random.Generator, count: int, classes: int = 2) -> Boxes:
    boxes = np.column_stack([rng.uniform(0, 60, (count, 2)), rng.uniform(10, 40, (count, 2))]).astype(np.float32)
    return Boxes(boxes, rng.integers(0, classes, count), rng.permutation(count).astype(np.float32) / count + 0.01)


def shaken(truth: Boxes, rng: np.random.Generator, false: int) -> Boxes:
    """Nearly the true boxes, some wrong ones beside them."""
    extra = some_boxes(rng, false)
    boxes = np.concatenate([truth.boxes + rng.normal(0, 3, truth.boxes.shape), extra.boxes]).astype(np.float32)
    labels = np.concatenate([truth.labels, extra.labels])
    return Boxes(boxes, labels, rng.permutation(len(labels)).astype(np.float32) / 100 + 0.01)


def plain_average_precision(truth: list[Boxes], found: list[Boxes], label: int, least: float) -> float:
    """COCO's, box by box: the mean over 101 recalls of the best precision at that recall or a higher one."""
    rows = [
        (score, image, box)
        for image, own in enumerate(found)
        for score, kind, box in zip(own.scores, own.labels, own.boxes, strict=True)
        if kind == label
    ]
    wanted = sum(int((own.labels == label).sum()) for own in truth)
    free = [{row for row, kind in enumerate(own.labels) if kind == label} for own in truth]
    hits, points = 0, []
    for predicted, (_, image, box) in enumerate(sorted(rows, key=lambda row: -row[0]), start=1):
        best, best_overlap = None, least
        for row in sorted(free[image]):
            shared = overlaps(box[None], truth[image].boxes[row][None]).item()
            if shared >= best_overlap:
                best, best_overlap = row, shared
        if best is not None:
            free[image].remove(best)
            hits += 1
        points.append((hits / wanted, hits / predicted))
    recalls = np.linspace(0, 1, 101)
    return float(np.mean([max((p for r, p in points if r >= recall), default=0.0) for recall in recalls]))


def test_average_precision_is_that_of_a_plain_reckoning() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        truth = [some_boxes(rng, int(rng.integers(1, 9))) for _ in range(6)]
        found = [shaken(own, rng, 3) for own in truth]
        unique = np.random.default_rng(9).permutation(sum(len(own.scores) for own in found)) / 1000 + 0.01
        cuts = np.cumsum([len(own.scores) for own in found])[:-1]
        scores = np.split(unique.astype(np.float32), cuts)
        found = [Boxes(own.boxes, own.labels, s) for own, s in zip(found, scores, strict=True)]
        ours = precision_of(truth, found, 2)
        for label in range(2):
            by_overlap = [plain_average_precision(truth, found, label, k / 100) for k in range(50, 100, 5)]
            assert ours.by_class50[label] == pytest.approx(by_overlap[0], abs=1e-6)
            assert ours.by_class[label] == pytest.approx(np.mean(by_overlap), abs=1e-6)
        assert ours.map50 == pytest.approx(ours.by_class50.mean())
        assert ours.curves.shape == (2, 101)


def test_what_is_ignored_counts_neither_as_right_nor_as_wrong() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        truth = [some_boxes(rng, int(rng.integers(2, 7))) for _ in range(6)]
        found = [shaken(own, rng, 3) for own in truth]
        corner = np.array([[500, 500, 20, 20], [800, 500, 20, 20]], np.float32)
        near = np.array([[500, 500, 20, 20], [501, 500, 20, 20], [502, 501, 20, 20]], np.float32)
        marked = [
            replace(
                own,
                boxes=np.concatenate([own.boxes, corner]),
                labels=np.append(own.labels, [0, 1]),
                scores=np.append(own.scores, [1, 1]),
                ignored=np.arange(len(own.labels) + 2) >= len(own.labels),
            )
            for own in truth
        ]
        more = [
            Boxes(
                np.concatenate([own.boxes, near]),
                np.append(own.labels, [0, 0, 0]),
                np.append(own.scores, np.array([0.99, 0.5, 0.3], np.float32)),
            )
            for own in found
        ]
        plain, ours = precision_of(truth, found, 2), precision_of(marked, more, 2)
        assert ours.map50 == pytest.approx(plain.map50)
        wrong = precision_of(truth, more, 2)
        assert wrong.map50 < plain.map50
        kept_truth, kept = judged(marked, more)
        assert [len(own.labels) for own in kept_truth] == [len(own.labels) for own in truth]
        assert [len(own.labels) for own in kept] == [len(own.labels) for own in found]


def test_true_boxes_are_perfect_nothing_is_worth_nothing_and_absent_classes_do_not_count() -> None:
    truth = [some_boxes(np.random.default_rng(k), 5) for k in range(3)]
    perfect = precision_of(truth, truth, 4)
    assert (perfect.map50, perfect.map) == (pytest.approx(1), pytest.approx(1))
    assert np.isnan(perfect.by_class50[2:]).all()
    none = Boxes(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32))
    assert precision_of(truth, [none] * 3, 4).map50 == 0


def test_overlaps_are_those_of_faster_coco_eval() -> None:
    rng = np.random.default_rng(1)
    one, two = some_boxes(rng, 20).boxes, some_boxes(rng, 30).boxes
    theirs = mask.iou(one.astype(np.float64), two.astype(np.float64), [0] * len(two))
    np.testing.assert_allclose(overlaps(one, two), theirs, atol=1e-6)


def test_every_true_box_is_found_once_by_the_highest_score_of_its_class() -> None:
    truth = Boxes(np.array([[0, 0, 10, 10], [50, 0, 10, 10]], np.float32), np.array([0, 1]), np.ones(2, np.float32))
    boxes = np.array([[1, 0, 10, 10], [0, 0, 10, 10], [50, 0, 10, 10], [50, 1, 10, 10]], np.float32)
    found = Boxes(boxes, np.array([0, 0, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6], np.float32))
    assert right(truth, found).tolist() == [0, -1, -1, 1]


def test_thresholds_are_where_the_f1_of_each_class_is_highest() -> None:
    rng = np.random.default_rng(2)
    truth = [some_boxes(rng, 6) for _ in range(5)]
    found = [shaken(own, rng, 6) for own in truth]
    thresholds = best_thresholds(truth, found, 3)

    def f1(label: int, least: float) -> float:
        kept = [own.at_least(np.where(np.arange(3) == label, least, 2.0)) for own in found]
        hits = sum(int((right(a, b) >= 0).sum()) for a, b in zip(truth, kept, strict=True))
        wanted = sum(int((own.labels == label).sum()) for own in truth)
        return 2 * hits / (sum(len(own.labels) for own in kept) + wanted)

    for label in range(2):
        assert f1(label, thresholds[label]) == max(f1(label, score) for own in found for score in own.scores)
    assert thresholds[2] == pytest.approx(thresholds[:2].mean())
    nothing = [Boxes(own.boxes + 1000, own.labels, own.scores) for own in truth]
    assert best_thresholds(truth, nothing, 3).tolist() == [0.5, 0.5, 0.5]


def test_mean_boxes_are_where_the_things_are() -> None:
    rng = np.random.default_rng(0)
    boxes, labels = [], []
    for _ in range(30):
        near = rng.normal(0, 1, (3, 2))
        boxes.append(
            np.column_stack([near + np.array([[20, 20], [70, 20], [45, 60]]), [[10, 20]] * 3]).astype(np.float32)
        )
        labels.append(["a", "a", "b"])
    images = BoxedImages("made", [Path("a.png")] * 30, [(100, 100)] * 30, boxes, labels)
    means = mean_boxes(images, ["a", "b"])
    found = means.of((200, 50))
    order = np.lexsort((found.boxes[:, 0], found.labels))
    assert found.labels[order].tolist() == [0, 0, 1]
    expected = np.array([[40, 10, 20, 10], [140, 10, 20, 10], [90, 30, 20, 10]])
    np.testing.assert_allclose(found.boxes[order], expected, atol=1.5)
    assert found.scores.tolist() == [1, 1, 1]
