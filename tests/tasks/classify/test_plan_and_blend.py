"""What a classifier chooses by its images, and how it weighs its two parts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import memfold
from memfold.tasks import ImageClassifier
from memfold.tasks.classify.blend import best_blend
from memfold.tasks.classify.plan import Facts, folds_of, plan
from tasks.vision.shapes import write_shapes

PHOTOGRAPHS = Facts(side=160, images=200, classes=2, fewest=90, most=110, mirrored=True)
MINUTES = 180.0


@pytest.mark.parametrize("side", [8, 12, 28, 50, 100, 160])
@pytest.mark.parametrize("images", [10, 1_000, 100_000])
def test_images_are_never_made_larger(side: int, images: int) -> None:
    values = plan(replace(PHOTOGRAPHS, side=side, images=images), MINUTES, 0.5).values
    assert values["size"] <= side
    assert values["stem_stride"] <= values["size"]


def test_more_time_gives_larger_images_and_more_images_smaller_ones() -> None:
    sizes = [plan(PHOTOGRAPHS, seconds, 1.0).values["size"] for seconds in (10, 60, 600, 6_000)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] == 160
    counts = [plan(replace(PHOTOGRAPHS, images=n), MINUTES, 1.0).values["size"] for n in (100, 1_000, 10_000)]
    assert counts == sorted(counts, reverse=True)


def test_what_was_set_is_reckoned_with() -> None:
    values = plan(PHOTOGRAPHS, MINUTES, 1.0, size=48, stride=2).values
    assert (values["size"], values["stem_stride"]) == (48, 2)
    small, large = (plan(PHOTOGRAPHS, MINUTES, 1.0, size=size).epochs for size in (32, 160))
    assert small > large  # type: ignore[operator]


def test_few_images_are_validated_on_more_of_them() -> None:
    shares = [1 / folds_of(count) for count in (20, 245, 600, 2_000, 60_000)]
    assert shares == sorted(shares, reverse=True)
    assert (shares[0], shares[-1]) == (0.2, 0.05)


def opinions(truth: np.ndarray, right: float, sure: float, seed: int) -> np.ndarray:
    """Log-probabilities of two classes, right so often, each so sure."""
    rng = np.random.default_rng(seed)
    answers = np.where(rng.random(len(truth)) < right, truth, 1 - truth)
    return np.log(np.where(answers[:, None] == np.arange(2), sure, 1 - sure))


def test_the_blend_leans_on_the_better_part_and_is_as_sure_as_it_is_right() -> None:
    truth = np.random.default_rng(0).integers(2, size=4_000)
    good, poor = opinions(truth, 0.9, 0.999, 1), opinions(truth, 0.55, 0.999, 2)
    blend = best_blend(good, poor, truth)
    assert blend.share > 0.8
    assert best_blend(poor, good, truth).share < 0.2
    sure = np.exp(blend.of(good, poor)).max(1).mean()
    assert sure == pytest.approx(0.9, abs=0.02)
    np.testing.assert_allclose(np.exp(blend.of(good, poor)).sum(1), 1)


def test_a_part_without_a_share_is_not_asked() -> None:
    truth = np.random.default_rng(0).integers(2, size=4_000)
    blend = best_blend(opinions(truth, 0.95, 0.95, 1), np.zeros((4_000, 2)), truth)
    network = opinions(truth, 0.95, 0.95, 1)
    np.testing.assert_allclose(blend.of(network, np.zeros((4_000, 2))).argmax(1), network.argmax(1))


def test_a_plan_is_made_kept_and_answered_by(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "shapes", 12)
    small = {"channels": 8, "blocks": 1, "hidden_size": 4}
    model = ImageClassifier(**small).fit(folder, budget="1ep", progress=False)
    assert model.plan_.keys() - {"precision"} == {"size", "stem_stride", "batch_size", "flip"}
    assert model.plan_["size"] == 16
    assert model.size is None
    assert model.contest_ is not None
    assert set(model.contest_.scores) == {"memfold", *model.evaluate(folder).baselines}
    model.save(tmp_path / "m")
    assert memfold.load(tmp_path / "m").predict(folder).equals(model.predict(folder))


def test_large_images_are_read_alike_in_fitting_and_predicting(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label, bright in (("dark", 60), ("light", 180)):
        (tmp_path / label).mkdir()
        for number in range(6):
            pixels = rng.normal(bright, 20, (300, 200, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    small = {"size": None, "channels": 8, "blocks": 1, "hidden_size": 4}
    fit = ImageClassifier(**small)
    examples = fit.read(tmp_path)
    assert examples.pixels.shape[2] == 160
    model = fit.fit(tmp_path, budget="1ep", progress=False)
    np.testing.assert_array_equal(model.read(tmp_path).pixels, model.read(examples).pixels)
    assert model.seen_ == ImageClassifier(**small).fit(examples, budget="1ep", progress=False).seen_
