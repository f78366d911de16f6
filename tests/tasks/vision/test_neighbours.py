"""The baseline of the tasks on images, against scikit-learn's own steps."""

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from memfold.tasks.vision.neighbours import PrincipalNeighbours


def test_it_answers_as_scikit_learn_and_so_does_a_copy() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 4
    pixels = (rng.integers(0, 120, (80, 2, 6, 6)) + 30 * labels[:, None, None, None]).astype(np.uint8)
    rows = pixels.reshape(80, -1) / 255.0
    pca = PCA(5, random_state=0).fit(rows[:60])
    theirs = KNeighborsClassifier(3).fit(pca.transform(rows[:60]), labels[:60]).predict(pca.transform(rows[60:]))
    model = PrincipalNeighbours.fit(pixels[:60], labels[:60], axes=5, nearest=3)
    assert (model.answers(pixels[60:]) == theirs).all()
    again = PrincipalNeighbours(**model.shape())
    again.load_state_dict(model.state_dict())
    assert (again.answers(pixels[60:]) == theirs).all()
    assert not list(model.parameters())


def test_few_images_have_fewer_axes() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (3, 1, 4, 4)).astype(np.uint8)
    model = PrincipalNeighbours.fit(pixels, np.array([0, 1, 0]), axes=50, nearest=5)
    assert model.shape() == {"images": 3, "pixels": 16, "axes": 3, "nearest": 3}
    assert torch.isfinite(model.points).all()
