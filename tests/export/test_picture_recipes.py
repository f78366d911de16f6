"""Recipes of models of pictures: every part of an answer is in them, and what has no share is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export.parts import by_torch, examples_agree
from memfold.tasks.classify import ImageClassifier
from memfold.tasks.detect import ObjectDetector
from memfold.tasks.faces import FaceRecognizer
from tasks.small import SMALL, Small


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return SMALL["classify"](tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="module")
def classifier(squares: Small) -> ImageClassifier:
    model = squares.fitted(budget="1ep")
    assert isinstance(model, ImageClassifier)
    return model


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_classifier_answers_by_all_that_has_a_share(
    share: float, classifier: ImageClassifier, squares: Small
) -> None:
    classifier.blend_ = replace(classifier.blend_, share=share, temperature=0.7)
    recipe = classifier.recipe()
    examples_agree(recipe)
    through = classifier.through(by_torch(recipe))
    pixels = np.tile(squares.X[:, None], (20, 1, 1, 1))  # more than are given to a part at once
    np.testing.assert_allclose(through.probabilities(pixels), classifier.probabilities(pixels), atol=1e-6)
    names = {name.partition(".")[0] for name in recipe.parts[0].module.state_dict()}
    assert ("kernel" in names, "backbone" in names) == (share < 1, share > 0)


def test_faces_are_as_near_to_the_gallery_as_the_model_has_them(tmp_path: Path) -> None:
    small = SMALL["faces"](tmp_path)
    model = small.fitted(budget="1ep")
    assert isinstance(model, FaceRecognizer)
    model.eigen_share_ = 0.3
    model.network_.gallery = torch.from_numpy(model.embeddings(small.X[:, None]))
    recipe = model.recipe()
    run = by_torch(recipe)["model"]
    answer = run(pixels=small.X[:4, None])
    assert answer["similarity"].shape == (4, len(recipe.around["gallery"]))
    np.testing.assert_allclose(answer["similarity"][range(4), range(4)], 1, atol=1e-5)
    np.testing.assert_allclose(answer["similarity"], answer["embedding"] @ model.network_.gallery.numpy().T, atol=1e-6)
    table, through = (one.predict(list(small.X)) for one in (model, model.through({"model": run})))
    np.testing.assert_allclose(through["similarity"], table["similarity"], atol=1e-5)


@pytest.fixture(scope="module", params=["centres", "sequence"])
def detector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ObjectDetector:
    small = SMALL["detect"](tmp_path_factory.mktemp("scenes"))
    model = small.model(head=request.param).fit(small.X, small.y, budget="1ep", progress=False)
    assert isinstance(model, ObjectDetector)
    return model


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_detector_answers_by_all_that_has_a_share(share: float, detector: ObjectDetector) -> None:
    detector.share_ = share
    recipe = detector.recipe()
    examples_agree(recipe)
    rng = np.random.default_rng(0)
    shapes = [(100, 61), (61, 100), (100, 61), (30, 30)]
    pictures = [rng.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in shapes]
    expected, actual = (
        one.predict(pictures, threshold=0.005) for one in (detector, detector.through(by_torch(recipe)))
    )
    assert len(expected)
    assert actual["image"].to_list() == expected["image"].to_list()
    assert actual["label"].to_list() == expected["label"].to_list()
    for column in ("score", "x", "y", "width", "height"):
        np.testing.assert_allclose(actual[column], expected[column], atol=1e-3)


@pytest.mark.release
def test_both_heads_run_as_files(detector: ObjectDetector) -> None:
    pytest.importorskip("onnxscript")
    from memfold.export.onnx_file import exported

    detector.share_ = 0.4
    assert exported(detector.recipe().parts[0]).difference < 1e-5
