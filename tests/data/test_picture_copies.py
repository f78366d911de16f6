"""Pictures that a model was fitted to are noticed when they are scored."""

import numpy as np
import pytest

from memfold.data.picture_copies import fingerprint, remembered, say_trained_on

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), np.uint8)
PRINTS = [fingerprint(picture) for picture in PICTURES]


def test_those_that_a_model_was_fitted_to_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    seen = remembered(PRINTS[:4])
    say_trained_on("later", PRINTS[2:], seen)
    assert "later: 2 of 4 images are among those that the model was fitted to" in capsys.readouterr().err
    say_trained_on("later", PRINTS[4:], seen)
    assert capsys.readouterr().err == ""


def test_one_pixel_makes_another_picture() -> None:
    changed = PICTURES[0].copy()
    changed[0, 0, 0] ^= 1
    assert fingerprint(changed) != PRINTS[0]
