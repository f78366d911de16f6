"""Labels as numbers."""

import numpy as np
import pytest

from memfold.data.labels import numbers_of
from memfold.errors import InputError


def test_a_label_becomes_its_place_among_the_classes() -> None:
    found = numbers_of(["low", "high", "low"], ["high", "low"], "a.csv")
    assert found.dtype == np.int64
    assert found.tolist() == [1, 0, 1]
    assert numbers_of([], ["a"], "a.csv").shape == (0,)


def test_a_label_that_was_not_trained_on_is_named() -> None:
    with pytest.raises(InputError, match=r"a\.csv: the label 'fair' was not trained on; the model knows bad, good"):
        numbers_of(["good", "odd", "fair"], ["bad", "good"], "a.csv", "label")
