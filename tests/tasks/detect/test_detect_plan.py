"""What a detector chooses by its boxes, and how it joins the commonest boxes to its own."""

from pathlib import Path

import numpy as np
import pytest

from memfold.data.boxes import BoxedImages
from memfold.tasks import ObjectDetector
from memfold.tasks.detect.baselines import common_boxes
from memfold.tasks.detect.blend import best_share, blended
from memfold.tasks.detect.plan import Facts, flips_of, plan, share_held_out
from memfold.tasks.detect.scores import Boxes
from tasks.detect.scenes import scenes, write_voc

ANIMALS = Facts(side=320, aspect=0.7, images=100, boxes=150, classes=1, small=0.3, flips="horizontal")


def facts(**changes: object) -> Facts:
    return Facts(**{**vars(ANIMALS), **changes})  # type: ignore[arg-type]


def test_small_things_need_larger_images() -> None:
    sizes = [plan(facts(small=small), 1_800, 1.0).values["size"] for small in (0.5, 0.08, 0.05)]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == 320


@pytest.mark.parametrize("side", [40, 90, 200])
@pytest.mark.parametrize("small", [0.02, 0.2, 0.9])
def test_images_are_never_made_larger(side: int, small: float) -> None:
    assert plan(facts(side=side, small=small), 180, 0.5).values["size"] <= side


def test_little_time_gives_smaller_images_and_what_was_set_stays() -> None:
    quick, slow = (plan(facts(small=0.06), seconds, 0.5).values["size"] for seconds in (60, 6_000))
    assert quick < slow
    assert plan(ANIMALS, 60, 0.5, size=200).values["size"] == 200


def test_of_few_images_more_are_held_out() -> None:
    assert [share_held_out(count) for count in (20, 400, 5_000)] == [0.25, 0.15, 0.1]


def test_squares_and_discs_know_no_direction(tmp_path: Path) -> None:
    images = ObjectDetector(size=80).read(write_voc(tmp_path, scenes(40)))
    assert flips_of(images) == "all"


def boxes_of(rows: list[tuple[float, ...]], scores: list[float]) -> Boxes:
    array = np.array(rows, np.float32).reshape(-1, 4)
    return Boxes(array, np.zeros(len(array), np.int64), np.array(scores, np.float32))


def test_the_commonest_box_is_right_where_the_most_are() -> None:
    near = [(10 + k, 10, 40, 40) for k in range(6)]
    boxes = [np.array([box], np.float32) for box in [*near, (60, 60, 30, 30), (61, 60, 30, 30)]]
    images = BoxedImages("x", [Path(f"{k}") for k in range(8)], [(100, 100)] * 8, boxes, [["a"]] * 8)
    common = common_boxes(images, ["a"])
    assert common.scores == [0.75, 0.25]
    assert common.boxes[0][0] == pytest.approx(0.12, abs=0.04)
    assert common.boxes[1][0] == pytest.approx(0.6, abs=0.02)


def test_a_share_orders_the_boxes_of_both() -> None:
    network = boxes_of([(0, 0, 10, 10), (50, 50, 10, 10)], [0.9, 0.2])
    common = boxes_of([(0, 0, 10, 10), (80, 80, 10, 10)], [0.8, 0.4])
    assert blended(network, common, 1.0) is network
    assert blended(network, common, 0.0).scores.tolist() == common.scores.tolist()
    both = blended(network, common, 0.5)
    assert both.boxes[:, 0].tolist() == [0, 80, 50]  # the box that both found stands once
    np.testing.assert_allclose(both.scores, [0.9, 0.4, 0.2])
    assert blended(network, common, 0.25).boxes[0].tolist() == common.boxes[0].tolist()


def test_the_better_boxes_have_the_answer() -> None:
    rng = np.random.default_rng(0)
    truth = [boxes_of([(*rng.uniform(0, 60, 2), 30, 30)], [1.0]) for _ in range(40)]
    lost = [boxes_of([(70, 0, 9, 9)], [0.9]) for _ in truth]
    assert best_share(truth, truth, lost, 1) > 0
    assert best_share(truth, lost, truth, 1) == 0
    answers = [blended(*pair, best_share(truth, truth, lost, 1)) for pair in zip(truth, lost, strict=True)]
    assert all(answer.boxes[0].tolist() == true.boxes[0].tolist() for answer, true in zip(answers, truth, strict=True))
